"""The model's own answers to examples whose truth is known: on-policy material for preferences.

A model learns most from the mistakes it really makes. What is wrong is found by the pack's checks and by its primary
metric against the truth, never by another model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from understudy.core.answers import marks, prediction
from understudy.core.engines import Generation, Request
from understudy.core.pack import Pack
from understudy.core.preferences import pair_of
from understudy.core.records import Example, Judgement, Prediction, Preference

__all__ = ["OwnAnswer", "own_answers", "own_pairs", "own_thumbs"]


class Engine(Protocol):
    """The part of :class:`understudy.core.engines.LocalEngine` that is needed here."""

    def generate(self, requests: Sequence[Request], progress: Callable[[int], None] | None = None) -> list[Generation]:
        """Answer every request, in order."""
        ...


@dataclass(frozen=True)
class OwnAnswer:
    """What the model said to one example."""

    example: Example
    output: dict[str, Any]
    mistake: str
    """What is wrong: ``check:<field>`` for a format validator, ``truth`` for the metric; empty when it is right."""


def own_answers(
    pack: Pack,
    engine: Engine,
    examples: Sequence[Example],
    max_new_tokens: int,
    progress: Callable[[int], None] | None = None,
) -> list[OwnAnswer]:
    """Let the model answer under the pack's grammar, and judge what it says.

    Answers that were cut off or do not parse are left out: they are no answers anybody could prefer or reject.
    """
    inputs = [pack.Input.model_validate(example.input) for example in examples]
    requests = [Request(pack.messages(value), pack.grammar(value), max_new_tokens) for value in inputs]
    made = [
        prediction(pack, example, "own", answer.text, answer.finish_reason, confidence=answer.confidence)
        for example, answer in zip(examples, engine.generate(requests, progress), strict=True)
    ]
    answered = [(example, one) for example, one in zip(examples, made, strict=True) if one.output is not None]
    if not answered:
        return []
    found, predictions = zip(*answered, strict=True)
    return [
        OwnAnswer(example, one.output or {}, _mistake(one, mark >= 1))
        for example, one, mark in zip(found, predictions, marks(pack, found, predictions), strict=True)
    ]


def _mistake(prediction: Prediction, right: bool) -> str:
    if prediction.problems:
        return f"check:{prediction.problems[0].field}"
    return "" if right else "truth"


def own_pairs(answers: Sequence[OwnAnswer]) -> list[Preference]:
    """Return the preference of the truth over each wrong answer."""
    return [
        pair_of(answer.example, answer.output, f"sampled:{answer.mistake}")
        for answer in answers
        if answer.mistake and answer.output != answer.example.output
    ]


def own_thumbs(answers: Sequence[OwnAnswer]) -> list[Judgement]:
    """Return a judgement of each answer, right or wrong."""
    return [
        Judgement(
            id=f"{answer.example.id}-sampled",
            pack=answer.example.pack,
            group=answer.example.group,
            input=answer.example.input,
            output=answer.output,
            good=not answer.mistake,
            reason=f"sampled:{answer.mistake or 'right'}",
            source=answer.example.source,
        )
        for answer in answers
    ]
