"""npm against a registry that is absent, refuses, or lacks what is asked; the registry runs inside the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.node_shapes import manifest, warm_up

__all__: list[str] = []

_QUICK = {"npm_config_fetch_retries": "0", "npm_config_audit": "false", "npm_config_fund": "false"}
_SERVER = """\
const http = require('node:http');
const { spawn } = require('node:child_process');
const [port, status, known, ...command] = process.argv.slice(2);
const packages = JSON.parse(require('node:fs').readFileSync(known));
const server = http.createServer((request, reply) => {
  const found = packages[decodeURIComponent(request.url.slice(1))];
  reply.writeHead(found ? 200 : Number(status), { 'content-type': 'application/json' });
  reply.end(JSON.stringify(found || {}));
});
server.listen(Number(port), '127.0.0.1', () => {
  const child = spawn(command[0], command.slice(1), { stdio: 'inherit' });
  child.on('close', (code) => process.exit(code));
});
"""


def _wanted(shop: Workshop) -> tuple[str, str]:
    """Write a manifest that depends on one package; return the package and the version range."""
    names = shop.names
    package = names.package() if shop.rng.random() < 0.7 else f"@{names.noun()}/{names.noun()}"
    span = (
        f"{shop.rng.choice(('^', '~', ''))}{shop.rng.randint(2, 9)}.{shop.rng.randint(0, 20)}.{shop.rng.randint(0, 9)}"
    )
    fields: dict[str, Any] = {shop.rng.choice(("dependencies", "devDependencies")): {package: span}}
    manifest(shop, **fields)
    return package, span


def _install(shop: Workshop, status: int, known: Mapping[str, object] | None = None) -> tuple[str, Step]:
    """Run ``npm install`` against a local registry that answers ``status`` for all but ``known`` packages."""
    rng = shop.rng
    port = rng.randint(11_000, 29_000)
    shop.write("ci/registry.js", _SERVER)
    shop.write("ci/packages.json", json.dumps(known or {}))
    warm_up(shop)
    npm = rng.choice(("npm install", "npm install --no-audit", "npm i --no-fund", "npm install --no-package-lock"))
    url = f"http://127.0.0.1:{port}/"
    step = shop.failing(
        f"node ci/registry.js {port} {status} ci/packages.json {npm}", env={**_QUICK, "npm_config_registry": url}
    )
    return url, step


def _packument(name: str, versions: dict[str, dict[str, object]]) -> dict[str, object]:
    """Return what a registry says about a package; its tarballs are never fetched."""
    dist = {"tarball": "http://127.0.0.1:9/none.tgz", "shasum": "0" * 40}
    entries = {version: {"name": name, "version": version, "dist": dist, **more} for version, more in versions.items()}
    return {"name": name, "dist-tags": {"latest": list(versions)[-1]}, "versions": entries}


@recipe("npm.package-not-found", tool="npm", category="dependency_install", origin="dependency", requires=("npm",))
def package_not_found(shop: Workshop) -> Fault:
    """The registry does not have the package (E404)."""
    package, span = _wanted(shop)
    _, step = _install(shop, 404)
    return Fault(
        step=step,
        evidence=(f"The requested resource '{package}@{span}' could not be found",),
        subject=package,
        cause=f"Dependency `{package}` cannot be installed: it is not in the registry.",
        fix=f"Correct the name `{package}` or publish it.",
    )


@recipe("npm.no-matching-version", tool="npm", category="dependency_install", origin="dependency", requires=("npm",))
def no_matching_version(shop: Workshop) -> Fault:
    """The registry has the package, but no version in the wanted range (ETARGET)."""
    package, span = _wanted(shop)
    versions: dict[str, dict[str, object]] = {f"1.{minor}.0": {} for minor in range(shop.rng.randint(1, 5))}
    _, step = _install(shop, 404, {package: _packument(package, versions)})
    return Fault(
        step=step,
        evidence=(f"No matching version found for {package}@{span}",),
        subject=package,
        cause=f"Dependency `{package}` cannot be installed: no matching version.",
        fix=f"Choose a version of `{package}` that exists.",
    )


@recipe("npm.peer-conflict", tool="npm", category="dependency_install", origin="dependency", requires=("npm",))
def peer_conflict(shop: Workshop) -> Fault:
    """Two packages want different versions of one peer (ERESOLVE)."""
    rng, names = shop.rng, shop.names
    peer, plugin, major = names.package(), names.package(), rng.randint(2, 8)
    have = f"{major - 1}.{rng.randint(0, 9)}.{rng.randint(0, 9)}"
    known = {
        peer: _packument(peer, {have: {}, f"{major}.{rng.randint(0, 9)}.1": {}}),
        plugin: _packument(plugin, {"1.0.0": {"peerDependencies": {peer: f"^{major}.0.0"}}}),
    }
    manifest(shop, dependencies={peer: have, plugin: "1.0.0"})
    _, step = _install(shop, 404, known)
    return Fault(
        step=step,
        evidence=(f"Found: {peer}@{have}", f'peer {peer}@"^{major}.0.0" from {plugin}@1.0.0'),
        subject=plugin,
        cause=f"Dependency `{plugin}` cannot be installed: it needs another version of `{peer}`.",
        fix=f"Choose versions of `{peer}` and `{plugin}` that fit together.",
    )


@recipe("npm.unauthorized", tool="npm", category="permission_or_secret", origin="config", requires=("npm",))
def unauthorized(shop: Workshop) -> Fault:
    """The registry wants a token or refuses the one it gets (E401, E403)."""
    package, _ = _wanted(shop)
    status = shop.rng.choice((401, 403))
    url, step = _install(shop, status)
    shown = f"{url}{package.replace('/', '%2f')}"
    return Fault(
        step=step,
        evidence=(f"{'Unauthorized' if status == 401 else 'Forbidden'} - GET {shown}",),
        subject=url[7:-1],
        cause=f"Permission denied: `{url[7:-1]}`.",
        fix=f"Set a token that `{url[7:-1]}` accepts.",
    )


@recipe(
    "npm.registry-failing",
    tool="npm",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("npm",),
)
def registry_failing(shop: Workshop) -> Fault:
    """The registry answers with a server error (E500, E502, E503)."""
    _wanted(shop)
    status = shop.rng.choice((500, 502, 503))
    url, step = _install(shop, status)
    address = url[7:-1]
    return Fault(
        step=step,
        evidence=(f" - GET {url}",),
        subject=address,
        cause=f"Host `{address}` cannot be reached: it answers `{status}`.",
        fix=f"Run the job again; if it persists, check the service at `{address}`.",
    )


@recipe(
    "npm.registry-unreachable",
    tool="npm",
    category="network_or_flaky",
    origin="external",
    transient=True,
    requires=("npm",),
)
def registry_unreachable(shop: Workshop) -> Fault:
    """The registry's name does not resolve, or nothing listens there."""
    package, _ = _wanted(shop)
    host = shop.names.host() if shop.rng.random() < 0.6 else f"127.0.0.1:{shop.rng.randint(11_000, 29_000)}"
    warm_up(shop)
    if shop.rng.random() < 0.5:
        shop.write(".npmrc", f"registry=http://{host}/\n")
        call = "npm install"
    else:
        call = f"npm install --registry=http://{host}/"
    return Fault(
        step=shop.failing(call, env=_QUICK),
        evidence=(f"request to http://{host}/{package.replace('/', '%2f')} failed, reason:",),
        subject=host,
        cause=f"Host `{host}` cannot be reached.",
        fix=f"Run the job again; if it persists, check the name `{host}`.",
    )


@recipe("npm.not-logged-in", tool="npm", category="permission_or_secret", origin="config", requires=("npm",))
def not_logged_in(shop: Workshop) -> Fault:
    """A package is published without a token (ENEEDAUTH)."""
    host = shop.names.host() if shop.rng.random() < 0.7 else f"127.0.0.1:{shop.rng.randint(11_000, 29_000)}"
    manifest(shop, private=False)
    for _ in range(shop.rng.randint(0, 4)):
        shop.write(f"lib/{shop.names.noun()}-error.js", "module.exports = 1;\n")
    warm_up(shop)
    return Fault(
        step=shop.failing(f"npm publish --registry=http://{host}/", env=_QUICK),
        evidence=("This command requires you to be logged in to",),
        subject=host,
        cause=f"Permission denied: no token is set for `{host}`.",
        fix=f"Set a token for `{host}`.",
    )
