"""``github review``: right lines, nothing twice, nothing at an old head, nothing hostile, nothing left unsaid."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.integrations.github import apply as carrying
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.marker import read_marker, with_marker
from understudy.integrations.github.plan import CommentStep, Plan, ResolveStep, ReviewStep
from understudy.integrations.github.pulls import as_patch, fetch_pull
from understudy.integrations.github.review import Found, plan_review

from ...fakes.github.server import FakeGitHub, Fault
from ...fakes.github.state import BOT, PullFile, Review, ReviewComment
from .conftest import Commands

PATCH = "@@ -1,3 +1,5 @@\n import os\n+password = os.environ['P']\n+print(password)\n x = 1\n-y = 2\n+y = 3"


def finding(line: int = 3, **changes: Any) -> dict[str, Any]:
    known = {"path": "a.py", "line": line, "start_line": None, "side": "RIGHT", "severity": "major", "category": "bug"}
    return {**known, "message": "It prints the password.", "suggestion": None, **changes}


def found(*comments: dict[str, Any], **changes: Any) -> Found:
    known: dict[str, Any] = {"comments": list(comments), "summary": "", "reviewed": ["a.py"], "skipped": []}
    return Found.model_validate({**known, "model": "code-review-1", **changes})


def opened(fake: FakeGitHub, *more: PullFile) -> int:
    return fake.repo.open_pull([PullFile("a.py", patch=PATCH), *more]).number


def planned(github: GitHub, review: Found, number: int = 1, **changes: Any) -> Plan:
    return plan_review(fetch_pull(github, "team/app", number), review, github.scrubber, **changes)


def applied(github: GitHub, review: Found, **changes: Any) -> carrying.Outcome:
    return carrying.apply(planned(github, review, **changes), github)


def remarks(plan: Plan) -> list[Any]:
    return [remark for step in plan.steps if isinstance(step, ReviewStep) for remark in step.remarks]


def test_one_review_with_all_comments_and_one_summary(fake: FakeGitHub, github: GitHub) -> None:
    opened(fake)
    outcome = applied(github, found(finding(), finding(2, category="security", severity="critical")))
    assert outcome.failed == []
    assert [review.state for review in fake.repo.reviews] == ["COMMENTED"]
    assert [(one.path, one.line) for one in fake.repo.review_comments] == [("a.py", 2), ("a.py", 3)]
    assert "Reviewed 1 of 1 changed files." in fake.repo.comments[0].body
    assert [asked.method for asked in fake.writes() if "graphql" not in asked.path] == ["POST", "POST"]


def test_a_second_run_posts_only_what_is_new_however_it_is_worded(fake: FakeGitHub, github: GitHub) -> None:
    number = opened(fake)
    applied(github, found(finding()))
    fake.repo.push(number, [PullFile("a.py", patch=PATCH.replace("@@ -1,3 +1,5 @@", "@@ -41,3 +41,5 @@"))])
    plan = planned(github, found(finding(43, message="Other words."), finding(45, category="style")))
    assert [remark.line for remark in remarks(plan)] == [45]
    assert plan.left_out == ["1 finding posted before"]
    assert carrying.apply(plan, github).failed == []
    assert len(fake.repo.comments) == 1
    assert len(fake.repo.review_comments) == 2


def test_a_line_outside_the_diff_goes_to_the_summary_and_is_not_moved(fake: FakeGitHub, github: GitHub) -> None:
    opened(fake)
    review = found(finding(99), finding(1, side="LEFT"), finding(3, path="b.py"), finding(4, start_line=4))
    plan = planned(github, review)
    assert [remark.line for remark in remarks(plan)] == [4]
    assert carrying.apply(plan, github).failed == []
    body = fake.repo.comments[0].body
    assert body.count("It prints the password") == 3
    assert "b.py, line 3" in body


def test_a_range_over_two_hunks_is_no_place(fake: FakeGitHub, github: GitHub) -> None:
    two = "@@ -1,2 +1,3 @@\n a\n+b\n c\n@@ -11,2 +12,3 @@\n k\n+l\n m"
    fake.repo.open_pull([PullFile("a.py", patch=two)])
    plan = planned(github, found(finding(13, start_line=2), finding(13, start_line=12, side="RIGHT")))
    assert [(one.start_line, one.line) for one in remarks(plan)] == [(12, 13)]
    assert carrying.apply(plan, github).failed == []


def test_more_than_the_cap_is_listed_in_the_summary_worst_first(fake: FakeGitHub, github: GitHub) -> None:
    lines = "\n".join(f"+line {number}" for number in range(40))
    fake.repo.open_pull([PullFile("a.py", "added", f"@@ -0,0 +1,40 @@\n{lines}")])
    all_of_them = [finding(line, severity="nit" if line < 40 else "critical") for line in range(1, 41)]
    plan = planned(github, found(*all_of_them), most=30)
    assert len(remarks(plan)) == 30
    assert remarks(plan)[0].line == 40
    assert plan.left_out == ["10 comments beyond the cap of 30, listed in the summary"]
    carrying.apply(plan, github)
    assert fake.repo.comments[0].body.count("It prints the password") == 10


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_posted_when_somebody_pushed_since_the_plan(fake: FakeGitHub, github: GitHub, force: bool) -> None:
    number = opened(fake)
    plan = planned(github, found(finding()))
    fake.repo.push(number, force=force)
    outcome = carrying.apply(plan, github)
    assert "was pushed to in the meantime" in outcome.failed[0]
    assert "not tried" in outcome.failed[1]
    assert fake.writes() == [asked for asked in fake.writes() if asked.path == "/graphql"]
    assert fake.routes.stale_writes == []


@pytest.mark.parametrize(
    ("change", "said"), [({"state": "closed"}, "was closed"), ({"locked": True}, "is locked"), ({}, "")]
)
def test_a_pull_request_closed_or_locked_in_the_meantime_gets_nothing(
    fake: FakeGitHub, github: GitHub, change: dict[str, Any], said: str
) -> None:
    number = opened(fake)
    plan = planned(github, found(finding()))
    for name, value in change.items():
        setattr(fake.repo.issues[number], name, value)
    outcome = carrying.apply(plan, github)
    assert (said in outcome.failed[0]) if said else outcome.failed == []
    assert len(fake.repo.reviews) == (not said)


def test_a_push_while_reading_is_noticed_and_the_new_head_is_read(fake: FakeGitHub, github: GitHub) -> None:
    number = opened(fake)
    new = [PullFile("a.py", patch=PATCH.replace("password", "secret_word"))]
    fake.before("GET", "/files", lambda: fake.repo.push(number, new))
    facts = fetch_pull(github, "team/app", number)
    assert facts.head == fake.repo.pulls[number].head
    fake.chance = lambda asked: fake.repo.push(number, new) and None if asked.path.endswith("/files") else None
    with pytest.raises(ServiceError, match="was pushed to each of 3 times"):
        fetch_pull(github, "team/app", number)


@pytest.mark.parametrize("fault", ["502 after", "hang after", "drop after", "500", "403 secondary", "429"])
def test_a_server_that_fails_after_posting_gets_no_second_post(fake: FakeGitHub, github: GitHub, fault: Fault) -> None:
    opened(fake)
    plan = planned(github, found(finding(), finding(2)))
    fake.break_once("POST", "/reviews", fault)
    assert carrying.apply(plan, github).failed == []
    assert len(fake.repo.review_comments) == 2
    assert fake.routes.unprocessable == []


def test_of_a_review_that_was_made_by_half_the_rest_is_posted(fake: FakeGitHub, github: GitHub) -> None:
    opened(fake)
    plan = planned(github, found(finding(), finding(2)))
    half = remarks(plan)[0]
    fake.before("POST", "/reviews", lambda: None)
    fake.repo.review_comments.append(
        ReviewComment(5, 1, BOT, half.body, "a.py", half.line, "RIGHT", None, None, "x", None, "2026-11-01T00:00:00Z")
    )
    assert carrying.apply(plan, github).failed == []
    assert sorted(one.line or 0 for one in fake.repo.review_comments) == [2, 3]


def test_a_draft_that_a_crash_left_is_removed_but_a_persons_is_not(fake: FakeGitHub, github: GitHub) -> None:
    opened(fake)
    plan = planned(github, found(finding()))
    head = fake.repo.pulls[1].head
    fake.repo.reviews.append(Review(5, 1, BOT, "PENDING", with_marker("x", "draft", head=head), head))
    assert carrying.apply(plan, github).failed == []
    fake.repo.review_comments.clear()
    fake.repo.reviews.append(Review(6, 1, BOT, "PENDING", "my own thoughts", head))
    outcome = carrying.apply(plan, github)
    assert "unsent draft review" in outcome.failed[0]
    assert fake.routes.unprocessable == []


def test_outdated_threads_are_resolved_but_answered_ones_stay(fake: FakeGitHub, github: GitHub) -> None:
    number = opened(fake)
    applied(github, found(finding(2), finding(3), finding(5)))
    first, second, third = (one.id for one in fake.repo.review_comments)
    fake.repo.reply(second, "ann", "No, this is right.")
    fake.repo.push(number, [PullFile("a.py", patch="@@ -1,3 +1,3 @@\n import os\n x = 1\n-y = 2\n+y = 3")])
    plan = planned(github, found())
    assert [step.comment for step in plan.steps if isinstance(step, ResolveStep)] == [first]
    assert f"thread {second} stays open" in plan.left_out[0]
    assert carrying.apply(plan, github).failed == []
    assert {one.id for one in fake.repo.review_comments if one.resolved} == {first}
    assert third not in {one.id for one in fake.repo.review_comments if one.resolved}
    again = planned(github, found())
    assert not any(isinstance(step, ResolveStep) for step in again.steps)


def test_a_marker_that_somebody_else_wrote_is_not_believed(fake: FakeGitHub, github: GitHub) -> None:
    number = opened(fake)
    known = remarks(planned(github, found(finding())))[0]
    forged = ReviewComment(
        5, 1, "mallory", known.body, "a.py", 3, "RIGHT", None, None, "x", None, "2026-11-01T00:00:00Z"
    )
    fake.repo.review_comments.append(forged)
    fake.repo.label(number, "x", "ann")
    github.write("POST", f"/repos/team/app/issues/{number}/comments", {"body": "hello"}, lambda: None)
    fake.repo.comments[0].user, fake.repo.comments[0].body = "mallory", with_marker("hi", "review", files={})
    assert applied(github, found(finding())).failed == []
    assert len(fake.repo.review_comments) == 2
    assert [comment.user for comment in fake.repo.comments] == ["mallory", BOT]
    assert fake.repo.comments[0].body.startswith("hi")


HOSTILE = "@ann see #1 <img src=x onerror=alert(1)> <!-- --> ```` \n::error::x [a](javascript:b) www.evil.example"


def test_a_hostile_message_mentions_nobody_and_breaks_no_fence(fake: FakeGitHub, github: GitHub) -> None:
    opened(fake)
    plan = planned(
        github, found(finding(message=HOSTILE, suggestion="a = '''\n```\n````\n'''"), finding(99, message=HOSTILE))
    )
    carrying.apply(plan, github)
    body = fake.repo.review_comments[0].body
    assert "`````suggestion\na = '''\n```\n````\n'''\n`````" in body
    for text in (body.partition("`````")[0], fake.repo.comments[0].body):
        assert "@ann" not in text
        assert "#1 " not in text
        assert "<img" not in text.replace("\\<", "")
        assert "\n::error" not in text
    assert read_marker({"user": {"login": BOT}, "body": body}, BOT) is not None


@pytest.mark.parametrize("suggestion", ["x = '\u202e'", "key = 'AKIAQ3EGUZ7BQ4YHRWTX'"])
def test_a_suggestion_that_cannot_be_seen_or_was_redacted_is_left_out(
    fake: FakeGitHub, github: GitHub, suggestion: str
) -> None:
    opened(fake)
    body = remarks(planned(github, found(finding(suggestion=suggestion))))[0].body
    assert "suggestion" not in body


def test_secrets_are_in_no_plan_and_no_request(
    fake: FakeGitHub, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNING_KEY", "correct horse battery")
    github = GitHub(github.scrubber and "ghs_" + "R4nd0mT0k3n" * 3 + "xyz", fake.url, github.pace)
    opened(fake)
    secrets = ["AKIAQ3EGUZ7BQ4YHRWTX", "ghp_ab_cdefghijklmnopqrstuvwxyzAB12345678", "correct horse battery"]
    hostile = f"It prints {secrets[0]}, {secrets[1]} and {secrets[2]}."
    plan = planned(
        github,
        found(finding(message=hostile), finding(99, message=hostile), skipped=[{"path": "z", "reason": hostile}]),
    )
    carrying.apply(plan, github)
    texts = [plan.model_dump_json(), *(json.dumps(asked.body) for asked in fake.asked)]
    for secret in secrets:
        assert not any(secret in text or secret.replace("_", "\\_") in text for text in texts)


def test_coverage_names_what_was_not_reviewed(fake: FakeGitHub, github: GitHub) -> None:
    files = [PullFile("b.png", patch=None), PullFile("c.py", patch=PATCH), PullFile("d.py", patch="@@ -1 +1 @@\n-x")]
    opened(fake, *files)
    carrying.apply(planned(github, found(skipped=[{"path": "c.py", "reason": "too long"}])), github)
    body = fake.repo.comments[0].body
    assert "Reviewed 1 of 4 changed files; 3 skipped." in body
    for line in ("b.png: no changed lines", "c.py: too long", "d.py: "):
        assert line in body


def test_three_thousand_files_are_the_most_and_the_coverage_says_so(fake: FakeGitHub, github: GitHub) -> None:
    fake.repo.open_pull([PullFile(f"f{number}.txt", patch=None) for number in range(3100)])
    fake.repo.pulls[1].files[0].patch = PATCH
    facts = fetch_pull(github, "team/app", 1)
    plan = plan_review(facts, found(reviewed=["f0.txt"]), github.scrubber)
    body = next(step.body for step in plan.steps if isinstance(step, CommentStep))
    assert "Reviewed 1 of 3100 changed files; 2999 skipped; 100 never seen, because GitHub lists at most 3,000" in body
    assert carrying.apply(plan, github).failed == []


def test_an_empty_pull_request_is_no_error_and_gets_nothing(fake: FakeGitHub, github: GitHub) -> None:
    fake.repo.open_pull([])
    plan = planned(github, found())
    assert plan.steps == []
    assert plan.left_out == ["review: none of the 0 changed files has lines to review"]


def test_files_that_did_not_change_since_are_remembered_even_over_a_rebase(fake: FakeGitHub, github: GitHub) -> None:
    number = opened(fake, PullFile("b.py", patch=PATCH))
    applied(github, found(reviewed=["a.py", "b.py"]))
    moved = PATCH.replace("@@ -1,3 +1,5 @@", "@@ -41,3 +41,5 @@")
    fake.repo.push(
        number, [PullFile("a.py", patch=moved), PullFile("b.py", patch=PATCH.replace("+y = 3", "+y = 4"))], force=True
    )
    from understudy.integrations.github.review import unchanged

    facts = fetch_pull(github, "team/app", number)
    assert unchanged(facts.patch, facts.known("code-review-1")) == ["a.py"]
    assert facts.known("another-model") == {}


def test_changes_are_requested_only_when_a_person_says_so(fake: FakeGitHub, github: GitHub) -> None:
    opened(fake)
    plan = planned(github, found(finding()), event="REQUEST_CHANGES")
    assert "needs --request-changes" in carrying.apply(plan, github).failed[0]
    assert fake.repo.reviews == []
    assert carrying.apply(plan, github, request_changes=True).failed == []
    assert "APPROVE" not in Plan.model_json_schema().__repr__()


NAMES = ["a b.py", "é ü.py", 'q"uote.py', "tab\there.py", "b/a/b/x.py", "back\\slash.py", "a b/c d.py"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", ["modified", "added", "removed", "renamed"])
def test_any_name_and_status_is_read_as_git_reads_it(tmp_path: Path, name: str, status: str) -> None:
    patch = {"added": "@@ -0,0 +1 @@\n+x", "removed": "@@ -1 +0,0 @@\n-x"}.get(status, "@@ -1 +1 @@\n-x\n+y")
    value = {"filename": name, "status": status, "patch": patch, "changes": 1}
    value |= {"previous_filename": f"old {name}"} if status == "renamed" else {}
    understood, without = as_patch([value])
    assert without == {}
    assert [file.path for file in understood.files] == [name]
    done = subprocess.run(
        ["git", "apply", "--numstat", "-z"], input=understood.render(), cwd=tmp_path, capture_output=True, check=True
    )
    assert name.encode() in done.stdout


@given(st.text(), st.text())
def test_a_marker_survives_any_text_before_and_inside_it(body: str, value: str) -> None:
    text = with_marker(body, "remark", fp=value)
    marker = read_marker({"user": {"login": BOT}, "body": text}, BOT)
    assert marker == {"kind": "remark", "fp": value}
    assert read_marker({"user": {"login": "ann"}, "body": text}, BOT) is None
    assert read_marker({"user": None, "body": None}, BOT) is None


def test_the_commands_plan_in_one_job_and_apply_in_another(fake: FakeGitHub, commands: Commands) -> None:
    number = opened(fake)
    (commands.folder / "found.json").write_text(found(finding()).model_dump_json())
    ran = commands("review", f"team/app#{number}", "--findings", "found.json", "--plan", "plan.json")
    assert ran.code == 0, ran.err
    assert "It prints the password" in ran.out
    assert fake.repo.reviews == []
    head = fake.repo.pulls[number].head
    assert commands("apply", "plan.json", "--head", "0" * 40).code == 2
    assert commands("apply", "plan.json", "--repo", "other/app").code == 2
    assert fake.repo.reviews == []
    ran = commands("apply", "plan.json", "--head", head)
    assert ran.code == 0, ran.err
    assert len(fake.repo.reviews) == 1
    ran = commands("apply", "plan.json", "--head", head)
    assert ran.code == 0, ran.err
    assert len(fake.repo.reviews) == len(fake.repo.comments) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"comments": 1}', '{"comments": [{"path": "a"}]}', "\x00"])
def test_findings_that_are_no_findings_are_refused(fake: FakeGitHub, commands: Commands, content: str) -> None:
    (commands.folder / "found.json").write_text(content)
    ran = commands("review", "team/app#1", "--findings", "found.json")
    assert (ran.code, ran.out) == (2, "")
    assert "found.json" in ran.complaint
    assert fake.asked == []


@pytest.mark.parametrize("name", ["team", "team/app", "team/app#x", "team/app#٣", "../x#1", "team/app/b#1"])
def test_what_is_no_pull_request_is_refused(commands: Commands, name: str) -> None:
    (commands.folder / "found.json").write_text('{"comments": []}')
    assert commands("review", name, "--findings", "found.json").code == 2


def test_missing_permission_unknown_number_and_moved_repository_are_exit_4(
    fake: FakeGitHub, commands: Commands
) -> None:
    number = opened(fake)
    (commands.folder / "found.json").write_text(found(finding()).model_dump_json())
    arguments = ("review", f"team/app#{number}", "--findings", "found.json", "--apply")
    fake.routes.missing_permissions = {"pull_requests=write"}
    ran = commands(*arguments)
    assert ran.code == 4
    assert "needs the permission pull-requests: write" in ran.complaint
    assert fake.repo.reviews == fake.repo.comments == []
    ran = commands("review", "team/app#77", *arguments[2:])
    assert ran.code == 4
    assert "not found" in ran.complaint
