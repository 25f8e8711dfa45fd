"""Dividing examples into train, validation and test: by group, every class in each, the newest in the test."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from understudy.core._cleaning import in_order, moment
from understudy.core.records import Example

__all__ = ["SPLITS", "split_examples"]

SPLITS = ("train", "validation", "test")

_ENOUGH_GROUPS = 3
"""Groups a stratum needs to stand in all three splits; strata with fewer are split together as one."""


@dataclass(frozen=True)
class _Group:
    """All examples of one group."""

    name: str
    rank: str
    """Hash of seed and name: an order that is nobody's choice."""
    newest: datetime | None
    strata: Counter[str]

    @property
    def size(self) -> int:
        return self.strata.total()


def split_examples(
    examples: Iterable[Example], validation: float, test: float, seed: int
) -> tuple[dict[str, list[Example]], bool]:
    """Divide examples by group, so that no group stands in two splits.

    A stratum with at least three groups is represented in every split whose share is not 0, as long as its groups
    belong to it alone. When every group has a time and the times differ, the newest groups of a stratum go to
    ``test`` and the next to ``validation``; otherwise a hash of seed and group name decides. The order of
    ``examples`` never does.

    Args:
        examples: what to divide.
        validation: share of the examples, 0 to 1.
        test: share of the examples, 0 to 1.
        seed: changes the hash.

    Returns:
        The examples of each split in order of time, and whether times decided.
    """
    ordered = in_order(examples)
    groups = _groups(ordered, seed)
    by_time = all(group.newest for group in groups) and len({group.newest for group in groups}) > 1
    if by_time:
        groups.sort(key=lambda group: (group.newest, group.rank), reverse=True)
    else:
        groups.sort(key=lambda group: group.rank)
    place: dict[str, str] = {}
    shares = {"test": test, "validation": validation}
    for names, members in _strata(groups):
        _place(names, members, shares, place)
    splits: dict[str, list[Example]] = {name: [] for name in SPLITS}
    for example in ordered:
        splits[place.get(example.group, "train")].append(example)
    return splits, by_time


def _groups(examples: Sequence[Example], seed: int) -> list[_Group]:
    members: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        members[example.group].append(example)
    groups = []
    for name, items in members.items():
        times = [moment(item) for item in items]
        known = [time for time in times if time is not None]
        newest = max(known) if len(known) == len(times) else None
        rank = hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()
        groups.append(_Group(name, rank, newest, Counter(item.stratum for item in items)))
    return groups


def _strata(groups: Sequence[_Group]) -> list[tuple[frozenset[str], list[_Group]]]:
    """Return strata with their groups in the given order; those with few groups first, as they have least choice."""
    members: dict[str, list[_Group]] = defaultdict(list)
    for group in groups:
        for stratum in group.strata:
            members[stratum].append(group)
    rare = frozenset(name for name, owned in members.items() if len(owned) < _ENOUGH_GROUPS)
    pooled = [(rare, [group for group in groups if rare & group.strata.keys()])] if rare else []
    common = [(frozenset([name]), owned) for name, owned in members.items() if name not in rare]
    return sorted(common, key=lambda item: (len(item[1]), sorted(item[0]))) + pooled


def _place(names: frozenset[str], groups: list[_Group], shares: dict[str, float], place: dict[str, str]) -> None:
    """Decide where the groups of one stratum go, first in order first, until each split has its share."""
    weight = {group.name: sum(group.strata[name] for name in names) for group in groups}
    taken = Counter[str]()
    for name in weight.keys() & place.keys():
        taken[place[name]] += weight[name]
    free = [group.name for group in groups if group.name not in place]
    enough = len(groups) >= _ENOUGH_GROUPS
    if enough and free and not taken["train"]:
        place[free.pop()] = "train"  # the oldest, so that what is trained on comes before what is tested on
    needy = [split for split, share in shares.items() if enough and share and not taken[split]]
    for split, share in shares.items():
        goal = share * sum(weight.values())
        if split in needy:
            needy.remove(split)
            if free:
                small = (name for name in free if weight[name] <= goal)
                first = next(small, None) or min(free, key=lambda name: weight[name])
                place[first] = split
                taken[split] += weight[first]
                free.remove(first)
        for name in list(free):
            # A group far larger than the share would starve training: it must bring the count nearer to the goal.
            nearer = abs(taken[split] + weight[name] - goal) < abs(taken[split] - goal)
            if nearer and len(free) > len(needy):
                place[name] = split
                taken[split] += weight[name]
                free.remove(name)
