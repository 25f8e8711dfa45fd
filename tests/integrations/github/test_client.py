"""Reads are repeated, writes only after a look, waits are bounded, and no sentence holds a secret."""

from __future__ import annotations

import io
import logging
import time

import pytest

from understudy.integrations.github.client import GitHub, Pace, ServiceError

from ...fakes.github.server import TOKEN, FakeGitHub, Fault
from ...fakes.github.state import PullFile

LABELS = "/repos/team/app/labels"
PASSING: list[Fault] = [
    "500",
    "502 before",
    "hang before",
    "drop before",
    "403 primary",
    "403 secondary",
    "429",
    "html",
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_read_is_repeated_until_it_works(fake: FakeGitHub, github: GitHub, waits: list[float], fault: Fault) -> None:
    fake.repo.add_label_names(*(f"label {number}" for number in range(250)))
    fake.break_once("GET", "/labels", fault)
    assert len(list(github.pages(LABELS))) == 250
    assert len(waits) == 1
    assert waits[0] == pytest.approx({"403 secondary": 60, "429": 1}.get(fault, 2), abs=1)


def _comment(fake: FakeGitHub, github: GitHub) -> list[str]:
    """Write one comment; return the bodies that are there afterwards."""
    fake.repo.open_issue("It breaks")
    path = "/repos/team/app/issues/1/comments"

    def done() -> object:
        return next((one for one in github.pages(path) if one["body"] == "hello"), None)

    github.write("POST", path, {"body": "hello"}, done)
    return [comment.body for comment in fake.repo.comments]


@pytest.mark.parametrize("fault", [*PASSING, "502 after", "hang after", "drop after"])
def test_a_write_happens_once_whatever_goes_wrong(fake: FakeGitHub, github: GitHub, fault: Fault) -> None:
    fake.break_once("POST", "/comments", fault, 1 if "hang" in fault else 3)
    assert _comment(fake, github) == ["hello"]


def test_a_write_that_never_works_is_given_up_with_a_sentence(fake: FakeGitHub, github: GitHub) -> None:
    fake.break_once("POST", "/comments", "502 before", 99)
    with pytest.raises(ServiceError, match="answered write to team/app/issues/1/comments with 502"):
        _comment(fake, github)
    assert fake.repo.comments == []


def test_when_reading_back_fails_too_the_sentence_says_that_it_may_have_been_done(
    fake: FakeGitHub, github: GitHub
) -> None:
    fake.chance = lambda asked: ("502 after" if asked.method == "POST" else "500") if "comments" in asked.path else None
    with pytest.raises(ServiceError, match="may have been done"):
        _comment(fake, github)
    assert len(fake.repo.comments) == 1


def test_a_long_rate_limit_ends_the_command_instead_of_sleeping(
    fake: FakeGitHub, github: GitHub, waits: list[float]
) -> None:
    fake.reset_in = 3600
    fake.break_once("GET", "/labels", "403 primary")
    with pytest.raises(ServiceError, match=r"it lasts 3\d\d\d s more.*run the same command again"):
        list(github.pages(LABELS))
    assert waits == []


@pytest.mark.parametrize(
    ("lacking", "path", "named"),
    [("actions=read", "/repos/team/app/actions/runs/1", "actions: read")],
)
def test_a_missing_permission_is_named(fake: FakeGitHub, github: GitHub, lacking: str, path: str, named: str) -> None:
    fake.routes.missing_permissions = {lacking}
    with pytest.raises(ServiceError, match=f"needs the permission {named}"):
        github.get(path)


def test_nobody_answers(github: GitHub, fake: FakeGitHub) -> None:
    nowhere = GitHub("some-token-of-mine", "http://127.0.0.1:9", Pace(0, 0, sleep=lambda seconds: None))
    with pytest.raises(ServiceError, match="cannot be reached") as caught:
        nowhere.get("/user")
    assert caught.value.exit_code == 4


def test_a_refused_token_is_said_and_not_shown(fake: FakeGitHub) -> None:
    with pytest.raises(ServiceError, match="does not accept the token") as caught:
        GitHub("ghp_wrongwrongwrongwrongwrongwrongwrongwr", fake.url).get("/user")
    assert "wrong" not in str(caught.value)


def test_a_log_link_is_followed_without_the_token(fake: FakeGitHub, github: GitHub) -> None:
    job = fake.repo.add_job(fake.repo.add_run(), "build", "failure", b"it failed\n")
    log = io.BytesIO()
    github.download(f"/repos/team/app/actions/jobs/{job.id}/logs", log, 100)
    assert log.getvalue() == b"it failed\n"
    with pytest.raises(ServiceError, match="longer than"):
        github.download(f"/repos/team/app/actions/jobs/{job.id}/logs", log, 5)


def test_the_token_is_in_no_log_line_even_at_debug(
    fake: FakeGitHub, github: GitHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    job = fake.repo.add_job(fake.repo.add_run(), "build", "failure", b"it failed\n")
    github.download(f"/repos/team/app/actions/jobs/{job.id}/logs", io.BytesIO(), 100)
    _comment(fake, github)
    assert TOKEN not in caplog.text
    assert "sig=secret" not in caplog.text


def test_secrets_of_the_environment_do_not_leave(fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "quite plain words")
    github = GitHub(TOKEN, fake.url, Pace(0, 0))
    fake.repo.open_issue("It breaks")
    github.write(
        "POST", "/repos/team/app/issues/1/comments", {"body": f"the quite plain words and {TOKEN}"}, lambda: None
    )
    assert fake.repo.comments[0].body == "the [REDACTED:environment] and [REDACTED:environment]"


def test_what_did_not_change_is_not_sent_again(fake: FakeGitHub, github: GitHub) -> None:
    tag, labels = github.get_if_changed(LABELS, None)
    assert labels == []
    assert github.get_if_changed(LABELS, tag) == (tag, None)
    fake.repo.add_label_names("bug")
    assert github.get_if_changed(LABELS, tag)[1] is not None


def test_a_repository_that_moved_is_read_where_it_is_now(fake: FakeGitHub, github: GitHub) -> None:
    assert github.get("/repos/team/app")["full_name"] == "team/app"
    assert github.login == "github-actions[bot]"


def test_the_pace_between_writes_is_kept(fake: FakeGitHub) -> None:
    github = GitHub(TOKEN, fake.url, Pace(0, 0.2))
    fake.repo.open_issue("It breaks")
    began = time.monotonic()
    for _ in range(3):
        github.write("POST", "/repos/team/app/issues/1/comments", {"body": "hello"}, lambda: None)
    assert time.monotonic() - began > 0.4


def test_the_fake_refuses_lines_outside_the_diff_and_answers_as_github_describes(
    fake: FakeGitHub, github: GitHub, description: None
) -> None:
    pull = fake.repo.open_pull([PullFile("a.py", patch="@@ -1,2 +1,3 @@\n a\n+b\n c")])
    body = {"commit_id": pull.head, "event": "COMMENT", "body": "x"}
    path = "/repos/team/app/pulls/1/reviews"

    def commented(line: int) -> dict[str, object]:
        return body | {"comments": [{"path": "a.py", "line": line, "side": "RIGHT", "body": "hm"}]}

    github.write("POST", path, commented(3), lambda: None)
    with pytest.raises(ServiceError, match=r"422.*Line could not be resolved"):
        github.write("POST", path, commented(9), lambda: None)
    github.get("/repos/team/app/pulls/1")
    list(github.pages("/repos/team/app/pulls/1/comments"))
    github.write("POST", path, body | {"surprise": 1}, lambda: None)
    assert fake.violations == ["POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews: no field surprise"]
    fake.violations.clear()
