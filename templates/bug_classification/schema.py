"""The task in types: a ticket and the labels to choose from in, the chosen ones out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from understudy.core.taxonomy import Group, Taxonomy

__all__ = ["Labels", "Question", "Ticket", "in_answer_order", "questions"]


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


def _question(group: Group) -> Question:
    described = {label.name: label.description for label in group.labels if label.description}
    return Question(group=group.name, mode=group.mode, labels=list(group.names), descriptions=described)
