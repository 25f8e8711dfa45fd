"""The order of the work: which operator next, to which function, in which shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from random import Random

from understudy.core.errors import BadInput
from understudy.templates.code_review.defects.compose import Made, NoSite, Refused, compose
from understudy.templates.code_review.defects.records import Specimen
from understudy.templates.code_review.defects.registry import Operator, Shape, all_operators
from understudy.templates.code_review.defects.source import Piece, Source, pieces, standard_library
from understudy.templates.code_review.defects.unit import Unit

__all__ = ["Tally", "drawn", "specimens"]

Tally = Counter[tuple[str, str]]
"""How often each operator ended in what: ``made``, or the reason of a refusal."""

_SHAPES: dict[Shape, int] = {"edit": 35, "beside": 30, "block": 15, "function": 20}
"""Shares in percent, the same for defects and clean diffs."""
_PLAIN = 0.15
"""Share of the draws that are a harmless operator's; the others are a defect and its twin."""
_PATIENCE = 20
"""Functions tried in one shape before another one is drawn."""
_CHANCES = 3
_TEST_WEIGHT = 3.0
"""Tests are three quarters of the standard library; the draw leans against them by this much."""


def specimens(
    rng: Random,
    count: int,
    *,
    operators: Iterable[str] | None = None,
    sources: Iterable[Source] | None = None,
    tally: Tally | None = None,
) -> Iterator[Specimen]:
    """Yield diffs, about half of them clean, drawn evenly over the operators, never two changes of the same function.

    A defective diff is followed by its twin, where one can be made: the clean diff of the same place in the same
    function, the change made the other way round. Nothing but the defect tells the two apart.

    The same state of ``rng`` and the same sources give the same specimens.

    Args:
        rng: decides everything.
        count: how many; fewer come if the sources hold no more.
        operators: names of those to use; all without. Without a harmless one, all diffs have a defect, and so on; a
            defect's counterpart without the defect makes clean diffs of its own.
        sources: the files to take functions from; the standard library without.
        tally: counts what was made and refused, if given.

    Raises:
        BadInput: an operator is not known.
    """
    for made in drawn(rng, count, operators=operators, sources=sources, tally=tally):
        yield made.specimen


def drawn(
    rng: Random,
    count: int,
    *,
    operators: Iterable[str] | None = None,
    sources: Iterable[Source] | None = None,
    tally: Tally | None = None,
) -> Iterator[Made]:
    """Yield what :func:`specimens` does, each with the files before and after the change."""
    known = all_operators()
    chosen = sorted(known if operators is None else set(operators))
    for name in chosen:
        if name not in known:
            raise BadInput(f"{name!r} is not a defect operator; known are {', '.join(known)}")
    found = [piece for source in (standard_library() if sources is None else sources) for piece in pieces(source)]
    others = [one for one in known.values() if one.harmless and not one.reverses]
    tally = Counter() if tally is None else tally
    yield from _Draw(rng, [known[name] for name in chosen], others, found, tally).take(count)


class _Draw:
    """The state of one run: which functions are used up, which operators are due."""

    def __init__(
        self,
        rng: Random,
        operators: Sequence[Operator],
        others: Sequence[Operator],
        found: Sequence[Piece],
        tally: Tally,
    ) -> None:
        self.rng = rng
        self.found = found
        self.tally = tally
        self.order = sorted(
            range(len(found)), key=lambda index: rng.random() * (_TEST_WEIGHT if found[index].kind == "test" else 1)
        )
        self.used: set[int] = set()
        self.left: dict[str, Iterator[int]] = {}
        self.twins = {one.reverses: one for one in operators if one.reverses}
        chosen = {one.name for one in operators}
        self.plain = [one for one in operators if one.harmless and not one.reverses]
        self.pools = [
            pool
            for pool in (
                [one for one in operators if not one.harmless],
                [one for one in operators if one.reverses and one.reverses not in chosen],
                self.plain,
            )
            if pool
        ]
        self.misshapen: dict[str, dict[int, None]] = {one.name: {} for one in operators}
        self.others = tuple(self.plain or others)
        self.decks: dict[int, list[Operator]] = {}

    def take(self, count: int) -> Iterator[Made]:
        """Yield up to ``count`` specimens, until an operator's functions or the wanted number are used up."""
        made = 0
        while made < count and all(self.pools):
            shape = self.rng.choices(list(_SHAPES), list(_SHAPES.values()))[0]
            for one in self._one(self._pool(), shape)[: count - made]:
                made += 1
                yield one

    def _pool(self) -> list[Operator]:
        """Return the operators to draw from."""
        pools = [pool for pool in self.pools if pool is not self.plain]
        if self.plain and (not pools or self.rng.random() < _PLAIN):
            return self.plain
        return self.rng.choice(pools)

    def _one(self, pool: list[Operator], shape: Shape) -> list[Made]:
        """Return a specimen of the operator that is due, and its twin; none where it has no functions left."""
        operator = self._due(pool, shape)
        if operator is None:
            return []
        if shape not in operator.shapes:
            shape = self.rng.choices(list(operator.shapes), [_SHAPES[one] for one in operator.shapes])[0]
        for failed, index in enumerate(self.left.setdefault(operator.name, self._candidates(operator))):
            if (failed and failed % _PATIENCE == 0) or index in self.misshapen[operator.name]:
                shape = self.rng.choice(operator.shapes)
            state = self.rng.getrandbits(64)
            made = None if index in self.used else self._try(operator, shape, index, state)
            if made:
                self.used.add(index)
                counterpart = self.twins.get(operator.name)
                twin = self._try(counterpart, shape, index, state) if counterpart else None
                return [made, twin] if twin else [made]
        pool.remove(operator)
        return []

    def _due(self, pool: list[Operator], shape: Shape) -> Operator | None:
        """Return the next operator of a shuffled deck; of the plain ones it must be able to make the shape."""
        fitting = [one for one in pool if shape in one.shapes] if pool is self.plain else pool
        deck = self.decks.setdefault(id(pool), [])
        deck[:] = [one for one in deck if one in pool]
        ready = [one for one in deck if one in fitting]
        if not ready:
            deck += self.rng.sample(fitting, len(fitting))
            ready = fitting and deck[-len(fitting) :]
        if not ready:
            return None
        deck.remove(ready[0])
        return ready[0]

    def _candidates(self, operator: Operator) -> Iterator[int]:
        for index in self.order:
            piece = self.found[index]
            if index not in self.used and piece.kind in operator.kinds and operator.wants.search(piece.text):
                yield index
        # Those with a site, but not in the shape that was drawn, get a few more chances before the operator is dropped.
        for _ in range(_CHANCES):
            yield from [index for index in self.misshapen[operator.name] if index not in self.used]

    def _try(self, operator: Operator, shape: Shape, index: int, state: int) -> Made | None:
        """Return what ``compose`` makes of a function; the same ``state`` makes the same choices for both twins."""
        from libcst import ParserSyntaxError

        try:
            made = compose(operator, shape, Unit(self.found[index]), Random(state), self.others)
        except Refused as why:
            if not isinstance(why, NoSite):
                self.misshapen[operator.name][index] = None
            self.tally[operator.name, str(why)] += 1
            return None
        except ParserSyntaxError:
            self.tally[operator.name, "LibCST cannot parse it"] += 1
            return None
        self.tally[operator.name, "made"] += 1
        return made
