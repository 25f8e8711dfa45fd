"""Exceptions that get lost, and resources that are not given back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__: list[str] = []


@defect(
    "swallowed_exception",
    "bug",
    "major",
    r"^\s+except .*:$",
    "The handler of `{caught}` does nothing, so a failure goes on unnoticed. Handle it, log it or let it through.",
    "`{caught}` is swallowed silently here; the caller never learns that the operation failed.",
    "An empty handler hides every `{caught}`; the code behind it then works on a state that does not exist.",
)
def swallowed_exception(unit: Unit, rng: Random) -> Iterator[Change]:
    """What a handler did is replaced by nothing."""
    for node in unit.all("ExceptHandler"):
        body = unit.body(node)
        if node.type is None or not body or unit.code(body[0]) in ("pass", "continue") or len(body) > 4:
            continue
        if not unit.one_line(node.type) or not any(word in unit.code(node) for word in ("raise", "return", "(")):
            continue
        cuts = [unit.lines(body[0], "pass"), *map(unit.cut, body[1:])]
        yield Change(tuple(cuts), {"caught": unit.code(node.type)}, anchor=unit.start(node))


@defect(
    "bare_except",
    "maintainability",
    "major",
    r"^\s+except [\w.]+( as \w+)?:",
    "A bare `except:` also catches KeyboardInterrupt and SystemExit. Name the exceptions that are expected.",
    "`except:` hides every error, typing mistakes included; catch only what this block can handle.",
    "Catching everything with `except:` makes the program hard to stop and its bugs hard to see.",
)
def bare_except(unit: Unit, rng: Random) -> Iterator[Change]:
    """A handler names no exception."""
    for node in unit.all("ExceptHandler"):
        last = unit.parent(node).handlers[-1] is node
        if node.type is None or node.name is not None or not last or not unit.one_line(node.type):
            continue
        end = unit.end(node.type)
        start = unit.start(node)
        yield Change((Splice(start, end, "except"),))


@defect(
    "resource_leak",
    "bug",
    "major",
    r"^\s+with .*\bopen\(.* as \w+:",
    "`{name}` is never closed when an exception is raised in between. Open it in a with statement.",
    "Resource leak: nothing closes `{name}`; keep the with statement.",
    "The file behind `{name}` stays open until the garbage collector comes along. Use it as a context manager.",
)
def resource_leak(unit: Unit, rng: Random) -> Iterator[Change]:
    """A file is opened without a with statement."""
    for node in unit.all("With"):
        body = unit.body(node)
        item = node.items[0]
        if len(node.items) != 1 or item.asname is None or not body or not unit.one_line(item) or node.asynchronous:
            continue
        if type(item.asname.name).__name__ != "Name" or "open" not in unit.code(item.item):
            continue
        name = item.asname.name.value
        opened = unit.unwrapped(node, f"{name} = {unit.code(item.item)}")
        if opened:
            yield Change((opened,), {"name": name})


@defect(
    "missing_raise",
    "bug",
    "critical",
    r"^\s+raise \w+\(",
    "`{error}` is created but not raised, so execution goes on as if nothing were wrong.",
    "The `raise` keyword is missing: this line only builds the `{error}` and throws it away.",
    "Nothing raises this `{error}`; the invalid case falls through to the code below.",
)
def missing_raise(unit: Unit, rng: Random) -> Iterator[Change]:
    """An exception is made and not raised."""
    for node in unit.all("Raise"):
        if type(node.exc).__name__ != "Call" or node.cause is not None:
            continue
        text = unit.code(node.exc)
        yield Change((unit.replace(node, text),), {"error": unit.code(node.exc.func)})


@defect(
    "missing_raise_from",
    "maintainability",
    "minor",
    r"^\s+raise .* from \w+",
    "The new `{error}` no longer names its cause; raise it from the exception that was caught.",
    "Without a cause, the traceback of `{error}` says that it happened while handling another exception.",
    "`{error}` hides why it was raised. Chain it to the caught exception explicitly.",
    shapes=("edit", "beside"),
)
def missing_raise_from(unit: Unit, rng: Random) -> Iterator[Change]:
    """An exception is raised in a handler without its cause."""
    for node in unit.all("Raise"):
        if node.cause is not None and node.exc is not None and unit.up(node, "ExceptHandler") is not None:
            error = unit.code(node.exc.func if type(node.exc).__name__ == "Call" else node.exc)
            yield Change((unit.replace(node, f"raise {unit.code(node.exc)}"),), {"error": error})


@defect(
    "broad_except",
    "maintainability",
    "minor",
    r"^\s+except \(?[A-Z]\w+Error",
    "`except Exception` catches far more than the error that is expected here and hides bugs. Name it.",
    "Too broad: a plain bug in the block above also ends up in this `Exception` handler.",
    "Catch the specific error; with `Exception` every failure looks like the expected one.",
    shapes=("edit", "beside"),
)
def broad_except(unit: Unit, rng: Random) -> Iterator[Change]:
    """A handler that named its errors catches all."""
    for node in unit.all("ExceptHandler"):
        last = unit.parent(node).handlers[-1] is node
        if node.type is not None and last and unit.one_line(node.type) and "Error" in unit.code(node.type):
            yield Change((unit.replace(node.type, "Exception"),), {})


@defect(
    "assert_for_validation",
    "bug",
    "major",
    r"^\s+if .*:\n\s+raise \w+\(",
    "An `assert` is stripped under -O, so `{condition}` is not checked in optimised runs. Raise an exception.",
    "Input must not be validated by `assert`: with optimisation `{condition}` is never tested.",
    "`assert {condition}` disappears with python -O; keep the explicit exception.",
    shapes=("edit", "beside"),
)
def assert_for_validation(unit: Unit, rng: Random) -> Iterator[Change]:
    """An argument is checked by an assertion."""
    for node in unit.all("If"):
        body = unit.body(node)
        alone = node.orelse is None and len(body) == 1 and unit.one_line(body[0]) and unit.one_line(node.test)
        if not alone or not unit.code(body[0]).startswith("raise ") or unit.text[unit.start(node) :].startswith("elif"):
            continue
        condition = _negated(unit, node.test)
        if condition and unit.names(node.test) & set(unit.params):
            yield Change((unit.lines(node, f"assert {condition}"),), {"condition": condition})


_OPPOSITE = {
    "Equal": "!=",
    "NotEqual": "==",
    "LessThan": ">=",
    "LessThanEqual": ">",
    "GreaterThan": "<=",
    "GreaterThanEqual": "<",
    "In": "not in",
    "NotIn": "in",
    "Is": "is not",
    "IsNot": "is",
}


def _negated(unit: Unit, test: Any) -> str | None:
    """Return the opposite of a simple condition, or None."""
    kind = type(test).__name__
    if kind == "UnaryOperation" and type(test.operator).__name__ == "Not":
        return unit.code(test.expression)
    if kind == "Comparison" and len(test.comparisons) == 1 and not test.lpar:
        target = test.comparisons[0]
        opposite = _OPPOSITE.get(type(target.operator).__name__)
        return f"{unit.code(test.left)} {opposite} {unit.code(target.comparator)}" if opposite else None
    return f"not {unit.code(test)}" if kind in ("Name", "Attribute", "Call") else None


@defect(
    "missing_release",
    "bug",
    "critical",
    r"^\s+with [\w.]*(lock|mutex|cond|sem)\w*:",
    "`{lock}` is acquired and never released; the next thread that wants it waits for ever. Use a with statement.",
    "Nothing releases `{lock}` again, neither at the end nor after an exception.",
    "Deadlock: after `{lock}.acquire()` there is no release on any path.",
)
def missing_release(unit: Unit, rng: Random) -> Iterator[Change]:
    """A lock is taken and not given back."""
    for node in unit.all("With"):
        lock = unit.code(node.items[0].item)
        plain = len(node.items) == 1 and node.items[0].asname is None and not node.asynchronous
        if plain and re.fullmatch(r"[\w.]*(lock|mutex|cond|sem)\w*", lock, re.IGNORECASE):
            taken = unit.unwrapped(node, f"{lock}.acquire()")
            if taken:
                yield Change((taken,), {"lock": lock})
