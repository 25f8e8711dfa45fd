# ruff: noqa: E501
"""The foundry runs real tools; here bash and, where they are installed, compilers and version control."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.templates.log_triage.data import cases
from understudy.templates.log_triage.foundry._bank import make_bank
from understudy.templates.log_triage.foundry._case import make_case
from understudy.templates.log_triage.foundry._names import Names
from understudy.templates.log_triage.foundry._recipe import Fault, Recipe, RecipeError, all_recipes, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.schema import CATEGORIES, ORIGINS

BANK = [Step("echo warm-up", ("warm-up",), 0), Step("nproc", ("2",), 0)]


def of(make: Callable[[Workshop], Fault], **changes: Any) -> Recipe:
    right: dict[str, Any] = {"category": "other", "origin": "code", "transient": False, "requires": ()}
    return Recipe(name="toy.fault", tool="toy", make=make, **{**right, **changes})


def broken(shop: Workshop, **changes: Any) -> Fault:
    step = shop.failing("echo begin; echo 'boom: widget is gone' >&2; echo end; exit 3")
    right: dict[str, Any] = {
        "evidence": ("boom:",),
        "subject": "widget",
        "cause": "Part `widget` is gone.",
        "fix": "Bring `widget` back.",
    }
    return Fault(step, **{**right, **changes})


def test_a_case_is_the_tool_s_own_output_with_the_cause_known() -> None:
    case = make_case(of(broken), 1, BANK)
    lines = case.log.split("\n")
    (number,) = case.evidence
    assert lines[number - 1] == "boom: widget is gone"
    assert lines[number - 2] == "begin" and lines[number] == "end"
    assert lines[number + 1] == "##[error]Process completed with exit code 3."
    assert (case.recipe, case.category, case.subject) == ("toy.fault", "other", "widget")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"evidence": ("never printed",)}, "claimed evidence 'never printed' is not in the output"),
        ({"evidence": ("##[error]",)}, "is not in the output"),
        ({"evidence": ()}, "0 evidence lines"),
        ({"subject": "begin", "cause": "`begin` is gone."}, "subject 'begin' stands in no evidence line"),
        ({"cause": "Part widget is gone."}, "does not name `widget` in backquotes"),
        ({"cause": "`widget` and `gadget` are gone."}, "the cause names 'gadget'"),
        ({"fix": "Bring `gadget` back."}, "the fix names 'gadget'"),
        ({"cause": "`widget` is gone" + "." * 200}, "longer than 160"),
    ],
)
def test_a_sample_whose_claim_is_not_in_the_log_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(RecipeError, match=why.replace("[", r"\[")):
        make_case(of(lambda shop: broken(shop, **changes)), 1, BANK)


def test_evidence_must_come_from_the_failing_step_not_from_one_before() -> None:
    def early(shop: Workshop) -> Fault:
        shop.passing("echo 'widget: loaded'")
        return broken(shop, evidence=("widget: loaded",))

    with pytest.raises(RecipeError, match="is not in the output"):
        make_case(of(early), 1, BANK)


def test_an_unknown_cause_has_neither_evidence_nor_subject() -> None:
    green = of(lambda shop: Fault(None, (), "", "Nothing failed.", "Look."), category="unknown")
    assert "##[error]" not in make_case(green, 1, BANK).log
    silent = of(lambda shop: Fault(shop.failing("echo x; exit 1"), (), "", "Unclear.", "Look."), category="unknown")
    assert make_case(silent, 1, BANK).evidence == []
    with pytest.raises(RecipeError, match="neither evidence nor subject"):
        make_case(of(broken, category="unknown"), 1, BANK)


def test_a_tool_that_does_what_it_should_not_is_refused(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, "seed")
    for action, command in ((shop.failing, "echo fine"), (shop.passing, "exit 1"), (shop.quiet, "exit 1")):
        with pytest.raises(RecipeError, match=r"expected to fail|expected to pass|preparation failed"):
            action(command)
    with pytest.raises(RecipeError, match="0 lines of output"):
        shop.failing("exit 1")
    with pytest.raises(RecipeError, match="401 lines of output"):
        shop.failing("seq 401; exit 1")
    assert shop.passed == []


def test_a_step_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, "seed")
    with pytest.raises(RecipeError, match="still running after"):
        shop.failing("sleep 600 & echo $! > child; wait", timeout=1)
    child = int((shop.root / "child").read_text())
    deadline = time.monotonic() + 10  # the signal has been sent; a busy machine may take a moment to act on it
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(child)


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not state.rsplit(") ", 1)[1].startswith("Z")


def test_nothing_of_this_machine_leaks_into_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret-token")
    shop = Workshop(tmp_path, "seed")
    step = shop.passing("env; pwd; echo $HOME; tty || true")
    text = "\n".join(step.output)
    assert "secret-token" not in text and str(tmp_path) not in text and str(Path.home()) + "\n" not in text
    assert f"/home/runner/work/{shop.repo}/{shop.repo}" in step.output and "not a tty" in text


def test_names_are_fresh_seeded_and_run_out_with_an_error() -> None:
    import random

    names = Names(random.Random(1))
    drawn = [names.function() for _ in range(200)]
    assert len(set(drawn)) == 200
    again = Names(random.Random(1))
    assert [again.function() for _ in range(200)] == drawn
    assert names.host().endswith(".invalid")


def test_two_recipes_cannot_share_a_name() -> None:
    taken = next(iter(all_recipes()))
    with pytest.raises(ValueError, match="two recipes are called"):
        recipe(taken, tool="x", category="other", origin="code")(broken)


def test_the_recipes_cover_the_field() -> None:
    recipes = all_recipes().values()
    assert len(recipes) >= 60 and len({found.tool for found in recipes}) >= 10
    assert {found.category for found in recipes} == set(CATEGORIES)
    assert {found.origin for found in recipes} <= set(ORIGINS)
    assert all(found.name.count(".") == 1 and found.requires for found in recipes)


RUN = ["bash.command-not-found", "bash.unset-secret", "bash.missing-file", "bash.syntax-error", "bash.not-executable",
       "coreutils.checksum-mismatch", "gcc.missing-header", "gcc.undefined-reference", "make.missing-rule", "git.merge-conflict"]  # fmt: skip


@pytest.mark.parametrize("name", RUN)
def test_a_recipe_really_runs_and_one_seed_gives_one_case(name: str) -> None:
    from understudy.templates.log_triage.foundry.__main__ import _find

    chosen = all_recipes()[name]
    missing = [program for program in chosen.requires if not _find(program)]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    case = make_case(chosen, 4, BANK)
    assert make_case(chosen, 4, BANK) == case
    assert make_case(chosen, 5, BANK).log != case.log
    quotes = "\n".join(case.log.split("\n")[number - 1] for number in case.evidence)
    assert case.subject in quotes


def test_the_bank_holds_genuine_output_of_steps_that_passed() -> None:
    steps = make_bank(3, rounds=1)
    assert len(steps) >= 4 and all(step.exit_code == 0 for step in steps)
    assert [(step.command, len(step.output)) for step in make_bank(3, rounds=1)] == [
        (step.command, len(step.output)) for step in steps
    ]


@pytest.mark.slow
def test_the_command_makes_a_case_file_and_takes_finished_recipes_from_its_work_folder(tmp_path: Path) -> None:
    def make(out: str) -> str:
        command = [sys.executable, "-m", "understudy.templates.log_triage.foundry", "--out", str(tmp_path / out)]
        options = ["--each", "2", "--only", "bash.[mu]*", "--work", str(tmp_path / "work")]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, env=dict(os.environ))
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    make("a.jsonl.xz")
    made = list(cases(tmp_path / "a.jsonl.xz"))
    assert {"bash.missing-file", "bash.unset-secret"} <= {case.recipe for case in made}
    assert all(case.evidence for case in made)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    make("b.jsonl.xz")
    assert list(cases(tmp_path / "b.jsonl.xz")) == made
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()} == kept
    assert lzma.decompress((tmp_path / "b.jsonl.xz").read_bytes()).endswith(b"}\n")
