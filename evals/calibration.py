"""Whether confidence can be believed, and what abstaining below a confidence would gain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.core.records import Prediction
from understudy.evals.results import Calibration, CalibrationBin

__all__ = ["calibration_of"]

_BINS = 10
_POINTS = 40
"""Points of the risk-coverage curve kept in a report."""


def calibration_of(predictions: Sequence[Prediction], right: Sequence[float]) -> Calibration | None:
    """Return reliability by ten bins of equal width, the expected calibration error and the risk-coverage curve.

    The error is the mean over answers of the distance between their bin's mean confidence and its share of right
    answers (Naeini, Cooper and Hauskrecht 2015). The curve takes the most confident answers first; answers of equal
    confidence come in together, so that their order decides nothing. None when fewer than two answers have a
    confidence.

    Args:
        predictions: one arm's answers.
        right: 1 or 0 for each.
    """
    pairs = [
        (made.confidence, float(is_right))
        for made, is_right in zip(predictions, right, strict=True)
        if made.confidence is not None
    ]
    if len(pairs) < 2:
        return None
    confidence, hits = (np.asarray(column) for column in zip(*pairs, strict=True))
    which = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = [
        CalibrationBin(
            low=number / _BINS,
            n=int(np.sum(which == number)),
            confidence=float(confidence[which == number].mean()),
            right=float(hits[which == number].mean()),
        )
        for number in range(_BINS)
        if np.any(which == number)
    ]
    error = sum(one.n * abs(one.confidence - one.right) for one in bins) / len(pairs)
    coverage, risk = _curve(confidence, hits)
    return Calibration(
        n=len(pairs),
        bins=bins,
        error=error,
        coverage=coverage,
        risk=risk,
        area=float(np.sum(np.diff([0.0, *coverage]) * (np.asarray(risk) + np.asarray([risk[0], *risk[:-1]])) / 2)),
    )


def _curve(confidence: NDArray[np.float64], hits: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Return coverage and share of wrong answers among those covered, thinned out to a few points."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(1 - hits[order])
    last = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    kept = last[np.unique(np.linspace(0, len(last) - 1, min(_POINTS, len(last))).round().astype(int))]
    return ((kept + 1) / len(hits)).tolist(), (wrong[kept] / (kept + 1)).tolist()
