"""Precision, recall and confusion over the task's decisive field: the first one of its Output, when it is a class."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.core.pack import Pack
from understudy.core.records import Example, Prediction
from understudy.evals.results import ClassTable

__all__ = ["class_table", "decisive_field"]

_MOST_CLASSES = 40
"""More different values than that are not classes but text."""


def decisive_field(pack: Pack, examples: Sequence[Example]) -> str | None:
    """Return the name of the Output's first field if its right answers are few repeated strings, else None."""
    field = next(iter(pack.Output.model_fields), None)
    if field is None:
        return None
    values = [example.output.get(field) for example in examples]
    distinct = {value for value in values if isinstance(value, str)}
    if not all(isinstance(value, str) for value in values) or not 2 <= len(distinct) <= _MOST_CLASSES:
        return None
    return field if len(distinct) < len(values) else None


def class_table(field: str, examples: Sequence[Example], predictions: Sequence[Prediction]) -> ClassTable:
    """Return one arm's table; a sample without a usable answer counts against its class's recall."""
    pairs = [
        (str(example.output[field]), None if made.output is None else str(made.output.get(field)))
        for example, made in zip(examples, predictions, strict=True)
    ]
    labels = sorted({truth for truth, _ in pairs} | {answer for _, answer in pairs if answer is not None})
    column = {label: at for at, label in enumerate(labels)}
    confusion = [[0] * (len(labels) + 1) for _ in labels]
    for truth, answer in pairs:
        confusion[column[truth]][len(labels) if answer is None else column[answer]] += 1
    support = [sum(row) for row in confusion]
    answered = [sum(row[at] for row in confusion) for at in range(len(labels))]
    hits = [confusion[at][at] for at in range(len(labels))]
    return ClassTable(
        field=field,
        labels=labels,
        support=support,
        precision=[_share(hit, total) for hit, total in zip(hits, answered, strict=True)],
        recall=[_share(hit, total) for hit, total in zip(hits, support, strict=True)],
        f1=[_share(2 * hit, a + b) for hit, a, b in zip(hits, answered, support, strict=True)],
        confusion=confusion,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
