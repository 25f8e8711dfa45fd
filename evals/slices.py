"""Candidate against baseline inside parts of the samples, so that a gain in all cannot hide a loss in some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from understudy.core.pack import Pack
from understudy.core.records import Example
from understudy.evals.results import Slice
from understudy.evals.statistics import holm, sign_flip

__all__ = ["slices_of"]

_MOST_PROJECTS = 20
"""More projects than that are no slices: each would be too small to say anything."""
_LENGTHS = ("shortest third", "middle third", "longest third")

By = Literal["stratum", "length", "project"]


def slices_of(
    pack: Pack, examples: Sequence[Example], ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> list[Slice]:
    """Return one slice per stratum, third of the prompt lengths and project, the largest loss first.

    The sign-flip test respects groups inside a slice too; Holm's correction is over all slices together.

    Args:
        pack: renders the prompts whose length counts.
        examples: the samples.
        ours: 1 where the candidate is right, in the samples' order.
        theirs: the same of the baseline.
    """
    keys: list[tuple[By, list[str]]] = [("stratum", [example.stratum for example in examples])]
    if len(examples) >= len(_LENGTHS):
        keys.append(("length", _thirds(pack, examples)))
    projects = [example.source.project for example in examples]
    if 2 <= len(set(projects)) <= _MOST_PROJECTS:
        keys.append(("project", projects))
    found = [
        _slice(by, name, [at for at, value in enumerate(values) if value == name], examples, ours, theirs)
        for by, values in keys
        for name in sorted(set(values))
    ]
    adjusted = holm([one.p for one in found])
    found = [one.model_copy(update={"p_adjusted": p}) for one, p in zip(found, adjusted, strict=True)]
    return sorted(found, key=lambda one: (one.candidate - one.baseline, one.by, one.name))


def _slice(
    by: By,
    name: str,
    rows: list[int],
    examples: Sequence[Example],
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
) -> Slice:
    difference = ours[rows] - theirs[rows]
    return Slice(
        by=by,
        name=name,
        n=len(rows),
        candidate=float(ours[rows].mean()),
        baseline=float(theirs[rows].mean()),
        wins=int(np.sum(difference > 0)),
        losses=int(np.sum(difference < 0)),
        p=sign_flip(difference, [examples[at].group for at in rows]),
        p_adjusted=1.0,
    )


def _thirds(pack: Pack, examples: Sequence[Example]) -> list[str]:
    lengths = [
        sum(len(turn.content) for turn in pack.messages(pack.Input.model_validate(example.input)))
        for example in examples
    ]
    order = sorted(range(len(lengths)), key=lambda at: (lengths[at], examples[at].id))
    found = [""] * len(lengths)
    for rank, at in enumerate(order):
        found[at] = _LENGTHS[rank * len(_LENGTHS) // len(lengths)]
    return found
