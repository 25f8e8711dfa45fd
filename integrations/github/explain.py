"""Explanations of a run's failed jobs to a plan: a page of the step summary, annotations, one comment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.core.outside import plain, prose
from understudy.integrations.github.junit import FailedTest
from understudy.integrations.github.marker import with_marker
from understudy.integrations.github.plan import (
    MOST_ANNOTATIONS,
    MOST_BODY,
    MOST_SUMMARY,
    AnnotateStep,
    CommentStep,
    Plan,
    Step,
    SummaryStep,
    count_of,
    cut,
    scrubbed,
)
from understudy.integrations.github.scrub import Scrubber
from understudy.templates.log_triage.explain import Explanation
from understudy.templates.log_triage.render import HEADINGS, markdown

__all__ = ["Explained", "plan_explanation"]

_SHOWN_TESTS = 20


@dataclass(frozen=True)
class Explained:
    """A failed job with its explanations, one for each of its logs."""

    name: str
    step: str
    url: str
    explanations: tuple[Explanation, ...]
    missing: str = ""
    """Why there is none."""


def plan_explanation(
    title: str,
    jobs: Sequence[Explained],
    scrubber: Scrubber,
    *,
    tests: Sequence[FailedTest] = (),
    notes: Sequence[str] = (),
    repo: str = "",
    comment_on: int | None = None,
    head: str | None = None,
    workflow_id: int = 0,
) -> Plan:
    """Return what to show of a run's explanations.

    Args:
        title: what failed, for people.
        jobs: the failed jobs.
        scrubber: takes out what the logs gave away.
        tests: failed tests by the run's own reports.
        notes: what was not looked at.
        repo: ``owner/name`` where a comment is wanted.
        comment_on: number of the pull request to comment on; None for no comment.
        head: commit that failed; a pull request that has moved on gets no comment about it.
        workflow_id: keeps the comments of several workflows apart.
    """
    # Before any escaping, which would hide a secret's underscores from the detectors; once more at the end.
    jobs = [_clean(job, scrubber) for job in jobs]
    tests = [FailedTest(scrubber.text(test.name), scrubber.text(test.message)) for test in tests]
    text = _page(title, jobs, tests, [scrubber.text(note) for note in notes])
    answered = [(job, explanation) for job in jobs for explanation in job.explanations]
    steps: list[Step] = [SummaryStep(body=cut(text, MOST_SUMMARY), why=f"{count_of(len(answered), 'log')} explained")]
    for job, explanation in answered[:MOST_ANNOTATIONS]:
        steps.append(_annotation(job, explanation))
    left_out = list(notes)
    if len(answered) > MOST_ANNOTATIONS:
        left_out.append(
            f"{count_of(len(answered) - MOST_ANNOTATIONS, 'annotation')}: more than {MOST_ANNOTATIONS} are noise"
        )
    model = next((explanation.model for _, explanation in answered), "rules")
    if comment_on is not None:
        kind = f"explain:{workflow_id}"
        body = with_marker(cut(text, MOST_BODY), kind, model=model, head=head)
        why = "asked for with --comment; one comment for each workflow, edited in place"
        steps.append(CommentStep(number=comment_on, head=head, kind=kind, body=body, why=why))
    failed = [f"{job.name}: no explanation: {job.missing}" for job in jobs if job.missing]
    plan = Plan(command="explain", repo=repo, model=model, steps=steps, left_out=left_out, failed=failed)
    return scrubbed(plan, scrubber)


def _clean(job: Explained, scrubber: Scrubber) -> Explained:
    answers = [Explanation.model_validate(scrubber.value(one.model_dump(mode="json"))) for one in job.explanations]
    texts = (scrubber.text(job.name), scrubber.text(job.step), scrubber.text(job.url))
    return Explained(*texts, tuple(answers), scrubber.text(job.missing))


def _page(title: str, jobs: Sequence[Explained], tests: Sequence[FailedTest], notes: Sequence[str]) -> str:
    parts = [f"## {prose(title)}", ""]
    for job in jobs:
        name = f"{job.name} / {job.step}" if job.step else job.name
        link = f" ([log]({job.url}))" if job.url.startswith("https://") and ")" not in job.url else ""
        parts += [f"**{prose(name)}**{link}", ""]
        if job.missing:
            parts += [f"No explanation: {prose(job.missing)}.", ""]
        parts += [markdown(explanation) for explanation in job.explanations]
    if tests:
        parts += ["### Failed tests, by the run's own reports", ""]
        parts += [f"- {prose(test.name)}: {prose(test.message)}" for test in tests[:_SHOWN_TESTS]]
        parts += [f"- and {len(tests) - _SHOWN_TESTS} more"] if len(tests) > _SHOWN_TESTS else []
        parts.append("")
    parts += [f"<sub>{prose(note)}</sub>\n" for note in notes]
    return "\n".join(parts)


def _annotation(job: Explained, explanation: Explanation) -> AnnotateStep:
    message = plain(explanation.root_cause) + (f"\nFix: {plain(explanation.fix)}" if explanation.fix else "")
    return AnnotateStep(
        level="warning" if explanation.abstained else "error",
        title=plain(f"{job.name}: {HEADINGS[explanation.category]}"),
        message=message,
        why=f"{explanation.category}, by {explanation.model}",
    )
