"""A log is read whole or refused by line, and a window raises an alarm for what changed in it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.errors import BadInput
from understudy.evals.log import Log, read_log
from understudy.evals.monitor import draw, watch

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def line(number: int, **changes: Any) -> str:
    value = {
        "id": f"i{number}",
        "time": (START + timedelta(hours=number)).isoformat(),
        "output": {"category": ["lint", "test", "type"][number % 3], "cause": f"text {number}", "transient": False},
        "prompt_tokens": 400 + number % 50,
        "served_by": "a key of the server's own",
    }
    return json.dumps(value | changes)


def said(number: int, kind: str, value: Any) -> str:
    time = (START + timedelta(hours=number)).isoformat()
    return json.dumps({"inference_id": f"i{number}", "time": time, "actor": "x", "kind": kind, "value": value})


def log(path: Path, lines: list[str]) -> Log:
    path.write_text("".join(f"{one}\n" for one in lines))
    return read_log(path)


@pytest.fixture
def reference(tmp_path: Path) -> Log:
    return log(tmp_path / "reference.jsonl", [line(at) for at in range(400)])


def alarms(found: Log, reference: Log) -> set[str]:
    return {check.name for check in watch(found, reference, window=100).checks if check.alarm}


def test_a_window_like_the_reference_raises_no_alarm(tmp_path: Path, reference: Log) -> None:
    found = watch(log(tmp_path / "log", [line(500 + at) for at in range(250)]), reference, window=100)
    assert found.exit_code == 0 and [window.count for window in found.series] == [50, 100, 100]
    assert {check.name for check in found.checks} == {
        "valid",
        "truncated",
        "abstained",
        "category",
        "transient",
        "input length",
    }


@pytest.mark.parametrize(
    "name, changes",
    [
        ("valid", {"valid": False}),
        ("truncated", {"finish_reason": "length"}),
        ("abstained", {"abstained": True}),
        ("category", {"output": {"category": "lint", "cause": "x", "transient": False}}),
        ("input length", {"prompt_tokens": 900}),
    ],
)
def test_each_thing_that_changes_raises_its_own_alarm(
    tmp_path: Path, reference: Log, name: str, changes: dict[str, Any]
) -> None:
    lines = [line(500 + at, **(changes if at % 3 == 0 else {})) for at in range(100)]
    assert alarms(log(tmp_path / "log", lines), reference) == {name}


def test_bad_feedback_raises_an_alarm_and_later_good_feedback_outvotes_it(tmp_path: Path) -> None:
    good = [line(at) for at in range(200)] + [said(at, "bool", True) for at in range(200)]
    before = log(tmp_path / "before", good)
    bad = [line(at) for at in range(100)] + [said(at, "rating", 1) for at in range(30)]
    bad += [said(at, "rating", 5) for at in range(30, 100)]
    assert alarms(log(tmp_path / "bad", bad), before) == {"negative feedback"}
    outvoted = bad + [said(at, "bool", True) for at in range(30) for _ in range(2)]
    assert alarms(log(tmp_path / "outvoted", outvoted), before) == set()


def test_a_small_window_gives_no_verdict_and_a_small_reference_is_refused(tmp_path: Path, reference: Log) -> None:
    few = log(tmp_path / "few", [line(at, finish_reason="length") for at in range(30)])
    found = watch(few, reference)
    assert found.exit_code == 3 and not any(check.alarm for check in found.checks)
    with pytest.raises(BadInput, match="reference has 30 answers"):
        watch(reference, few)


def test_all_checks_together_keep_their_level(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)

    def random(count: int) -> list[str]:
        return [
            line(
                at,
                output={"category": f"c{rng.integers(8)}", "transient": bool(rng.random() < 0.3)},
                finish_reason="length" if rng.random() < 0.05 else "stop",
                abstained=bool(rng.random() < 0.2),
                prompt_tokens=int(rng.normal(400, 60)),
            )
            for at in range(count)
        ]

    before = log(tmp_path / "before", random(400))
    raised = sum(bool(alarms(log(tmp_path / "log", random(100)), before)) for _ in range(40))
    assert raised <= 6


def test_a_cut_off_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line(1) + "\n" + line(2)[:-9])
    found = read_log(path)
    assert (len(found.answers), found.torn) == (1, True)


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "holds no answer"),
        (line(1) + "\n{oops\n" + line(2) + "\n", "line 2 .* no JSON"),
        (line(1) + '\n{"id": "x"}\n', "line 2 is neither an answer nor feedback: time: Field required"),
        (line(1) + "\n[1]\n", "line 2"),
        (line(1, confidence=2) + "\n", "less than or equal to 1"),
        (line(1, retrieval_score=float("nan")) + "\n", "finite"),
        (line(1) + "\n" + line(2, time="2026-01-01T00:00:00") + "\n", "time zone"),
        (line(1) + '\n{"inference_id": "i1", "kind": "shout"}\n', "line 2 .*: time: Field required"),
        ("[" * 100_000, "line 1|holds no answer"),
    ],
)
def test_a_broken_log_is_refused_by_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(BadInput, match=complaint):
        read_log(path)


@pytest.mark.parametrize("name, start", [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_the_series_is_drawn(tmp_path: Path, reference: Log, name: str, start: bytes) -> None:
    hostile = log(tmp_path / "log", [line(at, output={"$\\frac{": "a"}) for at in range(120)])
    draw(watch(hostile, hostile, window=50), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
