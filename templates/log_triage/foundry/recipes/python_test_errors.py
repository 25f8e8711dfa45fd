"""Tests that fail under pytest because something raises, does not raise, or cannot be set up or collected."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line
from understudy.templates.log_triage.foundry.recipes.python_tests import wrap_in_class

__all__: list[str] = []

_PYTEST = ("pytest", "make")


def _raised(step: Step, test: str, error: str, verdict: str = "FAILED ") -> Fault:
    """The fault of a test in which the exception ``error`` was raised."""
    return Fault(
        step=step,
        evidence=(find_line(step, "E  ", f"{error}: "), find_line(step, verdict, f"::{test}")),
        subject=test,
        cause=f"Test `{test}` raises `{error}`.",
        fix=f"Handle the case that raises `{error}` in `{test}`.",
    )


@recipe("pytest.raises-lookup", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def raises_lookup(shop: Workshop) -> Fault:
    """The code under test looks up a key or an index that does not exist."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    one, two = shop.names.noun(), shop.names.noun()
    source, call, error = rng.choice(
        (
            (
                f'def {function}(row):\n    return row["{one}"] * 2\n',
                f'{function}({{"{two}": {rng.randint(1, 9)}}})',
                "KeyError",
            ),
            (
                f"def {function}(items):\n    return items[{rng.randint(3, 9)}]\n",
                f'{function}(["{one}", "{two}"])',
                "IndexError",
            ),
            (
                f'def {function}(line):\n    head, tail = line.split(":")\n    return tail\n',
                f'{function}("{one}")',
                "ValueError",
            ),
        )
    )
    return _call_in_test(project, source, function, call, error)


@recipe("pytest.raises-on-none", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def raises_on_none(shop: Workshop) -> Fault:
    """The code under test uses ``None``, or an object of another type, as if it had an attribute or an operator."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    one, attribute = shop.names.noun(), shop.names.variable()
    source, call, error = rng.choice(
        (
            (f"def {function}(store):\n    return store.get('{one}').strip()\n", f"{function}({{}})", "AttributeError"),
            (f"def {function}(value):\n    return value + {rng.randint(1, 99)}\n", f'{function}("{one}")', "TypeError"),
            (
                f"class _State:\n    pass\n\n\ndef {function}():\n    return _State().{attribute}\n",
                f"{function}()",
                "AttributeError",
            ),
            (
                f"def {function}(first, second):\n    return first - second\n",
                f"{function}({rng.randint(1, 99)})",
                "TypeError",
            ),
        )
    )
    return _call_in_test(project, source, function, call, error)


@recipe("pytest.raises-domain-error", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def raises_domain_error(shop: Workshop) -> Fault:
    """The code under test raises an exception about a value: its own class, a conversion, a division by zero."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    word, own, limit = shop.names.noun(), f"{shop.names.type()}Error", rng.randint(5, 90)
    source, call, error = rng.choice(
        (
            (
                f"class {own}(Exception):\n    pass\n\n\ndef {function}(size):\n    if size >= {limit}:\n"
                f'        raise {own}(f"{word} is too large: {{size}}")\n    return size\n',
                f"{function}({limit})",
                own,
            ),
            (
                f"def {function}(total, count):\n    return total / count\n",
                f"{function}({limit}, 0)",
                "ZeroDivisionError",
            ),
            (f"def {function}(text):\n    return int(text)\n", f'{function}("{limit} {word}s")', "ValueError"),
            (
                f'def {function}(data):\n    return data.decode("ascii")\n',
                f'{function}("{word} é".encode())',
                "UnicodeDecodeError",
            ),
        )
    )
    return _call_in_test(project, source, function, call, error)


def _call_in_test(project: Project, source: str, function: str, call: str, error: str) -> Fault:
    name, _ = project.add(source)
    test = project.test_name(function)
    body = project.rng.choice(
        (
            f"def {test}():\n    assert {call}\n",
            f"def {test}():\n    result = {call}\n    assert result is not None\n",
            f'def {test}(capsys):\n    print("retry failed once, no error")\n    assert {call} != 0\n',
        )
    )
    project.add_test(wrap_in_class(project, body), f"from {name} import {function}\n")
    return _raised(project.pytest(), test, error)


@recipe("pytest.did-not-raise", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def did_not_raise(shop: Workshop) -> Fault:
    """A test expects an exception and none comes."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    error, limit = rng.choice(("ValueError", "KeyError", "TypeError", "RuntimeError")), rng.randint(1, 90)
    source, call = rng.choice(
        (
            (
                f"def {function}(n):\n    if n > {limit}:\n        raise {error}(n)\n    return n\n",
                f"{function}({limit})",
            ),
            (
                f"def {function}(row):\n    try:\n        return row[{limit}]\n"
                f"    except LookupError:\n        return None\n",
                f"{function}({{}})",
            ),
            (f"def {function}(text):\n    return text or ''\n", f"{function}('')"),
        )
    )
    name, _ = project.add(source)
    test = project.test_name(function)
    body = f"def {test}():\n    with pytest.raises({error}):\n        {call}\n"
    project.add_test(wrap_in_class(project, body), f"import pytest\n\nfrom {name} import {function}\n")
    run = project.pytest()
    return Fault(
        step=run,
        evidence=(find_line(run, "E  ", "DID NOT RAISE", error), find_line(run, "FAILED ", f"::{test}")),
        subject=test,
        cause=f"Test `{test}` fails: expected `{error}`, nothing was raised.",
        fix=f"Raise `{error}` in the code under `{test}`.",
    )


@recipe("pytest.fixture-not-found", tool="pytest", category="test_assertion", origin="test", requires=_PYTEST)
def fixture_not_found(shop: Workshop) -> Fault:
    """A test asks for a fixture that nobody defines."""
    project, rng = Project(shop), shop.rng
    fixture, word = rng.choice((shop.names.variable(), shop.names.noun() + "_client")), shop.names.noun()
    if rng.random() < 0.5:
        shop.write(
            f"{project.tests}/conftest.py",
            f'import pytest\n\n\n@pytest.fixture\ndef {fixture}s():\n    return "{word}"\n',
        )
    test = project.test_name(shop.names.function())
    project.add_test(wrap_in_class(project, f"def {test}({fixture}):\n    assert {fixture}\n"), "import pytest\n")
    run = project.pytest()
    return Fault(
        step=run,
        evidence=(find_line(run, "E  ", f"fixture '{fixture}' not found"), find_line(run, "ERROR ", f"::{test}")),
        subject=fixture,
        cause=f"Test `{test}` fails: fixture `{fixture}` is not defined.",
        fix=f"Define the fixture `{fixture}` or correct its name.",
    )


@recipe("pytest.setup-error", tool="pytest", category="test_assertion", origin="test", requires=_PYTEST)
def setup_error(shop: Workshop) -> Fault:
    """A fixture raises before its test starts."""
    project, rng = Project(shop), shop.rng
    fixture, word = shop.names.variable(), shop.names.noun()
    line, error = rng.choice(
        (
            (f'raise RuntimeError("{word} is not ready")', "RuntimeError"),
            (f'json.loads("{{{word}: 1}}")', "json.decoder.JSONDecodeError"),
            (f'{{}}["{word}"]', "KeyError"),
        )
    )
    shop.write(
        f"{project.tests}/conftest.py",
        f"import json\n\nimport pytest\n\n\n@pytest.fixture\ndef {fixture}():\n    {line}\n    return json\n",
    )
    test = project.test_name(shop.names.function())
    project.add_test(wrap_in_class(project, f"def {test}({fixture}):\n    assert {fixture}\n"), "import os\n")
    run = project.pytest()
    fault = _raised(run, test, error, "ERROR ")
    return Fault(run, fault.evidence, test, fault.cause, f"Repair the fixture of `{test}` that raises `{error}`.")


@recipe("pytest.mock-not-called", tool="pytest", category="test_assertion", origin="code", requires=_PYTEST)
def mock_not_called(shop: Workshop) -> Fault:
    """A mock was not called, or not with the expected arguments."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    method, one, two = shop.names.function(), shop.names.noun(), shop.names.noun()
    source, check = rng.choice(
        (
            (f"def {function}(client):\n    return None\n", f'client.{method}.assert_called_once_with("{one}")'),
            (
                f"def {function}(client):\n    client.{method}()\n    client.{method}()\n",
                f"client.{method}.assert_called_once()",
            ),
            (
                f'def {function}(client):\n    return client.{shop.names.function()}("{two}")\n',
                f"client.{method}.assert_called()",
            ),
        )
    )
    name, _ = project.add(source)
    test = project.test_name(function)
    body = f"def {test}():\n    client = Mock()\n    {function}(client)\n    {check}\n"
    project.add_test(wrap_in_class(project, body), f"from unittest.mock import Mock\n\nfrom {name} import {function}\n")
    run = project.pytest()
    return Fault(
        step=run,
        evidence=(find_line(run, "E  ", "AssertionError: ", method), find_line(run, "FAILED ", f"::{test}")),
        subject=test,
        cause=f"Test `{test}` fails: the calls of `{method}` are not the expected ones.",
        fix=f"Correct how the code under `{test}` calls `{method}`.",
    )


@recipe("pytest.unexpected-pass", tool="pytest", category="test_assertion", origin="test", requires=_PYTEST)
def unexpected_pass(shop: Workshop) -> Fault:
    """A test that is strictly expected to fail passes."""
    project, rng = Project(shop), shop.rng
    test, reason = (
        project.test_name(shop.names.function()),
        f"{shop.names.noun()} is not ready, see #{rng.randint(10, 900)}",
    )
    strict = rng.random() < 0.5
    mark = f'@pytest.mark.xfail(reason="{reason}"{", strict=True" if strict else ""})'
    check = rng.choice((f"assert len('{shop.names.noun()}') > 2", f"assert sorted([{rng.randint(5, 9)}, 1])[0] == 1"))
    project.add_test(f"{mark}\ndef {test}():\n    {check}\n", "import pytest\n")
    run = project.pytest(options="" if strict else "xfail_strict = true\n")
    return Fault(
        step=run,
        evidence=("[XPASS(strict)]", find_line(run, "FAILED ", f"::{test}")),
        subject=test,
        cause=f"Test `{test}` fails: expected to fail, it passes.",
        fix=f"Remove the expected-failure mark from `{test}`.",
    )


@recipe("pytest.name-not-defined", tool="pytest", category="compile_error", origin="code", requires=_PYTEST)
def name_not_defined(shop: Workshop) -> Fault:
    """A test file imports a name that the project's own module does not define, so nothing is collected."""
    project, rng = Project(shop), shop.rng
    old, new = shop.names.function(), rng.choice((shop.names.function(), shop.names.type(), shop.names.constant()))
    name, path = project.add(f"def {old}(value):\n    return value\n")
    if rng.random() < 0.4:
        name, _ = project.add(
            f"from {name} import {new}\n\n\ndef {old}_all(values):\n    return [{new}(v) for v in values]\n"
        )
        new_import = f"from {name} import {old}_all\n"
    else:
        new_import = f"from {name} import {new}\n"
    file = project.add_test(f"def {project.test_name(old)}():\n    assert True\n", new_import)
    run = project.pytest()
    return Fault(
        step=run,
        evidence=(find_line(run, "E  ", f"cannot import name '{new}'"), find_line(run, "ERROR ", file)),
        subject=new,
        cause=f"`{path}` does not compile: `{new}` is not defined.",
        fix=f"Define `{new}` or correct the import.",
    )


@recipe("pytest.syntax-error", tool="pytest", category="compile_error", origin="code", requires=_PYTEST)
def syntax_error(shop: Workshop) -> Fault:
    """A module that the tests import is not valid Python."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    bad = rng.choice(
        (
            f"def {function}(value)\n    return value\n",
            f"def {function}(value):\n    return (value + {rng.randint(1, 9)}\n\n\nLIMIT = 3\n",
            f"def {function}(value):\nreturn value\n",
            f'def {function}(value):\n    return f"{{value\n',
            f"def {function}(value):\n    if value = {rng.randint(1, 9)}:\n        return 0\n    return value\n",
        )
    )
    name, path = project.add(bad)
    project.parses = False
    project.add_test(
        f"def {project.test_name(function)}():\n    assert {function}(1)\n", f"from {name} import {function}\n"
    )
    run = project.pytest()
    where = find_line(run, "E  ", 'File "', path)
    what = find_line(run, "E  ", "Error: ")
    return Fault(
        step=run,
        evidence=(where, what),
        subject=path,
        cause=f"`{path}` does not compile: syntax error.",
        fix=f"Correct the syntax of `{path}`.",
    )


@recipe("pytest.module-missing", tool="pytest", category="dependency_install", origin="dependency", requires=_PYTEST)
def module_missing(shop: Workshop) -> Fault:
    """A third-party module that the code imports is not installed."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    missing = shop.names.package().replace("-", "_")
    name, _ = project.add(
        f"import json\n\n{rng.choice((f'import {missing}', f'from {missing} import Client'))}\n"
        f"\n\ndef {function}():\n    return json\n"
    )
    file = project.add_test(
        f"def {project.test_name(function)}():\n    assert {function}()\n", f"from {name} import {function}\n"
    )
    run = project.pytest()
    return Fault(
        step=run,
        evidence=(find_line(run, "E  ", f"No module named '{missing}'"), find_line(run, "ERROR ", file)),
        subject=missing,
        cause=f"Module `{missing}` is not installed.",
        fix=f"Add `{missing}` to the installed dependencies.",
    )


@recipe("pytest.unknown-marker", tool="pytest", category="other", origin="config", requires=_PYTEST)
def unknown_marker(shop: Workshop) -> Fault:
    """A test carries a marker that the strict configuration does not list."""
    project, rng = Project(shop), shop.rng
    marker = rng.choice((project.module(), "integration", "smoke", "nightly"))
    file = project.add_test(
        f"@pytest.mark.{marker}\ndef {project.test_name(shop.names.function())}():\n    assert True\n",
        "import pytest\n",
    )
    known = f'markers = ["{shop.names.noun()}_only: run by hand"]\n' if rng.random() < 0.5 else ""
    run = project.pytest(flags="--strict-markers", options=known)
    return Fault(
        step=run,
        evidence=(f"'{marker}' not found in `markers` configuration option", find_line(run, "ERROR ", file)),
        subject=marker,
        cause=f"Marker `{marker}` is not in the configuration.",
        fix=f"Add `{marker}` to the configured markers.",
    )
