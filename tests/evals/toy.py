"""A task small enough to reason about by hand, and an engine that answers from a table."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from understudy.core.pack import Builder, Metric
from understudy.core.records import Example, Message, Prediction, Problem, Source
from understudy.evals.results import Identity

COLOURS = ("red", "green", "blue")


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str


class Colour(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: Literal["red", "green", "blue"]
    sure: bool
    why: str


class ToyPack:
    name = "toy"
    Input = Ask
    Output = Colour
    builders: Mapping[str, Builder] = {}
    primary = "macro_f1"

    def messages(self, input: BaseModel) -> list[Message]:
        assert isinstance(input, Ask)
        return [Message(role="system", content="Name the colour."), Message(role="user", content=input.text)]

    def grammar(self, input: BaseModel) -> dict[str, Any]:
        return Colour.model_json_schema()

    def check(self, input: BaseModel, output: BaseModel) -> list[Problem]:
        assert isinstance(output, Colour)
        return [] if output.why else [Problem(field="why", message="no reason given")]

    def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
        truth = [example.output["colour"] for example in examples]
        answers = [made.output["colour"] if made.output else None for made in predictions]
        right = [float(a == b) for a, b in zip(truth, answers, strict=True)]

        def macro_f1(positions: Sequence[int]) -> float:
            total = 0.0
            for colour in COLOURS:
                hit = sum(truth[at] == colour == answers[at] for at in positions)
                seen = sum((truth[at] == colour) + (answers[at] == colour) for at in positions)
                total += 2 * hit / seen if seen else 0.0
            return total / len(COLOURS)

        return {
            "macro_f1": Metric(macro_f1(range(len(truth))), recompute=macro_f1),
            "correct": Metric(sum(right) / len(right), per_sample=right),
            "words": Metric(sum(len(made.text.split()) for made in predictions), higher_is_better=False),
        }

    def reference(self, input: BaseModel) -> BaseModel:
        return Colour(colour="red", sure=False, why="the majority")

    def corrupt(self, example: Example, rng: random.Random) -> BaseModel | None:
        return None


PACK = ToyPack()
IDENTITY = Identity(model="toy-20261121-0a1b2c3d", model_digest="0a1b2c3d" * 8, seed=1)


def example(number: int, colour: str = "", group: str = "", text: str = "") -> Example:
    colour = colour or COLOURS[number % 3]
    return Example(
        id=f"e{number:04d}",
        pack="toy",
        group=group or f"g{number}",
        stratum=colour,
        input={"text": text or f"sample {number} looks {colour}"},
        output={"colour": colour, "sure": True, "why": "it looks so"},
        source=Source(origin="test"),
    )


def examples(n: int, per_group: int = 1) -> list[Example]:
    return [example(number, group=f"g{number // per_group}") for number in range(n)]


def answer(colour: str, why: str = "because") -> str:
    return Colour(colour=colour, sure=True, why=why).model_dump_json()  # type: ignore[arg-type]


def other(colour: str) -> str:
    return COLOURS[(COLOURS.index(colour) + 1) % 3]


def predictions(
    samples: Sequence[Example], arm: str, right: Callable[[int], bool], why: str = "because", seconds: float = 0.01
) -> list[Prediction]:
    """Predictions whose colour is right where ``right(position)`` says so."""
    from understudy.evals.arms import prediction

    return [
        prediction(
            PACK,
            one,
            arm,
            answer(one.output["colour"] if right(at) else other(one.output["colour"]), why),
            "stop",
            seconds=seconds,
            prompt_tokens=40,
            completion_tokens=12,
        )
        for at, one in enumerate(samples)
    ]


class TableEngine:
    """Answers the last user turn from a function; remembers what it was asked. A token is a word."""

    def __init__(self, reply: Callable[[str], str], finish_reason: str = "stop", context_length: int = 2048) -> None:
        self.reply = reply
        self.finish_reason = finish_reason
        self.context_length = context_length
        self.batches: list[list[Any]] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, batch: Sequence[Any]) -> list[Any]:
        self.batches.append(list(batch))
        return [
            SimpleNamespace(
                text=self.reply(request.messages[-1].content),
                finish_reason=self.finish_reason,
                prompt_tokens=sum(self.count_tokens(turn.content) for turn in request.messages),
                completion_tokens=9,
                logprob=-1.0,
                confidence=0.75,
                seconds=0.5,
                peak_bytes=300 << 20,
            )
            for request in batch
        ]

    @property
    def requests(self) -> list[Any]:
        return [request for batch in self.batches for request in batch]
