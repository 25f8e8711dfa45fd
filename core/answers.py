"""What was written, read and judged: parsed strictly, checked by the pack's validators, marked by its metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from understudy.core.pack import Pack
from understudy.core.records import Example, Prediction

__all__ = ["marks", "parse_output", "prediction"]


def parse_output(pack: Pack, text: str) -> BaseModel | None:
    """Return ``text`` as the pack's Output, or None when it is anything else: no fences cut off, no types coerced."""
    try:
        return pack.Output.model_validate_json(text, strict=True)
    except ValidationError:
        return None


def prediction(
    pack: Pack,
    example: Example,
    arm: str,
    text: str,
    finish_reason: Literal["stop", "length", "none"],
    **cost: Any,
) -> Prediction:
    """Return the record of an answer: parsed strictly and checked, the text kept as it is."""
    output = parse_output(pack, text)
    problems = [] if output is None else pack.check(pack.Input.model_validate(example.input), output)
    return Prediction(
        example_id=example.id,
        arm=arm,
        text=text,
        output=None if output is None else output.model_dump(mode="json"),
        finish_reason=finish_reason,
        problems=problems,
        **cost,
    )


def marks(pack: Pack, examples: Sequence[Example], predictions: Sequence[Prediction]) -> list[float]:
    """Return how good each answer is by the pack's primary metric, higher is better and 1 is right.

    Where that metric is of the whole set only, an answer is worth 1 when it equals the truth, else 0.
    """
    metric = pack.score(examples, predictions)[pack.primary]
    if metric.per_sample is None:
        pairs = zip(examples, predictions, strict=True)
        return [float(prediction.output == example.output) for example, prediction in pairs]
    return [float(score if metric.higher_is_better else 1 - score) for score in metric.per_sample]
