"""``monitor``, ``ab`` and ``rate`` as a person runs them: exit codes, one sentence for bad input."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

from understudy.evals.ab import assign

from .conftest import Cli

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def log(path: Path, count: int, cut_every: int = 0, better: str = "") -> Path:
    lines = []
    for at in range(count):
        time, unit = (START + timedelta(minutes=at)).isoformat(), f"o/n#{at}"
        arm = assign("new-model", unit)
        lines.append(
            {
                "id": f"i{at}",
                "time": time,
                "output": {"kind": ["a", "b"][at % 2]},
                "finish_reason": "length" if cut_every and at % cut_every == 0 else "stop",
                "unit": unit,
                "arm": arm,
            }
        )
        good = arm == better if better else at % 3 > 0
        lines.append({"inference_id": f"i{at}", "time": time, "actor": "x", "kind": "bool", "value": good})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_an_alarm_ends_with_1_and_none_with_0(cli: Cli) -> None:
    reference, bad = log(cli.folder / "was.jsonl", 300), log(cli.folder / "now.jsonl", 200, cut_every=5)
    calm = cli("monitor", reference, "--reference", reference)
    assert calm.code == 0 and "no alarm" in calm.out, calm.err
    alarm = cli("monitor", bad, "--reference", reference, "--json", "--plot", "series.png")
    assert alarm.code == 1, alarm.err
    found = {check["name"]: check["alarm"] for check in json.loads(alarm.out)["checks"]}
    assert found["truncated"] and not found["valid"]
    assert (cli.folder / "series.png").read_bytes().startswith(b"\x89PNG")


def test_too_few_answers_end_with_3_and_bad_files_with_2(cli: Cli) -> None:
    reference, few = log(cli.folder / "was.jsonl", 100), log(cli.folder / "few.jsonl", 9)
    assert cli("monitor", few, "--reference", reference).code == 3
    (cli.folder / "bad.jsonl").write_text('{"id": 1}\n{}\n')
    assert "bad.jsonl, line 1" in cli.refused("monitor", "bad.jsonl", "--reference", reference)
    assert "cannot be read" in cli.refused("monitor", "none.jsonl", "--reference", reference)
    assert ".png or .svg" in cli.refused("monitor", reference, "--reference", reference, "--plot", "a.txt")


def test_an_ab_test_names_the_better_arm_or_says_that_it_cannot(cli: Cli) -> None:
    decided = cli("ab", log(cli.folder / "b.jsonl", 80, better="b"), "--experiment", "new-model")
    assert decided.code == 0 and "b is better" in decided.out, decided.err
    open_ = cli("ab", log(cli.folder / "same.jsonl", 80), "--experiment", "new-model", "--json")
    assert open_.code == 3 and json.loads(open_.out)["verdict"] == "undecided"
    assert "not in the arm" in cli.refused("ab", "b.jsonl", "--experiment", "another")


def test_rating_needs_an_evaluation(cli: Cli) -> None:
    assert "understudy train" in cli.refused("rate", "export", "sheets")
