"""The task in types: one piece of a patch in, comments on its lines out."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["CATEGORIES", "MAX_COMMENTS", "SEVERITIES", "Category", "Remark", "Review", "ReviewInput", "Severity"]

Severity = Literal["critical", "major", "minor", "nit"]
"""Worst first."""
Category = Literal["security", "bug", "performance", "maintainability", "test", "docs", "style"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
CATEGORIES: tuple[Category, ...] = get_args(Category)

MAX_COMMENTS = 4
"""Comments on one piece; more on a few dozen lines is noise."""


class ReviewInput(BaseModel):
    """What the model is shown of a patch: hunks of one file that fit into a token budget."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(min_length=1)
    """Name of the file in the patch; never opened."""
    diff: str
    """The hunks as a unified diff writes them, from the first ``@@`` on. The commentable lines follow from it; see
    ``numbered.py``."""

    @model_validator(mode="after")
    def _is_understood(self) -> ReviewInput:
        from understudy.templates.code_review.numbered import read_hunks_of

        read_hunks_of(self.diff)
        return self


class Remark(BaseModel):
    """One comment of the model's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: str = Field(pattern=r"^[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?$")
    """Position in the prompt, or the first and the last of several (``4-6``); code turns it into side and lines."""
    severity: Severity
    category: Category
    message: str = Field(max_length=6000)
    """One or two sentences; names taken from the change stand in backquotes. The bound lies above all that the grammar
    admits, so that whatever was decoded can be read; ``checks.py`` refuses more than people read."""
    suggestion: str | None = Field(default=None, max_length=2000)
    """What the commented lines should be instead, without a final line end; None if nothing so simple helps."""


class Review(BaseModel):
    """The model's answer; no comments means that nothing is wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    comments: list[Remark] = Field(max_length=MAX_COMMENTS)
