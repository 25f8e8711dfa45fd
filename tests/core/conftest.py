"""A tiny task pack, so that the core is tested without any of the real ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from understudy.core.pack import Builder, Metric, Pack
from understudy.core.records import Example, Message, Prediction, Problem, Source


class ToyInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    hint: str = ""


class ToyOutput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: Literal["bug", "feature", "question"]
    why: str = Field(default="", max_length=60)


class ToyPack:
    """Labels a sentence; an answer that says "refuse me" has a problem."""

    name = "toy"
    Input = ToyInput
    Output = ToyOutput
    primary = "accuracy"
    builders: Mapping[str, Builder] = {}

    def messages(self, input: BaseModel) -> list[Message]:
        assert isinstance(input, ToyInput)
        return [Message(role="system", content="Label it."), Message(role="user", content=input.text)]

    def grammar(self, input: BaseModel) -> dict[str, Any]:
        return ToyOutput.model_json_schema()

    def check(self, input: BaseModel, output: BaseModel) -> list[Problem]:
        assert isinstance(output, ToyOutput)
        return [Problem(field="why", message="was told to be refused")] if output.why == "refuse me" else []

    def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
        hits = [float(p.output == e.output) for e, p in zip(examples, predictions, strict=True)]
        return {"accuracy": Metric(sum(hits) / len(hits), per_sample=hits)}

    def reference(self, input: BaseModel) -> BaseModel:
        return ToyOutput(label="bug")

    def corrupt(self, example: Example, rng: random.Random) -> BaseModel | None:
        return ToyOutput(label=rng.choice([x for x in ("bug", "feature", "question") if x != example.output["label"]]))


@pytest.fixture(scope="session")
def toy() -> Pack:
    return ToyPack()


ToyExample = Callable[..., Example]


@pytest.fixture(scope="session")
def toy_example() -> ToyExample:
    """Make an example of the toy pack: ``toy_example("id", "text", label="bug", group=..., stratum=..., time=...)``."""

    def make(
        id: str,
        text: str,
        *,
        label: str = "bug",
        why: str = "",
        group: str | None = None,
        stratum: str = "",
        time: datetime | None = None,
        **changes: Any,
    ) -> Example:
        example = Example(
            id=id,
            pack="toy",
            group=id if group is None else group,
            stratum=stratum,
            input={"text": text},
            output={"label": label, "why": why},
            source=Source(origin="test", time=time, licence="Apache-2.0"),
        )
        return example.model_copy(update=changes)

    return make
