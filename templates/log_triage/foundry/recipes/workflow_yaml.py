"""YAML files that yamllint refuses."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.workflow_shapes import quiet_steps

__all__: list[str] = []


def _lint(shop: Workshop, text: str) -> tuple[str, Step, bool]:
    """Lint ``text`` among valid files; return its path, the step, and whether each line of output names the file."""
    rng, names = shop.rng, shop.names
    folder = rng.choice(("config", "deploy", "k8s", "charts"))
    path = f"{folder}/{names.noun()}.{rng.choice(('yml', 'yaml'))}"
    before = "".join(f"{names.noun()}_{names.noun()}: {rng.randint(1, 99)}\n" for _ in range(rng.randint(0, 6)))
    shop.write(path, f"{'---' if rng.random() < 0.7 else '# settings'}\n{before}{text}")
    for _ in range(rng.randint(0, 3)):
        shop.write(
            f"{folder}/{names.noun()}-error.yml",
            f"{rng.choice(('---', '# todo'))}\n{names.noun()}:\n  - {names.noun()}\n",
        )
    quiet_steps(shop)
    parsable = rng.random() < 0.5
    return (
        path,
        shop.failing(f"yamllint {'-f parsable ' if parsable else ''}{rng.choice((folder, '.', path))}"),
        parsable,
    )


def _violated(shop: Workshop, rule: str, text: str) -> Fault:
    path, step, parsable = _lint(shop, text)
    prefix = "./" if any(line.startswith("./") for line in step.output) else ""
    shown = f"{prefix}{path}"
    decisive = next((line for line in step.output if "error" in line and f"({rule})" in line), f"({rule})")
    return Fault(
        step=step,
        evidence=(decisive,) if parsable else (shown, decisive),
        subject=rule,
        cause=f"Lint rule `{rule}` is violated in `{path}`.",
        fix=f"Change `{path}` so that it follows `{rule}`.",
    )


@recipe("yamllint.duplicate-key", tool="yamllint", category="lint_failure", origin="config", requires=("yamllint",))
def duplicate_key(shop: Workshop) -> Fault:
    """A mapping holds one key twice (key-duplicates)."""
    one, two, three = shop.names.noun(), shop.names.noun(), shop.names.noun()
    texts = (
        f"{one}: {shop.rng.randint(1, 9)}\n{two}: true\n{one}: {shop.rng.randint(1, 9)}\n",
        f"{one}:\n  {two}: {three}\n  {three}: {two}\n  {two}: {one}\n",
        f"{one}:\n  - {two}: 1\n    {three}: 2\n    {two}: 3\n",
    )
    return _violated(shop, "key-duplicates", shop.rng.choice(texts))


@recipe("yamllint.indentation", tool="yamllint", category="lint_failure", origin="config", requires=("yamllint",))
def indentation(shop: Workshop) -> Fault:
    """A block is indented differently from the others (indentation)."""
    one, two, three = shop.names.noun(), shop.names.noun(), shop.names.noun()
    texts = (
        f"{one}:\n  {two}: 1\n{three}:\n     {two}: 2\n",
        f"{one}:\n  - {two}\n  - {three}\n{two}:\n    - {one}\n",
        f"{one}:\n  {two}:\n   {three}: {shop.rng.randint(1, 9)}\n",
    )
    return _violated(shop, "indentation", shop.rng.choice(texts))


@recipe("yamllint.trailing-spaces", tool="yamllint", category="lint_failure", origin="config", requires=("yamllint",))
def trailing_spaces(shop: Workshop) -> Fault:
    """A line ends in spaces (trailing-spaces)."""
    one, two = shop.names.noun(), shop.names.noun()
    texts = (f"{one}: {two}   \n", f"{one}:\n  - {two}  \n  - {one}\n", f"{one}: |\n  {two}    \n  {one}\n")
    return _violated(shop, "trailing-spaces", shop.rng.choice(texts))


@recipe("yamllint.syntax-error", tool="yamllint", category="compile_error", origin="config", requires=("yamllint",))
def syntax_error(shop: Workshop) -> Fault:
    """A file is not YAML."""
    one, two = shop.names.noun(), shop.names.noun()
    texts = (
        f"{one}: [{two}, {shop.rng.randint(1, 9)}\nlast: 1\n",
        f"{one}: {two}: {shop.rng.randint(1, 9)}\n",
        f"{one}:\n  - {two}\n  {two}: {shop.rng.randint(1, 9)}\n",
        f'{one}: "{two}\n',
    )
    path, step, parsable = _lint(shop, shop.rng.choice(texts))
    decisive = next((line for line in step.output if "(syntax)" in line), "(syntax)")
    return Fault(
        step=step,
        evidence=(decisive,) if parsable else (path, decisive),
        subject=path,
        cause=f"`{path}` does not compile: syntax error.",
        fix=f"Correct the YAML syntax of `{path}`.",
    )
