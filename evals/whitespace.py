"""Each untuned arm's own best whitespace: a base that never saw compact JSON may answer worse when forced into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from understudy.core.pack import Pack
from understudy.core.records import Example, Prediction

__all__ = ["choose_compact"]


def choose_compact(pack: Pack, examples: Sequence[Example], run: Callable[[bool], Sequence[Prediction]]) -> bool:
    """Return whether an arm does better with JSON without whitespace.

    Judged by the share of right answers, then of valid ones, then by fewer tokens; compact when all are equal.

    Args:
        pack: scores the answers.
        examples: none of them in the test split, or the baseline would be chosen on what it is measured by.
        run: answers the examples, compact or not.
    """
    return max((True, False), key=lambda compact: (*_quality(pack, examples, run(compact)), compact))


def _quality(pack: Pack, examples: Sequence[Example], made: Sequence[Prediction]) -> tuple[float, float, float]:
    right = pack.score(examples, made)["correct"].value
    valid = sum(one.output is not None for one in made) / len(made)
    return right, valid, -sum(one.completion_tokens for one in made) / len(made)
