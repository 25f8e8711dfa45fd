"""The task in types: a ticket and the labels to choose from in, the chosen ones out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from understudy.core.taxonomy import Group, Label, Taxonomy

__all__ = ["Labels", "Question", "Ticket", "in_answer_order", "most_probable", "questions", "taxonomy_of"]


class Question(BaseModel):
    """One group of labels, as it is put to the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str
    mode: Literal["single", "multi"] = "single"
    labels: list[str] = Field(min_length=1)
    descriptions: dict[str, str] = Field(default_factory=dict)
    """By label; those without one are left out."""


class Ticket(BaseModel):
    """What the model is shown. The closed label sets stand in the input, so that they are part of the record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: str = ""
    """``owner/name`` where there is one; one adapter serves several repositories by it."""
    title: str
    body: str
    """As it was written, but for secrets and the middle of enormous ones."""
    shown: str | None = None
    """The head and tail of the body that fit the prompt; None where it fits as a whole."""
    left_out: int = Field(default=0, ge=0)
    """Characters of the body that the language model is not shown."""
    questions: list[Question] = Field(min_length=1)


class Labels(BaseModel):
    """The answer: for each group asked, its label, or for a ``multi`` group yes or no for each label.

    Names stand in their own order, not in that of the questions: records on disk have their keys sorted, and a model
    must be asked in the order it was trained in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: dict[str, str | dict[str, bool]]

    @field_validator("labels")
    @classmethod
    def _sorted(cls, value: dict[str, str | dict[str, bool]]) -> dict[str, str | dict[str, bool]]:
        return {
            group: said if isinstance(said, str) else dict(sorted(said.items()))
            for group, said in sorted(value.items())
        }


def in_answer_order(asked: Iterable[Question]) -> list[Question]:
    """Return questions, and the labels of ``multi`` groups, as they stand in :class:`Labels`."""
    return [
        one if one.mode == "single" else one.model_copy(update={"labels": sorted(one.labels)})
        for one in sorted(asked, key=lambda one: one.group)
    ]


def questions(taxonomy: Taxonomy) -> list[Question]:
    """Return the groups of a taxonomy as questions; protected labels are among them, since they may be suggested."""
    return [_question(group) for group in taxonomy.effective]


def taxonomy_of(given: Taxonomy, asked: Iterable[Question]) -> Taxonomy:
    """Return the taxonomy of the settings; where that lists no groups, with those that tickets were asked for."""
    if given.groups:
        return given
    groups = [
        Group(
            name=one.group,
            mode=one.mode,
            labels=tuple(Label(name=name, description=one.descriptions.get(name, "")) for name in one.labels),
        )
        for one in asked
    ]
    return given.model_copy(update={"groups": tuple(groups)})


def _question(group: Group) -> Question:
    described = {label.name: label.description for label in group.labels if label.description}
    return Question(group=group.name, mode=group.mode, labels=list(group.names), descriptions=described)


def most_probable(ticket: Ticket, found: Mapping[str, Mapping[str, float]]) -> Labels:
    """Return the answer to every question from probabilities by group and label; without any, its first label."""
    return Labels(
        labels={question.group: _best(question, found.get(question.group, {})) for question in ticket.questions}
    )


def _best(question: Question, found: Mapping[str, float]) -> str | dict[str, bool]:
    known = {label: found[label] for label in question.labels if label in found}
    if question.mode == "multi":
        return {label: known.get(label, 0.0) >= 0.5 for label in question.labels}
    return max(known, key=lambda label: known[label]) if known else question.labels[0]
