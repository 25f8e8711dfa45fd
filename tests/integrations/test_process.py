"""The command line as a process: what it imports, and what it does when its reader goes away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from .conftest import COMMAND, Cli, environment

_HEAVY = [
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "sklearn",
    "scipy",
    "matplotlib",
    "pydantic",
]

_IMPORTED = """
import json, sys
from understudy.integrations.cli.main import main
sys.argv = ["understudy", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert end.code in (0, None), end.code
print("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def _imported(folder: Path, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.rstrip("\n").rpartition("\n")[2]))


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    assert _imported(tmp_path, "--help").isdisjoint(_HEAVY)


def test_select_and_the_rules_import_no_model_library(tmp_path: Path, failed_log: Path) -> None:
    heavy = set(_HEAVY) - {"pydantic"}
    assert _imported(tmp_path, "select", str(failed_log)).isdisjoint(heavy)
    assert _imported(tmp_path, "explain", str(failed_log), "--model", "rules").isdisjoint(heavy)


@pytest.mark.parametrize("arguments", [["--help"], ["select", "failed.log"], ["explain", "failed.log", "--json"]])
def test_a_closed_pipe_is_no_traceback(tmp_path: Path, failed_log: Path, arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, env=environment(), stdout=write, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(write)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_without_a_command_the_help_is_shown(cli: Cli) -> None:
    ran = cli()
    assert "Commands:" in ran.out + ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("arguments", [["explain"], ["select", "a", "b"], ["nonsense"], ["explain", "a", "--colour"]])
def test_wrong_usage_is_exit_code_2_without_a_traceback(cli: Cli, arguments: list[str]) -> None:
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: " in ran.err and "Traceback" not in ran.err


def test_a_folder_that_cannot_be_written_to_is_a_sentence(cli: Cli) -> None:
    (cli.folder / "file").write_text("in the way")
    assert "Not a directory" in cli.refused("init", "log-triage", "file/inside")
    assert "File exists" in cli.refused("init", "log-triage", "file")


def test_the_version_is_the_installed_one(cli: Cli) -> None:
    assert cli("--version").out == f"understudy {metadata.version('understudy')}\n"
