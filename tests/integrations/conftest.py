"""The real command line in a process of its own, as a person or a CI step runs it."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..core.tiny import tiny_base

COMMAND = [sys.executable, "-m", "understudy.integrations.cli.main"]
_IN_TURN = """
import contextlib, io, json, sys
from understudy.integrations.cli.main import main

lines, first, code = json.loads(sys.argv[1])
exec(first)
found = []
for line in lines:
    sys.argv = ["understudy", "train", "--json", *(one if isinstance(one, str) else found[one]["id"] for one in line)]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            assert (end.code or 0) == code, (line, end.code)
    found.append(json.loads(out.getvalue() or "null"))
read = [name for name in ("accelerate", "datasets", "torch", "transformers") if name in sys.modules]
print(json.dumps([found, read]))
"""

FAILED = b"""2026-01-01T00:00:00.0000000Z ##[group]Run pytest
2026-01-01T00:00:00.1000000Z pytest -q
2026-01-01T00:00:00.2000000Z ##[endgroup]
2026-01-01T00:00:01.0000000Z E       assert 41 == 42
2026-01-01T00:00:01.1000000Z FAILED tests/test_sum.py::test_total - assert 41 == 42
2026-01-01T00:00:01.2000000Z 1 failed, 11 passed in 0.31s
2026-01-01T00:00:01.3000000Z ##[error]Process completed with exit code 1.
"""
"""A small failed log, as GitHub's runner writes it."""


@dataclass(frozen=True)
class Ran:
    """What a finished process left."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one sentence on stderr; anything else there but progress fails the test."""
        assert "Traceback" not in self.err, self.err
        found = [line for line in self.err.split("\n") if line.startswith("understudy: ")]
        assert len(found) == 1, self.err
        assert self.err.rstrip("\n").endswith(found[0]), self.err
        return found[0].removeprefix("understudy: ")


def environment() -> dict[str, str]:
    """The caller's environment without what changes the output, offline, one thread."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "FORCE_COLOR", "COLUMNS"))
    }
    return kept | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONUTF8": "1"}


class Cli:
    """``understudy`` in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self, *arguments: str | Path, stdin: bytes = b"", before: Callable[[], None] | None = None, timeout: int = 300
    ) -> Ran:
        """Run a command to its end; ``before`` is called in the child, to set limits."""
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=environment(),
            input=stdin,
            capture_output=True,
            preexec_fn=before,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    def trained(self, *lines: list[str | int], first: str = "") -> list[dict[str, Any]]:
        """Run ``understudy train`` with one line of options after another and return the versions made.

        All in one process, since most of a small training is the import of the libraries. A number stands for the id
        of the version that the line of that number made; ``first`` is Python to run before.
        """
        versions: list[dict[str, Any]] = self._in_turn(lines, first, 0)[0][0]
        return versions

    def refusals(self, *lines: str) -> tuple[list[str], list[str]]:
        """Run ``understudy train`` with lines of options that must all be refused, in one process.

        Return their sentences, and which libraries for models were read for that.
        """
        before = contents(self.folder)
        (made, read), err = self._in_turn([line.split() for line in lines], "", 2)
        assert made == [None] * len(lines) and contents(self.folder) == before
        return [line for line in err.split("\n") if line.startswith("understudy: ")], read

    def _in_turn(self, lines: Sequence[Sequence[str | int]], first: str, code: int) -> tuple[Any, str]:
        ran = subprocess.run(
            [sys.executable, "-c", _IN_TURN, json.dumps([lines, first, code])],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0 and "Traceback" not in ran.stderr, ran.stderr
        assert "prefix of the tokenized" not in ran.stderr, ran.stderr
        return json.loads(ran.stdout), ran.stderr

    def refused(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run a command that must end with exit code 2, print no result and write nothing; return its sentence."""
        before = contents(self.folder)
        ran = self(*arguments, stdin=stdin)
        assert (ran.code, ran.out) == (2, ""), ran
        assert contents(self.folder) == before
        return ran.complaint


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: files with their bytes, folders with None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def failed_log(tmp_path: Path) -> Path:
    path = tmp_path / "failed.log"
    path.write_bytes(FAILED)
    return path


@pytest.fixture(scope="session")
def small_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with one dataset version of about 60 embedded examples; copy it, do not change it."""
    folder = tmp_path_factory.mktemp("dataset")
    ran = Cli(folder)("data", "build", "--set", "data.max_examples=60")
    assert ran.code == 0, ran.err
    return folder / ".understudy"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random base of 0.1 million weights, which trains in a second; use it, do not change it."""
    return tiny_base(tmp_path_factory.mktemp("tiny") / "base", "llama")


def quick(base: Path, *more: str) -> list[str]:
    """Options of a training of seconds: one epoch, a rate that shows, short answers when the model is tried out."""
    values = (f"base.name={base}", "train.epochs=1", "train.learning_rate=1e-3", "evaluate.max_new_tokens=8", *more)
    return [text for value in values for text in ("--set", value)]


def losses(run: Path) -> dict[tuple[int, bool], list[float]]:
    """Loss, gradient norm and validation loss of a run by step, NaN where not told; what was done twice counts once."""
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().split("\n") if line]
    names = ("loss", "gradient_norm", "validation_loss")
    return {
        (line["step"], line["loss"] is None): [math.nan if line[name] is None else line[name] for name in names]
        for line in lines
    }


@pytest.fixture
def with_data(cli: Cli, small_registry: Path) -> Cli:
    """A command line in a folder with the small dataset."""
    shutil.copytree(small_registry, cli.folder / ".understudy")
    return cli
