"""Packages that cannot be built, checked or uploaded, and coverage below its threshold."""

from __future__ import annotations

import re

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.python_pip import write_wheel
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line, sound_function

__all__: list[str] = []


@recipe(
    "build.backend-missing",
    tool="build",
    category="dependency_install",
    origin="dependency",
    requires=("pyproject-build", "make"),
)
def backend_missing(shop: Workshop) -> Fault:
    """The build backend, or something it needs, is not installed."""
    project, rng = Project(shop), shop.rng
    backend = rng.choice(
        (
            "hatchling.build",
            "flit_core.buildapi",
            "poetry.core.masonry.api",
            "pdm.backend",
            f"{shop.names.noun()}_backend.api",
        )
    )
    if rng.random() < 0.5:
        shop.write(
            "pyproject.toml",
            f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n'
            f'\n[project]\nname = "{shop.repo}"\nversion = "1.0"\n',
        )
        subject, start = backend, "ERROR "
    else:
        subject, start = f"{shop.names.package()}", "\t"
        shop.write(
            "pyproject.toml",
            f'[build-system]\nrequires = ["setuptools", "{subject}"]\nbuild-backend = "setuptools.build_meta"\n',
        )
    project.warm_up()
    step = project.fail(f"python -m build --no-isolation {rng.choice(('--wheel', '--sdist', ''))}".strip())
    line = find_line(step, start, subject)
    lines = (line,) if start == "ERROR " else (find_line(step, "ERROR Unmet dependencies"), line)
    return Fault(
        step, lines, subject, f"Module `{subject}` is not installed.", f"Install `{subject}` before the build."
    )


@recipe(
    "build.invalid-pyproject", tool="build", category="other", origin="config", requires=("pyproject-build", "make")
)
def invalid_pyproject(shop: Workshop) -> Fault:
    """``pyproject.toml`` is not valid TOML, so nothing can be built."""
    project, rng = Project(shop), shop.rng
    head = f'[build-system]\nrequires = ["setuptools"]\n\n[project]\nname = "{shop.repo}"\n'
    bad = rng.choice(
        (
            f"version {shop.names.version()}\n",
            'version = "1.0\n',
            "dependencies = [\n",
            '[project]\nversion = "2"\n',
            "version = 1.2.3\n",
        )
    )
    shop.write("pyproject.toml", head + bad)
    project.warm_up(without="ruff")
    step = project.fail(f"python -m build --no-isolation {rng.choice(('', '--wheel', '-s'))}".strip())
    line = find_line(step, "ERROR ", "pyproject.toml")
    return Fault(
        step, (line,), "pyproject.toml", "File `pyproject.toml` is invalid.", "Correct the syntax of `pyproject.toml`."
    )


@recipe(
    "coverage.below-threshold",
    tool="coverage",
    category="other",
    origin="test",
    requires=("coverage", "pytest", "make"),
)
def below_threshold(shop: Workshop) -> Fault:
    """The tests pass and cover less than the threshold."""
    project, rng = Project(shop), shop.rng
    tested, untested = sound_function(shop), [sound_function(shop) for _ in range(rng.randint(1, 5))]
    name, _ = project.add("\n\n".join(each.source for each in (tested, *untested)))
    project.add_test(
        f"def test_{tested.name}():\n    assert {tested.call} == {tested.value!r}\n",
        f"from {name} import {tested.name}\n",
    )
    threshold = rng.choice((95, 97, 98, 99, 100))
    shop.write(
        ".coveragerc", f"[run]\nbranch = {rng.choice(('True', 'False'))}\nomit = {project.tests.split('/')[0]}/*\n"
    )
    program = "python -m coverage run -m pytest -q -p no:cacheprovider"
    shop.write("pytest.ini", f"[pytest]\npythonpath = {project.base or '.'}\n")
    shop.passing(f"{program} {project.tests}")
    step = project.fail(f"coverage report {rng.choice(('-m', '', '--skip-covered'))} --fail-under={threshold}")
    line = find_line(step, "Coverage failure: ")
    match = re.search(r"total of ([\d.]+) is less than fail-under=([\d.]+)", line)
    total, limit = (match[1], match[2]) if match else ("", "")
    return Fault(
        step,
        (line,),
        total,
        f"Coverage `{total}` is below the threshold `{limit}`.",
        f"Test more of the code or lower the threshold `{limit}`.",
    )


@recipe("twine.bad-description", tool="twine", category="other", origin="config", requires=("twine", "make"))
def bad_description(shop: Workshop) -> Fault:
    """``twine check`` cannot render the long description."""
    project, rng, name = Project(shop), shop.rng, shop.names.package()
    title = shop.names.noun().title()
    text = rng.choice(
        (
            f"{title}\n=\n\n.. unknown:: x\n",
            f"{title}\n{'=' * len(title)}\n\n`open <link\n",
            f"* {title}\n no indent\n\n.. code-block::\n bad",
        )
    )
    path = write_wheel(shop, "dist", name, shop.names.version(), description=text)
    for _ in range(rng.randint(0, 2)):
        write_wheel(shop, "dist", shop.names.package(), shop.names.version(), description="Sound.\n")
    project.warm_up()
    step = project.fail(
        rng.choice(("twine check dist/*.whl", "python -m twine check --strict dist/*", f"twine check {path}"))
    )
    file = path.rsplit("/", 1)[1]
    lines = (find_line(step, "Checking ", file), find_line(step, "ERROR ", "`long_description`"))
    return Fault(
        step,
        lines,
        file,
        f"The description in `{file}` cannot be rendered.",
        f"Correct the markup of the description in `{file}`.",
    )
