"""The probability from which a label is applied: per label, for a wanted precision on tickets not learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from understudy.core.taxonomy import Group

__all__ = ["Threshold", "families", "fit_thresholds", "lowest_threshold"]


class Threshold(BaseModel):
    """What a label needs to be applied."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float | None
    """Lowest probability; None: the label is only ever suggested."""
    precision: float | None = None
    """Share right at or above ``value`` on the tickets it was fitted on."""
    support: int = 0
    """Of those, tickets at or above ``value``; without a threshold all tickets of the label."""
    why: str = ""
    """Why there is none."""


def lowest_threshold(scores: Sequence[float], right: Sequence[bool], precision: float, support: int) -> Threshold:
    """Return the lowest score from which on the answers are right often enough.

    Args:
        scores: probability of the label on tickets where it would be the answer.
        right: whether it was.
        precision: wanted share of right answers, among all at or above the threshold.
        support: answers that must stand above the threshold, so that a lucky few do not set it.
    """
    ranked = sorted(zip(scores, right, strict=True), key=lambda pair: -pair[0])
    best: Threshold | None = None
    hits = 0
    for at, (score, hit) in enumerate(ranked, start=1):
        hits += hit
        last = at == len(ranked) or ranked[at][0] < score  # equal scores stand or fall together
        if last and at >= support and hits >= precision * at:
            best = Threshold(value=score, precision=hits / at, support=at)
    if best is not None:
        return best
    if len(ranked) < support:
        return Threshold(value=None, support=len(ranked), why=f"{len(ranked)} tickets to judge it by, {support} needed")
    return Threshold(value=None, support=len(ranked), why=f"no probability was right {precision:.0%} of the time")


def families(group: Group) -> dict[str, list[str]]:
    """Return each parent with itself and its parts."""
    found: dict[str, list[str]] = {}
    for label in group.labels:
        if label.parent is not None:
            found.setdefault(label.parent, [label.parent]).append(label.name)
    return found


def fit_thresholds(
    group: Group, answers: Sequence[Mapping[str, float]], truths: Sequence[str | Mapping[str, bool]]
) -> dict[str, Threshold]:
    """Return the thresholds of a group's labels.

    A ``single`` label is judged on the tickets where it is the most probable one, a ``multi`` label on all that judge
    it. A parent is judged as what it is used for: the tickets torn between its parts, by the sum of their
    probabilities, right when any of the family is.

    Args:
        group: the labels with what each must reach.
        answers: probabilities by label, of tickets that the model did not learn from.
        truths: what people said, in the same order.
    """
    found = {}
    members = families(group)
    for label in group.names:
        counted = sum(_has(truth, label) for truth in truths)
        wanted = group.support_of(label)
        if counted < wanted and label not in members:
            found[label] = Threshold(value=None, support=counted, why=f"{counted} tickets have it, {wanted} are needed")
            continue
        pairs = [
            (
                sum(answer.get(one, 0.0) for one in members.get(label, [label])),
                _is_right(truth, members.get(label, [label])),
            )
            for answer, truth in zip(answers, truths, strict=True)
            if _stands(group, members, label, answer, truth)
        ]
        found[label] = lowest_threshold(
            [score for score, _ in pairs], [hit for _, hit in pairs], group.precision_of(label), wanted
        )
    return found


def _stands(
    group: Group,
    members: Mapping[str, Sequence[str]],
    label: str,
    answer: Mapping[str, float],
    truth: str | Mapping[str, bool],
) -> bool:
    """Whether a ticket would get this label, or, of a parent, one of its family."""
    if group.mode == "multi":
        return not isinstance(truth, str) and label in truth and answer.get(label, 0.0) > 0
    top = max(answer, key=lambda one: answer[one])
    return top in members.get(label, [label])


def _has(truth: str | Mapping[str, bool], label: str) -> bool:
    return truth == label if isinstance(truth, str) else bool(truth.get(label))


def _is_right(truth: str | Mapping[str, bool], accepted: Sequence[str]) -> bool:
    return any(_has(truth, label) for label in accepted)
