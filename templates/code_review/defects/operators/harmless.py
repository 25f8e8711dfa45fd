"""Refactorings that change nothing: what clean diffs are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from understudy.templates.code_review.defects.registry import harmless, new_code
from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__: list[str] = []

_MIRRORED = {"LessThan": ">", "LessThanEqual": ">=", "GreaterThan": "<", "GreaterThanEqual": "<="}
_NAMES = {
    "i": "index",
    "n": "count",
    "s": "text",
    "f": "stream",
    "p": "path",
    "d": "mapping",
    "l": "items",
    "k": "key",
    "v": "value",
    "x": "item",
    "m": "match",
    "e": "error",
    "exc": "error",
    "res": "result",
    "ret": "result",
    "msg": "message",
    "fn": "filename",
    "buf": "buffer",
    "idx": "index",
    "val": "value",
    "tmp": "temporary",
    "lst": "items",
    "func": "function",
}


@new_code("new_code")
def unchanged(unit: Unit, rng: Random) -> Iterator[Change]:
    """Statements or a function that are simply added."""
    yield Change(())


@harmless("rename_local", r"^\s+\w+ = ")
def rename_local(unit: Unit, rng: Random) -> Iterator[Change]:
    """A local variable gets a longer name."""
    words = {name.value for name in unit.all("Name")}
    for name in unit.locals():
        new = _NAMES.get(name) or rng.choice((f"{name}_value", f"current_{name}", f"new_{name}", f"the_{name}"))
        splices = unit.rename(name, new)
        quoted = re.search(rf"[\"'{{]{name}\b", unit.text)
        if new not in words and not quoted and not name.startswith("__") and 2 <= len(splices) <= 6:
            yield Change(splices)


@harmless("mirror_comparison", r" [<>]=? ")
def mirror_comparison(unit: Unit, rng: Random) -> Iterator[Change]:
    """Both sides of a comparison change places."""
    for node in unit.all("Comparison"):
        if len(node.comparisons) != 1 or not unit.one_line(node) or node.lpar:
            continue
        target = node.comparisons[0]
        mirrored = _MIRRORED.get(type(target.operator).__name__)
        if mirrored and re.fullmatch(r"[\w.]*[a-z]\w*", unit.code(target.comparator)):
            yield Change((unit.replace(node, f"{unit.code(target.comparator)} {mirrored} {unit.code(node.left)}"),))


@harmless("augmented_assignment", r"(\w+) = \1 [+-] ")
def augmented_assignment(unit: Unit, rng: Random) -> Iterator[Change]:
    """A number is counted up in short."""
    for node in unit.all("Assign"):
        found = re.fullmatch(r"([\w.]+) = \1 ?([+-]) ?(\d+)", unit.code(node))
        if found:
            yield Change((unit.replace(node, f"{found[1]} {found[2]}= {found[3]}"),))


@harmless("extract_variable", r"^\s+return .*\(")
def extract_variable(unit: Unit, rng: Random) -> Iterator[Change]:
    """What is returned gets a name first."""
    words = {name.value for name in unit.all("Name")}
    for node in unit.all("Return"):
        if node.value is None or type(node.value).__name__ in ("Name", "Tuple") or node.value.children == ():
            continue
        name = rng.choice(("result", "value", "answer", "outcome"))
        statement = unit.statement(node)
        alone = len(statement.body) == 1 and unit.one_line(node)
        if name not in words and alone and len(unit.code(node.value)) > 8:
            yield Change((unit.lines(statement, f"{name} = {unit.code(node.value)}\nreturn {name}"),))


@harmless("invert_early_return", r"^\s+else:")
def invert_early_return(unit: Unit, rng: Random) -> Iterator[Change]:
    """The branches of a condition change places with its negation."""
    for node in unit.all("If"):
        other = node.orelse
        if type(other).__name__ != "Else" or not unit.body(node) or not unit.body(other):
            continue
        if type(node.test).__name__ not in ("Name", "Attribute", "Call") or not unit.one_line(node.test):
            continue
        first, second = unit.block(node), unit.block(other)
        if first and second and unit.text[first[1] : second[0]].strip() == "else:":
            yield Change(
                (
                    unit.replace(node.test, f"not {unit.code(node.test)}"),
                    Splice(*first, unit.text[slice(*second)]),
                    Splice(*second, unit.text[slice(*first)]),
                )
            )


@harmless("reword_comment", r"^\s+# \w")
def reword_comment(unit: Unit, rng: Random) -> Iterator[Change]:
    """A comment is worded a little differently."""
    for node in unit.all("Comment"):
        text = node.value
        new = re.sub(r"^# ([A-Z])", lambda found: f"# {rng.choice(('Note: ', 'Here: ', 'NB: '))}" + found[1], text)
        new = new.replace("don't", "do not").replace("can't", "cannot").replace("isn't", "is not")
        if new != text and len(new) < 80:
            yield Change((unit.replace(node, new),))


@harmless("quote_style", r"'\w+'")
def quote_style(unit: Unit, rng: Random) -> Iterator[Change]:
    """A string changes its quotes."""
    for node in unit.all("SimpleString"):
        if re.fullmatch(r"'[\w .,:/-]+'", node.value) and node.prefix == "":
            yield Change((unit.replace(node, f'"{node.value[1:-1]}"'),))
