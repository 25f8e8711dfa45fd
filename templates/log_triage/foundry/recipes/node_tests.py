"""Failing tests under Node's own runner and Mocha."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.node_shapes import bystanders, command, link_modules, warm_up, word

__all__: list[str] = []


def _title(shop: Workshop, subject: str) -> str:
    what = shop.rng.choice(("handles {}", "returns the {}", "keeps each {}", "works for an empty {}", "sorts by {}"))
    return f"{subject}{shop.rng.choice((' ', ': '))}{what.format(shop.names.noun())}"


def _file(shop: Workshop, title: str, body: str, head: str = "", *, options: str = "", runner: str = "node") -> str:
    """Write a test file with one test that matters among passing ones, and return its path."""
    rng, names = shop.rng, shop.names
    tests = [f"{rng.choice(('it', 'test')) if runner == 'node' else 'it'}('{title}', {options}{body});"]
    for _ in range(rng.choice((0, 1, 2, 5, 9))):
        other = rng.choice(("rejects a bad {}", "reports the {} error", "{} does not fail", "merges two {}s"))
        tests.append(f"it('{other.format(names.noun())}', () => {{\n  assert.ok({rng.randint(1, 99)});\n}});")
    rng.shuffle(tests)
    block = "\n".join(tests)
    if rng.random() < 0.6 or runner == "mocha":
        block = f"describe('{names.type()}', () => {{\n{block}\n}});"
    load = "const { describe, it, test } = require('node:test');\n" if runner == "node" else ""
    path = f"test/{names.module()}.test.js"
    shop.write(path, f"{load}const assert = require('node:assert');\n{head}\n{block}\n")
    return path


def _run(shop: Workshop, runner: str) -> Step:
    bystanders(shop, "cjs", most=2)
    if runner == "node":
        call = command(
            shop, f"node --test{shop.rng.choice(('', ' --test-reporter=spec', ' --test-reporter=tap'))} test", "test"
        )
        call = call.removeprefix("npx ")
    else:
        call = command(shop, f"mocha{shop.rng.choice((' test', ' --reporter dot test', ' --recursive test'))}", "test")
    warm_up(shop)
    return shop.failing(call)


def _compared(shop: Workshop, subject: str) -> tuple[str, str, str, str]:
    """Draw a function that returns a wrong value: its source, a call, and the values expected and returned."""
    rng, name = shop.rng, word(shop)
    first, step = rng.randint(2, 60), rng.randint(1, 9)
    return rng.choice(
        (
            (
                f"const {subject} = ({name}) => {name} - {step};\n",
                f"{subject}({first})",
                str(first + step),
                str(first - step),
            ),
            (
                f"function {subject}({name}) {{\n  return {name} < {first};\n}}\n",
                f"{subject}({first})",
                "true",
                "false",
            ),
            (f"function {subject}() {{\n  return '{name}';\n}}\n", f"{subject}()", f"'{name}{step}'", f"'{name}'"),
        )
    )


def _wrong_value(shop: Workshop, runner: str) -> Fault:
    subject = shop.names.method()
    title = _title(shop, subject)
    code, call, expected, got = _compared(shop, subject)
    _file(shop, title, f"() => {{\n  assert.strictEqual({call}, {expected});\n}}", code, runner=runner)
    step = _run(shop, runner)
    short = f"{got} !== {expected}"  # Strings are shown as a difference of two lines.
    shown = (short,) if any(short in line for line in step.output) else (f"+ {got}", f"- {expected}")
    return Fault(
        step=step,
        evidence=(_first(step, title, runner), *shown),
        subject=subject,
        cause=f"Test `{subject}` fails: expected `{expected}`, got `{got}`.",
        fix=f"Correct the code under `{subject}` or the value its test expects.",
    )


def _thrown(shop: Workshop, runner: str) -> Fault:
    rng, subject, key = shop.rng, shop.names.method(), word(shop)
    title = _title(shop, subject)
    code, kind, message = rng.choice(
        (
            (
                f"const {subject} = (options) => options.parts.{key};",
                "TypeError",
                f"Cannot read properties of undefined (reading '{key}')",
            ),
            (
                f"function {subject}() {{\n  throw new RangeError('{key} out of range');\n}}",
                "RangeError",
                f"{key} out of range",
            ),
            (f"const {subject} = () => {key}Limit + 1;", "ReferenceError", f"{key}Limit is not defined"),
        )
    )
    _file(shop, title, f"() => {{\n  assert.ok({subject}({{}}));\n}}", code + "\n", runner=runner)
    step = _run(shop, runner)
    # Node's TAP reporter prints the message and the error's class on lines of their own.
    whole = [line for line in step.output if line.strip() in (f"{kind}: {message}", f"{kind} [Error]: {message}")]
    return Fault(
        step=step,
        evidence=(_first(step, title, runner), *(whole[:1] or [message, f"name: '{kind}'"])),
        subject=subject,
        cause=f"Test `{subject}` raises `{kind}`.",
        fix=f"Correct the code under `{subject}` so that it does not raise `{kind}`.",
    )


def _first(step: Step, title: str, runner: str) -> str:
    """Return the line that says the test failed, in the reporter's way."""
    marks = ("not ok ", "✖ ") if runner == "node" else (") ", "       ")
    return next((line for line in step.output if title in line and any(mark in line for mark in marks)), title)


@recipe("node-test.wrong-value", tool="node --test", category="test_assertion", origin="code", requires=("node",))
def node_wrong_value(shop: Workshop) -> Fault:
    """A function returns another value than its test expects."""
    return _wrong_value(shop, "node")


@recipe("node-test.thrown-error", tool="node --test", category="test_assertion", origin="code", requires=("node",))
def node_thrown(shop: Workshop) -> Fault:
    """The code under test throws."""
    return _thrown(shop, "node")


@recipe("node-test.timeout", tool="node --test", category="timeout_or_oom", origin="test", requires=("node",))
def node_timeout(shop: Workshop) -> Fault:
    """A test does not end within its time limit."""
    subject, limit = shop.names.method(), shop.rng.randint(20, 120)
    title = _title(shop, subject)
    body = "async () => {\n  await new Promise((done) => setTimeout(done, 350));\n}"
    if shop.rng.random() < 0.5:
        body = "(context, done) => {\n  setTimeout(done, 350);\n}"
    _file(shop, title, body, options=f"{{ timeout: {limit} }}, ")
    step = _run(shop, "node")
    return Fault(
        step=step,
        evidence=(_first(step, title, "node"), f"test timed out after {limit}ms"),
        subject=subject,
        cause=f"Test `{subject}` exceeded its time limit of `{limit}ms`.",
        fix=f"Let `{subject}` finish in time or raise its limit.",
    )


@recipe("mocha.wrong-value", tool="mocha", category="test_assertion", origin="code", requires=("mocha",))
def mocha_wrong_value(shop: Workshop) -> Fault:
    """A function returns another value than its test expects."""
    return _wrong_value(shop, "mocha")


@recipe("mocha.thrown-error", tool="mocha", category="test_assertion", origin="code", requires=("mocha",))
def mocha_thrown(shop: Workshop) -> Fault:
    """The code under test throws."""
    return _thrown(shop, "mocha")


@recipe("mocha.timeout", tool="mocha", category="timeout_or_oom", origin="test", requires=("mocha",))
def mocha_timeout(shop: Workshop) -> Fault:
    """A test does not end within its time limit."""
    subject, limit = shop.names.method(), shop.rng.randint(20, 120)
    title = _title(shop, subject)
    wait = shop.rng.choice(("  setTimeout(done, 350);\n", "", "  done.later = true;\n"))
    _file(shop, title, f"function (done) {{\n  this.timeout({limit});\n{wait}}}", runner="mocha")
    step = _run(shop, "mocha")
    return Fault(
        step=step,
        evidence=(_first(step, title, "mocha"), f"Timeout of {limit}ms exceeded"),
        subject=subject,
        cause=f"Test `{subject}` exceeded its time limit of `{limit}ms`.",
        fix=f"Let `{subject}` finish in time or raise its limit.",
    )


@recipe(
    "mocha.flaky-test", tool="mocha", category="network_or_flaky", origin="test", transient=True, requires=("mocha",)
)
def mocha_flaky(shop: Workshop) -> Fault:
    """A test passes in some runs of the job and fails in a later one, as it depends on luck."""
    rng, names = shop.rng, shop.names
    subject, state, runs = names.method(), f"{names.noun()}.tmp", rng.randint(2, 3)
    title = _title(shop, subject)
    # The luck is a file that earlier runs lengthen, so that the sample is the same every time.
    head = f"const fs = require('fs');\nconst file = `${{require('os').homedir()}}/{state}`;\n"
    limit = rng.randint(20, 60)
    body = (
        f"() => {{\n  fs.appendFileSync(file, 'x');\n"
        f"  const load = fs.statSync(file).size < {runs} ? {limit - rng.randint(1, 9)} : "
        f"{limit + rng.randint(1, 9)};\n  assert.ok(load < {limit}, `waited ${{load}} ms, {limit} allowed`);\n}}"
    )
    _file(shop, title, body, head, runner="mocha")
    shop.write("package.json", '{"private": true}\n')
    call = rng.choice(("node_modules/.bin/mocha", "mocha")) + " test"
    link_modules(shop)
    warm_up(shop, 1)
    step = shop.failing(f"for run in 1 2 3; do\n  echo run $run of 3\n  {call}\ndone")
    return Fault(
        step=step,
        evidence=(f"✔ {title}", f") {title}"),
        subject=subject,
        cause=f"Test `{subject}` is flaky: it passed and then failed.",
        fix=f"Make `{subject}` independent of chance, time and order.",
    )


@recipe("mocha.green-tests", tool="mocha", category="unknown", origin="code", requires=("mocha",))
def green_tests(shop: Workshop) -> Fault:
    """Tests that pass, though their titles speak of errors."""
    _file(
        shop,
        _title(shop, shop.names.method()),
        "() => {\n  console.log('expected error: retry failed');\n}",
        runner="mocha",
    )
    warm_up(shop, 1)
    shop.passing(command(shop, shop.rng.choice(("mocha test", "mocha --reporter dot test")), "test"))
    return Fault(step=None, evidence=(), subject="", cause="No cause is shown in this log.", fix="No change is needed.")
