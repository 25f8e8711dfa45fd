"""Whatever is wrong on GitHub's side: one sentence, exit code 4, and nothing half-posted, with each of the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ...fakes.github.server import FakeGitHub
from ...fakes.github.state import Issue
from ..conftest import FAILED
from .conftest import Commands
from .test_label import answer
from .test_review import finding, found, opened

COMMANDS = {
    "review": ("review", "team/app#1", "--findings", "found.json"),
    "label": ("label", "team/app#1", "--answers", "answers.jsonl"),
    "explain": ("explain", "1001", "--comment", "--model", "rules"),
}


@pytest.fixture
def ready(fake: FakeGitHub, commands: Commands) -> Commands:
    """A pull request with a failed run, and answers of the packs."""
    (commands.folder / "found.json").write_text(found(finding()).model_dump_json())
    (commands.folder / "answers.jsonl").write_text(json.dumps(answer().model_dump(mode="json")) + "\n")
    fake.repo.add_label_names("bug", "feature", "question")
    opened(fake)
    run = fake.repo.add_run(head_sha=fake.repo.pulls[1].head, pulls=[1])
    assert run.id == 1001
    fake.repo.add_job(run, "build", "failure", FAILED, "Run pytest")
    return commands


def untouched(fake: FakeGitHub) -> bool:
    labels = [issue.labels for issue in fake.repo.issues.values()]
    return fake.repo.reviews == fake.repo.comments == fake.repo.review_comments == [] and not any(labels)


def deleted(issue: Issue) -> None:
    issue.deleted = True


def moved(issue: Issue) -> None:
    issue.moved_to = "other/app"


def locked(issue: Issue) -> None:
    issue.locked = True


def closed(issue: Issue) -> None:
    issue.state = "closed"


@pytest.mark.parametrize("when", ["before the plan", "between plan and apply"])
@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("label", deleted, "deleted"),
        ("label", moved, "was transferred to other/app"),
        ("review", locked, "is locked"),
        ("review", closed, "closed"),
        ("explain", locked, "locked"),
        ("explain", closed, "closed"),
    ],
)
def test_issues_and_pull_requests_that_are_not_what_they_were(
    fake: FakeGitHub, ready: Commands, name: str, change: Callable[[Issue], None], sentence: str, when: str
) -> None:
    if when == "before the plan":
        change(fake.repo.issues[1])
        ran = ready(*COMMANDS[name], "--apply")
    else:
        assert ready(*COMMANDS[name], "--plan", "plan.json").code == 0
        change(fake.repo.issues[1])
        ran = ready("apply", "plan.json")
    assert ran.code == 4, ran
    assert sentence in ran.complaint
    assert untouched(fake)


def test_a_locked_ticket_may_still_be_labelled_as_github_lets_people_do(fake: FakeGitHub, ready: Commands) -> None:
    fake.repo.issues[1].locked = True
    assert ready(*COMMANDS["label"], "--apply").code == 0
    assert fake.repo.issues[1].labels == ["bug"]


@pytest.mark.parametrize("name", ["review", "explain"])
def test_a_force_push_between_plan_and_apply_stops_it(fake: FakeGitHub, ready: Commands, name: str) -> None:
    assert ready(*COMMANDS[name], "--plan", "plan.json").code == 0
    fake.repo.push(1, force=True)
    ran = ready("apply", "plan.json")
    assert ran.code == 4
    assert "was pushed to in the meantime" in ran.complaint
    assert untouched(fake)


@pytest.mark.parametrize(
    ("name", "lacking", "named"),
    [
        ("review", "pull_requests=write", "pull-requests: write"),
        ("label", "issues=write", "issues: write"),
        ("explain", "actions=read", "actions: read"),
        ("explain", "pull_requests=write", "issues: write or pull-requests: write"),
    ],
)
def test_the_permission_that_is_missing_is_named(
    fake: FakeGitHub, ready: Commands, name: str, lacking: str, named: str
) -> None:
    fake.routes.missing_permissions = {lacking}
    ran = ready(*COMMANDS[name], "--apply")
    assert ran.code == 4
    assert f"needs the permission {named}" in ran.complaint
    assert untouched(fake)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("fault", ["drop before", "html"])
def test_a_network_that_is_gone_when_it_comes_to_writing_leaves_nothing_half_posted(
    fake: FakeGitHub, ready: Commands, name: str, fault: Any
) -> None:
    fake.chance = lambda asked: fault if asked.method == "POST" and asked.path != "/graphql" else None
    ran = ready(*COMMANDS[name], "--apply")
    assert ran.code == 4
    assert "Traceback" not in ran.err
    assert untouched(fake)
    fake.chance = lambda asked: None
    assert ready(*COMMANDS[name], "--apply").code == 0
    assert len(fake.repo.reviews) + len(fake.repo.comments) + len(fake.repo.issues[1].labels) in (1, 2)


@pytest.mark.parametrize("name", COMMANDS)
def test_without_any_network_it_ends_with_one_sentence(ready: Commands, name: str) -> None:
    ran = ready(*COMMANDS[name], GITHUB_API_URL="http://127.0.0.1:9")
    assert (ran.code, ran.out) == (4, "")
    assert "cannot be reached" in ran.complaint


def test_an_expired_log_and_a_run_in_progress_are_said(fake: FakeGitHub, ready: Commands) -> None:
    job = next(iter(fake.repo.jobs.values()))
    job.gone = fake.repo.runs[1001].zip_gone = True
    ran = ready(*COMMANDS["explain"], "--apply")
    assert ran.code == 4
    assert "expired" in ran.complaint
    fake.repo.runs[1001].status, fake.repo.runs[1001].conclusion, job.conclusion = "in_progress", None, None
    ran = ready("explain", "1001")
    assert ran.code == 4
    assert "still in progress" in ran.complaint
