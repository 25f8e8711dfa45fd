"""``github history``: everything once, redacted before it is on disk, and going on wherever it was stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import BadInput
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.history import KINDS, History

from ...fakes.github.server import FakeGitHub
from ...fakes.github.state import ReviewComment
from ..conftest import FAILED
from .conftest import Commands

SECRET = "AKIAQ3EGUZ7BQ4YHRWTX"


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().split("\n") if line]


def comment(fake: FakeGitHub, body: str = "Close the file.", line: int | None = 3, user: str = "ann") -> int:
    one = ReviewComment(
        fake.repo.new_id(), 1, user, body, "a.py", line, "RIGHT", None, None, "x", None, fake.repo.tick(),
        diff_hunk="@@ -1 +1,2 @@\n a\n+b",
    )  # fmt: skip
    fake.repo.review_comments.append(one)
    return one.id


@pytest.fixture
def history(fake: FakeGitHub, github: GitHub, tmp_path: Path) -> History:
    fake.repo.open_issue("first")
    return History(github, "team/app", tmp_path)


def test_threads_hold_their_replies_and_whether_the_line_changed(
    fake: FakeGitHub, history: History, tmp_path: Path
) -> None:
    first, second = comment(fake), comment(fake, "Rename it.", line=None)
    fake.repo.reply(first, "bob", f"Done; the key was {SECRET}.")
    assert history.collect("reviews", "2020-01-01") == 2
    threads = {one["comments"][0]["id"]: one for one in lines(tmp_path, "reviews")}
    assert threads[first]["comments"][0]["body"] == "Close the file."
    assert len(threads[first]["comments"]) == 2
    assert (threads[first]["line_changed"], threads[second]["line_changed"]) == (False, True)
    assert threads[first]["pull"] == 1


def test_only_graphql_tells_that_a_thread_is_resolved_and_it_is_asked_once_for_each_pull_request(
    fake: FakeGitHub, history: History, github: GitHub, tmp_path: Path
) -> None:
    first, second = comment(fake), comment(fake, "Rename it.")
    next(one for one in fake.repo.review_comments if one.id == second).resolved = True
    assert history.collect("reviews", "2020-01-01") == 2
    threads = {one["comments"][0]["id"]: one["is_resolved"] for one in lines(tmp_path, "reviews")}
    assert threads == {first: False, second: True}
    for one in fake.repo.review_comments:
        one.resolved = True
    fake.repo.reply(first, "bob", "Done, thank you.")
    fake.chance = lambda asked: "500" if asked.path == "/graphql" else None
    with pytest.raises(ServiceError):  # cut off between the comments and the question about them
        History(github, "team/app", tmp_path).collect("reviews", "2020-01-01")
    fake.chance = lambda asked: None
    History(github, "team/app", tmp_path).collect("reviews", "2020-01-01")
    assert [one["is_resolved"] for one in lines(tmp_path, "reviews")] == [True, True]
    assert sum(asked.path == "/graphql" for asked in fake.asked) == 2 + 4


def test_people_are_hashes_and_secrets_are_nowhere(fake: FakeGitHub, history: History, tmp_path: Path) -> None:
    comment(fake, f"Use {SECRET} or mail ann@corp-mail.com.", user="ann-the-reviewer")
    fake.repo.open_issue("It breaks", f"token {SECRET}", ("bug",), user="ann-the-reviewer")
    run = fake.repo.add_run()
    fake.repo.add_job(run, "build", "failure", f"key={SECRET}\n".encode() + FAILED)
    for kind in KINDS:
        history.collect(kind, "2020-01-01")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert SECRET not in text
            assert "ann@corp" not in text
            assert "ann-the-reviewer" not in text


def test_only_what_people_said_of_a_ticket_is_learnt(fake: FakeGitHub, history: History, tmp_path: Path) -> None:
    fake.repo.open_issue("kept", "", ("bug", "ui"))
    fake.repo.open_issue("taken back", "", ("bug",))
    fake.repo.unlabel(3, "bug", "bob")
    fake.repo.open_issue("by a bot")
    fake.repo.label(4, "bug", "triage[bot]")
    assert history.collect("labels", "2020-01-01") == 1
    row = lines(tmp_path, "tickets")[0]
    assert (row["id"], row["title"], row["labels"]) == ("2", "kept", ["bug", "ui"])


def test_where_people_overruled_a_bot_is_a_file_of_its_own(fake: FakeGitHub, history: History, tmp_path: Path) -> None:
    fake.repo.open_issue("replaced")
    fake.repo.label(2, "bug", "triage[bot]")
    fake.repo.unlabel(2, "bug", "ann")
    fake.repo.label(2, "question", "ann")
    fake.repo.open_issue("put back")
    fake.repo.label(3, "bug", "triage[bot]")
    fake.repo.unlabel(3, "bug", "ann")
    fake.repo.label(3, "bug", "bob")
    fake.repo.open_issue("the bot's own mind")
    fake.repo.label(4, "bug", "triage[bot]")
    fake.repo.unlabel(4, "bug", "triage[bot]")
    fake.repo.open_issue("only taken away")
    fake.repo.label(5, "ui", "triage[bot]")
    fake.repo.unlabel(5, "ui", "ann")
    assert history.collect("labels", "2020-01-01") == 2
    assert [(one["title"], one["labels"], one["removed"]) for one in lines(tmp_path, "corrections")] == [
        ("replaced", ["question"], ["bug"]),
        ("only taken away", [], ["ui"]),
    ]
    assert all("removed" not in one for one in lines(tmp_path, "tickets"))


def test_an_account_named_as_bot_is_one_although_github_says_user(
    fake: FakeGitHub, github: GitHub, tmp_path: Path
) -> None:
    fake.repo.open_issue("by a machine", "", ("bug",), user="triage-machine")
    assert History(github, "team/app", tmp_path, bots=["Triage-Machine"]).collect("labels", "2020-01-01") == 0


def test_a_failed_run_has_its_telling_lines_and_its_next_green_one(
    fake: FakeGitHub, history: History, tmp_path: Path
) -> None:
    before = fake.repo.add_run("success")
    run = fake.repo.add_run()
    fake.repo.add_job(run, "build", "failure", FAILED, "Run pytest")
    gone = fake.repo.add_job(run, "docs", "failure", b"x\n")
    gone.gone = True
    after, later = fake.repo.add_run("success"), fake.repo.add_run("success")
    assert history.collect("runs", "2020-01-01") == 2
    first, second = lines(tmp_path, "failed_runs")
    assert first["fixed_by"] == {"run": after.id, "commit": after.head_sha}
    assert before.id < run.id < later.id
    assert "E       assert 41 == 42" in [line["text"] for line in first["lines"]]
    assert second["lines"] == []
    assert "expired" in second["missing"]


@pytest.mark.parametrize("kind", KINDS)
def test_wherever_it_is_cut_off_it_goes_on_and_has_everything_once(
    fake: FakeGitHub, github: GitHub, tmp_path: Path, kind: str
) -> None:
    fake.repo.open_issue("first")
    for number in range(230):
        comment(fake, f"Comment {number} on this line.")
        fake.repo.open_issue(f"Ticket {number}", "", ("bug",))
    for _ in range(6):
        fake.repo.add_job(fake.repo.add_run(), "build", "failure", FAILED)
    count = 0
    for cut in range(1, 40):
        left = [cut % 5 + 1]

        def chance(asked: object, left: list[int] = left) -> Any:
            left[0] -= 1
            return "500" if left[0] < 0 else None

        fake.chance = chance
        try:
            count = History(github, "team/app", tmp_path).collect(kind, "2020-01-01")
            break
        except ServiceError:
            if cut == 2:  # torn by a kill in the middle of a line
                for path in tmp_path.glob("*.jsonl"):
                    path.write_bytes(path.read_bytes() + b'{"id": 1, "torn')
    assert count == (6 if kind == "runs" else 230)
    made = {"reviews": "reviews", "labels": "tickets", "runs": "failed_runs"}[kind]
    assert len({json.dumps(line) for line in lines(tmp_path, made)}) == count


@pytest.mark.parametrize("kind", ["reviews", "labels"])
def test_when_nothing_is_new_one_free_request_tells(
    fake: FakeGitHub, github: GitHub, tmp_path: Path, kind: str
) -> None:
    fake.repo.open_issue("A ticket", "", ("bug",))
    comment(fake)
    for _ in range(3):
        History(github, "team/app", tmp_path).collect(kind, "2020-01-01")
    before, size = len(fake.asked), {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert History(github, "team/app", tmp_path).collect(kind, "2020-01-01") == 1
    assert len(fake.asked) == before + 1
    assert fake.asked[-1].headers.get("if-none-match")
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == size
    fake.repo.open_issue("A new ticket", "", ("bug",))
    comment(fake, "A new comment here.")
    assert History(github, "team/app", tmp_path).collect(kind, "2020-01-01") == 2


def test_a_folder_of_another_repository_or_a_broken_cursor_is_refused(
    fake: FakeGitHub, github: GitHub, tmp_path: Path, history: History
) -> None:
    history.collect("labels", "2020-01-01")
    with pytest.raises(BadInput, match="holds the history of team/app"):
        History(github, "other/app", tmp_path)
    (tmp_path / "cursor.json").write_text("{")
    with pytest.raises(BadInput, match="is damaged"):
        History(github, "team/app", tmp_path)


def test_the_command_says_what_it_collected(fake: FakeGitHub, commands: Commands) -> None:
    fake.repo.open_issue("A ticket", "", ("bug",))
    comment(fake)
    ran = commands("history", "team/app", "--out", "history", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["lines"] == {"reviews": 1, "labels": 1, "runs": 0}
    fake.routes.missing_permissions = {"actions=read"}
    ran = commands("history", "team/app", "--out", "history")
    assert ran.code == 4
    assert "needs the permission actions: read" in ran.err


@pytest.mark.parametrize("arguments", [("team/app#1",), ("team/app", "--kind", "stars"), ("team/app", "--since", "x")])
def test_what_cannot_be_collected_is_refused(fake: FakeGitHub, commands: Commands, arguments: tuple[str, ...]) -> None:
    ran = commands("history", *arguments, "--out", "history")
    assert (ran.code, ran.out) == (2, "")
    assert fake.asked == []
