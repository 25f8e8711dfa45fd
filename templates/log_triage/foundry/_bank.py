"""Genuine output of steps that passed, to surround a failure with what every job prints."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from understudy.templates.log_triage.foundry._recipe import RecipeError
from understudy.templates.log_triage.foundry._workshop import Step, Workshop

__all__ = ["make_bank"]


def make_bank(seed: int, rounds: int = 6) -> list[Step]:
    """Run every kind of harmless step ``rounds`` times with other names; kinds whose tool is missing are left out."""
    steps: list[Step] = []
    for turn in range(rounds):
        for kind in _KINDS:
            folder = Path(tempfile.mkdtemp(prefix="foundry-"))
            try:
                shop = Workshop(folder, f"bank-{seed}-{turn}-{kind.__name__}")
                kind(shop)
                steps += shop.passed
            except RecipeError:
                if turn == 0:
                    print(f"bank: {kind.__name__} does not work here and is left out")
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return steps


def _versions(shop: Workshop) -> None:
    shop.passing(shop.rng.choice(["python --version\npip --version", "node --version\nnpm --version", "gcc --version"]))


def _system(shop: Workshop) -> None:
    shop.passing(
        shop.rng.choice(["uname -sm\nnproc", "df -h / | tail -n 1", "git --version\ncmake --version", "java -version"])
    )


def _checkout(shop: Workshop) -> None:
    name = shop.names.module()
    for _ in range(shop.rng.randint(2, 5)):
        shop.write(f"src/{shop.names.module()}.txt", shop.names.noun())
    shop.quiet(
        "git init -q -b main . && git add . && git -c user.name=ci -c user.email=ci@example.org commit -q -m start"
    )
    shop.passing(f"git checkout --progress --force -B {name} main\ngit log -1 --format=%s")


def _compile_python(shop: Workshop) -> None:
    for _ in range(shop.rng.randint(1, 5)):
        shop.write(f"src/{shop.names.module()}_error.py", f"{shop.names.constant()} = {shop.rng.randint(1, 99)}\n")
    shop.passing("python -m compileall -f src")


def _tests(shop: Workshop) -> None:
    names = [shop.names.function() for _ in range(shop.rng.randint(1, 8))]
    body = "".join(f"def test_{name}():\n    assert {shop.rng.randint(1, 9)} > 0\n\n\n" for name in names)
    shop.write(f"tests/test_{shop.names.module()}.py", body)
    shop.passing(f"python -m pytest {shop.rng.choice(['-q', '-v', ''])} tests".replace("  ", " "))


def _types(shop: Workshop) -> None:
    for _ in range(shop.rng.randint(1, 3)):
        shop.write(
            f"src/{shop.names.module()}.py", f"def {shop.names.function()}(value: int) -> int:\n    return value\n"
        )
    shop.passing("mypy src")


def _lint(shop: Workshop) -> None:
    shop.write(f"src/{shop.names.module()}.py", f"{shop.names.constant()} = {shop.rng.randint(1, 9)}\n")
    shop.passing(shop.rng.choice(["ruff check src", "ruff format --check src", "flake8 src"]))


def _c_build(shop: Workshop) -> None:
    units = [shop.names.module() for _ in range(shop.rng.randint(2, 4))]
    for unit in units:
        shop.write(f"{unit}.c", f"int {unit}_value(void) {{ return {shop.rng.randint(1, 9)}; }}\n")
    objects = " ".join(f"{unit}.o" for unit in units)
    shop.write("Makefile", f"lib.a: {objects}\n\tar rcs $@ $^\n%.o: %.c\n\tcc -O1 -Wall -c $< -o $@\n")
    shop.passing("make")


def _archive(shop: Workshop) -> None:
    for _ in range(shop.rng.randint(2, 6)):
        shop.write(f"dist/{shop.names.module()}.log", shop.names.noun() + "\n")
    shop.passing("tar -cvzf artifact.tgz dist\nsha256sum dist/* | head -n 3")


def _environment(shop: Workshop) -> None:
    lines = [f'echo "{shop.names.constant()}={shop.names.noun()}"' for _ in range(shop.rng.randint(2, 5))]
    shop.passing("\n".join(lines))


def _warnings(shop: Workshop) -> None:
    name = shop.names.function()
    notice = f"warnings.warn('{name} is deprecated and may fail in a later release', DeprecationWarning)"
    shop.write("notice.py", f"import warnings\n{notice}\nprint('{name}: 0 errors, 0 failed')\n")
    shop.passing("python -W always notice.py")


def _retried(shop: Workshop) -> None:
    name = shop.names.noun()
    first, second = f'echo "{name}: download failed, retrying" >&2', f'echo "{name}: ok"'
    shop.write("fetch.sh", f"for try in 1 2; do\n  if [ $try = 1 ]; then {first}; else {second}; fi\ndone\n")
    shop.passing("bash fetch.sh")


def _node_script(shop: Workshop) -> None:
    name = shop.names.package()
    shop.write(
        "package.json",
        f'{{"name": "{name}", "version": "{shop.names.version()}", "scripts": {{"build": "node build.js"}}}}\n',
    )
    shop.write("build.js", f"console.log('built {shop.names.module()} in {shop.rng.randint(5, 900)} ms');\n")
    shop.passing("npm run build")


_KINDS: tuple[Callable[[Workshop], None], ...] = (
    _versions,
    _system,
    _checkout,
    _compile_python,
    _tests,
    _types,
    _lint,
    _c_build,
    _archive,
    _environment,
    _warnings,
    _retried,
    _node_script,
)
