"""Tickets and predictions to a plan: what may be labelled is decided by rules, not by the model.

Labels are only ever added. People come first: what one of them removed is not added again, and a group in which one of
them chose is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from understudy.core.outside import prose
from understudy.integrations.github.plan import MOST_SUMMARY, LabelStep, Plan, SummaryStep, cut, scrubbed
from understudy.integrations.github.scrub import Scrubber

__all__ = ["Labelled", "TicketFacts", "plan_labels", "refusal"]

_TOP = 3
"""Labels of a ticket that the summary shows."""


class Choice(BaseModel):
    """One entry of ``labels`` in the ``label`` shape; fields that are not used here are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    group: str
    label: str = Field(min_length=1, max_length=50)
    probability: float
    applied: bool


class Group(BaseModel):
    """One entry of ``groups``, where the shape has them: every label that was weighed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    group: str
    table: dict[str, float] = Field(default_factory=dict)
    untrained: list[str] = Field(default_factory=list)


class Labelled(BaseModel):
    """The ``label`` shape: one ticket's labels, as ``understudy label --json`` prints them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    """The ticket's number."""
    labels: list[Choice]
    abstained: bool
    model: str
    groups: list[Group] = Field(default_factory=list)

    def weighed(self, group: str) -> dict[str, float]:
        """Return all labels of a group with their probabilities."""
        found = {one.label: one.probability for one in self.labels if one.group == group}
        for one in self.groups:
            if one.group == group:
                found = dict.fromkeys(one.untrained, 0.0) | one.table | found
        return found


class TicketFacts(BaseModel):
    """A ticket as it was read: issue and events as GitHub's API gives them."""

    model_config = ConfigDict(frozen=True)

    issue: dict[str, Any]
    events: list[dict[str, Any]]


def plan_labels(
    repo: str,
    tickets: Sequence[TicketFacts],
    answers: Mapping[int, Labelled],
    known: Sequence[str],
    login: str,
    scrubber: Scrubber,
    *,
    protected: frozenset[str] = frozenset(),
) -> Plan:
    """Return the labels to add, and why the others are not.

    Args:
        repo: ``owner/name``.
        tickets: what is to be labelled.
        answers: by number.
        known: the repository's labels.
        login: ours.
        scrubber: takes out secrets that a label or reason may hold.
        protected: labels in small letters that are never written.
    """
    steps: list[LabelStep] = []
    left_out: list[str] = []
    for ticket in tickets:
        answer = answers[ticket.issue["number"]]
        for choice in answer.labels:
            if not choice.applied:
                continue
            why = _refusal(ticket, answer, choice, f"/repos/{repo}", known, login, protected)
            if why is None:
                steps.append(_step(ticket.issue["number"], answer, choice))
            else:
                left_out.append(f"#{ticket.issue['number']}: {why}")
    model = next((answer.model for answer in answers.values()), "reference")
    text = cut(_table(tickets, answers, steps, left_out, scrubber), MOST_SUMMARY)
    page = [SummaryStep(body=text, why="the most probable labels of each ticket")] if tickets else []
    plan = Plan(command="label", repo=repo, model=model, steps=[*steps, *page], left_out=left_out)
    return scrubbed(plan, scrubber)


def _step(number: int, answer: Labelled, choice: Choice) -> LabelStep:
    return LabelStep(
        number=number,
        group=choice.group,
        rivals=list(answer.weighed(choice.group)),
        label=choice.label,
        why=f"{choice.probability:.0%} sure, by {answer.model}",
    )


def _refusal(
    ticket: TicketFacts,
    answer: Labelled,
    choice: Choice,
    root: str,
    known: Sequence[str],
    login: str,
    protected: frozenset[str],
) -> str | None:
    present = {one["name"].lower() for one in ticket.issue["labels"]}
    if choice.label.lower() in present:
        return f"{choice.label!r} is there already"
    rivals = list(answer.weighed(choice.group))
    why = refusal(choice.label, rivals, ticket.issue, root, known, ticket.events, login, protected)
    if why is not None:
        return why
    wanted = {one.label.lower() for one in answer.labels if one.applied and one.group == choice.group}
    earlier = sorted(present & {rival.lower() for rival in rivals} - wanted)
    return f"we labelled it {earlier[0]!r} before, and labels are only added" if earlier else None


def _table(
    tickets: Sequence[TicketFacts],
    answers: Mapping[int, Labelled],
    steps: Sequence[LabelStep],
    left_out: Sequence[str],
    scrubber: Scrubber,
) -> str:
    lines = ["## Labels", "", "| ticket | most probable | added |", "|---|---|---|"]
    for ticket in tickets:
        number = ticket.issue["number"]
        answer = answers[number]
        weighed = {
            f"{group}: {label}": probability
            for group in dict.fromkeys([*(one.group for one in answer.labels), *(one.group for one in answer.groups)])
            for label, probability in answer.weighed(group).items()
        }
        top = sorted(weighed.items(), key=lambda item: -item[1])[:_TOP]
        likely = ", ".join(f"{prose(name)} {probability:.0%}" for name, probability in top) or "nothing"
        added = ", ".join(prose(step.label) for step in steps if step.number == number) or "none"
        # Before escaping, which would hide a secret's underscores from the detectors.
        title = prose(scrubber.text(str(ticket.issue["title"]))[:80])
        lines.append(f"| {number} {title} | {likely} | {added} |")
    return "\n".join([*lines, "", *(f"- {prose(reason)}" for reason in left_out), ""])


def _moved(issue: Mapping[str, Any], root: str) -> str | None:
    where = str(issue["repository_url"])
    return None if where.lower().endswith(root.lower()) else f"was transferred to {where.rpartition('/repos/')[2]}"


def refusal(
    label: str,
    rivals: Sequence[str],
    issue: dict[str, Any],
    root: str,
    known: Sequence[str],
    events: Sequence[dict[str, Any]],
    login: str,
    protected: frozenset[str],
) -> str | None:
    """Say why a label may not be added now, or None if it may.

    Args:
        label: to be added; names are compared without regard to case, as GitHub does.
        rivals: all labels of its group.
        issue: as the API gives it at this moment.
        root: the API's path of the repository, ``/repos/owner/name``.
        known: the repository's labels at this moment; adding another one would create it.
        events: of the issue.
        login: ours; all other accounts count as people.
        protected: names in small letters.
    """
    number, wanted = issue["number"], label.lower()
    group = {rival.lower() for rival in rivals} | {wanted}
    if moved := _moved(issue, root):
        return f"#{number} {moved}"
    if wanted in protected:
        return f"{label!r} is protected"
    if wanted not in {name.lower() for name in known}:
        return f"{label!r} is no label of the repository, and none is created"
    others = [event for event in events if (event.get("actor") or {}).get("login") != login and event.get("label")]
    for event in others:
        if event["event"] == "unlabeled" and event["label"]["name"].lower() == wanted:
            return f"somebody removed {label!r} from #{number}"
    present = {one["name"].lower() for one in issue["labels"]}
    ours = {
        event["label"]["name"].lower()
        for event in events
        if event["event"] == "labeled" and event.get("label") and (event.get("actor") or {}).get("login") == login
    }
    theirs = sorted(present & group - (ours - {e["label"]["name"].lower() for e in others if e["event"] == "labeled"}))
    if theirs and theirs != [wanted]:
        return f"somebody labelled #{number} {theirs[0]!r} already"
    return None
