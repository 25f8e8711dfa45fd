"""``understudy train --stage dpo`` and ``kto`` as a person runs them, and choices that cannot be used."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from understudy.core.hardware import Hardware
from understudy.core.models import version_engine
from understudy.core.registry import Registry
from understudy.core.settings import Settings
from understudy.integrations.pipeline import curve_of

from .conftest import Cli, contents, quick

SMALL = ("preference.max_examples=6", "train.batch_size=4")


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


def write(folder: Path, lines: list[dict[str, Any]], name: str = "choices.jsonl") -> str:
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"preference.paths=[{name}]"


def test_choices_that_cannot_be_used_are_refused_by_line_and_nothing_is_written(with_data: Cli) -> None:
    long = {"lines": [{"number": 1, "text": "x1 " * 99}] * 9, "total_lines": 9}
    second = {
        "line 2: chosen and rejected are the same answer": choice(rejected=choice()["chosen"]),
        "line 2: has no prompt": {key: choice()[key] for key in ("chosen", "rejected")},
        "line 2: says the opposite of line 1": choice(chosen=choice()["rejected"], rejected=choice()["chosen"]),
        "line 2: needs": choice(prompt=long),
    }
    files = [write(with_data.folder, [choice(), row], f"{n}.jsonl") for n, row in enumerate(second.values())]
    said, _ = with_data.refusals(*(f"--stage dpo --set train.max_length=600 --set {file}" for file in files))
    for number, (words, one) in enumerate(zip(second, said, strict=True)):
        assert f"{number}.jsonl" in one and words in one


def test_what_is_not_there_is_refused_before_a_library_for_models_is_read(with_data: Cli) -> None:
    words = {
        "--stage rlhf": "'rlhf' is not one of sft, dpo, kto, grpo",
        "--stage dpo --from log-triage-1": "has no version 'log-triage-1'",
        "--dataset log-triage-1": "'log-triage-1' is not the id of a dataset version",
        "--resume last": "begun there, the last one first: none",
        "--resume last --launch cpu": "begun there, the last one first: none",
        "--launch bogus": "'bogus' is no file and not one of cpu, ddp",
        "--launch cpu --stage grpo": "answers that one process draws",
        "--set preference.sources=[]": "must not both be empty",
    }
    said, read = with_data.refusals(*words)
    assert all(word in one for word, one in zip(words.values(), said, strict=True)), said
    assert read == []


def test_settings_that_do_not_fit_together_or_this_machine_are_refused(with_data: Cli) -> None:
    words = {"--stage grpo --set reward.generations=3": "grpo compares 3 answers to a prompt"}
    words["--launch fsdp2"] = "this machine has none"
    words["--stage dpo --set pack=code-review --set preference.sources=[history]"] = "has no builder `history`"
    if find_spec("wandb") is None:
        words["--set train.report_to=wandb"] = "needs `pip install wandb`"
    said, _ = with_data.refusals(*words)
    assert all(word in one for word, one in zip(words.values(), said, strict=True)), said


@pytest.mark.slow
def test_every_stage_goes_on_from_the_one_before_and_the_line_is_recorded(with_data: Cli, tiny: Path) -> None:
    small = quick(tiny, *SMALL)
    lora = ["--set", "train.method=lora", "--set", "train.lora.rank=4"]
    own = ["--set", "preference.sources=[sampled]", "--set", "evaluate.max_new_tokens=400"]
    folder = with_data.folder / ".understudy"
    sft, dpo, adapter, further, whole = with_data.trained(
        small,
        ["--stage", "dpo", "--from", 0, "--set", write(with_data.folder, [choice()]), *small],
        ["--stage", "kto", "--from", 1, *lora, *small],
        ["--stage", "sft", "--from", 2, *lora, *small],
        ["--stage", "dpo", "--from", 2, *small, *own],
    )
    assert (sft["stage"], sft["parent"], sft["preferences_digest"]) == ("sft", None, "")
    assert (dpo["stage"], dpo["parent"], dpo["kind"], dpo["base"]) == ("dpo", sft["id"], "full", str(tiny))
    (kept,) = (
        path for path in (folder / "preferences").glob("*.jsonl") if dpo["preferences_digest"].startswith(path.stem)
    )
    reasons = [json.loads(line)["reason"] for line in kept.read_text().split("\n")[:-1]]
    assert reasons.count("corrupt") >= 7 and reasons.count("") == 1
    assert (adapter["kind"], adapter["base"], adapter["parent"]) == ("adapter", dpo["id"], dpo["id"])
    assert (further["kind"], further["base"], further["parent"]) == ("adapter", dpo["id"], adapter["id"])
    assert (whole["kind"], whole["base"], whole["parent"]) == ("full", dpo["id"], adapter["id"])

    registry, here = Registry(folder), Settings(registry=str(folder))
    assert all(curve_of(here, registry.get(one["id"])) for one in (sft, dpo, adapter, whole))
    for one in (adapter, further, whole):
        engine = version_engine(registry, registry.get(one["id"]), Hardware("cpu", False, 1, ()))
        assert engine.context_length == 2048
    assert with_data("models", "verify").code == 0
    changed = with_data.refused("train", *small, "--resume", "last", "--set", "train.seed=8", "--from", adapter["id"])
    assert "was begun as other work: stage was dpo and is sft" in changed
    other = with_data("train", *small, "--from", adapter["id"], *lora[:2])
    assert other.code == 2 and "set train.method and its section as they were" in other.complaint


@pytest.mark.slow
def test_a_run_of_grpo_that_taught_nothing_is_not_registered_and_resumed_only_as_what_it_was(
    with_data: Cli, tiny: Path
) -> None:
    """A random model gives no valid answer: everything runs, and no answer is better than another."""
    small = ("reward.prompts=2", "reward.watched=1", "reward.max_new_tokens=160", "reward.generations=2")
    grpo = ("train", "--stage", "grpo", *quick(tiny, *SMALL, *small))
    ran = with_data(*grpo, "--json")
    assert (ran.code, ran.out) == (1, "") and ran.complaint.startswith("nothing was learnt and no version registered")
    assert "start: the base" in ran.err and "--stage sft makes a version that is" in " ".join(ran.err.split())
    assert json.loads(with_data("models", "list", "--json").out) == []
    (folder,) = (with_data.folder / ".understudy" / "runs").iterdir()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().split("\n")[:-1]]
    assert [(e["step"], e["reward"], e["valid"], e["passed"]) for e in events] == [(1, 0, 0, 0)] * 2
    assert events[0]["tokens"] > 4 * 160 and events[0]["divergence"] == 0 and events[1]["validation_loss"] == 1

    other = with_data.refused(*grpo, "--set", "train.seed=8", "--set", "reward.beta=0.5", "--resume", "last")
    assert "was begun as other work: train.seed was 7 and is 8; reward.beta was 0.04 and is 0.5" in other


@pytest.mark.slow
def test_people_s_choices_alone_are_enough_and_a_finished_run_is_not_begun_again(cli: Cli, tiny: Path) -> None:
    paths = write(cli.folder, [choice(prompt=choice()["prompt"] | {"total_lines": n}) for n in range(9, 13)])
    dpo = ("train", "--json", "--stage", "dpo", *quick(tiny, *SMALL, paths, "preference.sources=[]"))
    ran = cli(*dpo)
    assert ran.code == 0, ran.err
    version = json.loads(ran.out)
    assert (version["stage"], version["dataset"], version["base"]) == ("dpo", "", str(tiny))
    before = contents(cli.folder)
    (name,) = (run.name for run in (cli.folder / ".understudy" / "runs").iterdir())
    for run in ("last", name[:5]):
        again = cli(*dpo, "--resume", run)
        assert (again.code, json.loads(again.out)) == (0, version), again.err
        assert again.err.strip() == "this run had come to its end before: nothing was trained"
    assert contents(cli.folder) == before


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
def test_what_a_team_took_up_and_what_it_did_not_become_pairs(cli: Cli, tiny: Path) -> None:
    threads = cli.folder / "reviews.jsonl"
    threads.write_text("".join(json.dumps(thread(n, changed=n % 2 == 0)) + "\n" for n in range(1, 9)))
    sources = f"data.sources=[{{builder: history, paths: [{threads}]}}]"
    review = quick(tiny, "pack=code-review", "preference.sources=[history]", *SMALL)
    ran = cli("train", "--json", "--stage", "dpo", "--set", sources, *review)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["stage"] == "dpo"
    (kept,) = (cli.folder / ".understudy" / "preferences").glob("*.jsonl")
    pairs = [json.loads(line) for line in kept.read_text().split("\n")[:-1]]
    silent = {pair["reason"]: pair["chosen"]["comments"] == [] for pair in pairs}
    assert len(pairs) == 8 and silent == {"history:accepted": False, "history:ignored": True}
