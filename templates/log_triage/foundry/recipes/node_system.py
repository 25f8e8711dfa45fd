"""Node scripts that fail at the world around them: hosts, ports, files and permissions; and logs without a cause."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.node_shapes import manifest, run_script, script, warm_up

__all__: list[str] = []


def _request(shop: Workshop, host: str, port: int) -> str:
    """Return JavaScript that talks to ``host`` in one of four ways and lets the error through."""
    path = shop.names.noun()
    return shop.rng.choice(
        (
            f"fetch('http://{host}:{port}/{path}').then((reply) => console.log(reply.status));",
            f"require('node:http').get({{ host: '{host}', port: {port}, path: '/{path}' }}, (r) => r.resume());",
            f"const socket = require('node:net').connect({port}, '{host}');\nsocket.on('connect', () => socket.end());",
            f"async function main() {{\n  const reply = await fetch('http://{host}:{port}/v1/{path}');\n"
            "  console.log(await reply.json());\n}\n"
            "main().catch((error) => {\n  console.error(error.cause.message);\n  process.exitCode = 1;\n});",
        )
    )


@recipe(
    "node.host-not-found",
    tool="node",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("node",),
)
def host_not_found(shop: Workshop) -> Fault:
    """A script asks a host whose name does not resolve."""
    host = shop.names.host()
    run = run_script(shop, script(shop, _request(shop, host, shop.rng.choice((80, 443, 8080, 8443)))))
    return Fault(
        step=run,
        evidence=("getaddrinfo E",),
        subject=host,
        cause=f"Host `{host}` cannot be reached.",
        fix=f"Run the job again; if it persists, check the name `{host}`.",
    )


@recipe(
    "node.connection-refused",
    tool="node",
    category="network_or_flaky",
    origin="infra",
    transient=True,
    requires=("node",),
)
def connection_refused(shop: Workshop) -> Fault:
    """A script connects to a port where nothing listens."""
    port = shop.rng.randint(11_000, 29_000)
    run = run_script(shop, script(shop, _request(shop, "127.0.0.1", port)))
    address = f"127.0.0.1:{port}"
    return Fault(
        step=run,
        evidence=(f"connect ECONNREFUSED {address}",),
        subject=address,
        cause=f"Host `{address}` cannot be reached.",
        fix=f"Start the service at `{address}` before this step.",
    )


@recipe("node.missing-file", tool="node", category="other", origin="code", requires=("node",))
def missing_file(shop: Workshop) -> Fault:
    """A script reads a file that is not there."""
    rng, names = shop.rng, shop.names
    folder, suffix = rng.choice(("config", "data", "fixtures", "dist")), rng.choice(("json", "csv", "txt", "yml"))
    file = f"{folder}/{names.module()}.{suffix}"
    body = rng.choice(
        (
            f"const text = require('node:fs').readFileSync('{file}', 'utf8');\nconsole.log(text.length);",
            f"const fs = require('node:fs');\nfs.copyFileSync('{file}', '{names.noun()}.bak');",
            f"const fs = require('node:fs');\nconst size = fs.statSync('{file}').size;\nconsole.log(size);",
            f"require('node:fs').readFile('{file}', (error, data) => {{\n"
            f"  if (error) throw error;\n  console.log(data);\n}});",
        )
    )
    return Fault(
        step=run_script(shop, script(shop, body)),
        evidence=("Error: ENOENT: no such file or directory",),
        subject=file,
        cause=f"File `{file}` is missing.",
        fix=f"Create `{file}` before this step or correct its path.",
    )


@recipe("node.spawn-denied", tool="node", category="permission_or_secret", origin="code", requires=("node",))
def spawn_denied(shop: Workshop) -> Fault:
    """A script starts a file that is not executable."""
    rng, names = shop.rng, shop.names
    file = f"./{rng.choice(('bin', 'hooks', 'deploy', 'scripts'))}/{names.module()}.sh"
    shop.write(file[2:], "#!/bin/sh\necho ok\n")
    body = rng.choice(
        (
            f"require('node:child_process').execFileSync('{file}', ['--{names.noun()}']);",
            f"const {{ spawn }} = require('node:child_process');\nspawn('{file}', [], {{ stdio: 'inherit' }});",
            f"const {{ spawnSync }} = require('node:child_process');\n"
            f"const done = spawnSync('{file}');\nif (done.error) throw done.error;",
        )
    )
    return Fault(
        step=run_script(shop, script(shop, body)),
        evidence=(f" {file} EACCES",),
        subject=file,
        cause=f"Permission denied: `{file}`.",
        fix=f"Make `{file}` executable.",
    )


@recipe("node.port-in-use", tool="node", category="other", origin="infra", transient=True, requires=("node",))
def port_in_use(shop: Workshop) -> Fault:
    """A script opens a port that is already taken."""
    rng, names = shop.rng, shop.names
    port = rng.randint(11_000, 29_000)
    body = rng.choice(
        (
            f"const http = require('node:http');\nfor (const name of ['{names.noun()}', '{names.noun()}']) {{\n"
            f"  http.createServer((q, r) => r.end(name)).listen({port}, '127.0.0.1').unref();\n}}",
            f"const net = require('node:net');\nconst first = net.createServer().listen({port}, '127.0.0.1', () => {{\n"
            f"  console.log('{names.noun()} server listening');\n"
            f"  net.createServer().listen({port}, '127.0.0.1');\n}});",
        )
    )
    address = f"127.0.0.1:{port}"
    return Fault(
        step=run_script(shop, script(shop, body)),
        evidence=(f"address already in use {address}",),
        subject=address,
        cause=f"Address `{address}` is already in use.",
        fix=f"Stop the process that holds `{address}` or choose another port.",
    )


@recipe("node.silent-exit", tool="node", category="unknown", origin="code", requires=("node",))
def silent_exit(shop: Workshop) -> Fault:
    """A script ends with an exit code and does not say why."""
    rng = shop.rng
    code = rng.randint(1, 9)
    body = rng.choice(
        (f"process.exit({code});", f"process.exitCode = {code};", f"setTimeout(() => process.exit({code}), 5);")
    )
    path = script(shop, f"console.log('starting {shop.names.noun()}');\n{body}")
    return Fault(
        step=run_script(shop, path),
        evidence=(),
        subject="",
        cause="No cause is shown in this log.",
        fix="Let the failing step print what went wrong.",
    )


@recipe("node.green-scripts", tool="node", category="unknown", origin="code", requires=("node",))
def green_scripts(shop: Workshop) -> Fault:
    """Scripts that pass, though some of their output speaks of errors."""
    warm_up(shop)
    for task in shop.rng.sample(("build", "generate", "package", "docs", "upload"), shop.rng.randint(1, 3)):
        path = script(shop, f"console.log('{task} finished, 0 failures');")
        manifest(shop, {task: f"node {path}"})
        shop.passing(shop.rng.choice((f"npm run {task}", f"node {path}")))
    return Fault(step=None, evidence=(), subject="", cause="No cause is shown in this log.", fix="No change is needed.")
