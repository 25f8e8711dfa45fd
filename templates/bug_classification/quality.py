"""How good probabilities are, with intervals: F1 by label, confusion, calibration, and what is covered at what risk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

__all__ = ["Interval", "PerLabel", "Quality", "draw", "quality"]

_BINS = 10
_RESAMPLES = 200


class Interval(BaseModel):
    """A value with the ends of its 95 % bootstrap interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    low: float
    high: float


class PerLabel(BaseModel):
    """One label's row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: float
    recall: float
    f1: Interval
    support: int


class Quality(BaseModel):
    """One group's answers to tickets with known labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tickets: int
    macro_f1: Interval
    micro_f1: Interval
    labels: dict[str, PerLabel]
    confusion: list[list[int]]
    """Of a ``single`` group ``confusion[truth][answer]``, in the order of ``labels``; of a ``multi`` group a row for
    each label: rightly no, wrongly yes, wrongly no, rightly yes."""
    ece: Interval
    """Expected calibration error (Guo et al. 2017): ten equal bins of the chosen answer's probability. A ``single``
    group has one answer a ticket, a ``multi`` group a yes or no for each label, here and in what follows."""
    reliability: list[tuple[float, float, int]]
    """By bin that is not empty: mean probability, share right, answers."""
    risk_coverage: list[tuple[float, float]]
    """Share answered, share of those wrong, the surest first."""
    coverage: Interval
    """Largest share that can be answered at the wanted precision, if the threshold were chosen on these tickets."""
    precision: float
    """The precision ``coverage`` is for."""


def quality(
    labels: Sequence[str],
    truths: Sequence[str] | Sequence[Mapping[str, bool]],
    probabilities: NDArray[np.float64],
    precision: float = 0.9,
) -> Quality:
    """Return all figures of one group.

    Args:
        labels: column names of ``probabilities``.
        truths: the right label of each ticket, one of ``labels``; of a ``multi`` group yes or no for all of them.
        probabilities: (tickets, labels); in a ``single`` group rows sum to 1.
        precision: wanted for ``coverage``.
    """
    from sklearn.metrics import confusion_matrix, f1_score, multilabel_confusion_matrix, precision_recall_fscore_support

    several = not isinstance(truths[0], str)
    if several:
        true = np.array([[bool(truth[label]) for label in labels] for truth in truths], dtype=np.int64)  # type: ignore[index]
        given = (probabilities >= 0.5).astype(np.int64)
        sure = np.maximum(probabilities, 1 - probabilities)
        confusion = multilabel_confusion_matrix(true, given).reshape(len(labels), 4)
    else:
        true = np.array([labels.index(str(truth)) for truth in truths], dtype=np.int64)
        given, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
        confusion = confusion_matrix(true, given, labels=list(range(len(labels))))
    numbers = list(range(len(labels)))

    def f1(average: str | None) -> Callable[[NDArray[np.int64]], Any]:
        return lambda at: f1_score(true[at], given[at], labels=numbers, average=average, zero_division=0)

    def macro(at: NDArray[np.int64]) -> float:
        present = np.flatnonzero(true[at].any(axis=0)) if several else np.unique(true[at])
        return float(np.mean(f1(None)(at)[present])) if len(present) else 0.0

    drawn = np.random.default_rng(0).integers(0, len(true), size=(_RESAMPLES, len(true)))
    p, r, _, support = precision_recall_fscore_support(true, given, labels=numbers, zero_division=0)
    each = np.array([f1(None)(at) for at in drawn])
    right = given == true
    whole = np.arange(len(true))
    return Quality(
        tickets=len(true),
        macro_f1=_interval(macro, whole, drawn),
        micro_f1=_interval(f1("micro"), whole, drawn),
        labels={
            label: PerLabel(
                precision=float(p[at]),
                recall=float(r[at]),
                f1=_ends(f1(None)(whole)[at], each[:, at]),
                support=int(support[at]),
            )
            for at, label in enumerate(labels)
        },
        confusion=confusion.tolist(),
        ece=_interval(lambda at: _ece(sure[at].ravel(), right[at].ravel()), whole, drawn),
        reliability=_bins(sure.ravel(), right.ravel()),
        risk_coverage=_risk(sure.ravel(), right.ravel()),
        coverage=_interval(lambda at: _coverage(sure[at].ravel(), right[at].ravel(), precision), whole, drawn),
        precision=precision,
    )


def _interval(
    value: Callable[[NDArray[np.int64]], float], whole: NDArray[np.int64], drawn: NDArray[np.int64]
) -> Interval:
    return _ends(float(value(whole)), np.array([value(at) for at in drawn]))


def _ends(value: float, values: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(value=float(value), low=float(low), high=float(high))


def _bins(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    at = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    counts = np.bincount(at, minlength=_BINS)
    sums, hits = np.bincount(at, sure, _BINS), np.bincount(at, right, _BINS)
    return [
        (float(sums[one] / counts[one]), float(hits[one] / counts[one]), int(counts[one]))
        for one in range(_BINS)
        if counts[one]
    ]


def _ece(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    return sum(count * abs(mean - share) for mean, share, count in _bins(sure, right)) / len(sure)


def _risk(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Return the curve (El-Yaniv and Wiener 2010) at the end of every run of equal probabilities."""
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum(~right[order])
    answered = np.arange(1, len(sure) + 1)
    ends = np.append(np.diff(sure[order]) != 0, True)
    return [(float(n / len(sure)), float(w / n)) for n, w in zip(answered[ends], wrong[ends], strict=True)]


def _coverage(sure: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    return max((share for share, risk in _risk(sure, right) if risk <= 1 - precision + 1e-12), default=0.0)


def draw(found: Quality, path: Path) -> None:
    """Write the reliability diagram and the risk-coverage curve as one PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from understudy.core.files import atomic_writer

    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    left.plot([mean for mean, _, _ in found.reliability], [share for _, share, _ in found.reliability], marker="o")
    left.set(
        xlabel="probability said",
        ylabel="share right",
        title=f"reliability (ECE {found.ece.value:.3f})",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    right.plot([share for share, _ in found.risk_coverage], [risk for _, risk in found.risk_coverage])
    right.axhline(1 - found.precision, color="0.7", linestyle="--")
    right.set(
        xlabel="share answered",
        ylabel="share wrong",
        title=f"risk and coverage ({found.coverage.value:.0%} at {found.precision:.0%})",
        xlim=(0, 1),
    )
    with atomic_writer(path) as out:
        figure.savefig(out, format="png", dpi=110)
