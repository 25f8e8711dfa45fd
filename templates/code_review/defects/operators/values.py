"""Values that are lost, mixed up, shared or not what they seem."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from understudy.templates.code_review.defects.additions import added, values
from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__: list[str] = []

_PURE = "strip|lstrip|rstrip|lower|upper|replace|encode|decode|expandtabs|casefold|title|removeprefix|removesuffix"
_GIVES = re.compile(r"\b[Rr]eturns?\b|def (get|is|has|make|create|find|parse|to|read|load|build|compute)_?\w*\(")


@defect(
    "missing_await",
    "bug",
    "critical",
    r"\bawait ",
    "`{call}` is a coroutine and is not awaited here, so it never runs.",
    "The await is gone: this line makes the coroutine of `{call}` and drops it or passes it on.",
    "Without await, `{call}` gives a coroutine object instead of its result.",
    shapes=("edit", "beside"),
)
def missing_await(unit: Unit, rng: Random) -> Iterator[Change]:
    """A coroutine is called and not awaited."""
    for node in unit.all("Await"):
        if type(node.expression).__name__ == "Call":
            text = unit.code(node.expression)
            yield Change((unit.replace(node, text),), {"call": unit.code(node.expression.func)})


@defect(
    "mutable_default",
    "bug",
    "major",
    r"=\s?(None|\(\))[,)]",
    "The default of `{name}` is one mutable object shared by all calls; what one call adds, the next one sees.",
    "Mutable default: `{name}` is created once, when the function is defined. Use None and create it inside.",
    "All calls without `{name}` work on the same object. Default to None instead.",
)
def mutable_default(unit: Unit, rng: Random) -> Iterator[Change]:
    """A default argument is mutable."""
    for node in unit.all("Param"):
        default = node.default
        if default is None or unit.up(node, "FunctionDef", "Lambda") is not unit.function:
            continue
        name = node.name.value
        guard = re.search(
            rf"^ +if {name} is None:\n +{name} = (\[\]|{{}}|set\(\)|dict\(\)|list\(\))\n", unit.text, re.M
        )
        if unit.code(default) == "None" and guard:
            cut = Splice(guard.start(), guard.end(), "")
            whole = re.search(r"^( +)(elif|else)", unit.text[guard.end() :].split("\n")[0]) is None
            new = Splice(unit.start(default), unit.end(default), guard[1])
            yield Change((new, cut) if whole else (new,), {"name": name}, anchor=unit.start(default))
        elif unit.code(default) == "()":
            yield Change((unit.replace(default, "[]"),), {"name": name})
        elif unit.code(default) == "None" and re.search(r"(s|list|map|dict|cache)$", name):
            empty = "{}" if re.search(r"(map|dict|cache|kwargs|kwds|attrs|headers)$", name) else "[]"
            yield Change((unit.replace(default, empty),), {"name": name})


@defect(
    "swapped_arguments",
    "bug",
    "critical",
    r"\b(isinstance|issubclass|hasattr|getattr|setattr|re\.\w+)\(",
    "The arguments of `{call}` are in the wrong order: `{first}` and `{second}` have to change places.",
    "`{call}` takes `{second}` first and `{first}` second.",
    "Swapped arguments: `{first}` is passed where `{call}` expects `{second}`.",
)
def swapped_arguments(unit: Unit, rng: Random) -> Iterator[Change]:
    """Two arguments of a well-known function change places."""
    for node in unit.all("Call"):
        call = unit.code(node.func)
        known = call in ("isinstance", "issubclass", "hasattr", "getattr", "setattr")
        pattern = call in ("re.match", "re.search", "re.findall", "re.split", "re.fullmatch")
        if not (known or pattern) or len(node.args) < 2 or not unit.one_line(node):
            continue
        one, two = unit.code(node.args[0].value), unit.code(node.args[1].value)
        plain = re.fullmatch(r"[\w.]+", one) or (pattern and re.match(r"r?['\"]", one))
        if (
            plain
            and re.fullmatch(r"[\w.]+|['\"]\w+['\"]|\([\w., ]+\)", two)
            and one != two
            and not node.args[1].keyword
        ):
            bad = (unit.replace(node.args[0].value, two), unit.replace(node.args[1].value, one))
            yield Change(bad, {"call": call, "first": two, "second": one})


@defect(
    "dropped_return",
    "bug",
    "critical",
    r"^\s+return \S",
    "The result is computed and dropped: without `return` the function gives None.",
    "The `return` is missing, so every caller gets None instead of `{value}`.",
    "Nothing returns `{value}`; the line has no effect.",
    shapes=("edit", "beside"),
)
def dropped_return(unit: Unit, rng: Random) -> Iterator[Change]:
    """The last line computes a result and does not return it."""
    body = unit.body(unit.function)
    if not body or not re.fullmatch(r"return [^\n]{3,60}", unit.code(body[-1])) or not _GIVES.search(unit.text):
        return
    value = unit.code(body[-1]).removeprefix("return ")
    if value not in ("None", "True", "False", "self"):
        start = unit.start(body[-1])
        yield Change((Splice(start, start + len("return "), ""),), {"value": value})


@defect(
    "dropped_result",
    "bug",
    "major",
    rf"(\w+) = \1\.({_PURE})\(|(\w+) = sorted\(\3",
    "`{call}` gives a new value and leaves `{name}` as it was; assign the result.",
    "This line has no effect: `{name}` is not changed in place.",
    "The result of `{call}` is thrown away, so `{name}` keeps its old value.",
)
def dropped_result(unit: Unit, rng: Random) -> Iterator[Change]:
    """A method that returns a new value is called for its effect."""
    for node in unit.all("Assign"):
        found = re.fullmatch(rf"(\w+) = (\1\.(?:{_PURE})|sorted)\((.*)\)", unit.code(node))
        if found and (found[2] != "sorted" or re.match(rf"{found[1]}\b", found[3])):
            text = unit.code(node.value)
            yield Change((unit.replace(node, text),), {"call": found[2], "name": found[1]})


@defect(
    "none_from_method",
    "bug",
    "critical",
    r"^\s+[\w.]+\.(sort|append|extend|reverse|update|add|insert|remove)\(",
    "`{call}` works in place and returns None, so `{name}` is None from here on.",
    "`{name}` is overwritten with None: `{call}` has no result.",
    "Do not assign what `{call}` returns; it changes `{name}` itself.",
)
def none_from_method(unit: Unit, rng: Random) -> Iterator[Change]:
    """What a method that works in place returns is assigned."""
    for node in unit.all("Expr"):
        found = re.match(r"([a-z]\w*)\.(sort|append|extend|reverse|update|add|insert|remove)\(", unit.code(node))
        if found and found[1] in (*unit.locals(), *unit.params):
            start = unit.start(node)
            yield Change(
                (Splice(start, start, f"{found[1]} = "),), {"call": f"{found[1]}.{found[2]}", "name": found[1]}
            )


@defect(
    "removed_none_check",
    "bug",
    "critical",
    r"^\s+if (\w+ is None|not \w+):\n\s+(return|raise|continue)",
    "`{name}` may be None here; the check that handled that case is gone.",
    "Without the check, this line fails with an AttributeError or TypeError when `{name}` is None.",
    "Put the guard back: nothing makes sure that `{name}` has a value at this point.",
    shapes=("edit", "beside"),
)
def removed_none_check(unit: Unit, rng: Random) -> Iterator[Change]:
    """A guard before the use of a value is deleted."""
    for node in unit.all("If"):
        found = re.fullmatch(r"(\w+) is None|not (\w+)", unit.code(node.test))
        body = unit.body(node)
        elif_ = type(unit.parent(node)).__name__ != "IndentedBlock"
        if not found or node.orelse is not None or len(body) != 1 or elif_:
            continue
        name = found[1] or found[2]
        end = unit.whole(node)[1]
        use = re.compile(rf"\b{name}[.\[(]").search(unit.text, end)
        if (
            use
            and unit.text.count("\n", end, use.start()) < 3
            and re.match("return|raise|continue", unit.code(body[0]))
        ):
            yield Change((unit.cut(node),), {"name": name}, anchor=use.start())


@defect(
    "late_binding_closure",
    "bug",
    "major",
    r"^(async )?def ",
    "All these functions see the last `{name}`: a lambda looks it up when it is called. Bind it as a default.",
    "Late binding: after the loop `{name}` is the same for every lambda.",
    "Each lambda should keep its own `{name}`; write it as a default argument.",
)
def late_binding_closure(unit: Unit, rng: Random) -> Iterator[Change]:
    """A function made in a loop uses the loop's variable."""
    for value in values(unit):
        name, call = (
            rng.choice(("name", "key", "index", "field", "step")),
            rng.choice(("run", "update", "notify", "handle")),
        )
        target = rng.choice(("callbacks", "handlers", "actions", "hooks"))
        body = rng.choice(
            (
                "{target} = {{}}\nfor {name} in {value}:\n    {target}[{name}] = lambda{bind}: {call}({name})",
                "{target} = []\nfor {name} in {value}:\n    {target}.append(lambda{bind}: {call}({name}))",
            )
        )
        names = {"value": value, "name": name, "call": call, "target": target}
        bad, good = body.replace("{bind}", ""), body.replace("{bind}", f" {name}={name}")
        yield from added(unit, rng, bad, good, down=2, **names)


@defect(
    "modified_while_iterating",
    "bug",
    "critical",
    r"^\s+for .* in (list|tuple|sorted)\([\w.()]+\):|^(async )?def ",
    "`{sequence}` is changed while the loop runs over it, which skips entries or raises RuntimeError. Copy it first.",
    "The loop removes from `{sequence}` during its own iteration.",
    "Iterate over a copy of `{sequence}`; changing it inside the loop is not safe.",
)
def modified_while_iterating(unit: Unit, rng: Random) -> Iterator[Change]:
    """A loop changes what it runs over."""
    for node in unit.all("For"):
        found = re.fullmatch(
            r"(?:list|tuple|sorted)\((([\w.]+?)(?:\.(?:keys|items|values)\(\))?)\)", unit.code(node.iter)
        )
        block = unit.block(node)
        if not found or not block:
            continue
        name = re.escape(found[2])
        if re.search(rf"\b{name}\.(pop|remove|discard|clear|add)\(|del {name}\[", unit.text[slice(*block)]):
            yield Change((unit.replace(node.iter, found[1]),), {"sequence": found[2]})
    for value in values(unit) if rng.random() < 0.3 else []:
        name = rng.choice(("item", "entry", "key", "name"))
        body = "for {name} in {copy}:\n    if not {name}:\n        {value}.remove({name})"
        bad, good = body.replace("{copy}", "{value}"), body.replace("{copy}", "list({value})")
        yield from added(unit, rng, bad, good, value=value, name=name, sequence=value)


@defect(
    "integer_division",
    "bug",
    "major",
    r" ?// ?\w",
    "`{new}` is a float now; what follows needs a whole number. Divide with //.",
    "True division: `{new}` no longer rounds down and gives a float.",
    "An index or a count cannot come from `{new}`, which is a float.",
    shapes=("edit", "beside"),
)
def integer_division(unit: Unit, rng: Random) -> Iterator[Change]:
    """A whole number becomes a float."""
    for node in unit.all("BinaryOperation"):
        if type(node.operator).__name__ == "FloorDivide" and unit.one_line(node) and not node.lpar:
            new = f"{unit.code(node.left)} / {unit.code(node.right)}"
            yield Change((unit.replace(node, new),), {"new": new})


@defect(
    "float_equality",
    "bug",
    "minor",
    r"^(async )?def \w+\((?!self\)|\))",
    "Floats are compared exactly: rounding makes `{test}` false for values that should be equal. Use math.isclose.",
    "`{test}` depends on the last bit of a float.",
    "Compare with a tolerance; `{test}` is almost never true after arithmetic.",
)
def float_equality(unit: Unit, rng: Random) -> Iterator[Change]:
    """Results of float arithmetic are compared exactly."""
    for value in values(unit):
        number, factor = (
            rng.choice(("0.1", "0.3", "1.1", "99.9", "0.7")),
            rng.choice(("* 1.1", "/ 3.0", "* 0.1", "/ 7")),
        )
        flag = rng.choice(("matches", "is_done", "balanced", "at_limit"))
        test = f"{value} {factor} == {number}"
        good = "{flag} = math.isclose({value} {factor}, {number})"
        yield from added(
            unit, rng, "{flag} = {test}", good, value=value, factor=factor, number=number, test=test, flag=flag
        )


@defect(
    "missing_timeout",
    "bug",
    "major",
    r"^(async )?def \w+\((?!self\)|\))",
    "`{call}` waits for ever if the other side does not answer. Give it a timeout.",
    "No timeout: one silent server behind `{value}` blocks this for good.",
    "Without a timeout, `{call}` can hang the whole process.",
)
def missing_timeout(unit: Unit, rng: Random) -> Iterator[Change]:
    """A network call may wait for ever."""
    for value in values(unit):
        name, seconds = rng.choice(("response", "reply", "result", "page")), rng.choice(("5", "10", "30", "60"))
        call = rng.choice(
            ("requests.get", "requests.post", "urllib.request.urlopen", "socket.create_connection", "requests.head")
        )
        bad, good = "{name} = {call}({value})", "{name} = {call}({value}, timeout={seconds})"
        yield from added(unit, rng, bad, good, value=value, name=name, call=call, seconds=seconds)
