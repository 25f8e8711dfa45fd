"""One ticket to its labels: who answered, what is applied, what is only suggested, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification.decide import Choice, GroupResult, decide
from understudy.templates.bug_classification.labeller import Fitted, Labeller, calibrated, text_of
from understudy.templates.bug_classification.linear import Text
from understudy.templates.bug_classification.neighbours import Neighbours
from understudy.templates.bug_classification.schema import Ticket
from understudy.templates.bug_classification.text import needs_info

__all__ = ["REFERENCE", "Answer", "Nearest", "label_ticket", "mixed"]

REFERENCE = "reference"
"""What ``Answer.model`` says when no language model was asked."""

Probabilities = Mapping[str, Mapping[str, float]]
"""By group, by label."""


class Nearest(BaseModel):
    """A labelled ticket like the one asked about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    labels: dict[str, str]
    """By group, as people labelled it."""


class Answer(BaseModel):
    """The ``label`` shape of the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    labels: list[Choice]
    abstained: bool
    """Whether no label is applied."""
    needs_info: bool
    """Whether the ticket says too little for anybody; not the same as being unsure."""
    model: str
    """``reference``, or the stack with the model version in it."""
    groups: list[GroupResult]
    features: dict[str, list[str]]
    """By group, the words that speak most for its label in the reference."""
    nearest: list[Nearest]
    left_out: int
    """Characters of the body that the language model was not shown."""
    retired: list[str]
    """Labels learnt that the taxonomy no longer has; they are never answered."""


def label_ticket(
    identity: str,
    ticket: Ticket,
    taxonomy: Taxonomy,
    labeller: Labeller,
    *,
    model: Probabilities | None = None,
    neighbours: Neighbours | None = None,
) -> Answer:
    """Label one ticket.

    Args:
        identity: the ticket's id, for the answer.
        ticket: redacted and cut, from :func:`understudy.templates.bug_classification.data.ticket_of`.
        taxonomy: of now; it may differ from the one of training.
        labeller: the reference with its thresholds.
        model: the language model's probabilities, already divided by its content-free answer; with them the stack
            answers.
        neighbours: finds labelled tickets like this one.
    """
    text = text_of(ticket)
    raw: Probabilities = labeller.reference.predict(text)
    fitted, name = labeller.card.fitted, REFERENCE
    if model is not None and labeller.card.stack is not None:
        stack = labeller.card.stack
        raw = mixed(raw, model, stack.weights)
        fitted, name = stack.fitted, f"stack of {REFERENCE} and {stack.model}"
    poor = needs_info(ticket.title, ticket.body, taxonomy.min_words)
    results = [_group(taxonomy, group.name, raw, fitted, poor) for group in taxonomy.effective]
    choices = [choice for result in results for choice in result.choices]
    return Answer(
        id=identity,
        labels=choices,
        abstained=not any(choice.applied for choice in choices),
        needs_info=poor,
        model=name,
        groups=results,
        features={} if poor else _features(labeller, text, choices),
        nearest=[] if poor or neighbours is None else _nearest(neighbours, text),
        left_out=ticket.left_out,
        retired=_retired(taxonomy, raw),
    )


def mixed(reference: Probabilities, model: Probabilities, weights: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the mixture of both, group by group; a label only one of them knows keeps that one's probability."""
    found = {}
    for group, ours in reference.items():
        theirs, weight = model.get(group, {}), weights.get(group, 0.0)
        found[group] = {
            label: (1 - weight) * p + weight * theirs[label] if label in theirs else p for label, p in ours.items()
        }
    return found


def _group(taxonomy: Taxonomy, name: str, raw: Probabilities, fitted: Mapping[str, Fitted], poor: bool) -> GroupResult:
    group = taxonomy.group(name)
    assert group is not None
    trust = fitted.get(name)
    probabilities = calibrated(trust, raw[name]) if trust is not None and name in raw else raw.get(name, {})
    return decide(group, probabilities, trust.thresholds if trust else {}, needs_info=poor)


def _retired(taxonomy: Taxonomy, raw: Probabilities) -> list[str]:
    found = []
    for name, labels in raw.items():
        group = taxonomy.group(name)
        found += [f"{name}: {label}" for label in labels if group is None or label not in group.names]
    return found


def _features(labeller: Labeller, text: Text, choices: Sequence[Choice]) -> dict[str, list[str]]:
    first = {choice.group: choice.label for choice in reversed(choices)}
    return {
        group: labeller.reference.reasons(text, group, label)
        for group, label in first.items()
        if group in labeller.reference.heads
    }


def _nearest(neighbours: Neighbours, text: Text) -> list[Nearest]:
    return [
        Nearest(
            id=str(one["id"]),
            title=str(one["title"]),
            labels={group: _said(value) for group, value in one["labels"].items()},
        )
        for one in neighbours.nearest(f"{text[1]}\n{text[2]}")
    ]


def _said(value: Any) -> str:
    return value if isinstance(value, str) else ", ".join(label for label, yes in value.items() if yes) or "none"
