"""Choosing the necessity threshold of a model on examples it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from understudy.core.records import Example
from understudy.templates.code_review.diff import FileDiff
from understudy.templates.code_review.necessity import threshold_for
from understudy.templates.code_review.numbered import place_of
from understudy.templates.code_review.packing import Piece
from understudy.templates.code_review.review import Model, candidates
from understudy.templates.code_review.schema import Remark, ReviewInput

__all__ = ["Scored", "calibrated", "measured", "scored"]

_FLOOR = 0.02
"""Candidates less necessary than this are never worth a comment."""


class Scored(NamedTuple):
    """A comment that a model would make on an example."""

    example: int
    """0-based number of the example."""
    necessity: float
    is_right: bool
    """Whether it stands on a true one's line."""
    message: str


def scored(examples: Sequence[Example], model: Model, floor: float = _FLOOR) -> list[Scored]:
    """Return every comment a model would make on the examples, if it were let."""
    pieces = [Piece(ReviewInput.model_validate(example.input), _file(example)) for example in examples]
    found = []
    for one in candidates(pieces, model, floor):
        truth = (Remark.model_validate(true) for true in examples[one.piece].output["comments"])
        places = [place_of(pieces[one.piece].input, true.lines) for true in truth]
        hit = any(
            place is not None
            and place.side == one.place.side
            and place.start <= one.place.line
            and one.place.start <= place.line
            for place in places
        )
        found.append(Scored(one.piece, one.necessity or 0.0, hit, one.remark.message))
    return found


def calibrated(examples: Sequence[Example], model: Model, precision: float) -> dict[str, Any]:
    """Return the threshold that reaches ``precision`` with the most comments, and what it gives on the examples.

    Where none reaches it, the threshold is 1: a model that is never right often enough stays silent.
    """
    found = scored(examples, model)
    best = threshold_for([one.necessity for one in found], [one.is_right for one in found], precision)
    threshold = 1.0 if best is None else best
    return {"threshold": threshold, **measured(examples, found, threshold)}


def measured(examples: Sequence[Example], found: Sequence[Scored], threshold: float) -> dict[str, Any]:
    """Return precision, recall and comments per clean change of the comments at or above a threshold."""
    kept = [one for one in found if one.necessity >= threshold]
    wanted = [len(example.output["comments"]) for example in examples]
    hits = sum(one.is_right for one in kept)
    clean = sum(not count for count in wanted)
    beside = sum(not wanted[one.example] for one in kept)
    return {
        "precision": hits / len(kept) if kept else 0.0,
        "recall": min(hits / max(sum(wanted), 1), 1.0),
        "comments_per_clean": beside / max(clean, 1),
        "examples": len(examples),
    }


def _file(example: Example) -> FileDiff:
    path = str(example.input["path"])
    return FileDiff(path, path, "modified", None, None, False, (), 1, 1, "", "")
