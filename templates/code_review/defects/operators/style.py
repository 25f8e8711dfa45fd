"""Things that work and that a style guide forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from understudy.templates.code_review.defects.additions import added, values
from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__: list[str] = []


@defect(
    "type_comparison",
    "style",
    "minor",
    r"\bisinstance\(",
    "Use isinstance: `{new}` is false for subclasses.",
    "`{new}` compares exact types, so subclasses are not accepted any more.",
    "Types are better tested with isinstance than by `{new}`.",
)
def type_comparison(unit: Unit, rng: Random) -> Iterator[Change]:
    """A type is compared instead of asked for."""
    for node in unit.all("Call"):
        found = re.fullmatch(r"isinstance\(([\w.]+), ([\w.]+)\)", unit.code(node))
        negated = type(unit.parent(node)).__name__ == "UnaryOperation"
        if found:
            new = f"type({found[1]}) {'!=' if negated else '=='} {found[2]}"
            yield Change((unit.replace(unit.parent(node) if negated else node, new),), {"new": new})


@defect(
    "bool_equality",
    "style",
    "nit",
    r"^\s+(el)?if (not )?[\w.]+:",
    "Comparing with a bool literal is redundant and changes the meaning for other true values: `{new}`.",
    "Write the condition without the literal; `{new}` says nothing more.",
    "`{new}` is not how Python tests truth.",
)
def bool_equality(unit: Unit, rng: Random) -> Iterator[Change]:
    """A truth value is compared with a literal."""
    for node in unit.all("If"):
        found = re.fullmatch(r"(not )?([\w.]+)", unit.code(node.test))
        if found and found[2] not in ("True", "False", "None", "__debug__"):
            new = f"{found[2]} == {'False' if found[1] else 'True'}"
            yield Change((unit.replace(node.test, new),), {"new": new})


@defect(
    "negated_operator",
    "style",
    "nit",
    r" not in | is not ",
    "Write this with the operator for it instead of negating the whole: `{new}`.",
    "`{new}` is easily misread; Python has one operator for that.",
    "PEP 8: put the not into the operator of `{new}`.",
)
def negated_operator(unit: Unit, rng: Random) -> Iterator[Change]:
    """A comparison is negated from outside."""
    for node in unit.all("Comparison"):
        if len(node.comparisons) != 1 or not unit.one_line(node) or node.lpar:
            continue
        target = node.comparisons[0]
        word = {"NotIn": "in", "IsNot": "is"}.get(type(target.operator).__name__)
        if word and type(unit.parent(node)).__name__ in ("If", "While", "Assert", "BooleanOperation", "Return"):
            new = f"not {unit.code(node.left)} {word} {unit.code(target.comparator)}"
            yield Change((unit.replace(node, new),), {"new": new})


@defect(
    "todo_left",
    "style",
    "nit",
    r"^(async )?def ",
    "A `{mark}` without a ticket: do it now or open an issue and name it.",
    "`{mark}` comments are forgotten. Please resolve it before merging.",
    "This `{mark}` is hardly meant to be merged.",
)
def todo_left(unit: Unit, rng: Random) -> Iterator[Change]:
    """Something that was put off stays as a note."""
    mark = rng.choice(("TODO", "FIXME", "XXX", "HACK"))
    what = rng.choice(
        (
            "handle the error case",
            "remove this",
            "clean this up",
            "make it faster",
            "check that this is right",
            "support other encodings",
            "find a better way",
            "add tests",
            "temporary workaround",
        )
    )
    plain = rng.choice(("The caller has checked this.", "Nothing to do for empty input.", "Order matters here."))
    yield from added(unit, rng, "# {mark}: {what}", "# {plain}", mark=mark, what=what, plain=plain)


@defect(
    "formatted_log_message",
    "style",
    "nit",
    r"^(async )?def ",
    "Pass `{value}` as an argument of `{call}` so that it is formatted only if the level is on.",
    "`{call}` gets a finished string; with lazy arguments the message is not built for nothing.",
    "Let `{call}` do the formatting of `{value}`.",
)
def formatted_log_message(unit: Unit, rng: Random) -> Iterator[Change]:
    """A log message is formatted before it is known to be wanted."""
    for value in values(unit):
        call = rng.choice(("logger", "logging", "log", "self.logger")) + rng.choice((".debug", ".info", ".warning"))
        words = rng.choice(("processing", "got", "starting with", "using", "skipped", "value is"))
        bad = rng.choice(
            (
                '{call}(f"{words} {{{value}}}")',
                '{call}("{words} %s" % {value})',
                '{call}("{words} {{}}".format({value}))',
            )
        )
        yield from added(unit, rng, bad, '{call}("{words} %s", {value})', value=value, call=call, words=words)


@defect(
    "camel_case_name",
    "style",
    "nit",
    r"^\s+[a-z]+_[a-z]+ = ",
    "`{name}` should be in snake_case, like the names around it.",
    "Naming: local variables are lower case with underscores, so not `{name}`.",
    "PEP 8 asks for underscores in `{name}`.",
)
def camel_case_name(unit: Unit, rng: Random) -> Iterator[Change]:
    """A variable is named as in another language."""
    for old in unit.locals():
        if not re.fullmatch(r"[a-z]+(_[a-z]+)+", old) or re.search(rf"[\"'{{]{old}\b", unit.text):
            continue
        first, *rest = old.split("_")
        new = first + "".join(word.capitalize() for word in rest)
        splices = unit.rename(old, new)
        if 2 <= len(splices) <= 5:
            yield Change(splices, {"name": new})


@defect(
    "ambiguous_name",
    "style",
    "nit",
    r"^\s+\w+ = ",
    "`{name}` says nothing and looks like a digit in many fonts. Give it a name.",
    "Ambiguous variable name `{name}` (PEP 8).",
    "Do not call a variable `{name}`.",
)
def ambiguous_name(unit: Unit, rng: Random) -> Iterator[Change]:
    """A variable gets a name that is read as a digit."""
    new = rng.choice(("l", "O", "I"))
    if new in unit.names(unit.root):
        return
    for old in unit.locals():
        splices = unit.rename(old, new)
        if len(old) > 3 and 2 <= len(splices) <= 5 and not re.search(rf"[\"'{{]{old}\b", unit.text):
            yield Change(splices, {"name": new})


@defect(
    "lambda_assignment",
    "style",
    "nit",
    r"^(async )?def \w+\((?!self\)|\))",
    "Use def for `{name}`: a lambda that gets a name loses it in tracebacks.",
    "Do not assign a lambda; `def {name}` says the same and can be documented.",
    "PEP 8: `{name}` should be a function, not a variable that holds a lambda.",
)
def lambda_assignment(unit: Unit, rng: Random) -> Iterator[Change]:
    """A lambda gets a name."""
    for value in values(unit):
        name = rng.choice(("key", "convert", "clean", "matches", "weight"))
        item = rng.choice(("item", "entry", "other"))
        made = rng.choice(("{item} == {value}", "str({item})", "{item}[0]", "len({item})", "{item} in {value}"))
        shown = made.format(item=item, value=value)
        good = "def {name}({item}):\n    return {shown}\n"
        yield from added(unit, rng, "{name} = lambda {item}: {shown}", good, name=name, item=item, shown=shown)


@defect(
    "statements_on_one_line",
    "style",
    "nit",
    r"^\s+\w+ = .*\n\s+\w+",
    "Two statements on one line: give `{code}` its own.",
    "Put `{code}` on a line of its own; debuggers and diffs work by lines.",
    "PEP 8 discourages `{code}` behind a semicolon.",
)
def statements_on_one_line(unit: Unit, rng: Random) -> Iterator[Change]:
    """Two statements share a line."""
    for one in unit.all("SimpleStatementLine"):
        rest = unit.following(one) if type(unit.parent(one)).__name__ == "IndentedBlock" else []
        if not rest or type(rest[0]).__name__ != "SimpleStatementLine" or unit.is_docstring(one):
            continue
        between = unit.text[unit.end(one) : unit.start(rest[0])]
        code = unit.code(rest[0])
        short = len(unit.code(one)) + len(code) < 70 and "\n" not in unit.code(one) + code
        if between.strip() == "" and between.count("\n") == 1 and short:
            yield Change((Splice(unit.end(one), unit.start(rest[0]), "; "),), {"code": code})


@defect(
    "misleading_name",
    "style",
    "minor",
    r"^\s+\w+ = (\[|\{|set\(|\(|str|len\()",
    "`{name}` is misleading: what it holds is {kind}.",
    "The name `{name}` promises something else; this is {kind}.",
    "Rename `{name}`, since it is {kind}.",
)
def misleading_name(unit: Unit, rng: Random) -> Iterator[Change]:
    """A variable's name promises another type."""
    kinds = {
        "List": ("a list", ("_dict", "_str", "_count")),
        "ListComp": ("a list", ("_dict", "_str", "_set")),
        "Dict": ("a dict", ("_list", "_str", "_set")),
        "SimpleString": ("a string", ("_list", "_count", "_dict")),
        "Set": ("a set", ("_dict", "_str")),
    }
    for node in unit.all("Assign"):
        old = unit.code(node.targets[0].target)
        kind, endings = kinds.get(type(node.value).__name__, ("", ("",)))
        if not kind or len(node.targets) != 1 or old not in unit.locals() or re.search(rf"[\"'{{]{old}\b", unit.text):
            continue
        new = old.rstrip("s") + rng.choice(endings)
        splices = unit.rename(old, new)
        if new not in unit.text and 2 <= len(splices) <= 5 and splices[0].start == unit.start(node):
            yield Change(splices, {"name": new, "kind": kind})
