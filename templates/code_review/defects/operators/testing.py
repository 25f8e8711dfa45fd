"""Tests that can no longer fail, or fail for the wrong reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from understudy.templates.code_review.defects.additions import added
from understudy.templates.code_review.defects.registry import defect
from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__: list[str] = []

_ASSERTS = re.compile(r"\b(assert\w*|fail\w*|check\w*|_?test\w*|verify\w*|expect\w*)\b")


@defect(
    "missing_assertion",
    "test",
    "major",
    r"^\s+(self\.assert|assert )",
    "`{name}` checks nothing any more: its only assertion is gone.",
    "No assertion is left in `{name}`, so it passes whatever the code does.",
    "`{name}` runs the code and never looks at the result.",
    kinds=("test",),
)
def missing_assertion(unit: Unit, rng: Random) -> Iterator[Change]:
    """A test's only assertion goes."""
    body = unit.body(unit.function)
    if len(body) < 2 or not re.match(r"self\.assert|assert ", unit.code(body[-1])):
        return
    if not any(_ASSERTS.search(unit.code(one)) for one in body[:-1]) and unit.text.count("with ") == 0:
        yield Change((unit.cut(body[-1]),), {"name": unit.piece.name}, anchor=unit.start(unit.function.name))


@defect(
    "assert_on_tuple",
    "test",
    "major",
    r"^\s+assert [^(\n]",
    "The parentheses make a tuple, which is always true: this assertion cannot fail.",
    "`assert` on a tuple always passes. Remove the parentheses around `{test}` and its message.",
    "`{test}` is never evaluated as the condition; the non-empty tuple is.",
)
def assert_on_tuple(unit: Unit, rng: Random) -> Iterator[Change]:
    """A condition and its message become a tuple."""
    for node in unit.all("Assert"):
        if not unit.one_line(node):
            continue
        test = unit.code(node.test)
        message = (
            unit.code(node.msg) if node.msg is not None else f'"{rng.choice(("unexpected", "wrong", "bad"))} value"'
        )
        good = (unit.replace(node, f"assert {test}, {message}"),) if node.msg is None else ()
        yield Change((unit.replace(node, f"assert ({test}, {message})"),), {"test": test}, good=good)


def _equalities(unit: Unit) -> Iterator[tuple[object, str, str, str]]:
    """Yield the one-line calls of assertEqual with two arguments: the node, the call's name and the arguments."""
    for node in unit.all("Call"):
        call = unit.code(node.func)
        plain = len(node.args) == 2 and unit.one_line(node) and not any(arg.keyword or arg.star for arg in node.args)
        if plain and re.fullmatch(r"(self|cls|test\w*)\.assertEqual", call):
            yield node, call, unit.code(node.args[0].value), unit.code(node.args[1].value)


@defect(
    "truth_for_equality",
    "test",
    "major",
    r"\.assertEqual\(",
    "assertTrue takes the second argument as its message, so `{second}` is never compared.",
    "`{first}` only has to be true here; use assertEqual to compare it with `{second}`.",
    "This passes for any true `{first}`: the expected value became the failure message.",
    kinds=("test", "function"),
)
def truth_for_equality(unit: Unit, rng: Random) -> Iterator[Change]:
    """An expected value is passed as a message."""
    for node, call, first, second in _equalities(unit):
        new = call.replace("assertEqual", "assertTrue")
        yield Change((unit.replace(node, f"{new}({first}, {second})"),), {"first": first, "second": second})


@defect(
    "compared_with_itself",
    "test",
    "major",
    r"\.assertEqual\(",
    "`{first}` is compared with itself, which always holds.",
    "Both sides are `{first}`; the expected value is missing.",
    "This can never fail: the assertion compares `{first}` to the same expression.",
    kinds=("test", "function"),
)
def compared_with_itself(unit: Unit, rng: Random) -> Iterator[Change]:
    """A result is compared with itself."""
    for node, call, first, second in _equalities(unit):
        if first != second and re.fullmatch(r"[a-z_][\w.]*(\[[\w'\"]+\])?|len\([\w.]+\)", first):
            yield Change((unit.replace(node, f"{call}({first}, {first})"),), {"first": first})


@defect(
    "weakened_assertion",
    "test",
    "minor",
    r"\.assertEqual\(",
    "The test only checks that `{first}` is something; it used to check that it is `{second}`.",
    "Weaker than before: any value of `{first}` passes now.",
    "Keep the comparison with `{second}`; assertIsNotNone hardly tests anything.",
    kinds=("test", "function"),
    shapes=("edit", "beside"),
)
def weakened_assertion(unit: Unit, rng: Random) -> Iterator[Change]:
    """A comparison becomes a check that there is a value at all."""
    for node, call, first, second in _equalities(unit):
        new = call.replace("assertEqual", "assertIsNotNone")
        yield Change((unit.replace(node, f"{new}({first})"),), {"first": first, "second": second})


@defect(
    "broad_expected_error",
    "test",
    "minor",
    r"\.assertRaises\(\w+Error\b",
    "Any error passes this test, a typing mistake too. Expect the specific exception.",
    "`Exception` is too broad here; the test should name the error it is about.",
    "With `Exception` the test cannot tell the expected failure from a bug.",
    kinds=("test", "function"),
)
def broad_expected_error(unit: Unit, rng: Random) -> Iterator[Change]:
    """A test accepts any exception."""
    for node in unit.all("Call"):
        if unit.code(node.func).endswith(".assertRaises") and node.args:
            error = node.args[0].value
            if re.fullmatch(r"\w+Error", unit.code(error)):
                yield Change((unit.replace(error, "Exception"),), {})


@defect(
    "skipped_test",
    "test",
    "major",
    r"^(async )?def test",
    "`{name}` is switched off without a condition or a ticket; fix it or delete it.",
    "The whole of `{name}` no longer runs. Why?",
    "A test that is always skipped protects nothing: `{name}` should run at least somewhere.",
    kinds=("test",),
    shapes=("edit", "beside", "function"),
)
def skipped_test(unit: Unit, rng: Random) -> Iterator[Change]:
    """A test is skipped for good."""
    reason = rng.choice(("flaky", "broken", "fails on CI", "temporarily disabled", "fix later", "too slow"))
    bad = rng.choice((f'@unittest.skip("{reason}")', f'@unittest.skip("{reason}")', "@pytest.mark.skip"))
    good = rng.choice(
        (
            '@unittest.skipIf(sys.platform == "win32", "needs POSIX signals")',
            '@unittest.skipUnless(hasattr(os, "fork"), "needs os.fork")',
            '@unittest.skipUnless(support.has_subprocess_support, "needs subprocesses")',
        )
    )
    if not unit.text.startswith("@"):
        yield Change(
            (Splice(0, 0, bad + "\n"),), {"name": unit.piece.name}, good=(Splice(0, 0, good + "\n"),), anchor=0
        )


@defect(
    "sleep_in_test",
    "test",
    "minor",
    r"^(async )?def test",
    "A fixed sleep makes this test slow on every machine and flaky on a busy one; wait for the event.",
    "`{call}` hopes that the other thread is done by then. Join it or poll with a deadline.",
    "Do not use `{call}` for synchronisation in a test.",
    kinds=("test",),
)
def sleep_in_test(unit: Unit, rng: Random) -> Iterator[Change]:
    """A test waits for a fixed time."""
    seconds = rng.choice(("0.5", "1", "2", "3", "5", "10"))
    good = rng.choice(("{other}.wait(timeout={seconds})", "{other}.join(timeout={seconds})"))
    other = rng.choice(("thread", "worker", "event", "process", "done"))
    yield from added(
        unit, rng, "{call}({seconds})", good, seconds=seconds, other=other, call=rng.choice(("time.sleep", "sleep"))
    )
