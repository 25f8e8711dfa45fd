"""The embedded tickets: labels in the closed sets, ids and times in order, no text that repeats itself."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from understudy.core.redaction import redact

_SEED = Path(__file__).resolve().parents[3] / "templates" / "bug_classification" / "seed"
_GROUPS = {
    "type": {"bug", "feature", "question"},
    "severity": {"critical", "major", "minor", "trivial"},
    "component": {"chat", "calendar", "sync", "search", "auth", "notifications", "import-export", "api"},
}
_NEEDED = ("id", "project", "time", "title", "body", "type", "severity", "component")


@pytest.fixture(scope="module")
def tickets() -> list[dict[str, Any]]:
    lines = (_SEED / "tickets.jsonl").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    return [json.loads(line) for line in lines]


def test_every_ticket_has_its_fields_and_labels_of_the_closed_sets(tickets: list[dict[str, Any]]) -> None:
    for ticket in tickets:
        assert tuple(ticket)[: len(_NEEDED)] == _NEEDED
        assert set(ticket) - set(_NEEDED) <= {"duplicate_of", "needs_info"}
        assert all(ticket[group] in names for group, names in _GROUPS.items()), ticket["id"]


def test_every_class_has_enough_tickets_to_be_learnt(tickets: list[dict[str, Any]]) -> None:
    assert len(tickets) >= 420
    for group, names in _GROUPS.items():
        counts = Counter(ticket[group] for ticket in tickets)
        assert min(counts[name] for name in names) >= 35, group


def test_ids_and_times_rise_together_and_a_duplicate_points_back(tickets: list[dict[str, Any]]) -> None:
    assert [ticket["id"] for ticket in tickets] == [f"T{number:04d}" for number in range(1, len(tickets) + 1)]
    times = [datetime.strptime(ticket["time"], "%Y-%m-%dT%H:%M:%SZ") for ticket in tickets]
    assert times == sorted(set(times))
    seen: set[str] = set()
    for ticket in tickets:
        assert ticket.get("duplicate_of", ticket["id"]) in {*seen, ticket["id"]}
        seen.add(ticket["id"])


def test_no_ticket_is_made_from_another_ones_sentences(tickets: list[dict[str, Any]]) -> None:
    assert len({ticket["title"].lower() for ticket in tickets}) == len(tickets)
    owners: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for ticket in tickets:
        words = re.findall(r"\w+", f"{ticket['title']} {ticket['body']}".lower())
        for start in range(len(words) - 4):
            owners[tuple(words[start : start + 5])].add(ticket["id"])
    assert {shingle: ids for shingle, ids in owners.items() if len(ids) > 3} == {}


def test_only_reserved_hosts_and_no_secrets(tickets: list[dict[str, Any]]) -> None:
    reserved = re.compile(r"(^|\.)example\.(com|org)$|^127\.0\.0\.1$|^localhost$")
    for ticket in tickets:
        text = f"{ticket['title']}\n{ticket['body']}"
        hosts = re.findall(r"(?:https?://|\w@)([\w.-]*\w)", text)
        assert [host for host in hosts if not reserved.search(host)] == []
        assert redact(text)[0] == text, ticket["id"]


def test_the_read_me_counts_what_is_there(tickets: list[dict[str, Any]]) -> None:
    page = " ".join((_SEED / "README.md").read_text(encoding="utf-8").split())
    assert f"holds {len(tickets)} tickets" in page
    for group, names in _GROUPS.items():
        counts = Counter(ticket[group] for ticket in tickets)
        assert [name for name in names if f"{name} {counts[name]}" not in page] == []
