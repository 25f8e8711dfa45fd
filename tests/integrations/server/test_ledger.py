"""A delivery is noted once, claimed by one, and whatever dies, it is neither lost nor done twice at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest

from understudy.integrations.server import ledger as of_sqlite
from understudy.integrations.server import redis_ledger
from understudy.integrations.server.github import Job
from understudy.integrations.server.ledger import Ledger, SqliteLedger
from understudy.integrations.server.redis_ledger import RedisLedger

JOB = Job(command="review", installation=1, repo="team/app", number=1)
OTHER = Job(command="review", installation=1, repo="team/app", number=2)


@pytest.fixture(params=["sqlite", "redis"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    yield SqliteLedger(tmp_path / "l.db") if request.param == "sqlite" else RedisLedger(fakeredis.FakeRedis())


def test_a_delivery_is_accepted_once_by_id_and_by_body(ledger: Ledger) -> None:
    assert ledger.accept("a", "body a", "pull_request", JOB)
    assert not ledger.accept("a", "body a", "pull_request", JOB)
    assert not ledger.accept("a", "another body", "pull_request", JOB)
    assert not ledger.accept("another id", "body a", "pull_request", JOB)
    assert ledger.due() == ["a"]
    assert ledger.due() == []


def test_one_of_many_claims_it(ledger: Ledger) -> None:
    ledger.accept("a", "x", "pull_request", JOB)
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(ledger.claim("a", "w", 5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one for one in got if one] == [(JOB, 1)]


def test_two_deliveries_about_the_same_are_done_one_after_the_other(ledger: Ledger) -> None:
    for name, job in (("a", JOB), ("b", JOB), ("c", OTHER)):
        ledger.accept(name, name, "pull_request", job)
    assert ledger.due() == ["a", "b", "c"]
    assert ledger.claim("a", "w", 5)
    assert ledger.claim("b", "w", 5) is None
    assert ledger.claim("c", "w", 5)
    ledger.end("a", "w", "done", "")
    assert ledger.due() == ["b"]
    assert ledger.claim("b", "w", 5)
    assert ledger.claim("a", "w", 5) is None


def test_what_a_killed_worker_held_is_done_by_the_next_of_its_name(ledger: Ledger) -> None:
    for name, job in (("a", JOB), ("b", OTHER)):
        ledger.accept(name, name, "pull_request", job)
    ledger.due()
    ledger.beat("w1")
    ledger.beat("w2")
    ledger.claim("a", "w1", 5)
    ledger.claim("b", "w2", 5)
    assert ledger.recover("w1") == 1
    assert ledger.due() == ["a"]
    assert ledger.claim("a", "w1", 5) == (JOB, 2)
    assert ledger.figures().states == {("review", "running"): 2}


def test_a_silent_worker_loses_what_it_holds_and_ends_nothing_any_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.accept("a", "x", "pull_request", JOB)
    ledger.beat("asleep")
    ledger.claim("a", "asleep", 5)
    assert ledger.recover("other") == 0
    for module in (of_sqlite, redis_ledger):
        monkeypatch.setattr(module, "SILENT", -1.0)
    assert ledger.recover("other") == 1
    assert ledger.claim("a", "other", 5)
    ledger.end("a", "asleep", "done", "")
    assert ledger.figures().states == {("review", "running"): 1}


def test_what_takes_its_workers_with_it_fails_in_the_end(ledger: Ledger) -> None:
    ledger.accept("a", "x", "pull_request", JOB)
    for attempt in range(1, 4):
        assert ledger.claim("a", "w", 3) == (JOB, attempt)
        ledger.recover("w")
    assert ledger.claim("a", "w", 3) is None
    assert ledger.figures().states == {("review", "failed"): 1}


def test_a_failed_one_that_github_sends_again_is_tried_again(ledger: Ledger) -> None:
    ledger.accept("a", "x", "pull_request", JOB)
    ledger.claim("a", "w", 5)
    ledger.end("a", "w", "failed", "no permission")
    assert not ledger.accept("another id", "x", "pull_request", JOB)
    assert ledger.accept("a", "x", "pull_request", JOB)
    assert ledger.claim("a", "w", 5) == (JOB, 1)
    ledger.end("a", "w", "done", "")
    assert not ledger.accept("a", "x", "pull_request", JOB)
    figures = ledger.figures()
    assert figures.states == {("review", "done"): 1}
    assert figures.seconds["review"][0] == 1


def test_a_try_that_failed_is_due_later(ledger: Ledger) -> None:
    ledger.accept("a", "x", "pull_request", JOB)
    ledger.due()
    ledger.claim("a", "w", 5)
    ledger.end("a", "w", "queued", "GitHub is down", after=100)
    assert ledger.due() == []
    assert ledger.claim("a", "w", 5) is None


def test_what_the_queue_lost_is_sent_again(ledger: Ledger) -> None:
    ledger.accept("a", "x", "pull_request", JOB)
    assert ledger.due() == ["a"]
    ledger.unsend()
    assert ledger.due() == ["a"]


def test_plans_wait_until_they_are_dropped(ledger: Ledger) -> None:
    ledger.keep_plan("team/app#1", "review", "first")
    ledger.keep_plan("team/app#1", "review", "second")
    ledger.keep_plan("team/app#1", "label", "third")
    assert sorted(ledger.take_plans("team/app#1")) == ["second", "third"]
    assert ledger.take_plans("team/app#2") == []
    ledger.drop_plans("team/app#1")
    assert ledger.take_plans("team/app#1") == []


def test_it_is_on_disk(tmp_path: Path) -> None:
    SqliteLedger(tmp_path / "l.db").accept("a", "x", "pull_request", JOB)
    assert not SqliteLedger(tmp_path / "l.db").accept("a", "x", "pull_request", JOB)
