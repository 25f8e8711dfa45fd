"""``select`` and ``explain`` on every kind of thing a person may name."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import COMMAND, FAILED, Cli, environment

both = pytest.mark.parametrize("command", ["select", "explain"])

_EVERYTHING_PASSED = b"Run pytest\n12 passed in 0.31s\nbuild finished\n"


@both
def test_an_empty_file_is_refused(cli: Cli, command: str) -> None:
    (cli.folder / "empty.log").touch()
    assert "empty.log is empty" in cli.refused(command, "empty.log")


@both
def test_a_missing_file_is_refused_and_named(cli: Cli, command: str) -> None:
    assert "nowhere.log does not exist" in cli.refused(command, "nowhere.log")


@both
@pytest.mark.parametrize("content", [bytes(5000), random.Random(7).randbytes(5000)], ids=["zeros", "random"])
def test_a_binary_file_is_refused(cli: Cli, command: str, content: bytes) -> None:
    (cli.folder / "core.dump").write_bytes(content)
    assert "core.dump is not text" in cli.refused(command, "core.dump")


def test_utf_16_is_refused_with_what_to_do(cli: Cli) -> None:
    (cli.folder / "windows.log").write_text("ERROR: it failed\n" * 50, encoding="utf-16")
    assert "save it as UTF-8" in cli.refused("select", "windows.log")


@both
def test_a_folder_without_logs_is_refused(cli: Cli, command: str) -> None:
    (cli.folder / "logs").mkdir()
    (cli.folder / "logs" / "picture.png").write_bytes(b"\x89PNG")
    assert "logs holds no log" in cli.refused(command, "logs")


def test_a_folder_gives_one_answer_for_each_log(cli: Cli) -> None:
    for name in ("one.log", "two.log"):
        (cli.folder / "logs" / name).parent.mkdir(exist_ok=True)
        (cli.folder / "logs" / name).write_bytes(FAILED)
    selected, explained = cli("select", "logs"), cli("explain", "logs", "--model", "rules")
    assert (selected.code, explained.code) == (0, 0)
    assert [line for line in selected.out.split("\n") if line.startswith("==")] == [
        "== logs/one.log",
        "== logs/two.log",
    ]
    assert [explained.out.count(f"logs/{name}.log") for name in ("one", "two")] == [1, 1]


def test_of_a_folder_of_unlike_logs_none_is_left_out(cli: Cli) -> None:
    (cli.folder / "logs").mkdir()
    (cli.folder / "logs" / "actions.log").write_text("gcc: error: x.c\n##[error]Process completed with exit code 1.\n")
    (cli.folder / "logs" / "jenkins.log").write_text("gcc: error: y.c\nFinished: FAILURE\n")
    assert cli("explain", "logs", "--json", "--model", "rules").out.count('"category"') == 2


@both
def test_a_zip_bomb_is_refused(cli: Cli, command: str) -> None:
    with zipfile.ZipFile(cli.folder / "run.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1_build.txt", b"a\n" * (50 << 20))
    assert (cli.folder / "run.zip").stat().st_size < 200_000
    assert "zip bomb" in cli.refused(command, "run.zip")


def test_a_damaged_zip_is_refused(cli: Cli) -> None:
    (cli.folder / "run.zip").write_bytes(b"PK\x03\x04 and then nothing of the kind")
    assert "run.zip is not a readable zip file" in cli.refused("explain", "run.zip")


def test_of_a_run_zip_the_failed_step_is_read_and_names_stay_names(cli: Cli) -> None:
    with zipfile.ZipFile(cli.folder / "run.zip", "w") as archive:
        archive.writestr("0_build.txt", b"whole job\n" + FAILED)
        archive.writestr("build/1_Set up job.txt", b"ready\n")
        archive.writestr("build/2_Run tests.txt", FAILED)
        archive.writestr("../../escaped.txt", b"nothing failed here\n")
    ran = cli("explain", "run.zip", "--json", "--model", "rules")
    assert ran.code == 0
    assert {quote["file"] for quote in json.loads(ran.out)["evidence"]} == {"run.zip:build/2_Run tests.txt"}
    assert [path.name for path in cli.folder.iterdir()] == ["run.zip"]


@both
def test_standard_input_reads_as_the_file_does(cli: Cli, failed_log: Path, command: str) -> None:
    piped, named = cli(command, "-", stdin=FAILED), cli(command, failed_log.name)
    assert (piped.code, named.code) == (0, 0)
    assert piped.out.replace("standard input", failed_log.name) == named.out


@both
def test_empty_standard_input_is_refused(cli: Cli, command: str) -> None:
    assert "standard input is empty" in cli.refused(command, "-")


@both
def test_bytes_that_are_no_utf_8_do_not_stop_it(cli: Cli, command: str) -> None:
    (cli.folder / "latin.log").write_bytes(b"caf\xe9 \xff\xfe\n" + FAILED)
    ran = cli(command, "latin.log")
    assert ran.code == 0
    assert "assert 41 == 42" in ran.out


def test_a_log_without_a_failure_gives_an_abstention_that_says_so(cli: Cli) -> None:
    (cli.folder / "green.log").write_bytes(_EVERYTHING_PASSED)
    told, answer = cli("explain", "green.log"), cli("explain", "green.log", "--json")
    assert (told.code, answer.code) == (0, 0)
    assert "No failure is shown in this log." in told.out
    assert "abstention" in told.out
    shape = json.loads(answer.out)
    assert (shape["abstained"], shape["category"], shape["evidence"]) == (True, "unknown", [])


def test_without_a_promoted_model_rules_answer_and_stderr_says_so(cli: Cli, failed_log: Path) -> None:
    ran = cli("explain", failed_log.name, "--json")
    assert json.loads(ran.out)["model"] == "rules"
    assert "no model is promoted" in ran.err


def test_a_model_that_is_not_there_is_no_reason_to_use_rules(cli: Cli, failed_log: Path) -> None:
    assert "log-triage@canary" in cli.refused("explain", failed_log.name, "--model", "log-triage@canary")


def test_a_budget_of_no_lines_is_refused(cli: Cli, failed_log: Path) -> None:
    assert "budget must be at least 1" in cli.refused("select", failed_log.name, "--budget", "0")


def test_with_the_last_green_log_what_is_new_is_chosen(cli: Cli) -> None:
    routine = b"".join(b"compiling unit %d of the library\n" % number for number in range(300))
    (cli.folder / "green.log").write_bytes(routine + b"all done\n")
    (cli.folder / "red.log").write_bytes(routine + b"ERROR: the linker gave up\n")
    ran = cli("select", "red.log", "--green", "green.log", "--json")
    assert json.loads(ran.out)["selected"] == [[301, 301]]


_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@both
def test_one_line_of_200_mb_costs_no_memory(cli: Cli, command: str) -> None:
    with (cli.folder / "long.log").open("wb") as out:
        for _ in range(200):
            out.write(b"x" * 1_000_000)
        out.write(b"\n" + FAILED)
    # A small process starts the command: a child's peak begins with the size of the process that made it.
    extra = ["--model", "rules"] if command == "explain" else []
    peak = subprocess.run(
        [sys.executable, "-c", _PEAK, *COMMAND, command, "long.log", *extra],
        cwd=cli.folder,
        env=environment(),
        capture_output=True,
        check=True,
    )
    assert int(peak.stdout) < 90_000, "kilobytes"
