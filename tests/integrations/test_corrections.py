"""From what people corrected to a better model: history's files, ``data build``, ``data corrections``, ``train``."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import Cli

SETTINGS = {
    "pack": "bug-classification",
    "taxonomy": {"groups": [{"template": "type"}]},
    "data": {"sources": [{"builder": "tickets", "paths": ["history/tickets.jsonl"]}], "near_duplicate_threshold": 1.0},
    "train": {"epochs": 1, "batch_size": 8, "max_length": 256},
    "preference": {"sources": [], "paths": ["pairs.jsonl"], "learning_rate": 1e-4},
}
WORDS = {"bug": "crash broken regression", "feature": "please add support", "question": "how why wondering"}


def row(number: int, label: str, **more: Any) -> dict[str, Any]:
    draw = random.Random(number)
    body = " ".join(draw.sample([*WORDS[label].split(), "saving", "list", "client", "server", "menu", "today"], 5))
    known = {"id": str(number), "project": "team/app", "created_at": f"2026-01-{number % 28 + 1:02}T00:00:00Z"}
    return {**known, "title": f"ticket {number} {WORDS[label]}", "body": body, "labels": [label], **more}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))


@pytest.fixture
def history(cli: Cli) -> Cli:
    """Settings, and a folder as ``understudy github history`` leaves it."""
    (cli.folder / "understudy.yaml").write_text(yaml.safe_dump(SETTINGS))
    names = list(WORDS)
    write(cli.folder / "history" / "tickets.jsonl", [row(n, names[n % 3]) for n in range(60)])
    fixed = [row(100 + n, names[n % 3], removed=[names[(n + 1) % 3]]) for n in range(12)]
    write(cli.folder / "history" / "corrections.jsonl", fixed)
    return cli


def test_corrections_become_pairs_and_a_file_without_any_is_refused(history: Cli) -> None:
    ran = history("data", "corrections", "history/corrections.jsonl", "pairs.jsonl")
    assert ran.code == 0 and "12 pairs written to pairs.jsonl" in ran.err
    pairs = [json.loads(line) for line in (history.folder / "pairs.jsonl").read_text().split("\n")[:-1]]
    assert {(one["chosen"]["labels"]["type"], one["rejected"]["labels"]["type"]) for one in pairs} == {
        ("bug", "feature"),
        ("feature", "question"),
        ("question", "bug"),
    }
    assert "exists already" in history.refused("data", "corrections", "history/corrections.jsonl", "pairs.jsonl")
    write(history.folder / "none.jsonl", [row(1, "bug", removed=["wontfix"])])
    assert "holds no correction" in history.refused("data", "corrections", "none.jsonl", "new.jsonl")
    assert "line 1: has neither events" in history.refused("data", "corrections", "history/tickets.jsonl", "new.jsonl")
    elsewhere = history.refused("data", "corrections", "none.jsonl", "new.jsonl", "--set", "pack=log-triage")
    assert "finds no corrections" in elsewhere


@pytest.mark.slow
def test_a_model_tuned_on_the_history_learns_on_from_its_corrections(history: Cli) -> None:
    for command in (("data", "build"), ("data", "corrections", "history/corrections.jsonl", "pairs.jsonl")):
        assert history(*command).code == 0
    first = history("train", "--json")
    assert first.code == 0, first.err
    ran = history("train", "--json", "--stage", "dpo", "--from", json.loads(first.out)["id"])
    assert ran.code == 0, ran.err
    version = json.loads(ran.out)
    assert (version["stage"], version["parent"]) == ("dpo", json.loads(first.out)["id"])
    (kept,) = (history.folder / ".understudy" / "preferences").glob("*.jsonl")
    reasons = [json.loads(line)["reason"] for line in kept.read_text().split("\n")[:-1]]
    assert reasons == ["feedback:correction"] * 12
