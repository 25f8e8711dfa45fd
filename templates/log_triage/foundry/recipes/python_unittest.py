"""Tests that fail under the standard library's unittest."""

from __future__ import annotations

import re

from understudy.templates.log_triage.foundry._recipe import Fault, RecipeError, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line, indent, sound_function

__all__: list[str] = []

_MAKE = ("make",)


def _run(project: Project, imports: str, body: str, *, base: str = "unittest.TestCase") -> Step:
    """Put the indented ``body`` into a test case between passing methods and run unittest."""
    rng, names = project.rng, project.names
    sound = [sound_function(project.shop) for _ in range(rng.randint(0, 4))]
    module, _ = project.add("\n\n".join(each.source for each in sound) or "LIMIT = 1\n")
    passing = [f"def test_{each.name}(self):\n    self.assertEqual({each.call}, {each.value!r})\n" for each in sound]
    passing += [f"def test_{names.noun()}_error_count(self):\n    self.assertEqual(len([]), 0)\n"] * rng.randint(0, 1)
    extra = f"from {module} import {', '.join(each.name for each in sound)}\n" if sound else ""
    methods = [body, *passing]
    rng.shuffle(methods)
    text = f"import unittest\n{imports}{extra}\n\nclass {names.type()}Test({base}):\n" + "\n".join(map(indent, methods))
    tests = project.tests.split("/")[0]
    folder = tests if tests != "test" else "checks"  # a folder called test would hide the standard library's package
    project.shop.write(f"{folder}/__init__.py", "")
    project.shop.write(
        f"{folder}/test_{project.module()}.py", text + '\n\nif __name__ == "__main__":\n    unittest.main()\n'
    )
    project.warm_up()
    flags = rng.choice(("", "-v", "-v", "-b", "--locals"))
    command = (
        f"python -m unittest {rng.choice((f'discover {flags} -s {folder} -t .', f'discover -t . -s {folder} {flags}'))}"
    )
    return project.fail(command.strip(), env={"PYTHONPATH": project.base or "."})


def _fault(step: Step, test: str, verdict: str, message: str, cause: str, fix: str) -> Fault:
    """The fault whose evidence is unittest's headline of the test and its last traceback line."""
    headline = find_line(step, f"{verdict}: ", test)
    start = step.output.index(headline)
    for line in step.output[start:]:
        if line.startswith(message):
            return Fault(step, (headline, line), test, cause, fix)
    raise RecipeError(f"no line {message!r} after {headline!r}:\n" + "\n".join(step.output))


def _values(step: Step) -> tuple[str, str]:
    """Return what the first ``AssertionError: got != expected`` line says."""
    match = re.match(
        r"AssertionError: (?:\w+ differ: )?(.+?) != (.+?)(?: : .*)?$", find_line(step, "AssertionError: ", " != ")
    )
    if match is None:
        raise RecipeError("no comparison in:\n" + "\n".join(step.output))
    return match[1], match[2]


def _differs(step: Step, test: str) -> Fault:
    got, expected = _values(step)
    cause = f"Test `{test}` fails: expected `{expected}`, got `{got}`."
    if len(cause) > 120:
        cause = f"Test `{test}` fails: the values differ."
    fix = f"Correct the code under `{test}` or the value it expects."
    return _fault(step, test, "FAIL", "AssertionError: ", cause, fix)


@recipe("unittest.wrong-number", tool="unittest", category="test_assertion", origin="code", requires=_MAKE)
def wrong_number(shop: Workshop) -> Fault:
    """``assertEqual`` meets two numbers that differ."""
    project, rng, function = Project(shop, pad=False), shop.rng, shop.names.function()
    a, b = rng.randint(2, 90), rng.randint(2, 9)
    source, call, expected = rng.choice(
        (
            (f"def {function}(a, b):\n    return a * b + 1\n", f"{function}({a}, {b})", a * b),
            (f"def {function}(items):\n    return max(items) - 1\n", f"{function}([{a}, {a + b}])", a + b),
            (f"def {function}(text):\n    return text.count('a') + {b}\n", f"{function}('banana')", 3),
        )
    )
    module, _ = project.add(source)
    test = project.test_name(function)
    note = rng.choice(("", f', "{shop.names.noun()} must stay the same"'))
    body = rng.choice(
        (
            f"def {test}(self):\n    self.assertEqual({call}, {expected}{note})\n",
            f"def {test}(self):\n    result = {call}\n    self.assertEqual(result, {expected}{note})\n",
        )
    )
    return _differs(_run(project, f"from {module} import {function}\n", body), test)


@recipe("unittest.wrong-container", tool="unittest", category="test_assertion", origin="code", requires=_MAKE)
def wrong_container(shop: Workshop) -> Fault:
    """``assertEqual`` meets two texts, lists or dictionaries that differ."""
    project, rng, function = Project(shop, pad=False), shop.rng, shop.names.function()
    one, two, n = shop.names.noun(), shop.names.noun(), rng.randint(2, 90)
    source, call, expected = rng.choice(
        (
            (f"def {function}(rows):\n    return rows[1:]\n", f"{function}(['{one}', {n}])", f"['{one}', {n}]"),
            (f"def {function}():\n    return {{'{one}': {n}}}\n", f"{function}()", f"{{'{two}': {n}}}"),
            (f"def {function}(text):\n    return text.upper()\n", f"{function}('{one}')", f"'{one.title()}'"),
            (
                f"def {function}(text):\n    return tuple(text.split('-'))\n",
                f"{function}('{one}-{two}')",
                f"('{two}', '{one}')",
            ),
        )
    )
    module, _ = project.add(source)
    test = project.test_name(function)
    body = f"def {test}(self):\n    self.assertEqual({call}, {expected})\n"
    return _differs(_run(project, f"from {module} import {function}\n", body), test)


@recipe("unittest.raises", tool="unittest", category="test_assertion", origin="code", requires=_MAKE)
def raises(shop: Workshop) -> Fault:
    """The code under test raises."""
    project, rng, function = Project(shop, pad=False), shop.rng, shop.names.function()
    word, n = shop.names.noun(), rng.randint(2, 90)
    source, call, error = rng.choice(
        (
            (f"def {function}(row):\n    return row['{word}']\n", f"{function}({{}})", "KeyError"),
            (f"def {function}(value):\n    return value.{word}\n", f"{function}({n})", "AttributeError"),
            (f"def {function}(value):\n    return [value][{n}]\n", f"{function}({n})", "IndexError"),
            (
                f"def {function}(value):\n    raise NotImplementedError('{word} {n}')\n",
                f"{function}({n})",
                "NotImplementedError",
            ),
            (f"def {function}(value):\n    return float(value)\n", f"{function}('{word}')", "ValueError"),
        )
    )
    module, _ = project.add(source)
    test = project.test_name(function)
    step = _run(project, f"from {module} import {function}\n", f"def {test}(self):\n    self.assertTrue({call})\n")
    cause = f"Test `{test}` raises `{error}`."
    return _fault(step, test, "ERROR", f"{error}: ", cause, f"Handle the case that raises `{error}` in `{test}`.")


@recipe("unittest.not-raised", tool="unittest", category="test_assertion", origin="code", requires=_MAKE)
def not_raised(shop: Workshop) -> Fault:
    """``assertRaises`` waits for an exception, ``assertLogs`` for a message, and none comes."""
    project, rng, function = Project(shop, pad=False), shop.rng, shop.names.function()
    error, n = rng.choice(("ValueError", "KeyError", "PermissionError", "TimeoutError")), rng.randint(2, 90)
    module, _ = project.add(
        f"def {function}(value):\n    if value > {n}:\n        raise {error}(value)\n    return value\n"
    )
    test = project.test_name(function)
    body = rng.choice(
        (
            f"def {test}(self):\n    with self.assertRaises({error}):\n        {function}({n})\n",
            f"def {test}(self):\n    self.assertRaises({error}, {function}, {n - 1})\n",
        )
    )
    step = _run(project, f"from {module} import {function}\n", body)
    cause = f"Test `{test}` fails: expected `{error}`, nothing was raised."
    return _fault(step, test, "FAIL", "AssertionError: ", cause, f"Raise `{error}` in the code under `{test}`.")


@recipe("unittest.subtest", tool="unittest", category="test_assertion", origin="code", requires=_MAKE)
def subtest(shop: Workshop) -> Fault:
    """One round of a loop of subtests does not hold."""
    project, rng, function = Project(shop, pad=False), shop.rng, shop.names.function()
    values = rng.sample(range(2, 60), rng.randint(2, 5))
    bad, name = rng.choice(values), rng.choice(("value", "n", "size"))
    module, _ = project.add(f"def {function}(value):\n    return 0 if value == {bad} else value * 2\n")
    test = project.test_name(function)
    body = (
        f"def {test}(self):\n    for {name} in {values}:\n        with self.subTest({name}={name}):\n"
        f"            self.assertEqual({function}({name}), {name} * 2)\n"
    )
    return _differs(_run(project, f"from {module} import {function}\n", body), test)


@recipe("unittest.class-setup", tool="unittest", category="test_assertion", origin="test", requires=_MAKE)
def class_setup(shop: Workshop) -> Fault:
    """A class cannot be prepared, so none of its tests runs."""
    project, rng, word = Project(shop, pad=False), shop.rng, shop.names.noun()
    line, error = rng.choice(
        (
            (f'raise RuntimeError("{word} is not ready")', "RuntimeError"),
            (f'cls.{word} = {{}}["{word}"]', "KeyError"),
            (f'cls.{word} = int("{word}")', "ValueError"),
        )
    )
    body = f"@classmethod\ndef setUpClass(cls):\n    {line}\n\ndef test_{word}(self):\n    self.assertIsNotNone(self)\n"
    step = _run(project, "", body)
    return _fault(
        step,
        "setUpClass",
        "ERROR",
        f"{error}: ",
        f"Test class setup `setUpClass` raises `{error}`.",
        f"Repair `setUpClass`, which raises `{error}`.",
    )
