"""Tests that fail under pytest because a value is not the expected one."""

from __future__ import annotations

import re

from understudy.templates.log_triage.foundry._recipe import Fault, RecipeError, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line

__all__ = ["failed_comparison", "wrap_in_class"]

_PYTEST = ("pytest", "make")
_LONGEST_CAUSE = 120


def wrap_in_class(project: Project, test: str) -> str:
    """Return the test function ``test`` as it is, or, one time in four, as a method of a test class."""
    if project.rng.random() < 0.75:
        return test
    body = re.sub(r"^def (\w+)\((.*?)\)", lambda m: f"def {m[1]}({', '.join(filter(None, ['self', m[2]]))})", test)
    return f"class Test{project.names.type()}:\n" + "".join(
        f"    {line}\n" if line else "\n" for line in body.rstrip("\n").split("\n")
    )


def failed_comparison(step: Step, test: str) -> Fault:
    """The fault of a test whose ``assert got == expected`` did not hold, read from pytest's own lines."""
    shown = find_line(step, "E  ", "assert ", " == ")
    match = re.search(r"assert (.+?) == (.+)$", shown)
    if match is None:
        raise RecipeError(f"not a comparison: {shown}")
    cause = f"Test `{test}` fails: expected `{match[2]}`, got `{match[1]}`."
    if len(cause) > _LONGEST_CAUSE or cause.count("`") != 6:
        cause = f"Test `{test}` fails: the values differ."
    return Fault(
        step=step,
        evidence=(shown, find_line(step, "FAILED ", f"::{test}")),
        subject=test,
        cause=cause,
        fix=f"Correct the code under `{test}` or the value it expects.",
    )


def _compare(project: Project, source: str, function: str, call: str, expected: str) -> Fault:
    """Write ``source`` and a test that ``call`` returns ``expected``, in one of a few ways; run pytest."""
    name, _ = project.add(source)
    test = project.test_name(function)
    got = project.rng.choice(("result", "actual", project.names.variable()))
    body = project.rng.choice(
        (
            f"def {test}():\n    assert {call} == {expected}\n",
            f"def {test}():\n    {got} = {call}\n    assert {got} == {expected}\n",
            f"def {test}():\n    expected = {expected}\n    {got} = {call}\n"
            f"    print('checking', {got})\n    assert {got} == expected\n",
        )
    )
    project.add_test(wrap_in_class(project, body), f"from {name} import {function}\n")
    return failed_comparison(project.pytest(), test)


@recipe("pytest.wrong-total", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def wrong_total(shop: Workshop) -> Fault:
    """A function returns a number that its test does not expect."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    a, b, step = rng.randint(3, 90), rng.randint(3, 90), rng.randint(1, 9)
    source, call, expected = rng.choice(
        (
            (f"def {function}(items):\n    return sum(items) + {step}\n", f"{function}([{a}, {b}])", a + b),
            (
                f"def {function}(price, count):\n    total = price * count\n    return total - {step}\n",
                f"{function}({a}, {b})",
                a * b,
            ),
            (
                f"def {function}(values):\n    return len([v for v in values if v > {a}])\n",
                f"{function}([{a}, {a + 1}, {a + 2}])",
                3,
            ),
            (
                f"def {function}(first, last):\n    count = 0\n"
                f"    for _ in range(first, last):\n        count += 1\n    return count\n",
                f"{function}({a}, {a + step})",
                step + 1,
            ),
        )
    )
    return _compare(project, source, function, call, str(expected))


@recipe("pytest.wrong-text", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def wrong_text(shop: Workshop) -> Fault:
    """A function builds a text that differs from the expected one."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    one, two, number = shop.names.noun(), shop.names.noun(), rng.randint(2, 400)
    source, call, expected = rng.choice(
        (
            (f'def {function}(*parts):\n    return "_".join(parts)\n', f'{function}("{one}", "{two}")', f"{one}-{two}"),
            (
                f'def {function}(name, count):\n    return f"{{name}}: {{count}}"\n',
                f'{function}("{one}", {number})',
                f"{one} ({number})",
            ),
            (
                f"def {function}(title):\n    return title.capitalize()\n",
                f'{function}("{one} {two}")',
                f"{one.title()} {two.title()}",
            ),
            (
                f'def {function}(path):\n    return path.rstrip("/")[1:]\n',
                f'{function}("/{one}/{two}/")',
                f"/{one}/{two}",
            ),
        )
    )
    return _compare(project, source, function, call, f'"{expected}"')


@recipe("pytest.wrong-list", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def wrong_list(shop: Workshop) -> Fault:
    """A function returns a list with a wrong order, a missing or an extra item."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    values = rng.sample(range(1, 60), rng.randint(3, 5))
    words = [shop.names.noun() for _ in range(rng.randint(2, 3))]
    source, call, expected = rng.choice(
        (
            (
                f"def {function}(rows):\n    return sorted(rows, reverse=True)\n",
                f"{function}({values})",
                str(sorted(values)),
            ),
            (f"def {function}(rows):\n    return rows[:-1]\n", f"{function}({values})", str(values)),
            (f"def {function}(text):\n    return text.split(',')\n", f'{function}("{",".join(words)},")', str(words)),
            (
                f"def {function}(names):\n    return [n.upper() for n in names if n]\n",
                f"{function}({words})",
                str(words),
            ),
        )
    )
    return _compare(project, source, function, call, expected)


@recipe("pytest.wrong-mapping", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def wrong_mapping(shop: Workshop) -> Fault:
    """A function returns a dictionary with one key or value that is not right."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    one, two, n, m = shop.names.noun(), shop.names.noun(), rng.randint(1, 50), rng.randint(51, 99)
    source, call, expected = rng.choice(
        (
            (f'def {function}():\n    return {{"{one}": {n}, "{two}": {m + 1}}}\n', f"{function}()", {one: n, two: m}),
            (
                f"def {function}(pairs):\n    out = {{}}\n    for key, value in pairs:\n"
                f"        out[key] = str(value)\n    return out\n",
                f'{function}([("{one}", {n})])',
                {one: n},
            ),
            (
                f'def {function}(name):\n    return {{"name": name, "{two}": None}}\n',
                f'{function}("{one}")',
                {"name": one},
            ),
        )
    )
    return _compare(project, source, function, call, repr(expected))


@recipe("pytest.wrong-float", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def wrong_float(shop: Workshop) -> Fault:
    """A computed float is outside the tolerance of ``pytest.approx``."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    x, rate = rng.randint(10, 900), rng.choice((0.05, 0.07, 0.19, 0.25))
    source, call, expected = rng.choice(
        (
            (f"def {function}(amount):\n    return amount * (1 + {rate} / 10)\n", f"{function}({x})", x * (1 + rate)),
            (
                f"def {function}(values):\n    return sum(values) / (len(values) - 1)\n",
                f"{function}([{x}, {x + 1}, 3])",
                (2 * x + 4) / 3,
            ),
            (f"def {function}(celsius):\n    return celsius * 5 / 9 + 32\n", f"{function}({x})", x * 9 / 5 + 32),
        )
    )
    name, _ = project.add(source)
    test = project.test_name(function)
    options = rng.choice(("", ", rel=1e-3", ", abs=0.01"))
    body = f"def {test}():\n    assert {call} == pytest.approx({round(expected, 4)}{options})\n"
    project.add_test(wrap_in_class(project, body), f"import pytest\n\nfrom {name} import {function}\n")
    return failed_comparison(project.pytest(), test)


@recipe("pytest.parametrised-case", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def parametrised_case(shop: Workshop) -> Fault:
    """One case of a parametrised test does not hold."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    limit = rng.randint(5, 60)
    source, cases = rng.choice(
        (
            (
                f"def {function}(n):\n    return n if n < {limit} else {limit - 1}\n",
                [(1, 1), (limit - 1, limit - 1), (limit + 4, limit)],
            ),
            (
                f"def {function}(n):\n    return -n if n < -1 else n\n",
                [(limit, limit), (-limit, limit), (-1, 1), (0, 0)],
            ),
            (f"def {function}(n):\n    return n // 2 * 2\n", [(2 * limit, 2 * limit), (2 * limit + 1, 2 * limit + 1)]),
        )
    )
    rng.shuffle(cases)
    name, _ = project.add(source)
    test = project.test_name(function)
    body = (
        f'@pytest.mark.parametrize(("value", "expected"), {cases})\n'
        f"def {test}(value, expected):\n    assert {function}(value) == expected\n"
    )
    project.add_test(body, f"import pytest\n\nfrom {name} import {function}\n")
    return failed_comparison(project.pytest(), test)


@recipe("pytest.snapshot-mismatch", tool="pytest", category="test_assertion", origin="test", requires=_PYTEST)
def snapshot_mismatch(shop: Workshop) -> Fault:
    """A rendered text differs from the file that records it."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    one, two = shop.names.noun(), shop.names.noun()
    folder = f"{project.tests}/{rng.choice(('snapshots', 'golden', 'expected'))}"
    snapshot = f"{folder}/{shop.names.noun()}.{rng.choice(('txt', 'json', 'html'))}"
    shop.write(snapshot, f"{one}: {rng.randint(1, 9)}\n{two}: {rng.randint(10, 90)}\n")
    name, _ = project.add(f'def {function}():\n    return "{one}: {rng.randint(10, 90)}\\n{two}: ok\\n"\n')
    test = project.test_name(function)
    word = rng.choice(("does not match", "differs from the output", "is out of date"))
    message = rng.choice((f'"snapshot {snapshot} {word}"', f'f"{{path}} {word}, run with --update"'))
    body = (
        f'def {test}():\n    path = "{snapshot}"\n'
        f"    same = Path(path).read_text() == {function}()\n    assert same, {message}\n"
    )
    project.add_test(body, f"from pathlib import Path\n\nfrom {name} import {function}\n")
    run = project.pytest()
    return Fault(
        step=run,
        evidence=(find_line(run, "E  ", "AssertionError: ", snapshot), find_line(run, "FAILED ", f"::{test}")),
        subject=test,
        cause=f"Test `{test}` fails: the output differs from `{snapshot}`.",
        fix=f"Correct the output or update `{snapshot}`.",
    )


@recipe("pytest.cli-exit-code", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def cli_exit_code(shop: Workshop) -> Fault:
    """A program that a test starts ends with another exit code."""
    project, rng = Project(shop), shop.rng
    option, code = shop.names.noun(), rng.randint(2, 9)
    source = rng.choice(
        (
            f"import argparse\n\nparser = argparse.ArgumentParser()\n"
            f'parser.add_argument("--{shop.names.noun()}-id", required=True)\nparser.parse_args()\n',
            f'import sys\n\nif "--{option}" in sys.argv:\n'
            f'    print("{option}: done with {code} warnings")\n    sys.exit({code})\n',
            f"import sys\n\n\ndef main(argv):\n    return {code} if argv else 0\n\n\nsys.exit(main(sys.argv[1:]))\n",
        )
    )
    _, path = project.add(source)
    test = project.test_name(shop.names.function())
    call = f'subprocess.run([sys.executable, "{path}", "--{option}", "1"], capture_output=True)'
    body = rng.choice(
        (
            f"def {test}():\n    done = {call}\n    assert done.returncode == 0\n",
            f"def {test}():\n    code = {call}.returncode\n    assert code == 0\n",
        )
    )
    project.add_test(body, "import subprocess\nimport sys\n")
    return failed_comparison(project.pytest(), test)


@recipe("pytest.condition-is-false", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def condition_is_false(shop: Workshop) -> Fault:
    """A test asserts a condition that does not hold: a predicate, a membership or an identity."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    word, limit = shop.names.noun(), rng.randint(3, 50)
    source, check, shown = rng.choice(
        (
            (f"def {function}(value):\n    return value > {limit}\n", f"{function}({limit})", "assert False"),
            (
                f'def {function}():\n    return ["{word[1:]}", "{shop.names.noun()}"]\n',
                f'"{word}" in {function}()',
                " in ",
            ),
            (f"def {function}(items):\n    return items[0] if items else 0\n", f"{function}([]) is None", " is None"),
            (f"def {function}(text):\n    return len(text)\n", f'{function}("{word}") > {limit + 20}', " > "),
        )
    )
    name, _ = project.add(source)
    test = project.test_name(function)
    project.add_test(wrap_in_class(project, f"def {test}():\n    assert {check}\n"), f"from {name} import {function}\n")
    run = project.pytest()
    line = find_line(run, "E  ", "assert ", shown)
    return Fault(
        step=run,
        evidence=(line, find_line(run, "FAILED ", f"::{test}")),
        subject=test,
        cause=f"Test `{test}` fails: `{line[line.index('assert ') :]}` does not hold.",
        fix=f"Correct the code under `{test}` or the condition it asserts.",
    )
