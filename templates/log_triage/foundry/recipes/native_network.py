"""Downloads and logins over a network that is not there."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, closed_port, script, warm_up

__all__: list[str] = []

_SERVER = """use IO::Socket::INET;
alarm 10;
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => PORT, Listen => 1, ReuseAddr => 1) or die;
open(my $ready, '>', '.mirror-ready'); close $ready;
my $client = $server->accept();
while (<$client>) { last if /^\\r?$/ }
print $client "HTTP/1.1 STATUS\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n";
close $client;
"""
"""Answers one request and ends; it gives up after ten seconds without one."""


def _url(shop: Workshop, host: str) -> str:
    path = shop.rng.choice(
        (
            f"releases/{shop.names.version()}/{shop.names.module()}.tar.gz",
            f"v1/{shop.names.noun()}",
            f"{shop.names.noun()}.json",
            "health",
        )
    )
    return f"{shop.rng.choice(('http', 'https'))}://{host}/{path}"


def _options(shop: Workshop) -> str:
    return shop.rng.choice(
        ("-fsSL", "-sS", "--fail --silent --show-error", "-fSL --no-progress-meter", "-fsS --connect-timeout 5")
    )


def _served(shop: Workshop, status: str, request: str = "") -> Step:
    """Fetch from a loopback server of the script's own that answers with ``status``."""
    port = shop.rng.randint(20000, 31000)
    shop.write("ci/mirror.pl", _SERVER.replace("PORT", str(port)).replace("STATUS", status))
    url = _url(shop, f"127.0.0.1:{port}").replace("https", "http")
    options = shop.rng.choice(("-fsSL", "--fail --silent --show-error", "-fSL --no-progress-meter", "-fsS"))
    wait = "until [ -e .mirror-ready ]; do sleep 0.02; done"
    command, _ = script(shop, f"perl ci/mirror.pl &\n{wait}\ncurl {options} {request}{url} -o {shop.names.noun()}.bin")
    return shop.failing(command)


def _fetch(shop: Workshop, url: str) -> str:
    target = f"{shop.names.noun()}.{shop.rng.choice(('tgz', 'json', 'bin'))}"
    return shop.rng.choice(
        (
            f"curl {_options(shop)} {url} -o {target}",
            f"curl {_options(shop)} -O {url}",
            f"curl {_options(shop)} -X POST -d status=ok {url}",
            f"curl {_options(shop)} --head {url}",
        )
    )


@recipe(
    "curl.unresolvable-host",
    tool="curl",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("curl",),
)
def unresolvable(shop: Workshop) -> Fault:
    """A name does not resolve."""
    host = shop.names.host()
    command, _ = script(shop, _fetch(shop, _url(shop, host)))
    run = shop.failing(command)
    return Fault(
        run,
        (f"Could not resolve host: {host}",),
        host,
        f"Host `{host}` cannot be reached.",
        f"Run again or check the name `{host}`.",
    )


@recipe("curl.refused", tool="curl", category="network_or_flaky", origin="external", transient=True, requires=("curl",))
def refused(shop: Workshop) -> Fault:
    """A port is closed."""
    host, port = shop.rng.choice(("localhost", "127.0.0.1")), closed_port(shop)
    command, _ = script(shop, _fetch(shop, _url(shop, f"{host}:{port}")))
    run = shop.failing(command)
    return Fault(
        run,
        (f"Failed to connect to {host} port {port}",),
        host,
        f"Host `{host}` cannot be reached.",
        f"Run again or check the server on `{host}`.",
    )


@recipe(
    "curl.server-error",
    tool="curl",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("curl", "perl"),
)
def server_error(shop: Workshop) -> Fault:
    """A server answers 502, 503 or 504."""
    status = shop.rng.choice(
        ("503 Service Unavailable", "502 Bad Gateway", "504 Gateway Timeout", "500 Internal Server Error")
    )
    run = _served(shop, status)
    return Fault(
        run,
        (f"returned error: {status[:3]}",),
        status[:3],
        f"The server answers with `{status[:3]}`.",
        "Run again when the server is up.",
    )


@recipe("curl.not-found", tool="curl", category="other", origin="config", requires=("curl", "perl"))
def not_found(shop: Workshop) -> Fault:
    """A server does not know the file."""
    run = _served(shop, "404 Not Found")
    return Fault(
        run, ("returned error: 404",), "404", "The server answers with `404`.", "Correct the address of the download."
    )


@recipe("curl.unauthorized", tool="curl", category="permission_or_secret", origin="config", requires=("curl", "perl"))
def unauthorized(shop: Workshop) -> Fault:
    """A server wants a login it did not get."""
    status = shop.rng.choice(("401 Unauthorized", "403 Forbidden"))
    run = _served(shop, status, shop.rng.choice(("", "-H 'Accept: application/json' ")))
    return Fault(
        run,
        (f"returned error: {status[:3]}",),
        status[:3],
        f"Permission denied: the server answers with `{status[:3]}`.",
        "Pass a valid token to the server.",
    )


@recipe(
    "ssh.unreachable-host",
    tool="ssh",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("ssh", "scp"),
)
def ssh_unreachable(shop: Workshop) -> Fault:
    """A deployment host does not resolve, or its port is closed."""
    user, folder = shop.rng.choice(("deploy", "ci", "www", shop.names.noun())), shop.names.noun()
    shop.write("dist/app.txt", "ready\n")
    host, port = (shop.names.host(), 22) if chance(shop, 0.6) else ("127.0.0.1", closed_port(shop))
    line = shop.rng.choice(
        (
            f"ssh -p {port} {user}@{host} uptime",
            f"scp -P {port} dist/app.txt {user}@{host}:/srv/{folder}/",
            f"tar c dist | ssh -p {port} {user}@{host} tar x -C /srv/{folder}",
            f"ssh -o BatchMode=yes -o ConnectTimeout=5 -p {port} {host} ls /srv/{folder}",
        )
    )
    command, _ = script(shop, line)
    run = shop.failing(command)
    says = f"Could not resolve hostname {host}" if port == 22 else f"connect to host {host} port {port}"
    return Fault(
        run,
        (says,),
        host,
        f"Host `{host}` cannot be reached.",
        f"Run again or check the name `{host}`." if port == 22 else f"Run again or check the server on `{host}`.",
    )


@recipe("ssh.open-key", tool="ssh", category="permission_or_secret", origin="config", requires=("ssh-keygen",))
def open_key(shop: Workshop) -> Fault:
    """A private key that others may read is refused."""
    folder, suffix = shop.rng.choice((".ssh", "keys", "deploy", "ci")), shop.rng.choice(("_key", ".pem", "_ed25519"))
    path = f"{folder}/{shop.names.module()}{suffix}"
    shop.write(path, "")
    mode = shop.rng.choice(("644", "640", "666", "664", "755"))
    shop.quiet(
        f"rm {path} && ssh-keygen -q -t ed25519 -N '' -f {path} -C "
        f"{shop.names.noun()} && chmod {mode} {path} && rm {path}.pub"
    )
    warm_up(shop, "ssh -V", f"test -s {path} && echo key found", most=1)
    command, _ = script(shop, f"ssh-keygen -y -f {path} > {shop.names.noun()}.pub")
    run = shop.failing(command)
    return Fault(
        run,
        (f"Permissions 0{mode} for '{path}' are too open",),
        path,
        f"Permission denied: key `{path}` is too open.",
        f"Make `{path}` readable for its owner only.",
    )


@recipe(
    "docker.unreachable-daemon",
    tool="docker",
    category="network_or_flaky",
    origin="infra",
    transient=True,
    requires=("docker",),
)
def unreachable_daemon(shop: Workshop) -> Fault:
    """No container daemon answers."""
    address = shop.rng.choice((f"unix:///var/run/{shop.names.noun()}.sock", f"tcp://127.0.0.1:{closed_port(shop)}"))
    image = f"{shop.names.noun()}:{shop.names.version()}"
    command, _ = script(
        shop,
        shop.rng.choice(
            (
                f"docker ps --filter name={shop.names.noun()}",
                f"docker images {shop.names.noun()}",
                f"docker rm -f {shop.names.noun()}",
                f"docker inspect {image}",
                f"docker run --rm {image} make test",
                f"docker pull {image}",
                f"docker push {image}",
            )
        ),
    )
    run = shop.failing(command, env={"DOCKER_HOST": address})
    return Fault(
        run,
        (address,),
        address,
        f"Host `{address}` cannot be reached.",
        f"Start the daemon behind `{address}` and run again.",
    )
