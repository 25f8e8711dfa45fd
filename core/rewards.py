"""What an answer is worth: the pack's own validators and metric as a verifiable reward, no model judges another.

An answer is *valid* when it stops by itself and is the pack's Output as it stands; it has *passed* when the pack's
checks find nothing wrong with it; its *mark* is the pack's primary metric against the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.core.answers import marks, prediction
from understudy.core.pack import Pack
from understudy.core.records import Example
from understudy.core.settings import RewardSettings

__all__ = ["Verdict", "judged"]


@dataclass(frozen=True)
class Verdict:
    """How one answer did; each 0 to 1."""

    valid: float
    passed: float
    mark: float

    def reward(self, settings: RewardSettings) -> float:
        """Return the weighted mean of the three, 0 to 1."""
        weights = (settings.valid_weight, settings.checks_weight, settings.task_weight)
        parts = (self.valid, self.passed, self.mark)
        return sum(weight * part for weight, part in zip(weights, parts, strict=True)) / sum(weights)


def judged(pack: Pack, examples: Sequence[Example], texts: Sequence[str], stopped: Sequence[bool]) -> list[Verdict]:
    """Return a verdict on each answer; one that is not valid gets nothing for its content either.

    Args:
        pack: the task.
        examples: what was asked, with the truth.
        texts: what was written, without the stop token.
        stopped: whether the answer ended by itself.
    """
    made = [
        prediction(pack, example, "sampled", text, "stop" if ended else "length")
        for example, text, ended in zip(examples, texts, stopped, strict=True)
    ]
    return [
        Verdict(float(valid), float(valid and not one.problems), mark if valid else 0.0)
        for one, mark, valid in (
            (one, mark, one.output is not None and one.finish_reason == "stop")
            for one, mark in zip(made, marks(pack, examples, made), strict=True)
        )
    ]
