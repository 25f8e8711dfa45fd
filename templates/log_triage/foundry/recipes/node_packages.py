"""npm faults that need no registry: manifests, scripts, lock files, engines and platforms."""

from __future__ import annotations

import json
from typing import Any

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.node_shapes import manifest, script, shown, warm_up

__all__: list[str] = []

# Nothing here may ask a registry; should it try, it fails at once.
_OFFLINE = {"npm_config_offline": "true", "npm_config_audit": "false", "npm_config_fund": "false"}
_TASKS = ("build", "lint", "test:unit", "typecheck", "docs", "release", "format", "bundle", "coverage", "e2e")


def _vendored(shop: Workshop, **fields: Any) -> tuple[str, str]:
    """Write a package of the project's own below ``packages/``; return its name and folder."""
    stem = shop.names.noun()
    name = manifest(shop, folder=f"packages/{stem}/", **fields)
    shop.write(f"packages/{stem}/index.js", "module.exports = 1;\n")
    return name, f"packages/{stem}"


def _version(shop: Workshop, folder: str) -> str:
    return str(json.loads((shop.root / folder / "package.json").read_text(encoding="utf-8"))["version"])


@recipe("npm.missing-script", tool="npm", category="other", origin="config", requires=("npm",))
def missing_script(shop: Workshop) -> Fault:
    """A script is run that the manifest does not have."""
    wrong, *others = shop.rng.sample(_TASKS, shop.rng.randint(1, 5))
    wrong = shop.rng.choice((wrong, f"{wrong}:{shop.names.noun()}"))
    path = script(shop, "")
    manifest(shop, {task: f"node {path}" for task in others})
    warm_up(shop, 1)
    for task in others[:1]:
        shop.passing(f"npm run {task}")
    return Fault(
        step=shop.failing(f"npm run {wrong}{shop.rng.choice(('', '', ' -- --ci'))}"),
        evidence=(f'Missing script: "{wrong}"',),
        subject=wrong,
        cause=f"Script `{wrong}` is missing.",
        fix=f"Add the script `{wrong}` or correct its name.",
    )


@recipe("npm.missing-command", tool="npm", category="other", origin="dependency", requires=("npm",))
def missing_command(shop: Workshop) -> Fault:
    """A script calls a program that is not installed."""
    rng, names = shop.rng, shop.names
    wrong, task = f"{names.noun()}-{names.noun()}", rng.choice(_TASKS)
    call = rng.choice((f"{wrong} src", f"{wrong} --config {names.noun()}.json", f"node --version && {wrong}"))
    manifest(shop, {task: call, **({f"pre{task}": "node --version"} if rng.random() < 0.3 else {})})
    warm_up(shop)
    return Fault(
        step=shop.failing(f"npm run {task}"),
        evidence=(f": {wrong}: not found",),
        subject=wrong,
        cause=f"Command `{wrong}` is not found.",
        fix=f"Install the package that brings `{wrong}`.",
    )


@recipe("npm.lock-out-of-sync", tool="npm", category="dependency_install", origin="config", requires=("npm",))
def lock_out_of_sync(shop: Workshop) -> Fault:
    """The manifest has a dependency that the lock file lacks (`npm ci`)."""
    rng = shop.rng
    name, folder = _vendored(shop)
    field = rng.choice(("dependencies", "devDependencies"))
    fields: dict[str, Any] = {field: {name: f"file:{folder}"}}
    root = manifest(shop, **fields)
    lock = {"name": root, "lockfileVersion": 3, "requires": True, "packages": {"": {"name": root}}}
    shop.write("package-lock.json", json.dumps(lock, indent=2) + "\n")
    warm_up(shop)
    subject = f"{name}@{_version(shop, folder)}"
    return Fault(
        step=shop.failing(rng.choice(("npm ci", "npm ci --no-audit", "npm ci --ignore-scripts")), env=_OFFLINE),
        evidence=(f"Missing: {subject} from lock file",),
        subject=subject,
        cause=f"Dependency `{subject}` cannot be installed: it is not in the lock file.",
        fix=f"Update the lock file so that it holds `{subject}`.",
    )


@recipe("npm.no-lock-file", tool="npm", category="other", origin="config", requires=("npm",))
def no_lock_file(shop: Workshop) -> Fault:
    """The project has no lock file (`npm ci`)."""
    if shop.rng.random() < 0.6:
        name, folder = _vendored(shop)
        manifest(shop, dependencies={name: f"file:{folder}"})
    else:
        manifest(shop, {shop.rng.choice(_TASKS): "node --version"})
    warm_up(shop)
    return Fault(
        step=shop.failing(shop.rng.choice(("npm ci", "npm ci --no-audit", "npm clean-install")), env=_OFFLINE),
        evidence=("command can only install with an existing package-lock.json",),
        subject="package-lock.json",
        cause="File `package-lock.json` is missing.",
        fix="Commit `package-lock.json`.",
    )


@recipe("npm.invalid-manifest", tool="npm", category="other", origin="config", requires=("npm",))
def invalid_manifest(shop: Workshop) -> Fault:
    """The manifest is not JSON (EJSONPARSE)."""
    rng = shop.rng
    manifest(shop, {task: "node --version" for task in rng.sample(_TASKS, rng.randint(1, 4))})
    text = (shop.root / "package.json").read_text(encoding="utf-8")
    text = rng.choice(
        (
            text.replace("\n  }\n}", ",\n  }\n}"),
            text.replace('": "', '" "', 1),
            text.rstrip()[:-1],
            text.replace('"', "'", 2),
        )
    )
    warm_up(shop)
    shop.write("package.json", text)
    return Fault(
        step=shop.failing(rng.choice(("npm install", "npm run build", "npm i", "npm test")), env=_OFFLINE),
        evidence=("Invalid package.json:",),
        subject="package.json",
        cause="File `package.json` is not valid JSON.",
        fix="Correct the syntax of `package.json`.",
    )


@recipe("npm.no-manifest", tool="npm", category="other", origin="config", requires=("npm",))
def no_manifest(shop: Workshop) -> Fault:
    """Npm runs in a folder without a manifest (ENOENT)."""
    rng, task = shop.rng, shop.rng.choice(_TASKS)
    folder = rng.choice(("", f"{rng.choice(('packages', 'apps'))}/{shop.names.noun()}/"))
    shop.write(f"{folder}README.md", f"# {shop.names.noun()}\n")
    warm_up(shop)
    call = rng.choice((f"npm run {task}", f"npm run {task} --if-present", "npm test"))
    path = shown(shop, f"{folder}package.json")
    return Fault(
        step=shop.failing(f"cd {folder}\n{call}" if folder else call, env=_OFFLINE),
        evidence=("Could not read package.json: Error: ENOENT",),
        subject=path,
        cause=f"File `{path}` is missing.",
        fix="Run npm in the folder that holds `package.json`.",
    )


@recipe("npm.wrong-engine", tool="npm", category="dependency_install", origin="config", requires=("npm",))
def wrong_engine(shop: Workshop) -> Fault:
    """The package wants another version of Node (EBADENGINE)."""
    rng = shop.rng
    wanted = rng.choice(
        (f">={rng.randint(40, 90)}", f"^{rng.randint(6, 16)}.{rng.randint(0, 9)}.0", f"{rng.randint(6, 18)}.x")
    )
    engine = rng.choice(("node", "node", "npm"))
    name = manifest(shop, engines={engine: wanted if engine == "node" else f"^{rng.randint(4, 8)}.0.0"})
    warm_up(shop, 1)
    call = "npm install --engine-strict"
    if rng.random() < 0.5:
        shop.write(".npmrc", "engine-strict=true\n")
        call = rng.choice(("npm install", "npm i"))
    return Fault(
        step=shop.failing(call, env=_OFFLINE),
        evidence=(f"Not compatible with your version of node/npm: {name}", "notsup Required: "),
        subject=name,
        cause=f"Dependency `{name}` cannot be installed: it needs another `{engine}`.",
        fix=f"Use a version of `{engine}` that `{name}` allows.",
    )


@recipe("npm.wrong-platform", tool="npm", category="dependency_install", origin="dependency", requires=("npm",))
def wrong_platform(shop: Workshop) -> Fault:
    """A dependency does not support this system (EBADPLATFORM)."""
    rng = shop.rng
    limits = rng.choice(({"os": ["win32"]}, {"os": ["darwin"]}, {"cpu": ["s390x"]}, {"os": ["!linux"]}))
    name, folder = _vendored(shop, **limits)
    manifest(shop)
    warm_up(shop, 1)
    return Fault(
        step=shop.failing(f"npm install ./{folder}{rng.choice(('', ' --no-save', ' --no-fund'))}", env=_OFFLINE),
        evidence=(f"Unsupported platform for {name}",),
        subject=name,
        cause=f"Dependency `{name}` cannot be installed: it does not support this platform.",
        fix=f"Make `{name}` optional or choose one that supports this platform.",
    )


@recipe("npm.wrong-checksum", tool="npm", category="dependency_install", origin="dependency", requires=("npm",))
def wrong_checksum(shop: Workshop) -> Fault:
    """A tarball is not the one the lock file knows (EINTEGRITY)."""
    name, folder = _vendored(shop)
    version = _version(shop, folder)
    shop.quiet(f"npm pack --silent ./{folder}", env=_OFFLINE)
    tarball = f"{name}-{version}.tgz"
    root = manifest(shop, dependencies={name: f"file:{tarball}"})
    checksum = "".join(shop.rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=85)) + "A=="
    entry = {"version": version, "resolved": f"file:{tarball}", "integrity": f"sha512-{checksum}"}
    packages = {"": {"name": root, "dependencies": {name: f"file:{tarball}"}}, f"node_modules/{name}": entry}
    lock = {"name": root, "lockfileVersion": 3, "requires": True, "packages": packages}
    shop.write("package-lock.json", json.dumps(lock, indent=2) + "\n")
    warm_up(shop, 1)
    return Fault(
        step=shop.failing(shop.rng.choice(("npm ci", "npm install", "npm ci --no-audit")), env=_OFFLINE),
        evidence=(f"tarball data for {name}@", "integrity checksum failed when using"),
        subject=name,
        cause=f"Dependency `{name}` cannot be installed: its checksum is wrong.",
        fix=f"Check where `{name}` comes from and update the lock file.",
    )
