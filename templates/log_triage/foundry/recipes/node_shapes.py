"""What the Node recipes share: manifests, harmless sources, and passing steps around the failing one."""

from __future__ import annotations

import json
import shlex
from typing import Any, Literal

from understudy.templates.log_triage.foundry._toolbox import toolbox_folder
from understudy.templates.log_triage.foundry._workshop import Step, Workshop

__all__ = [
    "Kind",
    "bystanders",
    "command",
    "library",
    "link_modules",
    "manifest",
    "noise",
    "run_script",
    "script",
    "shown",
    "warm_up",
    "word",
]

Kind = Literal["cjs", "esm", "ts"]

_RESERVED = frozenset({"export", "import", "switch", "package", "module", "native", "symbol"})
_BODIES = (
    ("items", "number[]", "number", "return items.reduce((sum, item) => sum + item, {n});"),
    ("value", "number", "number", "if (value < {n}) {{\n    return {n};\n  }}\n  return value * {m};"),
    ("text", "string", "string", "return text.trim().toLowerCase().slice(0, {n});"),
    ("rows", "string[]", "string", 'return rows.filter((row) => row.length > {m}).join(",");'),
    (
        "limit",
        "number",
        "number",
        "let total = {m};\n  while (total < limit) {{\n    total += {n};\n  }}\n  return total;",
    ),
)


def manifest(shop: Workshop, scripts: dict[str, str] | None = None, folder: str = "", **fields: Any) -> str:
    """Write a ``package.json`` and return the package's name; ``fields`` are added to it."""
    name = shop.names.package()
    data: dict[str, Any] = {"name": name, "version": shop.names.version(), "private": True, **fields}
    if scripts:
        data["scripts"] = scripts
    shop.write(f"{folder}package.json", json.dumps(data, indent=2) + "\n")
    return name


def link_modules(shop: Workshop) -> None:
    """Let the project see the toolbox's packages; never run ``npm install`` afterwards, it would prune them."""
    shop.quiet(f"ln -s {shlex.quote(str(toolbox_folder() / 'node' / 'node_modules'))} node_modules")


def command(shop: Workshop, tool: str, task: str, **fields: Any) -> str:
    """Write a manifest and return a way people call ``tool``: by itself, by npx, or as the script ``task``."""
    way = shop.rng.choice(("direct", "npx", "script", "quiet script"))
    manifest(shop, {task: tool}, **fields)
    if way == "direct":
        return tool
    if way == "npx":
        link_modules(shop)
        return f"npx {tool}"
    run = "npm test" if task == "test" and shop.rng.random() < 0.7 else f"npm run {task}"
    return f"{run} --silent" if way == "quiet script" else run


def word(shop: Workshop) -> str:
    """Draw a lower-case word that may stand as a JavaScript identifier."""
    while (noun := shop.names.noun()) in _RESERVED:
        pass
    return noun


def library(shop: Workshop, kind: Kind) -> tuple[str, str]:
    """Return a harmless function's name and a formatted module that exports it."""
    name = shop.names.method()
    parameter, taken, given, body = shop.rng.choice(_BODIES)
    body = body.format(n=shop.rng.randint(2, 90), m=shop.rng.randint(2, 9))
    typed = kind == "ts"
    head = f"({parameter}: {taken}): {given}" if typed else f"({parameter})"
    export = "" if kind == "cjs" else "export "
    tail = f"\nmodule.exports = {{ {name} }};\n" if kind == "cjs" else ""
    if shop.rng.random() < 0.5:
        return name, f"{export}function {name}{head} {{\n  {body}\n}}\n{tail}"
    return name, f"{export}const {name} = {head} => {{\n  {body}\n}};\n{tail}"


def bystanders(shop: Workshop, kind: Kind, folder: str = "src", most: int = 4) -> list[str]:
    """Write 0 to ``most`` harmless modules and return their paths; some are named after errors, as real ones are."""
    suffix = "ts" if kind == "ts" else "js"
    paths = []
    for _ in range(shop.rng.randint(0, most)):
        stem = shop.names.noun()
        stem = shop.rng.choice((stem, stem, f"{stem}-error", f"failed-{stem}", f"{stem}_retry"))
        paths.append(f"{folder}/{stem}.{suffix}")
        shop.write(paths[-1], library(shop, kind)[1])
    return paths


def noise(shop: Workshop, most: int = 5) -> str:
    """Return 0 to ``most`` JavaScript lines that print what scripts print while nothing is wrong."""
    rng, names = shop.rng, shop.names
    lines = []
    for _ in range(rng.randint(0, most)):
        text = rng.choice(
            (
                f"loaded {rng.randint(1, 900)} records from {names.noun()}",
                f"cache miss for key {names.noun()}-{rng.randrange(16**8):08x}, continuing",
                f"{names.noun()}: request failed, retry 1/3 ... ok",
                f"warning: option {names.noun()} is deprecated, use {names.noun()} instead",
                f"validated {rng.randint(2, 60)} entries, 0 errors",
                f"[{names.noun()}] ready in {rng.randint(2, 900)} ms",
                f"skipping {names.noun()}: not modified",
                f"wrote {names.noun()}.json ({rng.randint(1, 99)}.{rng.randint(0, 9)} kB)",
            )
        )
        lines.append(f'console.{rng.choice(("log", "log", "error"))}("{text}");')
    return "\n".join(lines)


def script(shop: Workshop, body: str, *, module: bool = False) -> str:
    """Write ``scripts/<name>.js`` with ``body`` behind some progress output and return its path."""
    rng, names = shop.rng, shop.names
    stem = names.method() if rng.random() < 0.5 else f"{names.noun()}-{names.noun()}"
    path = f"{rng.choice(('scripts', 'tools', 'bin', 'ci'))}/{stem}.{'mjs' if module else 'js'}"
    top = rng.choice(
        ("", f"// Prepares the {names.noun()} for the {names.noun()}.\n", "" if module else '"use strict";\n\n')
    )
    shop.write(path, "\n".join(part for part in (top + noise(shop), body) if part) + "\n")
    return path


def shown(shop: Workshop, path: str) -> str:
    """Return a project file's absolute path as a log shows it."""
    return f"/home/runner/work/{shop.repo}/{shop.repo}/{path}"


def warm_up(shop: Workshop, most: int = 2, *, scripts: bool = True) -> None:
    """Run 0 to ``most`` passing steps, drawn at random; ``scripts`` allows some that add a file to the project."""
    for _ in range(shop.rng.randint(0, most)):
        step = shop.rng.choice(("versions", "prepare", "prepare", "settings") if scripts else ("versions", "settings"))
        if step == "versions":
            shop.passing(shop.rng.choice(("node --version", "node --version\nnpm --version", "npm --version")))
        elif step == "settings":
            shop.passing(
                shop.rng.choice(("npm config get registry", "node -p process.version", "npm config get cache"))
            )
        else:
            shop.passing(f"node {script(shop, 'console.log(`done`);')}")


def run_script(shop: Workshop, path: str, flags: str = "", env: dict[str, str] | None = None) -> Step:
    """Run the script that must fail, after some passing steps, in one of the ways people start scripts."""
    warm_up(shop)
    call = f"node {flags}{path}"
    way = shop.rng.choice(("plain", "script", "version"))
    if way == "script":
        task = shop.names.pick(("build", "generate", "sync", "release", "prepare", "postbuild"))
        manifest(shop, {task: call})
        call = f"npm run {task}"
    elif way == "version":
        call = f"node --version\n{call}"
    return shop.failing(call, env=env)
