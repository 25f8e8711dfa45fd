"""Conditions that say something else than they should."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Unit

__all__: list[str] = []

_SWAPPED = {"LessThan": "<=", "LessThanEqual": "<", "GreaterThan": ">=", "GreaterThanEqual": ">"}
_NEGATED = {
    "Equal": "!=",
    "NotEqual": "==",
    "In": "not in",
    "NotIn": "in",
    "Is": "is not",
    "IsNot": "is",
}


def _single(unit: Unit, node: Any) -> tuple[str, str, str] | None:
    """Return left side, operator class and right side of a comparison of two things on one line."""
    if len(node.comparisons) != 1 or not unit.one_line(node) or node.lpar:
        return None
    target = node.comparisons[0]
    return unit.code(node.left), type(target.operator).__name__, unit.code(target.comparator)


@defect(
    "off_by_one",
    "bug",
    "major",
    r"(<|>=) len\(|range\((\w+, )?len\(|\[len\(",
    "Off by one: `{new}` goes past the last index of `{sequence}`.",
    "`{new}` lets the index reach the length of `{sequence}`, where there is no element.",
    "The boundary `{new}` is one too high; `{sequence}` ends before it.",
)
def off_by_one(unit: Unit, rng: Random) -> Iterator[Change]:
    """An index may reach the length of what it indexes."""
    for node in unit.all("Comparison"):
        parts = _single(unit, node)
        found = re.fullmatch(r"len\(([\w.]+)\)", parts[2]) if parts else None
        if parts and found and parts[1] in ("LessThan", "GreaterThanEqual") and f"{found[1]}[{parts[0]}]" in unit.text:
            new = f"{parts[0]} {_SWAPPED[parts[1]]} {parts[2]}"
            yield Change((unit.replace(node, new),), {"new": new, "sequence": found[1]})
    for node in unit.all("Call"):
        found = re.fullmatch(r"range\((\w+, )?len\(([\w.]+)\)\)", unit.code(node))
        if found and f"{found[2]}[" in unit.text:
            new = unit.code(node)[:-1] + " + 1)"
            yield Change((unit.replace(node, new),), {"new": new, "sequence": found[2]})
    for node in unit.all("Subscript"):
        found = re.fullmatch(r"([\w.]+)\[len\(\1\) ?- ?1\]", unit.code(node))
        if found:
            new = f"{found[1]}[len({found[1]})]"
            yield Change((unit.replace(node, new),), {"new": new, "sequence": found[1]})


@defect(
    "inverted_condition",
    "bug",
    "critical",
    r"^\s+(el)?if |^\s+while ",
    "The condition is inverted: `{new}` is true exactly when this branch must not run.",
    "`{new}` tests the opposite of what the branch below handles.",
    "This branch now runs in the wrong case: `{new}` has to be negated.",
)
def inverted_condition(unit: Unit, rng: Random) -> Iterator[Change]:
    """A branch runs exactly when it must not, which its own first lines show."""
    for node in unit.all("If", "While"):
        test = node.test
        body = unit.body(node)
        if not unit.one_line(test) or not body:
            continue
        kind = type(test).__name__
        parts = _single(unit, test) if kind == "Comparison" else None
        block = unit.text[slice(*(unit.block(node) or (0, 0)))]
        if parts and _branch_needs(parts, block):
            yield from _inverted(unit, test, f"{parts[0]} {_NEGATED[parts[1]]} {parts[2]}")
        elif kind == "UnaryOperation" and type(test.operator).__name__ == "Not":
            inner = unit.code(test.expression)
            if block.lstrip().startswith("raise") or re.search(rf"^\s*{re.escape(inner)} = ", block):
                yield from _inverted(unit, test, inner)
        elif kind in ("Name", "Attribute") and re.search(rf"\b{re.escape(unit.code(test))}[.\[(]", block):
            yield from _inverted(unit, test, f"not {unit.code(test)}")


def _inverted(unit: Unit, test: Any, new: str) -> Iterator[Change]:
    yield Change((unit.replace(test, new),), {"new": new})


def _branch_needs(parts: tuple[str, str, str], block: str) -> bool:
    """Return whether what a branch does shows that its comparison is the right way round."""
    left, operator, right = parts
    name = re.escape(left)
    if operator == "Is" and right == "None":
        return bool(re.search(rf"^\s*{name} = |^\s*raise ", block))
    if operator == "IsNot" and right == "None":
        return bool(re.search(rf"\b{name}[.\[(]", block))
    if operator == "NotIn":
        return block.lstrip().startswith("raise") or bool(re.search(rf"^\s*{re.escape(right)}\[{name}\] = ", block))
    return operator == "In" and f"{right}[{left}]" in block


@defect(
    "wrong_boolean_operator",
    "bug",
    "major",
    r"^\s+(el)?if .* (and|or) ",
    "Wrong boolean operator: in `{new}` the first test no longer protects the use of `{name}` in the second.",
    "`{new}` looks into `{name}` in exactly the case that the first operand rules out.",
    "The operands of `{new}` are joined the wrong way: its second part fails where `{name}` is not usable.",
)
def wrong_boolean_operator(unit: Unit, rng: Random) -> Iterator[Change]:
    """A test that protects the one behind it is joined to it the wrong way."""
    for node in unit.all("If", "While"):
        test = node.test
        if type(test).__name__ != "BooleanOperation" or not unit.one_line(test):
            continue
        if "BooleanOperation" in {type(side).__name__ for side in (test.left, test.right)}:
            continue
        name = re.search(r"[A-Za-z_][\w.]*", unit.code(test.left).removeprefix("not ").removeprefix("isinstance("))
        if name is None or not re.search(rf"\b{re.escape(name[0])}[.\[(]", unit.code(test.right)):
            continue
        word = "or" if type(test.operator).__name__ == "And" else "and"
        new = f"{unit.code(test.left)} {word} {unit.code(test.right)}"
        yield Change((unit.replace(test, new),), {"new": new, "name": name[0]})


@defect(
    "is_literal",
    "bug",
    "major",
    r"[=!]= ['\"\d]",
    "`{new}` compares identity, not value; whether it is true depends on how the object was made. Compare with ==.",
    "Identity with a literal: `{new}` may be false for an equal value.",
    "Use equality here. `{new}` only works where the interpreter happens to share the object.",
)
def is_literal(unit: Unit, rng: Random) -> Iterator[Change]:
    """A literal is compared by identity."""
    for node in unit.all("Comparison"):
        parts = _single(unit, node)
        if parts and parts[1] in ("Equal", "NotEqual") and re.fullmatch(r"'[^']+'|\"[^\"]+\"|\d{2,}", parts[2]):
            new = f"{parts[0]} {'is' if parts[1] == 'Equal' else 'is not'} {parts[2]}"
            yield Change((unit.replace(node, new),), {"new": new})


@defect(
    "none_equality",
    "style",
    "nit",
    r"\bis (not )?None",
    "Compare with None by identity: `{new}` calls the operand's own comparison.",
    "`{new}` should use the identity operator, as PEP 8 asks for None.",
    "None is a singleton, so `{new}` is better written with is or is not.",
)
def none_equality(unit: Unit, rng: Random) -> Iterator[Change]:
    """None is compared by equality."""
    for node in unit.all("Comparison"):
        parts = _single(unit, node)
        if parts and parts[1] in ("Is", "IsNot") and parts[2] == "None":
            new = f"{parts[0]} {'==' if parts[1] == 'Is' else '!='} None"
            yield Change((unit.replace(node, new),), {"new": new})
