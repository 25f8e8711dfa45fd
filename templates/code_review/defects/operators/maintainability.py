"""Code that works today and costs somebody a day later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from understudy.templates.code_review.defects.additions import added, values
from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__: list[str] = []

_BUILTINS = (
    "list",
    "dict",
    "type",
    "id",
    "input",
    "filter",
    "str",
    "object",
    "bytes",
    "hash",
    "max",
    "sum",
    "len",
    "dir",
)


@defect(
    "debug_print",
    "maintainability",
    "minor",
    r"^(async )?def ",
    "A debug print of `{shown}` was left in.",
    "Remove this print of `{shown}`, or log it.",
    "`{call}` looks like a leftover from debugging; it writes to the output of whoever calls this.",
)
def debug_print(unit: Unit, rng: Random) -> Iterator[Change]:
    """A print from debugging stays in."""
    for shown in values(unit) or ["self"]:
        bad = rng.choice(
            (
                'print("{mark}", {shown})',
                "print({shown})",
                'print(f"{mark} {{{shown}}}")',
                'print("{mark}: %r" % {shown})',
                "print(repr({shown}))",
                'print("{mark}", type({shown}), {shown})',
            )
        )
        mark = rng.choice(("DEBUG", "here", ">>>", shown, "xxx", "got"))
        good = 'logger.debug("{mark} %r", {shown})'
        yield from added(unit, rng, bad, good, shown=shown, mark=mark, call="print")


@defect(
    "commented_out_code",
    "maintainability",
    "nit",
    r"^\s+\w+.*[=(]",
    "Commented-out code: delete it, the history keeps `{code}`.",
    "This is dead code in a comment (`{code}`); remove it or say why it stays.",
    "Do not leave `{code}` here as a comment.",
)
def commented_out_code(unit: Unit, rng: Random) -> Iterator[Change]:
    """An old statement stays as a comment."""
    for statement in unit.all("SimpleStatementLine"):
        code = unit.code(statement)
        if not re.fullmatch(r"[a-z]\w*(\.\w+)*( = |\()[^\n#]{4,50}", code) or unit.is_docstring(statement):
            continue
        old = re.sub(r"\b([a-z]\w+)\b(?=[,)])", r"\1, None", code, count=1) if rng.random() < 0.5 else code
        prose = rng.choice(("Keep this in step with the caller", "The order matters here", "See the module's notes"))
        at = unit.whole(statement)[0]
        margin = unit.margin(statement)
        yield Change(
            (Splice(at, at, f"{margin}# {old}\n"),), {"code": old}, good=(Splice(at, at, f"{margin}# {prose}.\n"),)
        )


@defect(
    "magic_number",
    "maintainability",
    "minor",
    r"\b_?[A-Z_]*(SIZE|MAX|MIN|LIMIT|LEN|TIMEOUT|COUNT|WIDTH|HEIGHT|DEPTH|DELAY|BITS|NUM|PORT)",
    "`{number}` has no name: say what it means with a constant, as `{name}` did.",
    "Magic number: what is `{number}`? Keep the constant `{name}`.",
    "A bare `{number}` has to be kept in step by hand; use `{name}`.",
    shapes=("edit", "beside"),
)
def magic_number(unit: Unit, rng: Random) -> Iterator[Change]:
    """A named constant becomes a bare number."""
    for node in unit.all("Name", "Attribute"):
        name = unit.code(node)
        above = type(unit.parent(node)).__name__
        number_like = re.search(r"(SIZE|MAX|MIN|LIMIT|LEN|TIMEOUT|COUNT|WIDTH|HEIGHT|DEPTH|DELAY|BITS|NUM|PORT)", name)
        constant = re.fullmatch(r"((self|cls|[a-z]\w*)\.)?_?[A-Z][A-Z_]{3,}", name)
        if above in ("ComparisonTarget", "BinaryOperation", "Arg") and number_like and constant:
            number = str(rng.choice((64, 100, 128, 255, 512, 1000, 1024, 4096, 8192, 65536, 30, 3600, 86400)))
            yield Change((unit.replace(node, number),), {"number": number, "name": name})


@defect(
    "unused_variable",
    "maintainability",
    "minor",
    r"^\s+return ",
    "`{name}` is assigned and never used.",
    "Nothing reads `{name}`; remove it.",
    "Unused variable `{name}`: something is missing here, or the line can go.",
)
def unused_variable(unit: Unit, rng: Random) -> Iterator[Change]:
    """A value is computed right before the end and never read."""
    body = unit.body(unit.function)
    if not body or not unit.code(body[-1]).startswith("return ") or len(body) < 2:
        return
    for value in values(unit):
        name = rng.choice((f"{value}_size", f"old_{value}", f"{value}_copy", "count", "start", "is_empty"))
        made = rng.choice(("len({value})", "{value}", "list({value})", "not {value}", "str({value})")).format(
            value=value
        )
        if name not in unit.text:
            bad, good = unit.before(body[-1], f"{name} = {made}"), unit.before(body[-1], f'logger.debug("%s", {made})')
            yield Change((bad,), {"name": name}, good=(good,))


@defect(
    "dead_code",
    "maintainability",
    "minor",
    r"^\s+(return|raise)\b",
    "Unreachable: `{code}` stands behind a statement that always leaves the block.",
    "This line never runs, since the line above returns or raises. Move `{code}` up or delete it.",
    "Dead code: nothing gets to `{code}`.",
)
def dead_code(unit: Unit, rng: Random) -> Iterator[Change]:
    """A statement stands behind the end of its block."""
    for block in unit.all("IndentedBlock"):
        statements = list(block.body)
        last = statements[-1]
        if not re.match(r"(return|raise)\b", unit.code(last)) or type(last).__name__ != "SimpleStatementLine":
            continue
        if unit.text[unit.end(last) : unit.line_end(unit.end(last))].strip():
            continue
        owner = "self." if unit.params[:1] == ["self"] else ""
        code = rng.choice(("close()", "cleanup()", "reset()", "flush()", "update()", "notify()"))
        code = owner + code if owner else rng.choice(('logger.debug("done")', "counter += 1", "finished = True"))
        yield Change((unit.after(last, code),), {"code": code}, good=(unit.before(last, code),))


@defect(
    "shadowed_builtin",
    "maintainability",
    "minor",
    r"^\s+\w+ = ",
    "`{name}` hides the built-in of that name in the rest of the function.",
    "Do not call a variable `{name}`; it shadows the built-in.",
    "From here on `{name}` is not the built-in any more. Choose another name.",
)
def shadowed_builtin(unit: Unit, rng: Random) -> Iterator[Change]:
    """A local variable takes the name of a built-in."""
    words = unit.names(unit.root)
    free = [name for name in _BUILTINS if name not in words]
    for old in unit.locals():
        splices = unit.rename(old, rng.choice(free))
        if 2 <= len(splices) <= 5 and len(old) > 1 and not re.search(rf"[\"'{{]{old}\b", unit.text):
            yield Change(splices, {"name": splices[0].text})


@defect(
    "long_signature",
    "maintainability",
    "minor",
    r"^(async )?def \w+\([^*\n]*\):$",
    "`{name}` takes too many parameters now; group them in an object.",
    "Nobody can call `{name}` without looking it up: pass these options together.",
    "The signature of `{name}` has grown too long. Split the function or bundle the settings.",
    kinds=("function",),
)
def long_signature(unit: Unit, rng: Random) -> Iterator[Change]:
    """A function gets many more parameters."""
    if not unit.params or unit.function.params.kwonly_params or unit.function.lines_after_decorators:
        return
    names = ["verbose", "strict", "encoding", "errors", "timeout", "retries", "callback", "prefix", "suffix", "depth"]
    names += ["dry_run", "force", "recursive", "cache", "owner", "mode_flags"]
    free = [name for name in names if name not in unit.text]
    found = re.search(r"\):$", unit.text, re.MULTILINE)
    if not found or len(free) < 7 or unit.text.count("\n", 0, found.start()) > 0:
        return
    new = rng.sample(free, 7)
    defaults = [f"{name}={rng.choice(('None', 'False', '0', 'True'))}" for name in new]
    half, margin = len(defaults) // 2, " " * (unit.text.index("(") + 1)
    text = f", {', '.join(defaults[:half])},\n{margin}{', '.join(defaults[half:])}"
    at = found.start()
    good = (Splice(at, at, f", {defaults[0]}"),)
    yield Change((Splice(at, at, text),), {"name": unit.piece.name}, good=good, anchor=unit.start(unit.function.name))


@defect(
    "wildcard_import",
    "maintainability",
    "minor",
    r"^from [\w.]+ import \w",
    "`from {module} import *` fills this module with names nobody can trace. Import what is used.",
    "A wildcard import of `{module}` hides where names come from and may overwrite others.",
    "Name what you need from `{module}` instead of importing everything.",
    kinds=("imports",),
    shapes=("edit", "beside"),
)
def wildcard_import(unit: Unit, rng: Random) -> Iterator[Change]:
    """Everything of a module is imported."""
    for node in unit.all("ImportFrom"):
        found = re.match(r"from ([\w.]+) import ", unit.code(node))
        if found and type(node.names).__name__ != "ImportStar" and found[1] != "__future__":
            yield Change((unit.replace(node, f"from {found[1]} import *"),), {"module": found[1]})


@defect(
    "repeated_import",
    "maintainability",
    "nit",
    r"^import \w+$",
    "`{code}` is there twice.",
    "Duplicate: `{code}` was imported already.",
    "Remove the second `{code}`.",
    kinds=("imports",),
    shapes=("edit", "beside"),
)
def repeated_import(unit: Unit, rng: Random) -> Iterator[Change]:
    """A module is imported twice."""
    lines = list(unit.root.body)
    for index, statement in enumerate(lines):
        code = unit.code(statement)
        near = lines[index + 1 : index + 3]
        if re.fullmatch(r"import \w+", code) and near:
            behind = near[-1]
            other = f"import {rng.choice(('time', 'io', 'math', 'string', 'types', 'typing', 'bisect', 'enum'))}"
            if other not in unit.text:
                at = unit.whole(behind)[1]
                bad, good = Splice(at, at, f"{code}\n"), Splice(at, at, f"{other}\n")
                yield Change((bad,), {"code": code}, good=(good,))
