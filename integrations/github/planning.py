"""What a command, or the App server, does for one wish: read GitHub, ask the pack, make the plan."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from understudy.integrations.github.ask import Asking, explanations_of, review_of
from understudy.integrations.github.client import GitHub
from understudy.integrations.github.explain import plan_explanation
from understudy.integrations.github.junit import failed_tests
from understudy.integrations.github.label import Labelled, plan_labels
from understudy.integrations.github.plan import Plan
from understudy.integrations.github.pulls import fetch_pull, pull_at
from understudy.integrations.github.review import Found, plan_review
from understudy.integrations.github.runs import FailedJob, fetch
from understudy.integrations.github.scrub import Scrubber
from understudy.integrations.github.tickets import events_of
from understudy.templates.log_triage.sources import open_logs, paired

__all__ = ["explanation", "explanation_at_hand", "labels", "review"]


def review(
    github: GitHub,
    repo: str,
    number: int,
    asking: Asking,
    *,
    given: Found | None = None,
    whole: bool = False,
    most: int = 30,
    event: Literal["COMMENT", "REQUEST_CHANGES"] = "COMMENT",
) -> Plan:
    """Plan the review of a pull request; ``given`` findings are taken instead of asking.

    Raises:
        ServiceError: it cannot be read, is closed or locked.
    """
    facts = fetch_pull(github, repo, number)
    found = given or review_of(facts, whole, asking)
    return plan_review(facts, found, github.scrubber, most=most, event=event)


def explanation(
    github: GitHub,
    repo: str,
    asking: Asking,
    *,
    run_id: int | None = None,
    job_id: int | None = None,
    comment: bool = False,
    comment_on: int | None = None,
) -> Plan:
    """Plan the explanation of a failed run, or of one of its jobs.

    Args:
        github: the client.
        repo: ``owner/name``.
        asking: how the pack is asked.
        run_id: of the run; not needed with ``job_id``.
        job_id: of one job.
        comment: also on the run's pull request; the plan says so where there is none.
        comment_on: its number, where the caller knows it.

    Raises:
        ServiceError: GitHub cannot be reached, or the run has not failed yet.
        BadInput: the run or job passed.
    """
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        run = fetch(github, repo, Path(folder), run_id=run_id, job_id=job_id)
        explained = explanations_of(run.jobs, asking)
    if comment and comment_on is None:
        comment_on = next(iter(run.pulls), None) or pull_at(github, repo, run.head)
    plan = plan_explanation(
        f"Why {run.workflow} failed",
        explained,
        github.scrubber,
        tests=run.tests,
        notes=run.notes,
        repo=repo,
        comment_on=comment_on if comment else None,
        head=run.head,
        workflow_id=run.workflow_id,
    )
    if comment and comment_on is None:
        missing = f"comment: no open pull request has the head {run.head[:7]} that failed"
        plan = plan.model_copy(update={"failed": [*plan.failed, missing]})
    return plan


def explanation_at_hand(log: str, green: str | None, junit: Sequence[Path], asking: Asking) -> Plan:
    """Plan the explanation of a log that an earlier step wrote: no network, no token."""
    logs = open_logs(log)
    passed = paired(logs, open_logs(green) if green is not None else [])
    jobs = [FailedJob(one.name, "", "", (one,), compared) for one, compared in zip(logs, passed, strict=True)]
    tests = [test for path in junit for test in failed_tests(path)]
    return plan_explanation("Why this job failed", explanations_of(jobs, asking), Scrubber(), tests=tests)


def labels(
    github: GitHub, repo: str, answered: Sequence[tuple[dict[str, Any], Labelled]], protected: frozenset[str]
) -> Plan:
    """Plan the labels of tickets, each given with the pack's answer; events and labels are read now."""
    tickets = [events_of(github, repo, issue, answer) for issue, answer in answered]
    known = [one["name"] for one in github.pages(f"/repos/{repo}/labels")]
    answers = {issue["number"]: answer for issue, answer in answered}
    return plan_labels(repo, tickets, answers, known, github.login, github.scrubber, protected=protected)
