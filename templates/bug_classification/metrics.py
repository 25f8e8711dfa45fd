"""Task metrics: whole answers right, and F1 over labels, group by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.core.pack import Metric
from understudy.core.records import Example, Prediction

__all__ = ["macro_f1", "score"]

_CONFIDENT = 0.8
"""From this probability on a wrong answer counts as a confident error."""


def score(examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
    """Return the metrics of ``predictions`` (same order as ``examples``).

    - ``macro_f1``: mean over the groups of the unweighted mean of their labels' F1. An answer that does not parse is
      wrong for its label and counts for no other.
    - ``macro_f1_GROUP``: the same of one group. Of a ``multi`` group each label's yes is a class.
    - ``micro_f1``: F1 over all labels of all groups together; of ``single`` groups alone it is the accuracy.
    - ``correct``: every group of the ticket is right.
    - ``confident_error``: not correct with a probability of 0.8 or more for the group answered first (lower is better);
      only where any answer states a probability.
    """
    wanted = [example.output["labels"] for example in examples]
    given = [made.output["labels"] if made.output else {} for made in predictions]
    correct = [
        float(all(_same(truth[group], answer.get(group)) for group in truth))
        for truth, answer in zip(wanted, given, strict=True)
    ]
    confident = [
        float(not right and made.confidence is not None and made.confidence >= _CONFIDENT)
        for right, made in zip(correct, predictions, strict=True)
    ]
    errors = Metric(_mean(confident), per_sample=confident, higher_is_better=False)
    tables = {
        group: _counts(wanted, given, group) for group in dict.fromkeys(name for truth in wanted for name in truth)
    }

    def overall(positions: Sequence[int]) -> float:
        values = [macro_f1(table, positions) for table in tables.values()]
        return sum(values) / len(values) if values else 0.0

    def micro(positions: Sequence[int]) -> float:
        sums = sum((table[np.asarray(positions)].sum(axis=(0, 1)) for table in tables.values()), np.zeros(3))
        return float(2 * sums[0] / (sums[1] + sums[2])) if sums[1] + sums[2] else 0.0

    def of(group: str) -> Callable[[Sequence[int]], float]:
        return lambda positions: macro_f1(tables[group], positions)

    return {
        "macro_f1": _corpus(overall, len(examples)),
        **({f"macro_f1_{group}": _corpus(of(group), len(examples)) for group in tables} if len(tables) > 1 else {}),
        "micro_f1": _corpus(micro, len(examples)),
        "correct": Metric(_mean(correct), per_sample=correct),
        **({"confident_error": errors} if any(made.confidence is not None for made in predictions) else {}),
    }


def macro_f1(counts: NDArray[np.float64], positions: Sequence[int]) -> float:
    """Return the mean F1 of the labels that are right at least once among ``positions``.

    Args:
        counts: (samples, labels, 3): hit, wanted and given, each 0 or 1.
        positions: samples, with repetitions as a bootstrap draws them.
    """
    sums = counts[np.asarray(positions, dtype=np.int64)].sum(axis=0)
    present = sums[:, 1] > 0
    if not present.any():
        return 0.0
    return float(np.mean(2 * sums[present, 0] / (sums[present, 1] + sums[present, 2])))


def _counts(wanted: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]], group: str) -> NDArray[np.float64]:
    labels = sorted({label for truth in wanted if group in truth for label in _names(truth[group], only=False)})
    table = np.zeros((len(wanted), len(labels), 3))
    for at, (truth, answer) in enumerate(zip(wanted, given, strict=True)):
        if group not in truth:
            continue
        right, said = _names(truth[group]), _names(answer.get(group, {}))
        for column, label in enumerate(labels):
            table[at, column] = (label in right and label in said, label in right, label in said)
    return table


def _names(value: str | Mapping[str, bool], *, only: bool = True) -> set[str]:
    if isinstance(value, str):
        return {value}
    return {label for label, yes in value.items() if yes or not only}


def _same(truth: Any, answer: Any) -> bool:
    return bool(truth == answer)


def _corpus(recompute: Callable[[Sequence[int]], float], n: int) -> Metric:
    return Metric(recompute(range(n)), recompute=recompute)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
