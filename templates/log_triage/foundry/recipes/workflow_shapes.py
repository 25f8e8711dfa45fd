"""What the recipes about workflow files share: valid workflows and actions with one place to spoil."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.templates.log_triage.foundry._workshop import Workshop

__all__ = ["action", "job", "quiet_steps", "workflow"]

_TRIGGERS = (
    "on: push",
    "on: [push, pull_request]",
    "on:\n  push:\n    branches: [main]\n  pull_request:",
    "on:\n  workflow_dispatch:",
)


def _indent(lines: list[str], width: int) -> str:
    return "".join(f"{' ' * width}{line}\n" for line in lines)


def job(
    shop: Workshop,
    *,
    name: str = "",
    runner: str | None = "ubuntu-latest",
    extra: list[str] | None = None,
    step: list[str] | None = None,
) -> str:
    """Return one job as YAML; ``extra`` are lines of the job, ``step`` the lines of one more step."""
    rng, names = shop.rng, shop.names
    keys = [] if runner is None else [f"runs-on: {rng.choice((runner, 'ubuntu-24.04', 'windows-latest', 'macos-15'))}"]
    if rng.random() < 0.3:
        keys.append(f"env:\n      {names.constant()}: {names.noun()}")
    keys += extra or []
    rng.shuffle(keys)
    steps = [["uses: actions/checkout@v5"]] if rng.random() < 0.7 else []
    for _ in range(rng.randint(1, 4)):
        tool = rng.choice(("make", "npm run", "tox -e", "cargo", "./gradlew"))
        lines = [f"run: {tool} {names.noun()}"]
        steps.append([f"name: {names.noun().title()}", *lines] if rng.random() < 0.6 else lines)
    if step:
        steps.insert(rng.randint(0, len(steps)), step)
    text = "".join("      - " + "\n        ".join(lines) + "\n" for lines in steps)
    return f"  {name or names.noun()}:\n{_indent(keys, 4)}    steps:\n{text}"


def workflow(shop: Workshop, jobs: str, *, trigger: str = "", top: list[str] | None = None) -> str:
    """Write a workflow with ``jobs`` (none if empty) and return its path; 0 to 2 valid ones may stand beside it."""
    rng, names = shop.rng, shop.names
    stem = rng.choice(("ci", "build", "release", "test", "deploy", names.noun(), f"{names.noun()}-{names.noun()}"))
    path = f".github/workflows/{stem}.yml"
    parts = [f"name: {names.noun().title()}\n" if rng.random() < 0.8 else "", f"{trigger or rng.choice(_TRIGGERS)}\n"]
    parts += [f"{block}\n" for block in ("\n".join(top),) if block] if top else []
    parts.append(f"jobs:\n{jobs}" if jobs else "")
    shop.write(path, "".join(parts))
    for _ in range(rng.randint(0, 2)):
        shop.write(f".github/workflows/{names.noun()}-errors.yml", f"{rng.choice(_TRIGGERS)}\njobs:\n{job(shop)}")
    return path


def action(shop: Workshop, *, runs: Sequence[str] | None = (), inputs: list[str] | None = None) -> str:
    """Write an ``action.yml`` and return its path; ``runs`` None leaves that block out."""
    rng, names = shop.rng, shop.names
    path = rng.choice(("action.yml", f".github/actions/{names.noun()}/action.yml"))
    text = f"name: {names.noun().title()} {names.noun()}\ndescription: Works on the {names.noun()}.\n"
    lines = [f"{names.noun()}:", f"  description: the {names.noun()}"] if rng.random() < 0.6 else []
    lines += inputs or []
    text += f"inputs:\n{_indent(lines, 2)}" if lines else ""
    if runs is not None:
        text += f"runs:\n{_indent(list(runs) or ['using: node20', 'main: dist/index.js'], 2)}"
    shop.write(path, text)
    return path


def quiet_steps(shop: Workshop) -> None:
    """Run 0 to 2 passing steps."""
    for _ in range(shop.rng.randint(0, 2)):
        shop.passing(
            shop.rng.choice(
                ("check-jsonschema --version", "yamllint --version", "git --version", "ls -A", "python --version")
            )
        )
