"""The log-triage pack: a CI log in, a grounded root cause out. This file ties the rooms beside it together."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from understudy.core.pack import Builder, Metric, Pack
from understudy.core.records import Example, Message, Prediction, Problem
from understudy.templates.log_triage import checks, data, grammar, metrics, prompt, rules, team
from understudy.templates.log_triage.schema import CATEGORIES, LogInput, RootCause

__all__ = ["PACK", "LogTriage"]


class LogTriage:
    """The :class:`understudy.core.pack.Pack` of log triage."""

    name = "log-triage"
    Input = LogInput
    Output = RootCause
    primary = "correct"
    builders: Mapping[str, Builder] = {"seed": data.seed, "cases": data.from_cases, "runs": team.from_runs}

    def messages(self, input: BaseModel) -> list[Message]:
        """See ``prompt.py``."""
        return prompt.messages(_log(input))

    def grammar(self, input: BaseModel) -> dict[str, Any]:
        """See ``grammar.py``."""
        return grammar.narrowed_schema(_log(input))

    def check(self, input: BaseModel, output: BaseModel) -> list[Problem]:
        """See ``checks.py``."""
        return checks.check(_log(input), cast(RootCause, output))

    def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
        """See ``metrics.py``."""
        return metrics.score(examples, predictions)

    def reference(self, input: BaseModel) -> RootCause:
        """Answer by rules alone (see ``rules.py``)."""
        return rules.diagnose(_log(input))

    def trim(self, example: Example) -> Example | None:
        """See ``data.py``."""
        return data.trimmed(example)

    def corrupt(self, example: Example, rng: random.Random) -> RootCause | None:
        """Return the right answer with another category, or with evidence that does not show the cause."""
        right = RootCause.model_validate(example.output)
        lines = len(example.input["lines"])
        wrong = [position for position in range(1, lines + 1) if position not in right.evidence]
        if right.evidence and wrong and rng.random() < 0.5:
            picked = sorted(rng.sample(wrong, min(len(wrong), len(right.evidence))))
            return right.model_copy(update={"evidence": picked})
        others = [name for name in CATEGORIES if name not in (right.category, "unknown")]
        return right.model_copy(update={"category": rng.choice(others), "evidence": right.evidence or wrong[:1]})


def _log(value: BaseModel) -> LogInput:
    return cast(LogInput, value)


PACK: Pack = LogTriage()
