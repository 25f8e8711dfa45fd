"""Small sound Python projects, the ground that every Python recipe breaks one thing in."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass

from understudy.templates.log_triage.foundry._recipe import RecipeError
from understudy.templates.log_triage.foundry._workshop import Step, Workshop

__all__ = ["Project", "Sound", "find_line", "indent", "sound_function"]


@dataclass(frozen=True)
class Sound:
    """A typed function that works, a call of it, and what the call returns."""

    name: str
    source: str
    call: str
    value: object


def sound_function(shop: Workshop) -> Sound:
    """Draw a function nothing is wrong with."""
    rng, name, word = shop.rng, shop.names.function(), shop.names.noun()
    a, b = rng.randint(2, 99), rng.randint(100, 999)
    return rng.choice(
        (
            Sound(
                name, f"def {name}(values: list[int]) -> int:\n    return sum(values)\n", f"{name}([{a}, {b}])", a + b
            ),
            Sound(
                name, f"def {name}(left: int, right: int) -> int:\n    return left * right\n", f"{name}({a}, 3)", a * 3
            ),
            Sound(
                name,
                f'def {name}(text: str) -> str:\n    return text.strip().replace(" ", "-").lower()\n',
                f'{name}(" {word.title()} {a} ")',
                f"{word}-{a}",
            ),
            Sound(
                name,
                f"def {name}(rows: list[str]) -> dict[str, int]:\n    return {{row: len(row) for row in rows}}\n",
                f'{name}(["{word}"])',
                {word: len(word)},
            ),
            Sound(
                name,
                f"def {name}(value: int, limit: int = {b}) -> bool:\n    return 0 <= value < limit\n",
                f"{name}({a})",
                True,
            ),
            Sound(
                name,
                f"def {name}(items: list[int], size: int) -> list[list[int]]:\n"
                "    return [items[i : i + size] for i in range(0, len(items), size)]\n",
                f"{name}([{a}, {b}, 7], 2)",
                [[a, b], [7]],
            ),
        )
    )


def indent(text: str, spaces: int = 4) -> str:
    """Return ``text`` with every line that is not empty moved right."""
    return "".join(" " * spaces + line + "\n" if line else "\n" for line in text.rstrip("\n").split("\n"))


def find_line(step: Step, start: str, *contains: str) -> str:
    """Return the first whole output line that begins with ``start`` and holds every piece of ``contains``.

    Raises:
        RecipeError: there is none.
    """
    for line in step.output:
        if line.startswith(start) and all(piece in line for piece in contains):
            return line
    raise RecipeError(f"no line {start!r} with {contains}:\n{step.command}\n" + "\n".join(step.output))


class Project:
    """A project in one of three layouts, padded with sound code and passing tests."""

    def __init__(self, shop: Workshop, *, pad: bool = True) -> None:
        """Lay out the project; with ``pad``, write 0 to 3 other modules with passing tests."""
        self.shop, self.rng, self.names = shop, shop.rng, shop.names
        layout = self.rng.choice(("src", "package", "src-package", "flat"))
        self.package = "" if layout in ("src", "flat") else self.module()
        self.base = "src" if layout in ("src", "src-package") else ""
        self.tests = self.rng.choice(("tests", "tests", "tests/unit", "test"))
        if self.package:
            shop.write(self._path("__init__.py"), f'"""The {self.package} package."""\n')
        self.modules: list[str] = []
        self.parses = True
        """Set to False when a file is not valid Python, so that no passing step reads it."""
        if pad:
            for _ in range(self.rng.randint(0, 3)):
                self._pad()

    def module(self) -> str:
        """Draw a module name that shadows neither a keyword nor the standard library."""
        while True:
            name = self.names.module()
            if not keyword.iskeyword(name) and name not in sys.stdlib_module_names:
                return name

    def add(self, source: str, module: str = "") -> tuple[str, str]:
        """Write a module; return the name to import it by and its path in the project."""
        module = module or self.module()
        path = self._path(f"{module}.py")
        self.shop.write(path, source)
        self.modules.append(path)
        return (f"{self.package}.{module}" if self.package else module), path

    def add_test(self, body: str, imports: str, *, padding: bool = True) -> str:
        """Write a test file with ``body`` between 0 to 3 passing tests; return its path."""
        before, after = ([self._small_test() for _ in range(self.rng.randint(0, 3))] for _ in range(2))
        blocks = [*before, body, *after] if padding else [body]
        path = f"{self.tests}/test_{self.module()}.py"
        self.shop.write(
            path, imports.rstrip("\n") + "\n\n\n" + "\n\n".join(block.rstrip("\n") + "\n" for block in blocks)
        )
        return path

    def test_name(self, function: str) -> str:
        """Draw the name of a test of ``function``."""
        ending = self.rng.choice(("", "", "_result", "_with_defaults", "_edge_case", f"_for_{self.names.noun()}"))
        return f"test_{function}{ending}"

    def pytest(self, *, flags: str = "", options: str = "") -> Step:
        """Run pytest as the failing step, after 0 to 2 passing ones; ``options`` are lines of its ini section."""
        ini = f'[tool.pytest.ini_options]\npythonpath = ["{self.base or "."}"]\ntestpaths = ["{self.tests}"]\n'
        self.shop.write(
            "pyproject.toml",
            f'[project]\nname = "{self.shop.repo}"\nversion = "{self.names.version()}"\n\n{ini}{options}',
        )
        self.warm_up()
        style = self.rng.choice(
            ("", "", "-q", "-v", "-ra", "--tb=short", "-q --tb=short", "-v --tb=short", "-q -rfE", "--durations=0 -q")
        )
        target = self.rng.choice(("", "", self.tests))
        program = self.rng.choice(("pytest", "python -m pytest"))
        return self.fail(" ".join(f"{program} {style} {flags} {target}".split()))

    def fail(self, command: str, *, env: dict[str, str] | None = None, timeout: float = 60) -> Step:
        """Run ``command`` as the failing step: as it is, through make or through a script."""
        way = self.rng.random()
        if way < 0.12:
            target = self.rng.choice(("check", "test", "ci", "verify"))
            self.shop.write("Makefile", f".PHONY: {target}\n{target}:\n\t{command.replace('$', '$$')}\n")
            command = f"make {target}"
        elif way < 0.2:
            script = self.rng.choice(("scripts/ci.sh", "ci/run.sh", "tools/check.sh"))
            self.shop.write(script, f"#!/usr/bin/env bash\nset -euo pipefail\n{command}\n")
            command = f"bash {script}"
        return self.shop.failing(command, env=env, timeout=timeout)

    def warm_up(self, *, without: str = "") -> None:
        """Run 0 to 2 passing steps of this project, none that names ``without``."""
        commands = (
            "python --version",
            "pip --version",
            "python -m pip install pytest",
            "pip install pytest pytest-timeout",
            "python -m compileall -q .",
            "python -c 'import sys; print(sys.version)'",
            "ls -1",
            "ruff check --isolated --select E9 .",
            "git --version && python -m pytest --version",
            f"echo 'Checking {self.shop.repo}: 0 errors so far'",
        )
        fitting = [command for command in commands if not without or without not in command]
        if not self.parses:
            fitting = [command for command in fitting if "compileall" not in command and "ruff" not in command]
        for command in self.rng.sample(fitting, self.rng.randint(0, 2)):
            self.shop.passing(command)

    def _path(self, name: str) -> str:
        return "/".join(part for part in (self.base, self.package, name) if part)

    def _pad(self) -> None:
        functions = [sound_function(self.shop) for _ in range(self.rng.randint(1, 3))]
        stem = self.rng.choice((self.module(), f"{self.module()}_errors", f"failed_{self.module()}"))
        name, _ = self.add("\n\n".join(function.source for function in functions), stem)
        checks = [each.call if each.value is True else f"{each.call} == {each.value!r}" for each in functions]
        tests = [
            f"def test_{each.name}():\n    assert {check}\n" for each, check in zip(functions, checks, strict=True)
        ]
        if self.rng.random() < 0.25:
            tests.append(
                f"def test_{self.names.noun()}_error_warns():\n"
                f'    warnings.warn("error codes are deprecated", stacklevel=1)\n'
            )
        imports = f"import warnings\n\nfrom {name} import {', '.join(each.name for each in functions)}\n"
        if "warnings.warn" not in tests[-1]:
            imports = imports.removeprefix("import warnings\n\n")
        self.shop.write(f"{self.tests}/test_{re.sub('[^a-z_]', '', stem)}.py", imports + "\n\n" + "\n\n".join(tests))

    def _small_test(self) -> str:
        word, size = self.names.noun(), self.rng.randint(2, 90)
        return self.rng.choice(
            (
                f'def test_{word}_keeps_order():\n    assert sorted(["b", "{word}", "a"])[0] == "a"\n',
                f"def test_{word}_error_count():\n    errors = []\n    assert len(errors) == 0\n",
                f"def test_failed_{word}_is_retried():\n"
                f'    print("attempt 1 failed, retrying")\n    assert {size} > 1\n',
                f'def test_{word}_length():\n    assert len("{word}") == {len(word)}\n',
            )
        )
