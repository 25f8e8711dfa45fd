"""The bug-classification pack: a ticket in, its labels out. This file ties the rooms beside it together."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from understudy.core.pack import BuildContext, Builder, Metric, Pack
from understudy.core.records import DatasetVersion, Example, Message, Prediction, Preference, Problem
from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification import checks, data, github, grammar, metrics, prompt
from understudy.templates.bug_classification.labeller import asked_in, samples_of, text_of
from understudy.templates.bug_classification.linear import LinearModel, fit_linear
from understudy.templates.bug_classification.schema import Labels, Ticket, most_probable

if TYPE_CHECKING:
    from understudy.templates.bug_classification.stack import TicketStack

__all__ = ["PACK", "BugClassification"]


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
        return BugClassification(fit_linear(*samples_of(training), asked_in(training)))

    def reference(self, input: BaseModel) -> Labels:
        """Answer by the linear model alone."""
        ticket = _ticket(input)
        found = self._linear.predict(text_of(ticket)) if self._linear else {}
        return most_probable(ticket, found)

    def stacked(
        self,
        dataset: DatasetVersion,
        splits: Mapping[str, Sequence[Example]],
        samples: Sequence[Example],
        taxonomy: Taxonomy,
        model: str,
        engine: Any,
    ) -> TicketStack:
        """See ``stack.py``."""
        from understudy.templates.bug_classification.stack import stacked_tickets

        return stacked_tickets(self, dataset, splits, samples, taxonomy, model, engine)

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


def _ticket(value: BaseModel) -> Ticket:
    return cast(Ticket, value)


PACK: Pack = BugClassification()
