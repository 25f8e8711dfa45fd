"""Carrying out a plan: the thin part that writes. What was true when the plan was made is read again before each write.

A step that cannot be done is reported and makes the command fail; later steps on the same pull request are not tried,
so that a summary never speaks of comments that are not there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from understudy.integrations.github import commands, post
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.plan import (
    MOST_SUMMARY,
    AnnotateStep,
    CommentStep,
    LabelStep,
    Plan,
    ResolveStep,
    ReviewStep,
    Step,
    SummaryStep,
    count_of,
    cut,
)

__all__ = ["Outcome", "apply"]


@dataclass
class Outcome:
    """What came of a plan; each entry is a sentence."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    passing: bool = False
    """Whether some of what failed may well work later."""


def apply(
    plan: Plan,
    github: GitHub | None,
    *,
    protected: frozenset[str] = frozenset(),
    request_changes: bool = False,
    out: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
    tell: Callable[[Step, bool], None] = lambda step, done: None,
) -> Outcome:
    """Do what the plan says.

    Args:
        plan: from a file or just made.
        github: None where the plan writes nothing on GitHub.
        protected: names of labels (in small letters) that are never written, whatever the plan says.
        request_changes: whether a review may request changes; a plan alone cannot decide that.
        out: where annotations and the summary go that have no page to stand on; the standard output by default.
        environment: the process's own by default; names the page of the step summary.
        tell: called after each step with whether it was done.
    """
    outcome = Outcome(failed=list(plan.failed))
    broken: set[int] = set()
    for step in plan.steps:
        number = getattr(step, "number", 0)
        if number in broken and not isinstance(step, LabelStep):
            outcome.failed.append(f"{_named(step)}: not tried, because the step before it failed")
            continue
        try:
            if isinstance(step, SummaryStep | AnnotateStep):
                done = _show(step, out or sys.stdout, os.environ if environment is None else environment)
            else:
                done = _write(step, plan, github, protected, request_changes)
            outcome.done.append(f"{_named(step)}: {done}")
            tell(step, True)
        except ServiceError as error:
            broken.add(number)
            outcome.passing |= error.passing
            outcome.failed.append(f"{_named(step)}: {error}")
            tell(step, False)
    return outcome


def _write(
    step: ReviewStep | CommentStep | ResolveStep | LabelStep,
    plan: Plan,
    github: GitHub | None,
    protected: frozenset[str],
    request_changes: bool,
) -> str:
    if github is None:
        raise ServiceError("there is no token: set GITHUB_TOKEN")
    root = f"/repos/{plan.repo}"
    if isinstance(step, ReviewStep):
        if step.event == "REQUEST_CHANGES" and not request_changes:
            raise ServiceError("the plan requests changes, which needs --request-changes here too")
        return post.review(github, root, step)
    if isinstance(step, CommentStep):
        return post.comment(github, root, step)
    if isinstance(step, ResolveStep):
        return post.resolve(github, root, step)
    return post.label(github, root, step, protected)


def _show(step: SummaryStep | AnnotateStep, out: TextIO, environment: Mapping[str, str]) -> str:
    if isinstance(step, AnnotateStep):
        if environment.get("GITHUB_ACTIONS") == "true":
            print(commands.annotation(step.level, step.title, step.message), file=out, flush=True)
            return "shown"
        return "left to the summary: annotations exist only in a workflow"
    page = environment.get("GITHUB_STEP_SUMMARY", "")
    if not page:
        if environment.get("GITHUB_ACTIONS") == "true":
            with commands.stopped(out):
                print(step.body, file=out)
        else:
            print(step.body, file=out)
        return "printed"
    path = Path(page)
    room = MOST_SUMMARY - (path.stat().st_size if path.exists() else 0)
    if room < 1000:
        raise ServiceError("the step summary is full (1 MiB); give this command a step of its own")
    with path.open("ab") as end:
        end.write(cut(step.body, room - 2).encode("utf-8") + b"\n")
    return "written"


def _named(step: Step) -> str:
    if isinstance(step, ReviewStep):
        return f"review of #{step.number} with {count_of(len(step.remarks), 'comment')}"
    if isinstance(step, CommentStep):
        return f"{step.kind.partition(':')[0]} comment on #{step.number}"
    if isinstance(step, ResolveStep):
        return f"thread {step.comment} of #{step.number} resolved"
    if isinstance(step, LabelStep):
        return f"label {step.label!r} on #{step.number}"
    return "step summary" if isinstance(step, SummaryStep) else f"annotation {step.title!r}"
