"""Exceptions that get lost, and resources that are not given back."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

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
        start, inner = unit.whole(node)[0], unit.whole(body[0])[0]
        end = unit.whole(body[-1])[1]
        lines = unit.text[inner:end].split("\n")
        extra = len(unit.margin(body[0])) - len(unit.margin(node))
        if any(line[:extra].strip() for line in lines) or '"""' in unit.text[inner:end]:
            continue
        name = item.asname.name.value
        opened = f"{unit.margin(node)}{name} = {unit.code(item.item)}\n"
        yield Change((Splice(start, end, opened + "\n".join(line[extra:] for line in lines)),), {"name": name})


@defect(
    "missing_raise",
    "bug",
    "critical",
    r"^\s+raise \w+\(",
    "`{error}` is created but not raised, so execution goes on as if nothing were wrong.",
    "The `raise` keyword is missing: this line only builds a `{error}` and throws it away.",
    "Nothing raises this `{error}`; the invalid case falls through to the code below.",
)
def missing_raise(unit: Unit, rng: Random) -> Iterator[Change]:
    """An exception is made and not raised."""
    for node in unit.all("Raise"):
        if type(node.exc).__name__ != "Call" or node.cause is not None:
            continue
        text = unit.code(node.exc)
        yield Change((unit.replace(node, text),), {"error": unit.code(node.exc.func)})
