"""From probabilities to labels: what is applied, what is only suggested, and when the answer is not to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from understudy.core.taxonomy import Group
from understudy.templates.bug_classification.thresholds import Threshold, families

__all__ = ["Choice", "GroupResult", "Outcome", "decide"]

Outcome = Literal["applied", "suggested", "needs-info", "untrained"]
"""``suggested``: for people to judge; ``needs-info``: the ticket says too little; ``untrained``: nothing is learnt."""


class Choice(BaseModel):
    """One label of the ``label`` shape on the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str
    label: str
    probability: float
    applied: bool
    why: str
    """Why it is applied or only suggested, as a sentence part."""


class GroupResult(BaseModel):
    """One group's answer with everything behind it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str
    outcome: Outcome
    choices: list[Choice]
    """What is applied, or else the best suggestion; of a ``multi`` group all labels more probable than not."""
    table: dict[str, float]
    """Probability, to four places, of every label of the taxonomy that was learnt, most probable first."""
    untrained: list[str]
    """Labels of the taxonomy the model never saw; they get no probability."""


def decide(
    group: Group, probabilities: Mapping[str, float], thresholds: Mapping[str, Threshold], *, needs_info: bool = False
) -> GroupResult:
    """Return what is done with one group of one ticket.

    A label that was retired since training takes its probability with it: the others are not raised, so that they
    do not pass a threshold by its absence. A protected label is never applied. A ticket torn between parts of one
    parent gets the parent, when their sum passes its threshold.
    """
    known = {name: probabilities[name] for name in group.names if name in probabilities}
    untrained = [name for name in group.names if name not in probabilities]
    table = dict(sorted(known.items(), key=lambda item: (-item[1], item[0])))
    if not table:
        return GroupResult(group=group.name, outcome="untrained", choices=[], table={}, untrained=untrained)
    choices = _several(group, table, thresholds) if group.mode == "multi" else [_one(group, table, thresholds)]
    if needs_info:
        choices = [one.model_copy(update={"applied": False, "why": "the ticket says too little"}) for one in choices]
    outcome: Outcome = "needs-info" if needs_info else "applied" if any(one.applied for one in choices) else "suggested"
    shown = {name: round(probability, 4) for name, probability in table.items()}
    return GroupResult(group=group.name, outcome=outcome, choices=choices, table=shown, untrained=untrained)


def _one(group: Group, table: Mapping[str, float], thresholds: Mapping[str, Threshold]) -> Choice:
    """Return the most probable label, or its parent when only the family is sure."""
    top = next(iter(table))
    own = _choice(group, top, table[top], thresholds)
    if own.applied:
        return own
    for parent, members in families(group).items():
        if top in members:
            total = sum(table.get(name, 0.0) for name in members)
            fallback = _choice(group, parent, min(1.0, total), thresholds)
            if fallback.applied and parent != top:
                parts = ", ".join(name for name in table if name in members and name != parent)
                return fallback.model_copy(update={"why": f"not sure which part ({parts}): the parent, {fallback.why}"})
            if fallback.applied:
                return fallback
    return own


def _several(group: Group, table: Mapping[str, float], thresholds: Mapping[str, Threshold]) -> list[Choice]:
    judged = [_choice(group, label, probability, thresholds) for label, probability in table.items()]
    return [one for one in judged if one.applied or one.probability >= 0.5]


def _choice(group: Group, name: str, probability: float, thresholds: Mapping[str, Threshold]) -> Choice:
    label = group.find(name)
    found = thresholds.get(name, Threshold(value=None, why="no threshold was fitted"))
    if label is not None and label.protected:
        applied, why = False, "protected: only people apply it"
    elif found.value is None:
        applied, why = False, found.why
    elif probability >= found.value:
        applied, why = True, f"at least {found.value:.2f}, where {found.precision:.0%} of {found.support} were right"
    else:
        applied, why = False, f"below {found.value:.2f}, from which on {group.precision_of(name):.0%} are right"
    return Choice(group=group.name, label=name, probability=round(probability, 4), applied=applied, why=why)
