"""Other ways to write the same: refactorings of expressions and statements that change nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

from understudy.templates.code_review.defects.registry import harmless
from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__: list[str] = []

_PLAIN = r"[A-Za-z_][\w.]*"


@harmless("reorder_imports", r"^import \w+\nimport \w+$", kinds=("imports",))
def reorder_imports(unit: Unit, rng: Random) -> Iterator[Change]:
    """Two imports of modules change places."""
    lines = list(unit.root.body)
    for index in range(len(lines) - 1):
        one, two = unit.code(lines[index]), unit.code(lines[index + 1])
        if re.fullmatch(r"import \w+", one) and re.fullmatch(r"import \w+", two):
            yield Change((unit.replace(lines[index], two), unit.replace(lines[index + 1], one)))


@harmless("new_import", r"^import \w+$", kinds=("imports",))
def new_import(unit: Unit, rng: Random) -> Iterator[Change]:
    """A module is imported, for code elsewhere in the pull request."""
    for statement in unit.root.body:
        new = f"import {rng.choice(('time', 'math', 'string', 'bisect', 'enum', 'heapq', 'operator', 'textwrap'))}"
        if new not in unit.text and re.fullmatch(r"import \w+", unit.code(statement)):
            yield Change((unit.after(statement, new),))


@harmless("names_by_line", r"^from [\w.]+ import \w+, \w+(, \w+)*$", kinds=("imports",))
def names_by_line(unit: Unit, rng: Random) -> Iterator[Change]:
    """Imported names get a line each."""
    for node in unit.all("ImportFrom"):
        found = re.fullmatch(r"(from [\w.]+ import )(\w+(?:, \w+)+)", unit.code(node))
        if found:
            names = "".join(f"    {name},\n" for name in sorted(found[2].split(", ")))
            yield Change((unit.replace(node, f"{found[1]}(\n{names})"),))


@harmless("format_string", r"['\"] % ")
def format_string(unit: Unit, rng: Random) -> Iterator[Change]:
    """A message built with the percent operator becomes an f-string."""
    for node in unit.all("BinaryOperation"):
        found = re.fullmatch(r"('[^'\\{}]*'|\"[^\"\\{}]*\") % (\w+|\(\w+(?:, \w+)*,?\))", unit.code(node))
        if not found or type(node.operator).__name__ != "Modulo":
            continue
        names = re.findall(r"\w+", found[2])
        marks = re.findall(r"%.", found[1])
        # A lone name may hold a tuple, whose elements would be the arguments.
        if found[2].startswith("(") and len(marks) == len(names) and set(marks) <= {"%s", "%r"}:
            text = found[1]
            for mark, name in zip(marks, names, strict=True):
                text = text.replace(mark, f"{{{name}{'!r' if mark == '%r' else ''}}}", 1)
            yield Change((unit.replace(node, f"f{text}"),))


@harmless("type_hint", r"^def \w+\(.*\):$")
def type_hint(unit: Unit, rng: Random) -> Iterator[Change]:
    """A function that returns nothing says so."""
    function = unit.function
    found = re.search(r"\):$", unit.text, re.MULTILINE)
    inner = any(unit.up(one, "FunctionDef", "Lambda") is function for one in unit.all("Yield"))
    returns = [one for one in unit.all("Return") if one.value is not None]
    head = found is not None and unit.text[: found.start()].count("\n") <= unit.text.count("@")
    if found and head and function.returns is None and not returns and not inner:
        yield Change((Splice(found.start() + 1, found.start() + 1, " -> None"),))


@harmless("inline_variable", r"^\s+(\w+) = .*\n\s+return \1$")
def inline_variable(unit: Unit, rng: Random) -> Iterator[Change]:
    """A variable that is only returned goes."""
    for node in unit.all("Return"):
        statement, name = unit.statement(node), unit.code(node).removeprefix("return ")
        before = [one for one in unit.siblings(statement) if unit.end(one) < unit.start(statement)]
        if not before or not re.fullmatch(r"\w+", name):
            continue
        found = re.fullmatch(rf"{name} = ([^\n]+)", unit.code(before[-1]))
        near = unit.text.count("\n", unit.end(before[-1]), unit.start(statement)) == 1
        if found and near and type(before[-1]).__name__ == "SimpleStatementLine" and len(before[-1].body) == 1:
            start, end = unit.whole(before[-1])[0], unit.whole(statement)[1]
            yield Change((Splice(start, end, f"{unit.margin(statement)}return {found[1]}\n"),))


@harmless("else_after_return", r"^\s+else:")
def else_after_return(unit: Unit, rng: Random) -> Iterator[Change]:
    """An else behind a branch that leaves goes, and its block moves out."""
    for node in unit.all("If"):
        other, body = node.orelse, unit.body(node)
        if type(other).__name__ != "Else" or not body or unit.text[unit.start(node) :].startswith("elif"):
            continue
        first, second = unit.block(node), unit.block(other)
        if not first or not second or not re.match(r"(return|raise)\b", unit.code(body[-1])):
            continue
        inner = unit.text[slice(*second)]
        if unit.text[first[1] : second[0]].strip() == "else:" and "\n    \n" not in inner and '"""' not in inner:
            extra = len(unit.margin(unit.body(other)[0])) - len(unit.margin(node))
            lines = [line[extra:] for line in inner.split("\n")]
            yield Change((Splice(first[1], second[1], "\n".join(lines)),))


@harmless("membership_test", r"([\w.\[\]]+) == .* or \1 == |([\w.\[\]]+) != .* and \2 != ")
def membership_test(unit: Unit, rng: Random) -> Iterator[Change]:
    """Two comparisons of the same thing become one test of membership."""
    name, value = r"([A-Za-z_][\w.\[\]]*)", r"(b?'[^']*'|b?\"[^\"]*\"|-?[\w.]+)"
    for node in unit.all("BooleanOperation"):
        found = re.fullmatch(rf"{name} (==|!=) {value} (or|and) \1 \2 {value}", unit.code(node))
        if found and (found[2] == "==") == (found[4] == "or"):
            word = "in" if found[2] == "==" else "not in"
            yield Change((unit.replace(node, f"{found[1]} {word} ({found[3]}, {found[5]})"),))


@harmless("default_mode", r"\bopen\([^()\n]*, ['\"]rt?['\"]")
def default_mode(unit: Unit, rng: Random) -> Iterator[Change]:
    """A mode that is the default goes."""
    for node in unit.all("Call"):
        found = re.fullmatch(r"open\(([^(),\n]+), ['\"]rt?['\"]((?:, \w+=[^()\n]+)?)\)", unit.code(node))
        if found:
            yield Change((unit.replace(node, f"open({found[1]}{found[2]})"),))


@harmless("range_from_zero", r"\brange\(0, ")
def range_from_zero(unit: Unit, rng: Random) -> Iterator[Change]:
    """A range no longer says that it begins at zero."""
    for node in unit.all("Call"):
        found = re.fullmatch(r"range\(0, ([^,\n]+)\)", unit.code(node))
        if found and len(node.args) == 2:
            yield Change((unit.replace(node, f"range({found[1]})"),))


@harmless("one_argument_a_line", r"^\s+.*\w\(.*, .*, .*\)$")
def one_argument_a_line(unit: Unit, rng: Random) -> Iterator[Change]:
    """The arguments of a call get a line each."""
    for node in unit.all("Call"):
        if not 3 <= len(node.args) <= 6 or not unit.one_line(node):
            continue
        margin = unit.margin(node)
        args = "".join(f"{margin}    {_argument(unit, arg)},\n" for arg in node.args)
        yield Change((Splice(unit.end(node.func), unit.end(node), f"(\n{args}{margin})"),))


def _argument(unit: Unit, arg: Any) -> str:
    return f"{arg.keyword.value}={unit.code(arg.value)}" if arg.keyword else arg.star + unit.code(arg.value)


@harmless("merged_condition", r"^\s+if .*:\n\s+if .*:$")
def merged_condition(unit: Unit, rng: Random) -> Iterator[Change]:
    """A condition inside a condition is joined to it."""
    for node in unit.all("If"):
        body = unit.body(node)
        if len(body) != 1 or type(body[0]).__name__ != "If" or node.orelse or body[0].orelse:
            continue
        inner, block = body[0], unit.block(body[0])
        tests = [unit.code(one.test) for one in (node, inner)]
        head = unit.text[unit.end(node.test) : unit.start(inner.test)]
        if not block or " or " in " ".join(tests) or "\n" in "".join(tests) or not re.fullmatch(r":\n *if ", head):
            continue
        extra = len(unit.margin(inner)) - len(unit.margin(node))
        lines = [line[extra:] for line in unit.text[slice(*block)].split("\n")]
        test = f" {' and '.join(tests)}:\n" + "\n".join(lines)
        if re.fullmatch(r":\n", unit.text[unit.end(inner.test) : block[0]]) and '"""' not in test:
            yield Change((Splice(unit.start(node.test) - 1, block[1], test),))


@harmless("explained_step", r"^\s+(for|if|while|with|try)\b")
def explained_step(unit: Unit, rng: Random) -> Iterator[Change]:
    """A comment says what comes next."""
    words = {
        "For": ("Take them one by one.", "The order is that of the input.", "Go through all of them."),
        "If": ("This case is handled first.", "Most callers end up here.", "The rest follows below."),
        "With": ("It is closed again behind the block.", "Held for the whole of the block."),
        "Try": ("This may fail; see below.", "What can go wrong is handled right here."),
    }
    for node in unit.all("For", "If", "With", "Try"):
        if type(unit.parent(node)).__name__ == "IndentedBlock":
            yield Change((unit.before(node, f"# {rng.choice(words[type(node).__name__])}"),))


@harmless("lazy_log", r"^(async )?def ")
def lazy_log(unit: Unit, rng: Random) -> Iterator[Change]:
    """A message for the log is added."""
    for block in unit.all("IndentedBlock"):
        statement = block.body[0]
        if not unit.is_docstring(statement) and unit.params[-1:] not in ([], ["self"], ["cls"]):
            name = rng.choice([one for one in unit.params if one not in ("self", "cls")])
            words = rng.choice(("working on", "got", "next:", "called with"))
            yield Change((unit.before(statement, f'logger.debug("{words} %r", {name})'),))
