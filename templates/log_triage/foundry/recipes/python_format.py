"""Formatters in check mode that would change a file."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line

__all__: list[str] = []


def _unformatted(step: Step, line: str, path: str) -> Fault:
    return Fault(step, (line,), path, f"`{path}` is not formatted.", f"Run the formatter on `{path}`.")


def _untidy(shop: Workshop) -> str:
    """Return a module in a style that black and ruff agree to change."""
    function, name, word = shop.names.function(), shop.names.variable(), shop.names.noun()
    numbers = ",".join(str(shop.rng.randint(1, 9999)) for _ in range(shop.rng.randint(4, 30)))
    return shop.rng.choice(
        (
            f"def {function}( {name} ):\n    return {name}+1\n",
            f"def {function}({name}):\n  if {name}:\n    return 1\n  return 2\n",
            f"{name.upper()} = '{word}'\n",
            f"{name.upper()} = [{numbers}]\n",
            f"import math\ndef {function}({name}):\n    return math.sqrt({name})\n",
            f'{name} = {{"{word}" :1, "b": 2,}}\n',
            f"def {function}({name}):\n    x = ({name}); y = x\n    return x, y",
        )
    )


def _source_target(project: Project) -> str:
    return project.base or project.rng.choice(
        (" ".join(sorted(project.modules)), project.package or " ".join(project.modules))
    )


@recipe("ruff.format", tool="ruff", category="formatting_failure", origin="code", requires=("ruff", "make"))
def ruff_format(shop: Workshop) -> Fault:
    """``ruff format --check`` would reformat a file."""
    project = Project(shop)
    _, path = project.add(_untidy(shop))
    project.warm_up(without="ruff")
    step = project.fail(
        f"ruff format --no-cache --isolated "
        f"{shop.rng.choice(('--check', '--check', '--check --line-length 88'))} {_source_target(project)}"
    )
    where = find_line(step, "", f"--> {path}:")
    fault = _unformatted(step, find_line(step, "unformatted: File would be reformatted"), path)
    return Fault(step, (*fault.evidence, where), path, fault.cause, fault.fix)


@recipe("black.check", tool="black", category="formatting_failure", origin="code", requires=("black", "make"))
def black_check(shop: Workshop) -> Fault:
    """``black --check`` would reformat a file."""
    project = Project(shop)
    _, path = project.add(_untidy(shop))
    project.warm_up(without="black")
    program = shop.rng.choice(("black", "python -m black"))
    step = project.fail(
        f"{program} --check {shop.rng.choice(('', '--color', '-v', '-t py311', '-l 88'))} {_source_target(project)}"
    )
    return _unformatted(step, find_line(step, "would reformat ", path), path)


@recipe("isort.check", tool="isort", category="formatting_failure", origin="code", requires=("isort", "make"))
def isort_check(shop: Workshop) -> Fault:
    """``isort --check`` would reorder imports."""
    project = Project(shop, pad=False)
    one, two = sorted(shop.rng.sample(("os", "re", "sys", "math", "json", "shutil", "logging"), 2))
    name = shop.names.variable()
    for _ in range(shop.rng.randint(0, 3)):
        project.add(f"import {one}\nimport {two}\n\n{shop.names.variable()} = ({one}, {two})\n")
    bad = shop.rng.choice(
        (
            f"import {two}\nimport {one}\n\n{name} = ({one}, {two})\n",
            f"from {two} import *\nfrom {one} import *\n",
            f"from pathlib import PurePath, Path\n\n{name} = (Path, PurePath)\n",
            f"import {one}, {two}\n\n{name} = ({one}, {two})\n",
            f"import {one}\nimport {two}\n{name} = ({one}, {two})\n",
        )
    )
    _, path = project.add(bad)
    project.warm_up(without="isort")
    flags = shop.rng.choice(("--check", "--check-only", "-c --profile black", "--check -l 100"))
    step = project.fail(
        f"{shop.rng.choice(('isort', 'python -m isort'))} {flags} {project.base or ' '.join(sorted(project.modules))}"
    )
    return _unformatted(step, find_line(step, "ERROR: ", path, "Imports are incorrectly sorted"), path)


@recipe("black.cannot-parse", tool="black", category="compile_error", origin="code", requires=("black", "make"))
def black_cannot_parse(shop: Workshop) -> Fault:
    """The formatter cannot read a file, because it is not valid Python."""
    project, function = Project(shop), shop.names.function()
    bad = shop.rng.choice(
        (
            f"def {function}(value)\n    return value\n",
            f"def {function}(value):\n    return value +\n",
            f"<<<<<<< HEAD\n{function} = 1\n=======\n{function} = 2\n>>>>>>> main\n",
            f"class {shop.names.type()}:\n    def {function}(self:\n        pass\n",
        )
    )
    _, path = project.add(bad)
    project.parses = False
    project.warm_up(without="black")
    step = project.fail(f"black --check {_source_target(project)}")
    line = find_line(step, "error: cannot parse: ", path)
    return Fault(step, (line,), path, f"`{path}` does not compile: syntax error.", f"Correct the syntax of `{path}`.")
