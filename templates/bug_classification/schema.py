"""The task in types: a ticket and the labels to choose from in, the chosen ones out."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from understudy.core.taxonomy import Group, Taxonomy

__all__ = ["Labels", "Question", "Ticket", "questions"]


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
    """The answer: for each group asked, its label, or for a ``multi`` group yes or no for each label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: dict[str, str | dict[str, bool]]


def questions(taxonomy: Taxonomy) -> list[Question]:
    """Return the groups of a taxonomy as questions; protected labels are among them, since they may be suggested."""
    return [_question(group) for group in taxonomy.effective]


def _question(group: Group) -> Question:
    described = {label.name: label.description for label in group.labels if label.description}
    return Question(group=group.name, mode=group.mode, labels=list(group.names), descriptions=described)
