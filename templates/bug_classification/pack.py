"""The bug-classification pack: a ticket in, its labels out. This file ties the rooms beside it together."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from understudy.core.pack import BuildContext, Builder, Metric, Pack
from understudy.core.records import Example, Message, Prediction, Preference, Problem
from understudy.templates.bug_classification import checks, data, github, grammar, metrics, prompt
from understudy.templates.bug_classification.labeller import samples_of, text_of
from understudy.templates.bug_classification.linear import LinearModel, fit_linear
from understudy.templates.bug_classification.schema import Labels, Question, Ticket

__all__ = ["PACK", "BugClassification", "most_probable"]


class BugClassification:
    """The :class:`understudy.core.pack.Pack` of ticket labelling; its reference is learnt from the training split."""

    name = "bug-classification"
    Input = Ticket
    Output = Labels
    primary = "macro_f1"
    builders: Mapping[str, Builder] = {
        "seed": data.seed,
        "tickets": data.from_tickets,
        "github-issues": github.from_issues,
    }

    def __init__(self, linear: LinearModel | None = None) -> None:
        """Answer the reference arm with ``linear``; without it with the first label of each group."""
        self._linear = linear

    def messages(self, input: BaseModel) -> list[Message]:
        """See ``prompt.py``."""
        return prompt.messages(_ticket(input))

    def grammar(self, input: BaseModel) -> dict[str, Any]:
        """See ``grammar.py``."""
        return grammar.narrowed_schema(_ticket(input))

    def check(self, input: BaseModel, output: BaseModel) -> list[Problem]:
        """See ``checks.py``."""
        return checks.check(_ticket(input), cast(Labels, output))

    def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
        """See ``metrics.py``."""
        return metrics.score(examples, predictions)

    def corrections(self, context: BuildContext) -> Iterable[Preference]:
        """See ``github.py``."""
        return github.from_corrections(context)

    def learnt(self, training: Sequence[Example]) -> BugClassification:
        """Return the pack with a reference fitted on ``training`` (see ``linear.py``)."""
        asked: dict[str, Question] = {}
        for example in training:
            for question in Ticket.model_validate(example.input).questions:
                asked.setdefault(question.group, question)
        texts, targets = samples_of(training)
        return BugClassification(fit_linear(texts, targets, asked.values()))

    def reference(self, input: BaseModel) -> Labels:
        """Answer by the linear model alone."""
        ticket = _ticket(input)
        found = self._linear.predict(text_of(ticket)) if self._linear else {}
        return most_probable(ticket, found)

    def corrupt(self, example: Example, rng: random.Random) -> Labels | None:
        """Return the right answer with another label in one group; None where no group has a choice."""
        right = Labels.model_validate(example.output)
        asked = {question.group: question for question in Ticket.model_validate(example.input).questions}
        open_ = [
            name for name, value in right.labels.items() if not isinstance(value, str) or len(asked[name].labels) > 1
        ]
        if not open_:
            return None
        group = rng.choice(open_)
        value = right.labels[group]
        if isinstance(value, str):
            wrong: str | dict[str, bool] = rng.choice([label for label in asked[group].labels if label != value])
        else:
            flipped = rng.choice(sorted(value))
            wrong = value | {flipped: not value[flipped]}
        return right.model_copy(update={"labels": right.labels | {group: wrong}})


def most_probable(ticket: Ticket, found: Mapping[str, Mapping[str, float]]) -> Labels:
    """Return the answer to every question from probabilities by group and label; without any, its first label."""
    return Labels(
        labels={question.group: _best(question, found.get(question.group, {})) for question in ticket.questions}
    )


def _best(question: Question, found: Mapping[str, float]) -> str | dict[str, bool]:
    known = {label: found[label] for label in question.labels if label in found}
    if question.mode == "multi":
        return {label: known.get(label, 0.0) >= 0.5 for label in question.labels}
    return max(known, key=lambda label: known[label]) if known else question.labels[0]


def _ticket(value: BaseModel) -> Ticket:
    return cast(Ticket, value)


PACK: Pack = BugClassification()
