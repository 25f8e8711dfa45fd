"""An A/B test in use: who gets which model, and an answer that stays true however often one looks at it.

A unit (a pull request, a repository) is assigned as a whole by a hash, so that it sees one model from its first to its
last comment and no table of assignments is kept. The test is always valid: looking every day and stopping at the first
"significant" costs nothing, unlike with a fixed-horizon p-value.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from understudy.core.errors import BadInput
from understudy.evals.log import Log
from understudy.evals.statistics import Interval, wilson

__all__ = ["AbResult", "Outcome", "assign", "outcomes", "run_test"]

Arm = Literal["a", "b"]


def assign(experiment: str, unit: str, share_b: float = 0.5) -> Arm:
    """Return the arm of a unit: the same one on every machine, every time.

    Args:
        experiment: its name; another name deals the units out anew, independently.
        unit: for example ``owner/name#17``.
        share_b: share of units that get ``b``, 0 to 1.

    Raises:
        BadInput: an empty unit, which would send everything to one arm, or a share outside 0..1.
    """
    if not unit or not experiment:
        raise BadInput("an A/B assignment needs the name of the experiment and of the unit")
    if not 0 <= share_b <= 1:
        raise BadInput(f"the share of arm b is {share_b}; it must be between 0 and 1")
    digest = hashlib.sha256(f"{len(experiment)}:{experiment}{unit}".encode()).digest()
    return "b" if int.from_bytes(digest[:8], "big") / 2**64 < share_b else "a"


@dataclass(frozen=True)
class Outcome:
    """How one unit fared: its share of answers that were well received, 0..1."""

    unit: str
    arm: Arm
    value: float


@dataclass(frozen=True)
class AbResult:
    """What the test says after all outcomes so far."""

    rates: dict[Arm, Interval]
    """Mean outcome by arm with Wilson's interval (of a share: for reading, not for deciding)."""
    units: dict[Arm, int]
    p: float
    """Always-valid p-value of "both arms are equally good": the smallest so far."""
    series: tuple[float, ...]
    """The same after every outcome."""
    verdict: Literal["a is better", "b is better", "undecided"]
    mixed: tuple[str, ...] = ()
    """Units left out because they saw both arms."""

    @property
    def exit_code(self) -> int:
        """3 while undecided, else 0."""
        return 3 if self.verdict == "undecided" else 0


def outcomes(log: Log, experiment: str, share_b: float = 0.5) -> tuple[list[Outcome], list[str]]:
    """Return the outcome of every judged unit in order of its first answer, and the units that saw both arms.

    An answer counts when it carries a unit and somebody judged it. Feedback that comes in later changes its unit's
    outcome, so decide when most of it is in.

    Raises:
        BadInput: the log has no judged answer of a unit, or its arms are not those of :func:`assign`.
    """
    arms: dict[str, set[str]] = {}
    votes: dict[str, list[bool]] = {}
    for answer in log.answers:
        if not answer.unit or not answer.arm:
            continue
        if answer.arm not in ("a", "b"):
            raise BadInput(f"the answer {answer.id!r} has the arm {answer.arm!r}; an A/B log names them a and b")
        arms.setdefault(answer.unit, set()).add(answer.arm)
        if (negative := log.negative(answer)) is not None:
            votes.setdefault(answer.unit, []).append(not negative)
    mixed = [unit for unit, seen in arms.items() if len(seen) > 1]
    judged = [unit for unit in votes if unit not in mixed]
    if not judged:
        raise BadInput("no unit of this log has an arm and feedback; log both with every answer of the A/B test")
    wrong = [unit for unit in judged if assign(experiment, unit, share_b) not in arms[unit]]
    if len(wrong) > len(judged) // 10:
        raise BadInput(
            f"{len(wrong)} of {len(judged)} units are not in the arm that {experiment!r} assigns with a share of "
            f"{share_b:g}, for example {wrong[0]!r}; give the experiment's own name and share"
        )
    found = [Outcome(unit, assign(experiment, unit, share_b), sum(votes[unit]) / len(votes[unit])) for unit in judged]
    return found, [*mixed, *wrong]


def run_test(found: Sequence[Outcome], *, alpha: float = 0.05, mixed: Iterable[str] = ()) -> AbResult:
    """Test "both arms are equally good", in a way that may be looked at after every unit.

    Universal inference (Wasserman, Ramdas and Balakrishnan 2020): the likelihood of each outcome under what its arm's
    earlier outcomes predict (Krichevsky-Trofimov), divided by the best that one common rate explains. Under the
    hypothesis the ratio ever exceeds ``1 / alpha`` with a chance of at most ``alpha`` (Ville's inequality); for
    outcomes between 0 and 1 too, since the ratio is convex in the outcome.

    Args:
        found: outcomes in the order they came in.
        alpha: chance of ever calling a winner when there is none.
        mixed: units that were left out, for the report.
    """
    totals: dict[Arm, list[float]] = {"a": [0.0, 0.0], "b": [0.0, 0.0]}
    predicted, smallest, series = 0.0, 1.0, []
    for one in found:
        if not 0 <= one.value <= 1:
            raise BadInput(f"the outcome of {one.unit!r} is {one.value}; it must be between 0 and 1")
        good, bad = totals[one.arm]
        rate = (good + 0.5) / (good + bad + 1)
        predicted += one.value * math.log(rate) + (1 - one.value) * math.log(1 - rate)
        totals[one.arm] = [good + one.value, bad + 1 - one.value]
        pooled = _best(totals["a"][0] + totals["b"][0], totals["a"][1] + totals["b"][1])
        smallest = min(smallest, math.exp(min(0.0, pooled - predicted)))
        series.append(smallest)
    rates: dict[Arm, Interval] = {}
    for arm, (good, bad) in totals.items():
        n = round(good + bad)
        rates[arm] = Interval(good / n, *list(wilson(round(good), n))[1:]) if n else Interval(math.nan, 0, 1)
    verdict: Literal["a is better", "b is better", "undecided"] = "undecided"
    if smallest <= alpha:
        verdict = "b is better" if rates["b"].value > rates["a"].value else "a is better"
    units: dict[Arm, int] = {"a": 0, "b": 0}
    for one in found:
        units[one.arm] += 1
    return AbResult(rates, units, smallest, tuple(series), verdict, tuple(mixed))


def _best(good: float, bad: float) -> float:
    """Return the logarithm of the likelihood under the rate that explains the outcomes best."""
    total = good + bad
    return sum(count * math.log(count / total) for count in (good, bad) if count > 0)
