"""Names that do not resolve, closed ports, and servers on loopback that fail: nothing here leaves the machine."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line
from understudy.templates.log_triage.foundry.recipes.python_runtime import run_script

__all__: list[str] = []

_MAKE = ("make",)

_MIRROR = '''"""A server on loopback for the checks."""

import http.server
import socket
import threading
import time


class _Handler(http.server.BaseHTTPRequestHandler):
    status = 200
    close = False

    def do_GET(self):
        if not self.close:
            self.send_response(self.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_POST = do_GET

    def log_message(self, *args):
        pass


def answer(port, status=200, close=False):
    """Answer every request with one status, or close the connection without a word."""
    _Handler.status, _Handler.close = status, close
    server = http.server.HTTPServer(("127.0.0.1", port), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def keep_silent(port):
    """Accept connections and never say anything."""
    listener = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=lambda: (listener.accept(), time.sleep(60)), daemon=True).start()
'''
"""Ends with its process: its threads are daemons."""


def _port(shop: Workshop) -> int:
    return shop.rng.randint(20_000, 29_999)  # below the range that outgoing connections draw from


def _request(
    shop: Workshop, url: str, ending: str, *, prepare: str = "", wait: float = 2
) -> tuple[Step, tuple[str, ...]]:
    """Run a script that asks for ``url`` in vain; ``ending`` stands in the line that says why."""
    shop.write("mirror.py", _MIRROR)
    rng = shop.rng
    verb = rng.choice(("GET", "downloading", "Fetching", "requesting", "Checking"))
    call = f'urllib.request.urlopen("{url}", timeout={wait})'
    tries = rng.randint(2, 3)
    body, reported = rng.choice(
        (
            (f'print("{verb} {url}", flush=True)\nwith {call} as reply:\n    return reply.read()\n', False),
            (f'print("{verb} {url} ...", flush=True)\nreturn {call}.read()\n', False),
            (
                f"try:\n    return {call}.read()\nexcept (OSError, http.client.HTTPException) as error:\n"
                f'    sys.exit(f"error: {verb} {url} failed: {{error}}")\n',
                True,
            ),
            (
                f"for attempt in range({tries}):\n    try:\n        return {call}.read()\n"
                f"    except (OSError, http.client.HTTPException) as error:\n"
                f"        reason = error\n        print('attempt', attempt + 1, 'failed, waiting', flush=True)\n"
                f'raise SystemExit(f"giving up on {url} after {tries} attempts: {{reason}}")\n',
                True,
            ),
        )
    )
    imports = "import http.client\nimport sys\nimport urllib.request\n\nimport mirror\n"
    step, _ = run_script(shop, prepare + body, imports, env={"PYTHONPATH": "."})
    if reported:
        return step, (find_line(step, "", url, ending),)
    find_line(step, "", ending)
    reasons = [line for line in step.output if ending in line and not line.startswith(" ")]
    return step, (find_line(step, f"{verb} {url}"), *reasons[-1:])


def _path(shop: Workshop) -> str:
    stem, version = shop.names.noun(), shop.names.version()
    return shop.rng.choice(
        (
            f"/api/v{shop.rng.randint(1, 3)}/{stem}s",
            f"/releases/{stem}-{version}.tar.gz",
            f"/{stem}/health",
            f"/{stem}.json",
        )
    )


@recipe(
    "network.unresolved-name",
    tool="python",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=_MAKE,
)
def unresolved_name(shop: Workshop) -> Fault:
    """A host name does not resolve."""
    host = shop.names.host()
    url = f"{shop.rng.choice(('https', 'http'))}://{host}{_path(shop)}"
    step, lines = _request(shop, url, "<urlopen error [Errno -")
    return Fault(step, lines, host, f"Host `{host}` cannot be reached.", f"Run again, or check the name `{host}`.")


@recipe(
    "network.connection-refused",
    tool="python",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=_MAKE,
)
def connection_refused(shop: Workshop) -> Fault:
    """Nobody listens on a port."""
    host = f"127.0.0.1:{_port(shop)}"
    if shop.rng.random() < 0.5:
        step, lines = _request(shop, f"http://{host}{_path(shop)}", "Connection refused")
    else:
        name, port = host.split(":")
        service = shop.rng.choice(("database", "queue", "cache", shop.names.noun()))
        body = (
            f'try:\n    return socket.create_connection(("{name}", {port}), timeout=2)\n'
            f'except OSError as error:\n    raise SystemExit(f"{service} at {host}: {{error}}")\n'
        )
        step, _ = run_script(shop, body, "import socket\n")
        lines = (find_line(step, "", host, "Connection refused"),)
    return Fault(step, lines, host, f"Host `{host}` cannot be reached.", f"Start the service on `{host}` or run again.")


@recipe(
    "network.server-error",
    tool="python",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=_MAKE,
)
def server_error(shop: Workshop) -> Fault:
    """A server answers 500, 502, 503 or 504."""
    port, status = _port(shop), shop.rng.choice((500, 502, 503, 504))
    host = f"127.0.0.1:{port}"
    prepare = f"mirror.answer({port}, {status})\n"
    step, lines = _request(shop, f"http://{host}{_path(shop)}", f"HTTP Error {status}", prepare=prepare)
    return Fault(step, lines, host, f"Host `{host}` answers `HTTP Error {status}`.", f"Run again when `{host}` works.")


@recipe(
    "network.read-timeout",
    tool="python",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=_MAKE,
)
def read_timeout(shop: Workshop) -> Fault:
    """A server accepts the connection and does not answer in time."""
    port = _port(shop)
    host = f"127.0.0.1:{port}"
    wait = shop.rng.choice((0.1, 0.15, 0.2, 0.25))
    step, lines = _request(
        shop, f"http://{host}{_path(shop)}", "timed out", prepare=f"mirror.keep_silent({port})\n", wait=wait
    )
    return Fault(step, lines, host, f"Host `{host}` does not answer in time.", f"Run again when `{host}` works.")


@recipe(
    "network.connection-closed",
    tool="python",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=_MAKE,
)
def connection_closed(shop: Workshop) -> Fault:
    """A server closes the connection without an answer."""
    port = _port(shop)
    host = f"127.0.0.1:{port}"
    prepare = f"mirror.answer({port}, close=True)\n"
    step, lines = _request(shop, f"http://{host}{_path(shop)}", "closed connection without response", prepare=prepare)
    return Fault(step, lines, host, f"Host `{host}` closes the connection.", f"Run again when `{host}` works.")


@recipe("network.access-denied", tool="python", category="permission_or_secret", origin="config", requires=_MAKE)
def access_denied(shop: Workshop) -> Fault:
    """A server refuses the credentials."""
    port, status = _port(shop), shop.rng.choice((401, 403))
    host = f"127.0.0.1:{port}"
    prepare = f"mirror.answer({port}, {status})\n"
    step, lines = _request(shop, f"http://{host}{_path(shop)}", f"HTTP Error {status}", prepare=prepare)
    return Fault(
        step,
        lines,
        host,
        f"Permission denied: `{host}` answers `HTTP Error {status}`.",
        f"Give this job credentials that `{host}` accepts.",
    )


@recipe(
    "pip.index-unreachable",
    tool="pip",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("pip", "make"),
)
def index_unreachable(shop: Workshop) -> Fault:
    """The package index does not resolve or refuses the connection."""
    project, rng, name = Project(shop), shop.rng, shop.names.package()
    scheme, host = rng.choice((("https", shop.names.host()), ("http", f"127.0.0.1:{_port(shop)}")))
    option = rng.choice(("--index-url", "-i"))
    wanted = rng.choice((name, f"{name}=={shop.names.version()}"))
    command = f"pip install --retries 1 --timeout {rng.randint(1, 9)} {option} {scheme}://{host}/simple {wanted}"
    project.warm_up()
    step = project.fail(command, env={"PIP_TARGET": "libs", "PIP_NO_CACHE_DIR": "1"})
    retried = find_line(step, "WARNING: Retrying ", "Failed to establish a new connection")
    lines = (find_line(step, "Looking in indexes: ", host), retried)
    return Fault(step, lines, host, f"Host `{host}` cannot be reached.", f"Run again, or check the index on `{host}`.")
