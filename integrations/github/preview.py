"""A plan in words: what each step would write."""

from __future__ import annotations

from understudy.core.outside import fenced, prose
from understudy.integrations.github import plan as steps
from understudy.integrations.github.marker import with_marker, without_marker
from understudy.integrations.github.plan import MOST_BODY, Plan, Step, count_of, cut

__all__ = ["described", "preview"]


def described(step: Step) -> tuple[str, list[str]]:
    """Return a step's headline and the texts it would write."""
    if isinstance(step, steps.ReviewStep):
        remarks = [f"{one.path}:{one.line} ({one.side}) {one.why}\n{one.body}" for one in step.remarks]
        return f"review #{step.number} at {step.head[:7]}: {count_of(len(remarks), 'comment')}", [step.body, *remarks]
    if isinstance(step, steps.CommentStep):
        return f"comment on #{step.number}", [step.body]
    if isinstance(step, steps.ResolveStep):
        return f"resolve thread {step.comment} of #{step.number}", []
    if isinstance(step, steps.LabelStep):
        return f"label #{step.number} {step.label}", []
    if isinstance(step, steps.AnnotateStep):
        return f"annotate ({step.level})", [f"{step.title}\n{step.message}"]
    return "step summary", [step.body]


def preview(plan: Plan, number: int) -> steps.CommentStep:
    """Return the comment that shows a plan to people, who may tell us to carry it out."""
    parts = [f"### understudy would {plan.command}", "", "Comment `/understudy apply` to let it do so.", ""]
    for step in plan.steps:
        headline, texts = described(step)
        parts += [f"- {prose(headline)}", *(f"\n{fenced(without_marker(text))}\n" for text in texts)]
    body = with_marker(cut("\n".join(parts), MOST_BODY - 500), "plan", model=plan.model)
    return steps.CommentStep(number=number, kind="plan", body=body, why="nothing is written before somebody says so")
