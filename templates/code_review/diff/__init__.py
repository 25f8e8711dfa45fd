"""The diff engine: a patch as ``git apply`` understands it, file by file, or a reason why not.

Start reading in ``reader.py``. ``unidiff`` reads the hunks; everything around it is the guard that makes sure that no
line, file or name is lost or guessed.
"""

from __future__ import annotations

from understudy.templates.code_review.diff.hunks import read_excerpt
from understudy.templates.code_review.diff.reader import read_patch
from understudy.templates.code_review.diff.records import (
    Anchor,
    FileDiff,
    Hunk,
    Line,
    NotUnderstood,
    Patch,
    Refusal,
    Side,
    Status,
)

__all__ = [
    "Anchor",
    "FileDiff",
    "Hunk",
    "Line",
    "NotUnderstood",
    "Patch",
    "Refusal",
    "Side",
    "Status",
    "read_excerpt",
    "read_patch",
]
