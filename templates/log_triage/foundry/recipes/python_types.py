"""Type errors that mypy reports, one a sample."""

from __future__ import annotations

import re

from understudy.templates.log_triage.foundry._recipe import Fault, RecipeError, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line

__all__: list[str] = []

_MYPY = ("mypy", "make")


def _check(shop: Workshop, source: str, code: str) -> tuple[Fault, str]:
    """Run mypy on ``source`` among sound modules; return a fault without words and mypy's message."""
    project = Project(shop)
    _, path = project.add(source)
    target = project.base or project.rng.choice((".", " ".join(sorted(project.modules))))
    if project.rng.random() < 0.4:
        shop.write("mypy.ini", "[mypy]\nstrict = True\nexclude = ^(tests|test)/\n")
        strict = ""
    else:
        strict = "--strict --exclude '^tests?/'"
    project.warm_up(without="mypy")
    flags = project.rng.choice(("", "--pretty", "--show-column-numbers", "--no-error-summary", "--show-error-context"))
    command = " ".join(
        f"{project.rng.choice(('mypy', 'python -m mypy'))} --cache-dir=/dev/null {strict} {flags} {target}".split()
    )
    step = project.fail(command)
    first = step.output.index(find_line(step, f"{path}:", "error: "))
    last = next(i for i, line in enumerate(step.output) if i >= first and code in line)  # --pretty wraps long messages
    if sum(" error: " in line for line in step.output) != 1:
        raise RecipeError("not exactly one error:\n" + "\n".join(step.output))
    lines = step.output[first : last + 1]
    return Fault(step, lines, path, "", ""), re.sub(r"^.*?error: ", "", " ".join(line.strip() for line in lines))


def _expected_got(shop: Workshop, source: str, code: str, pattern: str) -> Fault:
    """The fault whose message names two types; ``pattern`` has the groups ``expected`` and ``got``."""
    fault, message = _check(shop, source, code)
    match = re.search(pattern, message)
    if match is None:
        raise RecipeError(f"{pattern} does not match {message}")
    shown = " ".join(fault.evidence)
    expected, got = match["expected"], match["got"]
    cause = f"Type error in `{fault.subject}`: expected `{expected}`, got `{got}`."
    if expected not in shown or got not in shown:
        cause = f"Type error in `{fault.subject}`: the types are incompatible."
    return Fault(fault.step, fault.evidence, fault.subject, cause, f"Make the types in `{fault.subject}` agree.")


def _names(shop: Workshop) -> tuple[str, str, str, str]:
    return shop.names.function(), shop.names.variable(), shop.names.type(), shop.names.noun()


@recipe("mypy.argument-type", tool="mypy", category="type_error", origin="code", requires=_MYPY)
def argument_type(shop: Workshop) -> Fault:
    """A call passes an argument of another type."""
    function, variable, kind, word = _names(shop)
    source = shop.rng.choice(
        (
            f'def {function}(size: int) -> int:\n    return size + 1\n\n\n{variable} = {function}("{word}")\n',
            f"class {kind}:\n    def __init__(self, name: str) -> None:\n"
            f"        self.name = name\n\n\n{variable} = {kind}({shop.rng.randint(2, 900)})\n",
            f"def {function}(values: list[str]) -> str:\n    return ', '.join(values)\n"
            f"\n\n{variable} = {function}(values={{'{word}': 1}})\n",
            f"from pathlib import Path\n\n\ndef {function}(path: Path) -> bool:\n"
            f"    return path.exists()\n\n\nprint({function}('{word}.txt'))\n",
        )
    )
    return _expected_got(
        shop, source, "[arg-type]", r'incompatible type "(?P<got>[^"]+)"; expected "(?P<expected>[^"]+)"'
    )


@recipe("mypy.return-value", tool="mypy", category="type_error", origin="code", requires=_MYPY)
def return_value(shop: Workshop) -> Fault:
    """A function returns something else than it declares."""
    function, variable, kind, word = _names(shop)
    source = shop.rng.choice(
        (
            f"def {function}({variable}: int) -> str:\n    return {variable} * 2\n",
            f"def {function}({variable}: dict[str, int]) -> int:\n    return {variable}.get('{word}')\n",
            f"class {kind}:\n    def {function}(self) -> list[int]:\n        return '{word}'\n",
            f"async def {function}() -> bytes:\n    return '{word}'\n",
        )
    )
    return _expected_got(shop, source, "[return-value]", r'\(got "(?P<got>[^"]+)", expected "(?P<expected>[^"]+)"\)')


@recipe("mypy.assignment", tool="mypy", category="type_error", origin="code", requires=_MYPY)
def assignment(shop: Workshop) -> Fault:
    """A value is assigned to a variable of another type."""
    function, variable, kind, word = _names(shop)
    source = shop.rng.choice(
        (
            f"{variable}: int = '{word}'\n",
            f"def {function}() -> str:\n    {variable} = '{word}'\n"
            f"    {variable} = {shop.rng.randint(2, 99)}\n    return {variable}\n",
            f"class {kind}:\n    {variable}: float = 1.5\n\n\n{word}_one = {kind}()\n{word}_one.{variable} = None\n",
            f"def {function}({variable}: str = None) -> str:\n    return {variable}\n",
        )
    )
    pattern = r'(?:expression|default) has type "(?P<got>[^"]+)", (?:variable|parameter) has type "(?P<expected>[^"]+)"'
    return _expected_got(shop, source, "[assignment]", pattern)


@recipe("mypy.no-attribute", tool="mypy", category="type_error", origin="code", requires=_MYPY)
def no_attribute(shop: Workshop) -> Fault:
    """An attribute is used that the type or module does not have."""
    function, variable, kind, word = _names(shop)
    missing = shop.rng.choice((shop.names.variable(), shop.names.function()))
    source, owner = shop.rng.choice(
        (
            (f"class {kind}:\n    {variable} = 1\n\n\nprint({kind}().{missing})\n", kind),
            (f"def {function}(value: str) -> object:\n    return value.{missing}()\n", "str"),
            (f"import json\n\n\ndef {function}() -> object:\n    return json.{missing}('{word}')\n", "Module"),
            (
                f"def {function}(values: list[int]) -> None:\n    values.{missing}({shop.rng.randint(2, 9)})\n",
                "list[int]",
            ),
        )
    )
    fault, _ = _check(shop, source, "[attr-defined]")
    cause = f"Type error in `{fault.subject}`: `{owner}` has no attribute `{missing}`."
    return Fault(fault.step, fault.evidence, missing, cause, f"Define `{missing}` or correct its name.")


@recipe("mypy.maybe-none", tool="mypy", category="type_error", origin="code", requires=_MYPY)
def maybe_none(shop: Workshop) -> Fault:
    """A value that may be ``None`` is used as if it never were."""
    function, variable, kind, word = _names(shop)
    source, missing = shop.rng.choice(
        (
            (f"def {function}({variable}: str | None) -> str:\n    return {variable}.upper()\n", "upper"),
            (
                f"import re\n\n\ndef {function}(text: str) -> str:\n    return re.match('{word}', text).group(0)\n",
                "group",
            ),
            (
                f"class {kind}:\n    parent: '{kind} | None' = None\n    {variable} = {shop.rng.randint(2, 900)}\n\n\n"
                f"def {function}({word}_node: {kind}) -> int:\n    return {word}_node.parent.{variable}\n",
                variable,
            ),
        )
    )
    fault, _ = _check(shop, source, "[union-attr]")
    cause = f"Type error in `{fault.subject}`: `None` has no attribute `{missing}`."
    return Fault(fault.step, fault.evidence, missing, cause, f"Check for `None` before using `{missing}`.")


@recipe("mypy.no-annotation", tool="mypy", category="type_error", origin="code", requires=_MYPY)
def no_annotation(shop: Workshop) -> Fault:
    """Strict mode meets a function or a variable without a type annotation."""
    function, variable, kind, word = _names(shop)
    source, code = shop.rng.choice(
        (
            (f"def {function}({variable}):\n    return {variable}\n", "[no-untyped-def]"),
            (f"def {function}({variable}: int):\n    print({variable}, '{word}')\n", "[no-untyped-def]"),
            (f"{variable} = []\n", "[var-annotated]"),
            (
                f"class {kind}:\n    def {function}(self, {variable}: str, other) -> str:\n        return {variable}\n",
                "[no-untyped-def]",
            ),
        )
    )
    fault, _ = _check(shop, source, code)
    cause = f"Type error in `{fault.subject}`: a type annotation is missing."
    return Fault(
        fault.step, fault.evidence, fault.subject, cause, f"Add the missing type annotation in `{fault.subject}`."
    )


@recipe("mypy.call-arguments", tool="mypy", category="type_error", origin="code", requires=_MYPY)
def call_arguments(shop: Workshop) -> Fault:
    """A call has too many, too few or unknown arguments."""
    function, variable, kind, word = _names(shop)
    source, callee = shop.rng.choice(
        (
            (
                f"def {function}({variable}: int) -> int:\n    return {variable}\n\n\nprint({function}(1, 2))\n",
                function,
            ),
            (
                f"def {function}({variable}: int, {word}_id: str) -> str:\n"
                f"    return {word}_id\n\n\nprint({function}(3))\n",
                function,
            ),
            (f"class {kind}:\n    def __init__(self) -> None:\n        pass\n\n\nprint({kind}({variable}=1))\n", kind),
            (
                f"from dataclasses import dataclass\n\n\n@dataclass\nclass {kind}:\n"
                f"    {word}_id: int\n    {variable}: str\n\n\nprint({kind}(4))\n",
                kind,
            ),
        )
    )
    fault, _ = _check(shop, source, "[call-arg]")
    cause = f"Type error in `{fault.subject}`: the arguments of `{callee}` do not fit."
    return Fault(fault.step, fault.evidence, callee, cause, f"Correct the arguments of `{callee}`.")


@recipe("mypy.operator", tool="mypy", category="type_error", origin="code", requires=_MYPY)
def operator(shop: Workshop) -> Fault:
    """Two operands have no such operator."""
    function, variable, _, word = _names(shop)
    source, left, right = shop.rng.choice(
        (
            (f"def {function}({variable}: int) -> object:\n    return '{word}' + {variable}\n", "str", "int"),
            (f"def {function}({variable}: float) -> object:\n    return {variable} < '{word}'\n", "float", "str"),
            (
                f"def {function}({variable}: list[int]) -> object:\n    return {variable} - [1]\n",
                "list[int]",
                "list[int]",
            ),
        )
    )
    fault, _ = _check(shop, source, "[operator]")
    cause = f"Type error in `{fault.subject}`: expected `{left}`, got `{right}`."
    if left == right:
        cause = f"Type error in `{fault.subject}`: `{left}` has no such operator."
    return Fault(fault.step, fault.evidence, fault.subject, cause, f"Make the types in `{fault.subject}` agree.")
