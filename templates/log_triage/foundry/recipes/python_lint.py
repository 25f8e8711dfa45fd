"""Linters that refuse one line of otherwise clean Python: ruff, flake8, pylint and bandit."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, RecipeError, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line

__all__: list[str] = []

_RUFF = ("ruff", "make")
_FLAKE8 = ("flake8", "make")
_PYLINT = ("pylint", "make")


def _violation(step: Step, lines: tuple[str, ...], rule: str, path: str) -> Fault:
    cause = f"Lint rule `{rule}` is violated in `{path}`."
    return Fault(step, lines, rule, cause, f"Correct the line in `{path}` that violates `{rule}`.")


def _ruff(shop: Workshop, rule: str, source: str, *, select: str = "", pad: bool = True) -> Fault:
    """Run ruff on a module that violates ``rule`` once; the rules come from the command or from a file."""
    project = Project(shop, pad=pad)
    _, path = project.add(source)
    rng = project.rng
    chosen = select or rng.choice(("E4,E7,E9,F", "E7,F", "F,E7,PLE", "E4,E7,F,PLE"))
    if rng.random() < 0.5:
        shop.write(
            "ruff.toml",
            f'target-version = "py311"\n\n[lint]\nselect = {str(chosen.split(",")).replace(chr(39), chr(34))}\n',
        )
        flags = ""
    else:
        flags = f"--isolated --select {chosen}"
    style = rng.choice(("", "", "--output-format=concise", "--output-format concise"))
    project.warm_up(without="ruff")
    step = project.fail(
        " ".join(f"ruff check --no-cache {style} {flags} {rng.choice(('.', '', project.base))}".split())
    )
    if sum(f"{rule} " in line for line in step.output) != 1:
        raise RecipeError(f"not exactly one {rule}:\n" + "\n".join(step.output))
    if style:
        return _violation(step, (find_line(step, f"{path}:", f": {rule} "),), rule, path)
    where = find_line(step, "", f"--> {path}:")
    return _violation(step, (find_line(step, f"{rule} "), where), rule, path)


@recipe("ruff.unused-import", tool="ruff", category="lint_failure", origin="code", requires=_RUFF)
def unused_import(shop: Workshop) -> Fault:
    """A module imports what it does not use."""
    module, function = shop.rng.choice(("os", "sys", "json", "re", "shutil", "typing")), shop.names.function()
    source = shop.rng.choice(
        (
            f"import {module}\n\n\ndef {function}(value):\n    return value\n",
            f"import math\nimport {module}\n\n\ndef {function}(value):\n    return math.sqrt(value)\n",
            f"from pathlib import Path, PurePath\n\n\ndef {function}(name):\n    return Path(name)\n",
            f"def {function}(value):\n    import {module}\n\n    return value\n",
        )
    )
    return _ruff(shop, "F401", source)


@recipe("ruff.undefined-name", tool="ruff", category="lint_failure", origin="code", requires=_RUFF)
def undefined_name(shop: Workshop) -> Fault:
    """A name is used that nothing defines."""
    function, name, helper = shop.names.function(), shop.names.variable(), shop.names.function()
    source = shop.rng.choice(
        (
            f"def {function}(value):\n    return value + {name}\n",
            f"def {function}(rows):\n    return [{helper}(row) for row in rows]\n",
            f"def {function}(path):\n    return json.loads(path)\n",
            f"class {shop.names.type()}({shop.names.type()}):\n    {name} = 1\n",
        )
    )
    return _ruff(shop, "F821", source)


@recipe("ruff.unused-variable", tool="ruff", category="lint_failure", origin="code", requires=_RUFF)
def unused_variable(shop: Workshop) -> Fault:
    """A local variable is assigned and never read."""
    function, name = shop.names.function(), shop.names.variable()
    source = shop.rng.choice(
        (
            f"def {function}(value):\n    {name} = value * 2\n    return value\n",
            f"def {function}(path):\n    try:\n        return open(path)\n"
            f"    except OSError as {name}:\n        return None\n",
            f"def {function}(rows):\n    total = 0\n    for row in rows:\n"
            f"        {name} = len(row)\n        total += 1\n    return total\n",
        )
    )
    return _ruff(shop, "F841", source)


@recipe("ruff.mutable-default", tool="ruff", category="lint_failure", origin="code", requires=_RUFF)
def mutable_default(shop: Workshop) -> Fault:
    """A default argument is mutable."""
    function, name = shop.names.function(), shop.names.variable()
    value = shop.rng.choice(("[]", "{}", "set()", "list()", f'{{"{name}": 1}}'))
    source = shop.rng.choice(
        (
            f"def {function}({name}={value}):\n    return {name}\n",
            f"def {function}(first, *, {name}={value}):\n    return first, {name}\n",
            f"class {shop.names.type()}:\n    def {function}(self, {name}={value}):\n        self.{name} = {name}\n",
        )
    )
    return _ruff(shop, "B006", source, select=shop.rng.choice(("B", "F,B", "E7,F,B")))


@recipe("ruff.bare-except", tool="ruff", category="lint_failure", origin="code", requires=_RUFF)
def bare_except(shop: Workshop) -> Fault:
    """An ``except`` names no exception."""
    function, name = shop.names.function(), shop.names.variable()
    source = shop.rng.choice(
        (
            f"def {function}({name}):\n    try:\n        return int({name})\n    except:\n        return 0\n",
            f"def {function}({name}):\n    for item in {name}:\n        try:\n"
            f"            item.close()\n        except:\n            continue\n",
            f"try:\n    import {shop.names.module()} as {name}\nexcept:\n    {name} = None\n",
        )
    )
    return _ruff(shop, "E722", source)


@recipe("ruff.comparison-to-singleton", tool="ruff", category="lint_failure", origin="code", requires=_RUFF)
def comparison_to_singleton(shop: Workshop) -> Fault:
    """``==`` compares with ``None`` or ``True``."""
    function, name = shop.names.function(), shop.names.variable()
    rule, test = shop.rng.choice((("E711", "== None"), ("E711", "!= None"), ("E712", "== True"), ("E712", "== False")))
    source = shop.rng.choice(
        (
            f"def {function}({name}):\n    if {name} {test}:\n        return 1\n    return 2\n",
            f"def {function}(rows):\n    return [{name} for {name} in rows if {name} {test}]\n",
        )
    )
    return _ruff(shop, rule, source)


@recipe("ruff.import-order", tool="ruff", category="lint_failure", origin="code", requires=_RUFF)
def import_order(shop: Workshop) -> Fault:
    """The import block is not in order."""
    one, two = shop.rng.sample(("os", "re", "sys", "math", "json", "shutil"), 2)
    first, second = sorted((one, two), reverse=True)
    source = shop.rng.choice(
        (
            f"import {first}\nimport {second}\n\n{shop.names.constant()} = ({one}, {two})\n",
            f"from {first} import *\nfrom {second} import *\n\n{shop.names.constant()} = 1\n",
            f"import {one}, {two}\n\nprint({one}, {two})\n",
            f"import {second}\n\nimport {first}\n\nprint({one}, {two})\n",
        )
    )
    return _ruff(shop, "I001", source, select=shop.rng.choice(("I", "I,B")), pad=False)


@recipe("ruff.line-too-long", tool="ruff", category="lint_failure", origin="code", requires=_RUFF)
def line_too_long(shop: Workshop) -> Fault:
    """One line is longer than the limit."""
    words = " ".join(shop.names.noun() for _ in range(shop.rng.randint(16, 22)))
    source = shop.rng.choice(
        (
            f'{shop.names.constant()} = "{words}"\n',
            f"def {shop.names.function()}(value):\n    return value  # {words}\n",
            f'def {shop.names.function()}(value):\n    """{words}"""\n    return value\n',
        )
    )
    return _ruff(shop, "E501", source, select=shop.rng.choice(("E501", "E501,F", "E5")), pad=False)


@recipe("ruff.outdated-syntax", tool="ruff", category="lint_failure", origin="code", requires=_RUFF)
def outdated_syntax(shop: Workshop) -> Fault:
    """A construct has a newer form."""
    function, name = shop.names.function(), shop.names.variable()
    rule, source = shop.rng.choice(
        (
            ("UP007", f"from typing import Union\n\n\ndef {function}({name}: Union[int, str]):\n    return {name}\n"),
            (
                "UP008",
                f"class {shop.names.type()}(dict):\n    def __init__(self):\n        super(dict, self).__init__()\n",
            ),
            ("UP032", f'def {function}({name}):\n    return "{shop.names.noun()} {{}}".format({name})\n'),
            ("UP015", f'def {function}({name}):\n    return open({name}, "r")\n'),
            ("UP031", f'def {function}({name}):\n    return "%s items" % ({name},)\n'),
        )
    )
    if rule == "UP008":
        kind = shop.names.type()
        source = f"class {kind}(dict):\n    def __init__(self):\n        super({kind}, self).__init__()\n"
    return _ruff(shop, rule, source, select=rule if rule == "UP007" else shop.rng.choice(("UP", "UP,B")))


def _flake8(shop: Workshop, rule: str, source: str, flags: str = "") -> Fault:
    project = Project(shop)
    _, path = project.add(source)
    limit = f"--max-line-length {project.rng.choice((100, 110, 120))}"
    project.warm_up(without="flake8")
    program = project.rng.choice(("flake8", "python -m flake8"))
    target = project.base or " ".join(sorted(project.modules))
    step = project.fail(
        " ".join(f"{program} {limit} {flags} {project.rng.choice(('', '--count', '--show-source'))} {target}".split())
    )
    return _violation(step, (find_line(step, f"{path}:", f": {rule} "),), rule, path)


@recipe("flake8.whitespace", tool="flake8", category="lint_failure", origin="code", requires=_FLAKE8)
def whitespace(shop: Workshop) -> Fault:
    """Spaces or blank lines are missing or too many."""
    function, name, other = shop.names.function(), shop.names.variable(), shop.names.function()
    rule, source = shop.rng.choice(
        (
            ("E302", f"{name.upper()} = 1\n\ndef {function}(value):\n    return value\n"),
            ("E225", f"def {function}(value):\n    {name} =value\n    return {name}\n"),
            ("W291", f"def {function}(value):   \n    return value\n"),
            ("E231", f"def {function}(value,{name}):\n    return value\n"),
            ("E303", f"def {function}(value):\n    {name} = value\n\n\n    return {name}\n"),
            ("W391", f"def {function}(value):\n    return value\n\n\n"),
            ("E305", f"def {other}(value):\n    return value\n\n{name} = {other}(1)\n"),
        )
    )
    return _flake8(shop, rule, source)


@recipe("flake8.redefinition", tool="flake8", category="lint_failure", origin="code", requires=_FLAKE8)
def redefinition(shop: Workshop) -> Fault:
    """A function, method or import is defined twice."""
    function, name = shop.names.function(), shop.names.noun()
    source = shop.rng.choice(
        (
            f"def {function}(value):\n    return value\n\n\ndef {function}(value):\n    return value * 2\n",
            f"class {shop.names.type()}:\n    def {function}(self):\n        return 1\n"
            f"\n    def {function}(self, {name}_id):\n        return {name}_id\n",
            f"from json import dumps\n\n\ndef dumps({name}_id):\n    return {name}_id\n",
        )
    )
    return _flake8(shop, "F811", source)


@recipe("flake8.complexity", tool="flake8", category="lint_failure", origin="code", requires=_FLAKE8)
def complexity(shop: Workshop) -> Fault:
    """A function has too many branches."""
    function, limit = shop.names.function(), shop.rng.randint(3, 6)
    words = [shop.names.noun() for _ in range(limit + 1)]
    branches = "".join(f'    if value == "{word}":\n        return {i}\n' for i, word in enumerate(words))
    loops = "".join(f"    for {word}_n in value:\n        print({word}_n)\n" for word in words)
    source = f"def {function}(value):\n{shop.rng.choice((branches, loops))}    return -1\n"
    return _flake8(shop, "C901", source, f"--max-complexity {limit}")


def _pylint(shop: Workshop, rule: str, source: str, flags: str) -> Fault:
    project = Project(shop)
    _, path = project.add(source)
    project.warm_up(without="pylint")
    program = project.rng.choice(("pylint", "python -m pylint"))
    target = " ".join(sorted(project.modules))
    step = project.fail(" ".join(f"{program} {flags} {project.rng.choice(('', '--score=n', '-j 1'))} {target}".split()))
    return _violation(step, (find_line(step, f"{path}:", f": {rule}: "),), rule, path)


@recipe("pylint.unused", tool="pylint", category="lint_failure", origin="code", requires=_PYLINT)
def pylint_unused(shop: Workshop) -> Fault:
    """An argument, a variable or an expression has no use."""
    function, name = shop.names.function(), shop.names.variable()
    rule, source = shop.rng.choice(
        (
            ("W0613", f"def {function}(value, {name}):\n    return value\n"),
            ("W0612", f"def {function}(value):\n    {name} = value\n    return value\n"),
            ("W0104", f"def {function}({name}):\n    {name}\n    return 1\n"),
            ("W0101", f"def {function}({name}):\n    return 1\n    print({name})\n"),
        )
    )
    return _pylint(shop, rule, source, "--disable=C,R")


@recipe("pylint.missing-docstring", tool="pylint", category="lint_failure", origin="code", requires=_PYLINT)
def missing_docstring(shop: Workshop) -> Fault:
    """A public module, class or function has no docstring."""
    project = Project(shop, pad=False)
    head, function, kind = f'"""Work on {shop.names.noun()}s."""\n\n', shop.names.function(), shop.names.type()
    rule, source = shop.rng.choice(
        (
            ("C0116", f"{head}\ndef {function}(value):\n    return value\n"),
            ("C0115", f"{head}\nclass {kind}:\n    size = {shop.rng.randint(2, 90)}\n"),
            ("C0114", f"{shop.names.constant()} = {shop.rng.randint(2, 90)}\n"),
        )
    )
    _, path = project.add(source)
    project.warm_up(without="pylint")
    step = project.fail(
        f"pylint {shop.rng.choice(('--disable=R', '--enable=all --disable=R,I', '--disable=W,R'))} {path}"
    )
    return _violation(step, (find_line(step, f"{path}:", f": {rule}: "),), rule, path)


def _bandit(shop: Workshop, rule: str, source: str) -> Fault:
    project = Project(shop)
    _, path = project.add(source)
    project.warm_up(without="bandit")
    flags = project.rng.choice(("-q -r", "-q -ll -r", "-q -r --severity-level low"))
    step = project.fail(f"bandit {flags} {project.base or ' '.join(sorted(project.modules))}")
    where = find_line(step, "   Location: ", path)
    return _violation(step, (find_line(step, ">> Issue: ", f"[{rule}:"), where), rule, path)


@recipe("bandit.unsafe-call", tool="bandit", category="lint_failure", origin="code", requires=("bandit", "make"))
def unsafe_call(shop: Workshop) -> Fault:
    """A call is a security risk: a shell, a weak hash, ``eval``, an archive, a temporary file."""
    function, name = shop.names.function(), shop.names.variable()
    rule, source = shop.rng.choice(
        (
            ("B605", f"from os import system\n\n\ndef {function}({name}):\n    return system({name})\n"),
            ("B324", f"import hashlib\n\n\ndef {function}({name}):\n    return hashlib.md5({name}).hexdigest()\n"),
            ("B307", f"def {function}({name}):\n    return eval({name})\n"),
            ("B202", f"import tarfile\n\n\ndef {function}({name}):\n    tarfile.open({name}).extractall('/srv')\n"),
            ("B306", f"import tempfile\n\n\ndef {function}({name}):\n    return tempfile.mktemp({name})\n"),
            ("B104", f'def {function}({name}):\n    {name}.bind(("0.0.0.0", {shop.rng.randint(2000, 9000)}))\n'),
        )
    )
    return _bandit(shop, rule, source)
