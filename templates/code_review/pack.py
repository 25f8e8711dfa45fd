"""The code-review pack: a patch in, anchored comments out. This file ties the rooms beside it together."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from understudy.core.pack import BuildContext, Builder, Metric, Pack
from understudy.core.records import Example, Message, Prediction, Preference, Problem
from understudy.templates.code_review import checks, data, grammar, metrics, prompt, rules
from understudy.templates.code_review.numbered import anchors
from understudy.templates.code_review.schema import CATEGORIES, Review, ReviewInput

__all__ = ["PACK", "CodeReview"]


class CodeReview:
    """The :class:`understudy.core.pack.Pack` of code review."""

    name = "code-review"
    Input = ReviewInput
    Output = Review
    primary = "correct"
    builders: Mapping[str, Builder] = {
        "seed": data.seed,
        "stdlib": data.stdlib,
        "cases": data.from_cases,
        "history": data.history,
        "codereviewer": data.codereviewer,
    }

    def remembered(self, context: BuildContext) -> Iterable[Preference]:
        """See ``data.py``."""
        return data.remembered(context)

    def messages(self, input: BaseModel) -> list[Message]:
        """See ``prompt.py``."""
        return prompt.messages(_piece(input))

    def grammar(self, input: BaseModel) -> dict[str, Any]:
        """See ``grammar.py``."""
        return grammar.narrowed_schema(_piece(input))

    def check(self, input: BaseModel, output: BaseModel) -> list[Problem]:
        """See ``checks.py``."""
        return checks.check(_piece(input), cast(Review, output))

    def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
        """See ``metrics.py``."""
        return metrics.score(examples, predictions)

    def reference(self, input: BaseModel) -> Review:
        """Answer by rules alone (see ``rules.py``)."""
        return rules.answer(_piece(input))

    def corrupt(self, example: Example, rng: random.Random) -> Review | None:
        """Return the right answer on another line or of another category, or none at all; None for a clean change."""
        right = Review.model_validate(example.output)
        if not right.comments:
            return None
        first = right.comments[0]
        taken = {remark.lines for remark in right.comments}
        elsewhere = [
            lines
            for lines in anchors(ReviewInput.model_validate(example.input), "RIGHT")
            if "-" not in lines and lines not in taken
        ]
        way = rng.random()
        if way < 0.4:
            return Review(comments=[])
        if way < 0.8 and elsewhere:
            wrong = first.model_copy(update={"lines": rng.choice(elsewhere), "suggestion": None})
        else:
            others = [name for name in CATEGORIES if name != first.category]
            wrong = first.model_copy(update={"category": rng.choice(others)})
        return Review(comments=[wrong, *right.comments[1:]])


def _piece(value: BaseModel) -> ReviewInput:
    return cast(ReviewInput, value)


PACK: Pack = CodeReview()
