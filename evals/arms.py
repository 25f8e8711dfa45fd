"""Arms: named ways of answering a task's samples, all run under the same rules so that they can be compared.

Every arm sees the same inputs and token limits, and its text is read the same way: strictly, as written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ValidationError

from understudy.core.answers import parse_output, prediction
from understudy.core.errors import BadInput, first_fault
from understudy.core.pack import Pack
from understudy.core.records import Example, Message, Prediction

if TYPE_CHECKING:
    from understudy.core.engines import Generation, Request

__all__ = ["Arm", "Engine", "Progress", "Shots", "model_arm", "parse_output", "prediction", "reference_arm"]

Progress = Callable[[int], None]
"""Called with the number of samples just finished."""
Shots = Callable[[Example], Sequence[Example]]
"""Chooses the shots for one sample, best first (see :mod:`understudy.evals.shots`)."""

_TURN_OVERHEAD = 8
"""Tokens a chat template puts around one message; the templates of the common models take 3 to 7."""


class Engine(Protocol):
    """The part of ``core.engines`` an arm needs."""

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer together."""
        ...

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in order."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return the length of ``text`` in the model's tokens."""
        ...


@dataclass(frozen=True)
class Arm:
    """A named way of answering."""

    name: str
    answer: Callable[[Sequence[Example], Progress], list[Prediction]]

    def predict(self, examples: Sequence[Example], progress: Progress | None = None) -> list[Prediction]:
        """Return one prediction per example, in order."""
        return self.answer(examples, progress or (lambda done: None))


def reference_arm(pack: Pack, name: str = "reference") -> Arm:
    """Return the arm of the pack's best method without a model."""

    def answer(examples: Sequence[Example], progress: Progress) -> list[Prediction]:
        found = []
        for example in examples:
            started = perf_counter()
            text = pack.reference(_input(pack, example)).model_dump_json()
            found.append(prediction(pack, example, name, text, "none", seconds=perf_counter() - started))
            progress(1)
        return found

    return Arm(name, answer)


def model_arm(
    name: str,
    engine: Engine,
    pack: Pack,
    shots: Sequence[Example] | Shots = (),
    *,
    max_new_tokens: int = 384,
    max_prompt_tokens: int | None = None,
    batch_size: int = 8,
    constrained: bool = True,
    compact: bool = True,
) -> Arm:
    """Return the arm of a model behind ``engine``.

    Args:
        name: of the arm in the report.
        engine: generates text.
        pack: the task.
        shots: solved examples, shown as earlier turns of the conversation: the same ones for every sample, or a
            function that chooses them per sample. They must come from training data; a shot of an evaluated
            sample's group is refused. The last ones are left out where the prompt would grow over its limit.
        max_new_tokens: an answer is cut there.
        max_prompt_tokens: limit of a prompt with shots; by default what the context leaves beside the answer.
        batch_size: requests per call of the engine; prompts of like length share a batch.
        constrained: hand the engine the pack's grammar for each input.
        compact: whether that grammar allows no whitespace between JSON tokens.
    """
    limit = engine.context_length - max_new_tokens if max_prompt_tokens is None else max_prompt_tokens

    def answer(examples: Sequence[Example], progress: Progress) -> list[Prediction]:
        from understudy.core.engines import Request

        choose = shots if callable(shots) else _fixed(shots, examples)
        requests = []
        for example in examples:
            value = _input(pack, example)
            turns = with_shots(pack, engine, value, _no_leak(choose(example), example), limit)
            schema = pack.grammar(value) if constrained else None
            requests.append(Request(turns, schema, max_new_tokens, compact))
        order = sorted(range(len(requests)), key=lambda index: (_length(requests[index].messages), index))
        found: dict[int, Prediction] = {}
        for start in range(0, len(order), batch_size):
            block = order[start : start + batch_size]
            generations = engine.generate([requests[index] for index in block])
            for index, generation in zip(block, generations, strict=True):
                found[index] = _read(pack, examples[index], name, generation)
            progress(len(block))
        return [found[index] for index in range(len(examples))]

    return Arm(name, answer)


def with_shots(pack: Pack, engine: Engine, value: BaseModel, shots: Sequence[Example], limit: int) -> list[Message]:
    """Return the sample's messages with as many of the shots, from the first on, as fit into ``limit`` tokens."""
    own = pack.messages(value)
    lead = [turn for turn in own if turn.role == "system"]
    rest = [turn for turn in own if turn.role != "system"]
    used = sum(_tokens(engine, turn) for turn in own)
    middle: list[Message] = []
    for shot in shots:
        turns = shot_turns(pack, shot)
        used += sum(_tokens(engine, turn) for turn in turns)
        if used > limit:
            break
        middle += turns
    return [*lead, *middle, *rest]


def shot_turns(pack: Pack, shot: Example) -> list[Message]:
    """Return a solved example as a user and an assistant turn; the answer is compact JSON, as in training."""
    asked = [turn for turn in pack.messages(_input(pack, shot)) if turn.role != "system"]
    return [*asked, Message(role="assistant", content=pack.Output.model_validate(shot.output).model_dump_json())]


def _read(pack: Pack, example: Example, arm: str, generation: Generation) -> Prediction:
    return prediction(
        pack,
        example,
        arm,
        generation.text,
        generation.finish_reason,
        confidence=generation.confidence,
        prompt_tokens=generation.prompt_tokens,
        completion_tokens=generation.completion_tokens,
        seconds=generation.seconds,
        peak_bytes=generation.peak_bytes,
    )


def _input(pack: Pack, example: Example) -> BaseModel:
    try:
        return pack.Input.model_validate(example.input)
    except ValidationError as error:
        raise BadInput(f"example {example.id!r} is no input of {pack.name}: {first_fault(error)}") from None


def _fixed(shots: Sequence[Example], examples: Sequence[Example]) -> Shots:
    """Check shots that serve every sample once for all samples, before any time is spent on generation."""
    for example in examples:
        _no_leak(shots, example)
    return lambda example: shots


def _no_leak(shots: Sequence[Example], example: Example) -> Sequence[Example]:
    for shot in shots:
        if shot.id == example.id or shot.group == example.group:
            raise BadInput(
                f"the few-shot example {shot.id!r} and the evaluated sample {example.id!r} share an id or the "
                f"group {example.group!r}; choose shots from the training split"
            )
    return shots


def _tokens(engine: Engine, turn: Message) -> int:
    return engine.count_tokens(turn.content) + _TURN_OVERHEAD


def _length(messages: Sequence[Message]) -> int:
    return sum(len(turn.content) for turn in messages)
