r"""What an operator is, and the registry of all of them.

An operator finds the places of a unit where it can be applied and says what becomes of each::

    @defect("off_by_one", "bug", "major", r"\blen\(", "`{new}` is one too high.", ...)
    def off_by_one(unit: Unit, rng: Random) -> Iterator[Change]:
        ...

Operators come in pairs: to every defect belongs a harmless one, ``fixed_NAME``, which makes the same edit the other way
round, or the same addition done right. A model cannot tell them apart by their shape. Whoever holds out a defect
operator must hold out the other one too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Literal

from understudy.templates.code_review.defects.records import Category, Severity
from understudy.templates.code_review.defects.source import PieceKind
from understudy.templates.code_review.defects.unit import Change, Unit

__all__ = ["Operator", "Shape", "all_operators", "defect", "harmless", "new_code"]

Finder = Callable[[Unit, Random], Iterable[Change]]
Shape = Literal["edit", "beside", "block", "function"]
"""``edit``: the change alone; ``beside``: with a harmless one; ``block``, ``function``: in statements or a function
that the diff adds."""
_ALL: tuple[Shape, ...] = ("edit", "beside", "block", "function")


@dataclass(frozen=True)
class Operator:
    """One kind of change."""

    name: str
    category: Category | None
    """None for a harmless one."""
    severity: Severity | None
    harmless: bool
    reverses: str | None
    """Of ``fixed_NAME`` the defect operator it belongs to."""
    find: Finder
    wants: re.Pattern[str]
    """What a piece's text must hold for a look at it to be worth while."""
    kinds: tuple[PieceKind, ...]
    shapes: tuple[Shape, ...]
    """Those in which the defect is plain from the diff alone."""
    messages: tuple[str, ...]
    """Wordings; a placeholder is one of the change's ``names``."""


_OPERATORS: dict[str, Operator] = {}


def defect(
    name: str,
    category: Category,
    severity: Severity,
    wants: str,
    *messages: str,
    kinds: tuple[PieceKind, ...] = ("function", "test"),
    shapes: tuple[Shape, ...] = _ALL,
) -> Callable[[Finder], Finder]:
    """Register the decorated function as a defect operator, and the harmless one that belongs to it."""
    if len(messages) < 3:
        raise ValueError(f"{name} has {len(messages)} wordings; give at least three")

    def register(find: Finder) -> Finder:
        pattern = re.compile(wants, re.MULTILINE)
        _add(Operator(name, category, severity, False, None, find, pattern, kinds, shapes, messages))
        _add(Operator(f"fixed_{name}", None, None, True, name, find, pattern, kinds, shapes, ()))
        return find

    return register


def harmless(
    name: str, wants: str, *, kinds: tuple[PieceKind, ...] = ("function", "test")
) -> Callable[[Finder], Finder]:
    """Register the decorated function as a harmless operator."""

    def register(find: Finder) -> Finder:
        pattern = re.compile(wants, re.MULTILINE)
        _add(Operator(name, None, None, True, None, find, pattern, kinds, ("edit", "beside"), ()))
        return find

    return register


def new_code(name: str) -> Callable[[Finder], Finder]:
    """Register the decorated function as the operator of clean diffs that only add code."""

    def register(find: Finder) -> Finder:
        _add(
            Operator(
                name, None, None, True, None, find, re.compile(""), ("function", "test"), ("block", "function"), ()
            )
        )
        return find

    return register


def _add(operator: Operator) -> None:
    if operator.name in _OPERATORS:
        raise ValueError(f"two operators are called {operator.name!r}")
    _OPERATORS[operator.name] = operator


def all_operators() -> dict[str, Operator]:
    """Return every operator by name, after importing the modules that define them."""
    from understudy.templates.code_review.defects import operators

    operators.load()
    return dict(sorted(_OPERATORS.items()))
