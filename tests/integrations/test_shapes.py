"""The JSON shapes that other tools rely on, as DESIGN.md gives them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import get_args

from understudy.templates.log_triage.schema import Category, Origin

from .conftest import FAILED, Cli


def test_select_has_the_documented_shape(cli: Cli, failed_log: Path) -> None:
    shape = json.loads(cli("select", failed_log.name, "--budget", "3", "--json").out)
    assert list(shape) == ["total_lines", "selected", "budget", "reasons"]
    assert (shape["total_lines"], shape["budget"]) == (FAILED.count(b"\n"), 3)
    ranges = shape["selected"]
    assert ranges == sorted(ranges)
    assert all(1 <= first <= last <= 7 for first, last in ranges)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))
    assert 1 <= sum(last - first + 1 for first, last in ranges) <= 3
    assert list(shape["reasons"]) == [f"{first}-{last}" for first, last in ranges]
    assert all(why and all(isinstance(reason, str) for reason in why) for why in shape["reasons"].values())


def test_a_carriage_return_or_a_form_feed_starts_no_line(cli: Cli) -> None:
    (cli.folder / "a.log").write_bytes("10%\r50%\rdone\nnext\x0cpage\u2028more\nERROR: no\n".encode())
    shape = json.loads(cli("select", "a.log", "--json").out)
    assert (shape["total_lines"], shape["selected"]) == (3, [[1, 3]])


def test_explain_has_the_documented_shape(cli: Cli, failed_log: Path) -> None:
    shape = json.loads(cli("explain", failed_log.name, "--model", "rules", "--json").out)
    assert list(shape) == [
        "category",
        "origin",
        "transient",
        "root_cause",
        "fix",
        "confidence",
        "abstained",
        "evidence",
        "model",
        "problems",
    ]
    assert shape["category"] in get_args(Category)
    assert shape["origin"] in get_args(Origin)
    assert (shape["model"], shape["confidence"], shape["problems"]) == ("rules", None, [])
    assert isinstance(shape["transient"], bool) and isinstance(shape["abstained"], bool)
    lines = FAILED.decode().split("\n")
    assert shape["evidence"]
    for quote in shape["evidence"]:
        assert list(quote) == ["file", "line_start", "line_end", "quote"]
        assert quote["file"] == failed_log.name
        cited = lines[quote["line_start"] - 1 : quote["line_end"]]
        assert all(line.endswith(shown) for line, shown in zip(cited, quote["quote"].split("\n"), strict=True))


def test_results_are_on_stdout_and_notices_on_stderr(cli: Cli, failed_log: Path) -> None:
    ran = cli("explain", failed_log.name, "--json")
    json.loads(ran.out)
    assert "rules answer" in ran.err


def test_lists_are_json_when_there_is_nothing_in_them(cli: Cli) -> None:
    assert [json.loads(cli("models", command, "--json").out) for command in ("list", "verify")] == [[], []]
