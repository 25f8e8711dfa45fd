"""What the generator makes, in types: a diff and what a careful reviewer would say about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from understudy.templates.code_review.diff import Side

__all__ = ["Category", "Finding", "Severity", "Specimen"]

Category = Literal["security", "bug", "performance", "maintainability", "test", "docs", "style"]
Severity = Literal["critical", "major", "minor", "nit"]


@dataclass(frozen=True)
class Finding:
    """One defect, known because the generator put it there."""

    line: int
    """1-based number in the file of ``side``."""
    side: Side
    severity: Severity
    category: Category
    message: str
    """One or two sentences; whatever stands in backquotes stands in the diff too."""
    suggestion: str | None
    """What the commented line must be replaced by, without the last LF; None where that alone does not mend it."""


@dataclass(frozen=True)
class Specimen:
    """A diff of one file whose defects are known."""

    patch: str
    """A unified diff with three lines of context that ``git apply`` takes."""
    path: str
    operator: str
    """The name of the operator that made it, one of ``OPERATORS``."""
    project: str
    """The module or package the code is from; splits go by it."""
    comments: tuple[Finding, ...]
    """Empty for a clean diff."""
