"""``understudy train --stage dpo`` and ``kto`` as a person runs them, and choices that cannot be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from understudy.core.hardware import Hardware
from understudy.core.models import version_engine
from understudy.core.registry import Registry
from understudy.core.settings import Settings
from understudy.integrations.pipeline import curve_of

from .conftest import Cli

SMALL = ("--set", "train.epochs=1", "--set", "preference.max_examples=6", "--set", "train.batch_size=4")


def choice(**changes: Any) -> dict[str, Any]:
    """One person's choice between two root causes of a tiny log."""
    answer = {
        "category": "test_assertion",
        "origin": "code",
        "transient": False,
        "evidence": [1],
        "root_cause": "A test expects 42.",
        "fix": "Correct the sum.",
    }
    prompt = {"lines": [{"number": 7, "text": "E       assert 41 == 42"}], "total_lines": 9}
    return {"prompt": prompt, "chosen": answer, "rejected": answer | {"category": "compile_error"}} | changes


def write(folder: Path, lines: list[dict[str, Any]]) -> str:
    (folder / "choices.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return "preference.paths=[choices.jsonl]"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda row: row | {"rejected": row["chosen"]}, "line 2: chosen and rejected are the same answer"),
        (lambda row: {key: row[key] for key in ("chosen", "rejected")}, "line 2: has no prompt"),
        (
            lambda row: row | {"chosen": row["rejected"], "rejected": row["chosen"]},
            "line 2: says the opposite of line 1",
        ),
        (
            lambda row: row | {"prompt": {"lines": [{"number": 1, "text": "x1 " * 99}] * 9, "total_lines": 9}},
            "line 2: needs",
        ),
    ],
    ids=["same", "no prompt", "opposite", "too long"],
)
def test_choices_that_cannot_be_used_are_refused_by_line_and_nothing_is_written(
    spoil: Callable[[dict[str, Any]], dict[str, Any]], words: str, with_data: Cli
) -> None:
    paths = write(with_data.folder, [choice(), spoil(choice())])
    said = with_data.refused("train", "--stage", "dpo", "--set", paths, "--set", "train.max_length=600")
    assert "choices.jsonl" in said and words in said


def test_a_stage_or_a_start_that_is_not_there_is_refused(with_data: Cli) -> None:
    assert "'rlhf' is not one of sft, dpo, kto, grpo" in with_data.refused("train", "--stage", "rlhf")
    assert "match 'log-triage-1'" in with_data.refused("train", "--stage", "dpo", "--from", "log-triage-1")
    assert "must not both be empty" in with_data.refused("train", "--set", "preference.sources=[]")
    assert "begun there, the last one first: none" in with_data.refused("train", "--resume", "last")
    grouped = with_data.refused("train", "--stage", "grpo", "--set", "reward.generations=3")
    assert "grpo compares 3 answers to a prompt" in grouped
    if find_spec("wandb") is None:
        assert "needs `pip install wandb`" in with_data.refused("train", "--set", "train.report_to=wandb")


@pytest.mark.slow
def test_every_stage_goes_on_from_the_one_before_and_the_line_is_recorded(small_registry: Path, tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    shutil.copytree(small_registry, tmp_path / ".understudy")

    def train(*arguments: str) -> dict[str, Any]:
        ran = cli("train", "--json", *SMALL, *arguments)
        assert ran.code == 0, ran.err
        assert "Traceback" not in ran.err and "prefix of the tokenized" not in ran.err
        version: dict[str, Any] = json.loads(ran.out)
        return version

    sft = train()
    assert (sft["stage"], sft["parent"], sft["preferences_digest"]) == ("sft", None, "")
    dpo = train("--stage", "dpo", "--from", sft["id"], "--set", write(tmp_path, [choice()]))
    assert (dpo["stage"], dpo["parent"], dpo["kind"], dpo["base"]) == ("dpo", sft["id"], "full", "seedling")
    (kept,) = (tmp_path / ".understudy" / "preferences").glob("*.jsonl")
    assert dpo["preferences_digest"].startswith(kept.stem)
    reasons = [json.loads(line)["reason"] for line in kept.read_text().split("\n")[:-1]]
    assert reasons.count("corrupt") >= 7 and reasons.count("") == 1

    lora = ("--set", "train.method=lora", "--set", "train.lora.rank=4")
    adapter = train("--stage", "kto", "--from", dpo["id"], *lora)
    assert (adapter["kind"], adapter["base"], adapter["parent"]) == ("adapter", dpo["id"], dpo["id"])
    further = train("--stage", "sft", "--from", adapter["id"], *lora)
    assert (further["kind"], further["base"], further["parent"]) == ("adapter", dpo["id"], adapter["id"])
    whole = train("--stage", "dpo", "--from", adapter["id"], "--set", "preference.sources=[sampled]")
    assert (whole["kind"], whole["base"], whole["parent"]) == ("full", dpo["id"], adapter["id"])

    registry = Registry(tmp_path / ".understudy")
    here = Settings(registry=str(tmp_path / ".understudy"))
    assert all(curve_of(here, registry.get(one["id"])) for one in (sft, dpo, adapter, whole))
    for one in (adapter, further, whole):
        engine = version_engine(registry, registry.get(one["id"]), Hardware("cpu", False, 1, ()))
        assert engine.context_length == 2048
    assert cli("models", "verify").code == 0
    changed = cli.refused("train", *SMALL, "--resume", "last", "--set", "train.seed=8", "--from", adapter["id"])
    assert "was begun as other work: stage was dpo and is sft" in changed
    assert (
        "set train.method and its section as they were" in cli("train", *SMALL, "--from", adapter["id"], *lora[:2]).err
    )


@pytest.mark.slow
def test_answers_are_rewarded_by_the_pack_and_a_run_is_resumed_only_as_what_it_was(with_data: Cli) -> None:
    """The seedling as it is gives no valid answer yet: everything runs, and it is said that nothing could be learnt."""
    small = ("--set", "reward.prompts=2", "--set", "reward.watched=1", "--set", "reward.max_new_tokens=160")
    grpo = ("train", "--stage", "grpo", *SMALL, *small, "--set", "reward.generations=2")
    ran = with_data(*grpo, "--json")
    assert ran.code == 0 and "nothing was learnt" in " ".join(ran.err.split()), ran.err
    version = json.loads(ran.out)
    assert (version["stage"], version["parent"], version["metrics"]["validation_loss"]) == ("grpo", None, 1)
    root = with_data.folder / ".understudy"
    curve = curve_of(Settings(registry=str(root)), Registry(root).get(version["id"]))
    assert curve is not None
    folder = curve.parent
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().split("\n")[:-1]]
    assert [(e["step"], e["reward"], e["valid"], e["passed"]) for e in events] == [(1, 0, 0, 0)] * 2
    assert events[0]["tokens"] > 4 * 160 and events[0]["divergence"] == 0 and events[1]["validation_loss"] == 1

    again = with_data(*grpo, "--resume", folder.name[:5])
    assert again.code == 0 and version["id"] in again.out and "valid 0%" in again.out, again.err
    other = with_data.refused(*grpo, "--set", "train.seed=8", "--set", "reward.beta=0.5", "--resume", "last")
    assert "was begun as other work: train.seed was 7 and is 8; reward.beta was 0.04 and is 0.5" in other


@pytest.mark.slow
def test_people_s_choices_alone_are_enough(cli: Cli) -> None:
    paths = write(cli.folder, [choice(prompt=choice()["prompt"] | {"total_lines": n}) for n in range(9, 13)])
    ran = cli("train", "--json", "--stage", "dpo", "--set", paths, "--set", "preference.sources=[]", *SMALL)
    assert ran.code == 0, ran.err
    version = json.loads(ran.out)
    assert (version["stage"], version["dataset"], version["base"]) == ("dpo", "", "seedling")


def thread(number: int, changed: bool) -> dict[str, Any]:
    """A review comment that was followed, or one that nobody took up."""
    hunk = f"@@ -1,2 +1,2 @@ def load{number}():\n def load{number}():\n-    return read(path)\n+    return read(None)"
    first = {
        "id": number,
        "path": "load.py",
        "diff_hunk": hunk,
        "body": f"This hides the path of `load{number}`, keep it.",
        "created_at": "2026-05-04T10:00:00Z",
        "user": {"login": "ada", "type": "User"},
        "side": "RIGHT",
        "line": 2,
    }
    return {"repo": "o/r", "pull": number, "comments": [first], "is_resolved": False, "line_changed": changed}


@pytest.mark.slow
def test_what_a_team_took_up_and_what_it_did_not_become_pairs(cli: Cli) -> None:
    threads = cli.folder / "reviews.jsonl"
    threads.write_text("".join(json.dumps(thread(n, changed=n % 2 == 0)) + "\n" for n in range(1, 9)))
    sources = f"data.sources=[{{builder: history, paths: [{threads}]}}]"
    review = ("--set", "pack=code-review", "--set", "preference.sources=[history]", *SMALL)
    ran = cli("train", "--json", "--stage", "dpo", "--set", sources, *review)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["stage"] == "dpo"
    (kept,) = (cli.folder / ".understudy" / "preferences").glob("*.jsonl")
    pairs = [json.loads(line) for line in kept.read_text().split("\n")[:-1]]
    silent = {pair["reason"]: pair["chosen"]["comments"] == [] for pair in pairs}
    assert len(pairs) == 8 and silent == {"history:accepted": False, "history:ignored": True}

    assert "has no builder `history`" in cli.refused("train", "--stage", "dpo", *review)
