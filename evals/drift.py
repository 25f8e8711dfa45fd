"""Distances between two distributions, and how large they get by chance alone.

A fixed threshold for the population stability index (the textbook's .1) raises an alarm in 62 % of windows of 50 that
did not drift (8 classes); here the threshold comes from the window's size, by permutation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLOOR", "Shift", "jensen_shannon", "label_shift", "number_shift", "psi", "rate_shift"]

FLOOR = 0.1
"""Below this index a shift is too small to act on, however sure (Siddiqi 2006: "no significant change")."""
_DRAWS = 2_000
_SPARE = 0.8
"""Share of the level that the index's threshold uses: at the level itself, every second count of alarms lies above."""


@dataclass(frozen=True)
class Shift:
    """How far a window lies from the reference, and how surprising that is without drift."""

    statistic: str
    value: float
    threshold: float
    """What the statistic must exceed, besides a small enough p, to count."""
    p: float


def psi(reference: Sequence[int] | NDArray[np.int64], window: Sequence[int] | NDArray[np.int64]) -> float:
    """Return the population stability index of two rows of counts over the same classes; half a count is added to each.

    The sum of ``(q - p) * ln(q / p)`` over classes: Jeffreys' divergence.
    """
    return float(_indices(np.asarray(reference, float)[None], np.asarray(window, float)[None])[0])


def jensen_shannon(reference: Sequence[int], window: Sequence[int]) -> float:
    """Return the Jensen-Shannon divergence of two rows of counts in bits: 0 when alike, 1 when nothing is shared."""
    from scipy.spatial.distance import jensenshannon

    if not sum(reference) or not sum(window):
        raise ValueError("a distribution needs at least one count")
    return float(jensenshannon(reference, window, base=2) ** 2)


def label_shift(reference: Mapping[str, int], window: Mapping[str, int], alpha: float = 0.05, seed: int = 0) -> Shift:
    """Return the shift of a class distribution by PSI.

    The threshold is the ``1 - 0.8 alpha`` quantile of the index when the pooled answers are dealt out at random into a
    reference and a window of these sizes, and at least :data:`FLOOR`. Classes that only one side has count.
    """
    classes = sorted(set(reference) | set(window))
    before = np.asarray([reference.get(name, 0) for name in classes], dtype=np.int64)
    now = np.asarray([window.get(name, 0) for name in classes], dtype=np.int64)
    random = np.random.default_rng(seed)
    dealt = random.multivariate_hypergeometric(before + now, int(now.sum()), size=_DRAWS, method="marginals")
    by_chance = _indices((before + now - dealt).astype(float), dealt.astype(float))
    value = psi(before, now)
    p = (1 + int(np.count_nonzero(by_chance >= value - 1e-12))) / (_DRAWS + 1)
    return Shift("psi", value, max(FLOOR, float(np.quantile(by_chance, 1 - _SPARE * alpha, method="higher"))), p)


def number_shift(reference: Sequence[float], window: Sequence[float]) -> Shift:
    """Return the shift of a number's distribution: the two-sample Kolmogorov-Smirnov distance, 0..1."""
    from scipy.stats import ks_2samp

    found = ks_2samp(reference, window)
    return Shift("ks", float(found.statistic), FLOOR, float(found.pvalue))


def rate_shift(reference: tuple[int, int], window: tuple[int, int], worse: str) -> Shift:
    """Return the shift of a rate, each ``(times, of)``, in the direction that is ``worse``: ``higher`` or ``lower``.

    Fisher's exact test, one-sided; the value is the window's rate minus the reference's.
    """
    from scipy.stats import fisher_exact

    (a, n), (b, m) = reference, window
    side = "greater" if worse == "higher" else "less"
    p = float(fisher_exact([[b, m - b], [a, n - a]], alternative=side).pvalue)
    return Shift("fisher", b / m - a / n, 0.0, p)


def _indices(reference: NDArray[np.float64], window: NDArray[np.float64]) -> NDArray[np.float64]:
    """PSI of every row."""
    before, now = reference + 0.5, window + 0.5
    before = before / before.sum(axis=1, keepdims=True)
    now = now / now.sum(axis=1, keepdims=True)
    found: NDArray[np.float64] = np.sum((now - before) * np.log(now / before), axis=1)
    return found
