"""Failing tests under Jest."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.node_shapes import bystanders, command, link_modules, warm_up, word

__all__: list[str] = []

_REQUIRES = ("jest",)


def _titles(shop: Workshop, subject: str) -> tuple[str, str, str]:
    """Draw how a test is named: its suite (or nothing), its own title, and how Jest heads its failure."""
    rng, names = shop.rng, shop.names
    what = rng.choice(("handles {}", "returns the {}", "keeps each {}", "works for an empty {}")).format(names.noun())
    if rng.random() < 0.5:
        return subject, what, f"● {subject} › {what}"  # noqa: RUF001 - Jest prints it
    title = rng.choice((f"{subject} {what}", f"{subject}: {what}"))
    return "", title, f"● {title}"


def _others(shop: Workshop) -> str:
    """Return 0 to 8 passing tests."""
    rng, names = shop.rng, shop.names
    tests = []
    for _ in range(rng.choice((0, 1, 3, 8))):
        title = rng.choice(("rejects a bad {}", "reports the {} error", "{} does not fail", "merges two {}s")).format(
            names.noun()
        )
        number = rng.randint(1, 99)
        tests.append(
            f"{rng.choice(('test', 'it'))}('{title}', () => {{\n  expect({number} + 1).toBe({number + 1});\n}});\n"
        )
    return "\n".join(tests)


def _suite(shop: Workshop, suite: str, title: str, body: str, *, head: str = "", tail: str = "") -> str:
    """Write a test file around one test and return its path; ``tail`` follows its function, as a timeout does."""
    rng = shop.rng
    test = f"{rng.choice(('test', 'it'))}('{title}', {body}{tail});\n"
    if suite:
        test = f"describe('{suite}', () => {{\n{test}}});\n"
    parts = [test, _others(shop)]
    rng.shuffle(parts)
    folder, stem = rng.choice(("tests", "src", "__tests__", "test")), shop.names.module()
    path = f"{folder}/{stem}.test.js"
    shop.write(path, f"{head}\n" + "\n".join(parts))
    return path


def _run(shop: Workshop) -> Step:
    bystanders(shop, "cjs", most=2)
    flags = shop.rng.choice((" --ci", " --ci --verbose", " --ci --silent=false"))
    # One worker and no cache: Jest's start is most of its time.
    call = command(shop, f"jest{flags} -i", "test")
    warm_up(shop, 1, scripts=False)
    return shop.failing(call)


@recipe("jest.wrong-value", tool="jest", category="test_assertion", origin="code", requires=_REQUIRES)
def wrong_value(shop: Workshop) -> Fault:
    """A function returns another value than its test expects."""
    rng, names = shop.rng, shop.names
    subject, first, step = names.method(), rng.randint(2, 60), rng.randint(1, 9)
    expected, got, call, code = rng.choice(
        (
            (str(first + step), str(first - step), f"{subject}({first}, {step})", "({a}, {b}) => {a} - {b}"),
            (f'"{names.noun()}-{first}"', "", f"{subject}({first})", ""),
            ("true", "false", f"{subject}({first})", f"({{a}}) => {{a}} > {first}"),
        )
    )
    if not got:
        got = f'"{names.noun()}-{first}"'
        code = f"({{a}}) => `{got[1:-1].split('-')[0]}-${{{{{{a}}}}}}`"
    a, b = word(shop), word(shop)
    suite, title, heading = _titles(shop, subject)
    lib = names.noun()
    shop.write(f"lib/{lib}.js", f"const {subject} = {code.format(a=a, b=b)};\n\nmodule.exports = {{ {subject} }};\n")
    matcher = rng.choice(("toBe", "toEqual", "toStrictEqual"))
    body = f"() => {{\n  expect({call}).{matcher}({expected});\n}}"
    _suite(shop, suite, title, body, head=f"const {{ {subject} }} = require('../lib/{lib}');\n")
    return Fault(
        step=_run(shop),
        evidence=(heading, f"Expected: {expected}", f"Received: {got}"),
        subject=subject,
        cause=f"Test `{subject}` fails: expected `{expected}`, got `{got}`.",
        fix=f"Correct the code under `{subject}` or the value its test expects.",
    )


@recipe("jest.thrown-error", tool="jest", category="test_assertion", origin="code", requires=_REQUIRES)
def thrown_error(shop: Workshop) -> Fault:
    """The code under test throws."""
    rng, names = shop.rng, shop.names
    subject, key = names.method(), names.noun()
    code, kind, message = rng.choice(
        (
            (
                f"(options) => options.{key}.length",
                "TypeError",
                f"Cannot read properties of undefined (reading '{key}')",
            ),
            (f"() => {{\n  throw new RangeError('{key} out of range');\n}}", "RangeError", f"{key} out of range"),
            (f"() => compute{key.title()}()", "ReferenceError", f"compute{key.title()} is not defined"),
            (f"(value) => value.{key}()", "TypeError", f"Cannot read properties of undefined (reading '{key}')"),
        )
    )
    suite, title, heading = _titles(shop, subject)
    lib = names.noun()
    shop.write(f"lib/{lib}.js", f"exports.{subject} = {code};\n")
    body = f"() => {{\n  expect({subject}()).toBe({rng.randint(1, 99)});\n}}"
    _suite(shop, suite, title, body, head=f"const {{ {subject} }} = require('../lib/{lib}');\n")
    return Fault(
        step=_run(shop),
        evidence=(heading, f"{kind}: {message}"),
        subject=subject,
        cause=f"Test `{subject}` raises `{kind}`.",
        fix=f"Correct the code under `{subject}` so that it does not raise `{kind}`.",
    )


@recipe("jest.snapshot-mismatch", tool="jest", category="test_assertion", origin="code", requires=_REQUIRES)
def snapshot_mismatch(shop: Workshop) -> Fault:
    """A value differs from its stored snapshot."""
    rng, names = shop.rng, shop.names
    subject, key, old, new = names.method(), names.noun(), names.noun(), names.noun()
    suite, title, heading = _titles(shop, subject)
    value = rng.choice((f"{{ {key}: '{new}', size: {rng.randint(1, 9)} }}", f"['{key}', '{new}']"))
    path = _suite(shop, suite, title, f"() => {{\n  expect({value}).toMatchSnapshot();\n}}")
    folder, file = path.split("/")
    stored = (
        f'{{\n  "{key}": "{old}",\n  "size": {value[-3]},\n}}'
        if value.startswith("{")
        else f'[\n  "{key}",\n  "{old}",\n]'
    )
    name = f"{suite} {title} 1".strip()
    header = "// Jest Snapshot v1, https://goo.gl/fbAQLP"
    shop.write(f"{folder}/__snapshots__/{file}.snap", f"{header}\n\nexports[`{name}`] = `\n{stored}\n`;\n")
    sign = "    -   " if value.startswith("[") else f'    -   "{key}": '
    return Fault(
        step=_run(shop),
        evidence=(heading, f'{sign}"{old}",', f'{sign.replace("-", "+", 1)}"{new}",'),
        subject=subject,
        cause=f"Test `{subject}` fails: expected `{old}`, got `{new}`.",
        fix=f"Correct the code under `{subject}` or update its snapshot.",
    )


@recipe("jest.mock-calls", tool="jest", category="test_assertion", origin="code", requires=_REQUIRES)
def mock_calls(shop: Workshop) -> Fault:
    """A mock is called more or less often than expected."""
    rng, names = shop.rng, shop.names
    subject, mock = names.method(), names.method()
    expected, got = rng.sample(range(1, 6), 2)
    suite, title, heading = _titles(shop, subject)
    code = rng.choice(
        (
            f"function {subject}(done) {{\n  for (let i = 0; i < {got}; i += 1) done(i);\n}}\n",
            f"const {subject} = (done) => Array.from({{ length: {got} }}).forEach(() => done());\n",
        )
    )
    body = (
        f"() => {{\n  const {mock} = jest.fn();\n  {subject}({mock});\n"
        f"  expect({mock}).toHaveBeenCalledTimes({expected});\n}}"
    )
    _suite(shop, suite, title, body, head=code)
    return Fault(
        step=_run(shop),
        evidence=(heading, f"Expected number of calls: {expected}", f"Received number of calls: {got}"),
        subject=subject,
        cause=f"Test `{subject}` fails: expected `{expected}` calls, got `{got}`.",
        fix=f"Correct how often `{subject}` calls the mock or what its test expects.",
    )


@recipe("jest.timeout", tool="jest", category="timeout_or_oom", origin="test", requires=_REQUIRES)
def timeout(shop: Workshop) -> Fault:
    """A test does not end within its time limit."""
    rng = shop.rng
    subject, limit = shop.names.method(), rng.randint(20, 150)
    suite, title, heading = _titles(shop, subject)
    body = rng.choice(
        (
            "() => new Promise(() => {})",
            "async () => {\n  await new Promise((done) => setTimeout(done, 400));\n}",
            "(done) => {}",
        )
    )
    _suite(shop, suite, title, body, tail=f", {limit}")
    return Fault(
        step=_run(shop),
        evidence=(heading, f"Exceeded timeout of {limit} ms"),
        subject=subject,
        cause=f"Test `{subject}` exceeded its time limit of `{limit}` ms.",
        fix=f"Let `{subject}` finish in time or raise its limit.",
    )


@recipe("jest.missing-module", tool="jest", category="dependency_install", origin="dependency", requires=_REQUIRES)
def missing_module(shop: Workshop) -> Fault:
    """A test loads a package that is not installed."""
    names = shop.names
    package = names.package() if shop.rng.random() < 0.7 else f"@{names.noun()}/{names.noun()}"
    name = names.method()
    suite, title, _ = _titles(shop, name)
    _suite(
        shop,
        suite,
        title,
        f"() => {{\n  expect({name}(1)).toBe(1);\n}}",
        head=f"const {name} = require('{package}');\n",
    )
    return Fault(
        step=_run(shop),
        evidence=(f"Cannot find module '{package}' from",),
        subject=package,
        cause=f"Module `{package}` is not installed.",
        fix=f"Add `{package}` to the dependencies and install it.",
    )


@recipe("jest.coverage-threshold", tool="jest", category="other", origin="test", requires=_REQUIRES)
def coverage_threshold(shop: Workshop) -> Fault:
    """All tests pass, but they cover less than the configured share."""
    rng, names = shop.rng, shop.names
    kind, wanted, lib = rng.choice(("lines", "statements", "functions", "branches")), rng.randint(70, 95), names.noun()
    functions = [names.method() for _ in range(rng.randint(3, 6))]
    code = "\n".join(f"exports.{name} = (value) => {{\n  if (value) return 1;\n  return 2;\n}};" for name in functions)
    shop.write(f"lib/{lib}.js", f"{code}\n")
    suite, title, _ = _titles(shop, functions[0])
    body = f"() => {{\n  expect({functions[0]}(1)).toBe(1);\n}}"
    _suite(shop, suite, title, body, head=f"const {{ {functions[0]} }} = require('../lib/{lib}');\n")
    settings = {"collectCoverage": True, "coverageThreshold": {"global": {kind: wanted}}}
    call = command(shop, "jest --ci -i", "test", jest=settings)
    warm_up(shop, 1, scripts=False)
    return Fault(
        step=shop.failing(call),
        evidence=(f"coverage threshold for {kind} ({wanted}%) not met",),
        subject=kind,
        cause=f"The coverage of `{kind}` is below `{wanted}%`.",
        fix=f"Add tests until the coverage of `{kind}` reaches `{wanted}%`.",
    )


@recipe("jest.flaky-test", tool="jest", category="network_or_flaky", origin="test", transient=True, requires=_REQUIRES)
def flaky(shop: Workshop) -> Fault:
    """A test passes in one run of the job and fails in the next, as it depends on luck."""
    rng, names = shop.rng, shop.names
    subject, limit = names.method(), rng.randint(20, 60)
    what = rng.choice(("settles in", "answers before", "keeps the order of"))
    title = f"{subject}{rng.choice((' ', ': '))}{what} {names.noun()}"
    # The luck is a file that the first run leaves behind, so that the sample is the same every time.
    state = f"{names.noun()}.tmp"
    head = f"const fs = require('fs');\nconst os = require('os');\nconst file = `${{os.homedir()}}/{state}`;\n"
    body = (
        f"() => {{\n  const load = fs.existsSync(file) ? {limit + rng.randint(1, 9)} : {limit - rng.randint(1, 9)};\n"
        f"  fs.writeFileSync(file, String(load));\n  expect(load).toBeLessThan({limit});\n}}"
    )
    _suite(shop, rng.choice(("", names.type())), title, body, head=head)
    call = rng.choice(("node_modules/.bin/jest", "jest")) + " --ci -i --verbose"
    link_modules(shop)
    shop.write("package.json", '{"private": true}\n')
    run = shop.failing(f"for attempt in 1 2; do\n  echo attempt $attempt\n  {call}\ndone")
    return Fault(
        step=run,
        evidence=(f"✓ {title}", f"✕ {title}"),
        subject=subject,
        cause=f"Test `{subject}` is flaky: it passed and then failed.",
        fix=f"Make `{subject}` independent of chance, time and order.",
    )
