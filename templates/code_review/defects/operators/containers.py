"""Lists, sums and loops that end up with the wrong content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from random import Random

from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__: list[str] = []


@defect(
    "missing_comma",
    "bug",
    "major",
    r"^\s+['\"].*['\"],\n\s+['\"]",
    "A comma is missing after `{first}`, so it is joined with the next string into one element.",
    "`{first}` and the string on the next line become one.",
    "Implicit concatenation: put a comma after `{first}`.",
    shapes=("edit", "beside"),
)
def missing_comma(unit: Unit, rng: Random) -> Iterator[Change]:
    """Two strings of a list become one."""
    for node in unit.all("List", "Tuple", "Set"):
        items = list(node.elements)
        for one, two in pairwise(items):
            kinds = {type(item.value).__name__ for item in (one, two)}
            first = unit.code(one.value)
            between = unit.text[unit.end(one.value) : unit.start(two.value)]
            if kinds == {"SimpleString"} and re.fullmatch(r",\n *", between) and "\n" not in first and len(first) > 2:
                start = unit.end(one.value)
                yield Change((Splice(start, start + 1, ""),), {"first": first})


@defect(
    "overwritten_sum",
    "bug",
    "major",
    r"^\s+\w+ \+= ",
    "`{name}` is overwritten in every round instead of being added to; only the last one counts.",
    "The loop should add to `{name}`, but this assigns it anew each time.",
    "What earlier rounds put into `{name}` is lost here; use += as before.",
    shapes=("edit", "beside"),
)
def overwritten_sum(unit: Unit, rng: Random) -> Iterator[Change]:
    """A loop assigns where it should add."""
    for node in unit.all("AugAssign"):
        name = unit.code(node.target)
        adds = type(node.operator).__name__ == "AddAssign" and re.fullmatch(r"\w+", name)
        if adds and unit.up(node, "For", "While") is not None and not unit.code(node.value).isdigit():
            yield Change((unit.replace(node, f"{name} = {unit.code(node.value)}"),), {"name": name})


@defect(
    "shared_copy",
    "bug",
    "major",
    r"= (list|dict|set)\([\w.]+\)$|\.copy\(\)$|\[:\]$",
    "`{name}` is the same object as `{original}` now, so changing it changes the caller's data too.",
    "No copy is made: what happens to `{name}` also happens to `{original}`.",
    "`{original}` gets modified through `{name}`; copy it before the changes.",
)
def shared_copy(unit: Unit, rng: Random) -> Iterator[Change]:
    """A copy that is changed afterwards is no copy any more."""
    for node in unit.all("Assign"):
        found = re.fullmatch(
            r"(\w+) = (?:(?:list|dict|set)\(([\w.]+)\)|([\w.]+)\.copy\(\)|([\w.]+)\[:\])", unit.code(node)
        )
        if not found:
            continue
        name, original = found[1], found[2] or found[3] or found[4]
        changed = (
            rf"\b{name}(\.(append|update|pop|remove|add|extend|insert|sort|reverse|clear|discard)\(|\[[^\]]+\] = )"
        )
        if name != original and re.search(changed, unit.text[unit.end(node) :]):
            yield Change((unit.replace(node.value, original),), {"name": name, "original": original})


@defect(
    "early_return",
    "bug",
    "critical",
    r"^( +)for (.|\n)*?\n\1return \w+$",
    "This `return` is inside the loop now, so only the first round runs.",
    "The function leaves after one round: `return {name}` belongs behind the loop.",
    "`return {name}` is indented one level too far; `{name}` never gets the later elements.",
)
def early_return(unit: Unit, rng: Random) -> Iterator[Change]:
    """A loop that collects returns in its first round."""
    for node in unit.all("For"):
        rest = unit.following(node) if type(unit.parent(node)).__name__ == "IndentedBlock" else []
        found = re.fullmatch(r"return (\w+)", unit.code(rest[0])) if rest else None
        block = unit.block(node)
        if not found or not block or node.orelse is not None:
            continue
        name = found[1]
        grows = rf"\b{name}(\.(append|update|add|extend)\(| \+= |\[[^\]]+\] = )"
        if re.search(grows, unit.text[slice(*block)]):
            margin = unit.margin(unit.body(node)[0])
            start, end = unit.whole(rest[0])
            text = f"{margin}{unit.text[start:end].lstrip(' ')}"
            yield Change((Splice(block[1], end, text),), {"name": name})


@defect(
    "repeated_condition",
    "bug",
    "major",
    r"^\s+elif ",
    "This branch can never run: `{test}` was tested above already.",
    "`{test}` is the condition of the first branch too: a copy that was not adapted.",
    "Unreachable: an earlier branch handles `{test}`.",
)
def repeated_condition(unit: Unit, rng: Random) -> Iterator[Change]:
    """Two branches of a chain have the same condition."""
    for node in unit.all("If"):
        other = node.orelse
        if type(other).__name__ != "If" or not unit.one_line(node.test) or not unit.one_line(other.test):
            continue
        test = unit.code(node.test)
        if len(test) > 4 and test != unit.code(other.test) and unit.text.count(test) == 1:
            yield Change((unit.replace(other.test, test),), {"test": test})


@defect(
    "self_assignment",
    "bug",
    "critical",
    r"^\s+self\.(\w+) = \1$",
    "`{name}` is assigned to itself; the argument is never stored.",
    "The right side should be the parameter, not `{name}`.",
    "This reads `{name}` before it exists, and the value that was passed is ignored.",
)
def self_assignment(unit: Unit, rng: Random) -> Iterator[Change]:
    """An attribute is assigned to itself."""
    for node in unit.all("Assign"):
        found = re.fullmatch(r"(self\.(\w+)) = \2", unit.code(node))
        if found and found[2] in unit.params:
            yield Change((unit.replace(node.value, found[1]),), {"name": found[1]})


@defect(
    "missing_super_init",
    "bug",
    "major",
    r"def __init__\((.|\n)*__init__\(",
    "The base class is not initialised any more: the call of `__init__` is gone.",
    "Without calling the parent's `__init__`, the attributes that it sets are missing.",
    "`__init__` has to call the base class; its state is never set up.",
    shapes=("edit", "beside"),
)
def missing_super_init(unit: Unit, rng: Random) -> Iterator[Change]:
    """A constructor does not call the one of its base class."""
    if unit.piece.name != "__init__":
        return
    body = unit.body(unit.function)
    for statement in body:
        if re.match(r"(super\(.*\)|[A-Z]\w*(\.\w+)*)\.__init__\(", unit.code(statement)) and len(body) > 1:
            yield Change((unit.cut(statement),), {}, anchor=unit.start(unit.function.name))
