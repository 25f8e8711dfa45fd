"""Necessity: how sure a model is that a comment should be made at all, and from where on it is worth showing.

Precision is what review tools lack. A model's chance of opening a comment, against closing the list, is the one number
it gives for free; a threshold on it, chosen on validation data for a wanted precision, turns it into silence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from understudy.core.engines import Generation

__all__ = ["chance_of_none", "chances", "threshold_for"]

_OPENING = '{"comments":['


def chances(generation: Generation) -> list[float]:
    """Return for each comment of an answer the probability of making it rather than none (or no further one), 0..1.

    The decisive token is the one that opens the comment's object; under the grammar its only rival closes the list.
    """
    found: list[float] = []
    start = len(_OPENING)
    decoder = json.JSONDecoder()
    text = generation.text
    while text[start : start + 1] == "{":
        # Behind a comment the comma decides, and a token may hold it together with what stands around it.
        before = start - (len(found) > 0)
        found.append(math.exp(min(0.0, generation.span_logprob(before, start + 1))))
        try:
            _, end = decoder.raw_decode(text, start)
        except ValueError:  # cut at the token limit: the comment is not whole
            return found[:-1]
        start = end + 1 if text[end : end + 1] == "," else end
    return found


def chance_of_none(generation: Generation) -> float:
    """Return the probability of closing the list at once; only for an answer that did."""
    return math.exp(min(0.0, generation.span_logprob(len(_OPENING), len(_OPENING) + 1)))


def threshold_for(scores: Sequence[float], right: Sequence[bool], precision: float) -> float | None:
    """Return the lowest threshold at which the comments kept reach a precision; None if there is none.

    Args:
        scores: necessity of each candidate on validation data.
        right: whether it hit a real issue.
        precision: wanted share of right ones among those kept, 0..1.
    """
    best = None
    hits = 0
    ranked = sorted(zip(scores, right, strict=True), key=lambda pair: -pair[0])
    for kept, (score, hit) in enumerate(ranked, start=1):
        hits += hit
        is_last_of_ties = kept == len(ranked) or ranked[kept][0] != score
        if is_last_of_ties and hits / kept >= precision:
            best = score
    return best
