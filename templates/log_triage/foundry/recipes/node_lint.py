"""Faults that linters and formatters of the Node world report: ESLint, Prettier, Stylelint, markdownlint."""

from __future__ import annotations

import json

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.node_shapes import (
    bystanders,
    command,
    library,
    shown,
    warm_up,
    word,
)

__all__: list[str] = []

_ESLINT_RULES = (
    "no-undef",
    "no-unused-vars",
    "eqeqeq",
    "prefer-const",
    "no-unreachable",
    "no-dupe-keys",
    "no-var",
    "curly",
)


def _eslint(shop: Workshop, rule: str, body: str) -> Fault:
    """Lint a project in which only ``body`` violates an error-level rule, and that rule is ``rule``."""
    rng, names = shop.rng, shop.names
    module = rng.random() < 0.5
    bystanders(shop, "esm" if module else "cjs")
    if rng.random() < 0.4:  # A warning elsewhere, which does not fail the job.
        shop.write(f"src/{names.noun()}.js", f'console.log("{names.noun()} failed, retrying");\n')
    rules = {name: "error" for name in rng.sample(_ESLINT_RULES, rng.randint(3, 6))} | {"no-console": "warn"}
    if rule != "Parsing error":
        rules[rule] = "error"
    globals_ = "{ console: 'readonly', module: 'writable', require: 'readonly', process: 'readonly' }"
    shop.write(
        "eslint.config.js",
        f"module.exports = [\n  {{\n    languageOptions: {{ sourceType: '{'module' if module else 'commonjs'}', "
        f"globals: {globals_} }},\n    rules: {json.dumps(rules)},\n  }},\n];\n",
    )
    path = f"src/{rng.choice((names.noun(), f'{names.noun()}/{names.noun()}', names.module()))}.js"
    helper = library(shop, "esm" if module else "cjs")[1]
    shop.write(path, f"{helper}\n{body}\n" if rng.random() < 0.6 else f"{body}\n")
    call = command(
        shop, rng.choice(("eslint .", "eslint src", "eslint src --max-warnings 5")), rng.choice(("lint", "lint:js"))
    )
    warm_up(shop)
    return Fault(
        step=shop.failing(call),
        evidence=(shown(shop, path), f"  {rule}"),
        subject=rule,
        cause=f"Lint rule `{rule}` is violated in `{path}`.",
        fix=f"Change `{path}` so that it follows `{rule}`.",
    )


@recipe("eslint.undefined-name", tool="eslint", category="lint_failure", origin="code", requires=("eslint",))
def undefined_name(shop: Workshop) -> Fault:
    """A name is used that nothing defines (no-undef)."""
    one, two = shop.names.method(), word(shop)
    bodies = (
        f"console.info({one}());",
        f'process.on("{two}", () => {one}({shop.rng.randint(1, 9)}));',
        f"{one}.{two} = 1;",
    )
    return _eslint(shop, "no-undef", shop.rng.choice(bodies))


@recipe("eslint.unused-variable", tool="eslint", category="lint_failure", origin="code", requires=("eslint",))
def unused_variable(shop: Workshop) -> Fault:
    """A variable or function is never used (no-unused-vars)."""
    one, two = shop.names.method(), word(shop)
    bodies = (
        f"const {one} = {shop.rng.randint(1, 99)};",
        f"function {one}({two}) {{\n  return {two} + 1;\n}}",
        f'process.on("{two}", (first, {one}) => {{\n  process.exit(first.code);\n}});',
    )
    return _eslint(shop, "no-unused-vars", shop.rng.choice(bodies))


@recipe("eslint.loose-equality", tool="eslint", category="lint_failure", origin="code", requires=("eslint",))
def loose_equality(shop: Workshop) -> Fault:
    """Two values are compared with coercion (eqeqeq)."""
    name, count = shop.names.constant(), shop.rng.randint(1, 99)
    bodies = (
        f"if (process.env.{name} == {count}) {{\n  process.exit(1);\n}}",
        f"process.exitCode = process.argv.length != {count} ? 1 : 0;",
        f'while (process.env.{name} == "{shop.names.noun()}") {{\n  process.exit({count});\n}}',
    )
    return _eslint(shop, "eqeqeq", shop.rng.choice(bodies))


@recipe("eslint.prefer-const", tool="eslint", category="lint_failure", origin="code", requires=("eslint",))
def prefer_const(shop: Workshop) -> Fault:
    """A variable that never changes is declared with let (prefer-const)."""
    one, two = shop.names.method(), word(shop)
    bodies = (
        f"let {one} = {shop.rng.randint(1, 99)};\nprocess.exitCode = {one};",
        f"for (let {two} of process.argv) {{\n  console.info({two});\n}}",
        f'process.once("exit", () => {{\n  let {one} = process.uptime();\n  console.info({one});\n}});',
    )
    return _eslint(shop, "prefer-const", shop.rng.choice(bodies))


@recipe("eslint.unreachable-code", tool="eslint", category="lint_failure", origin="code", requires=("eslint",))
def unreachable_code(shop: Workshop) -> Fault:
    """Code stands behind a return, throw or break (no-unreachable)."""
    two, count = word(shop), shop.rng.randint(1, 99)
    bodies = (
        f'process.on("{two}", () => {{\n  return;\n  process.exit({count});\n}});',
        f'process.on("{two}", (error) => {{\n  throw error;\n  console.info("{two}");\n}});',
        f"for (const {two} of process.argv) {{\n  console.info({two});\n  break;\n  process.exit({count});\n}}",
    )
    return _eslint(shop, "no-unreachable", shop.rng.choice(bodies))


@recipe("eslint.duplicate-key", tool="eslint", category="lint_failure", origin="code", requires=("eslint",))
def duplicate_key(shop: Workshop) -> Fault:
    """An object holds one key twice (no-dupe-keys)."""
    one, two = word(shop), word(shop)
    bodies = (
        f"process.emit({{ {one}: 1, {two}: 2, {one}: 3 }});",
        f'console.info({{\n  {one}: "{two}",\n  {two}: {shop.rng.randint(1, 99)},\n  {one}: null,\n}});',
    )
    return _eslint(shop, "no-dupe-keys", shop.rng.choice(bodies))


@recipe("eslint.syntax-error", tool="eslint", category="compile_error", origin="code", requires=("eslint",))
def eslint_syntax_error(shop: Workshop) -> Fault:
    """A file does not parse, so no rule can be checked."""
    one = shop.names.method()
    bodies = (f"const {one} = [1, 2;", f"const {one} = {{ a: 1 b: 2 }};", f"if (process.argv) {{ {one}(1)) }}")
    fault = _eslint(shop, "Parsing error", shop.rng.choice(bodies))
    line = next((row for row in fault.step.output if "Parsing error:" in row), "") if fault.step else ""
    path = fault.cause.split("`")[3]
    message = line.split("Parsing error: ")[-1].strip()
    token = message.rsplit(" ", 1)[-1]
    return Fault(
        step=fault.step,
        evidence=(shown(shop, path), "Parsing error:"),
        subject=path,
        cause=f"`{path}` does not compile: syntax error near `{token}`.",
        fix=f"Correct the syntax of `{path}`.",
    )


def _prettier(shop: Workshop, path: str, text: str) -> Fault:
    """Check a project in which only ``path`` is not formatted."""
    rng = shop.rng
    bystanders(shop, "cjs")
    shop.write(path, text)
    target = rng.choice((".", ".", f"{path.split('/')[0]} package.json"))
    flags = rng.choice(("", "", " --no-color", " --ignore-unknown"))
    call = command(shop, f"prettier --check {target}{flags}", rng.choice(("format:check", "lint:format", "prettier")))
    warm_up(shop, 1, scripts=False)  # The scripts of passing steps are not formatted.
    return Fault(
        step=shop.failing(call),
        evidence=(f"[warn] {path}",),
        subject=path,
        cause=f"`{path}` is not formatted.",
        fix=f"Run the formatter on `{path}`.",
    )


@recipe(
    "prettier.unformatted-source", tool="prettier", category="formatting_failure", origin="code", requires=("prettier",)
)
def unformatted_source(shop: Workshop) -> Fault:
    """A JavaScript or TypeScript file is not formatted."""
    rng, names = shop.rng, shop.names
    name, other = names.method(), word(shop)
    text = rng.choice(
        (
            f"const {name} = {{a:1,b:2}}\nmodule.exports = {name}\n",
            f"export function {name}( {other} ) {{\n      return {other} * {rng.randint(2, 9)};\n}}\n",
            f"export const {name} = ['{other}',\n '{names.noun()}'];\n",
            library(shop, "esm")[1].replace("\n  ", "\n\t") + "\n\n",
        )
    )
    return _prettier(shop, f"src/{names.noun()}{rng.choice(('.js', '.ts', '.mjs', '_handler.js'))}", text)


@recipe(
    "prettier.unformatted-document",
    tool="prettier",
    category="formatting_failure",
    origin="code",
    requires=("prettier",),
)
def unformatted_document(shop: Workshop) -> Fault:
    """A Markdown, JSON, YAML or CSS file is not formatted."""
    rng, names = shop.rng, shop.names
    one, two = names.noun(), names.noun()
    suffix, text = rng.choice(
        (
            ("md", f"{one.title()}\n===\n\n* {two}\n* {names.noun()}\n"),
            ("json", f'{{"{one}": {rng.randint(1, 9)},\n      "{two}": [1,2]}}\n'),
            ("yml", f"{one}:   {rng.randint(1, 9)}\n{two}:  [ a,b ]\n"),
            ("css", f".{one} {{color:red;margin:{rng.randint(1, 9)}px}}\n"),
        )
    )
    return _prettier(shop, f"{rng.choice(('docs', 'config', 'assets'))}/{names.module()}.{suffix}", text)


@recipe("prettier.syntax-error", tool="prettier", category="compile_error", origin="code", requires=("prettier",))
def prettier_syntax_error(shop: Workshop) -> Fault:
    """A file that should be formatted does not parse."""
    rng, names = shop.rng, shop.names
    name, other = names.method(), word(shop)
    suffix, text = rng.choice(
        (
            ("js", f"const {name} = [1, 2;\n"),
            ("ts", f"export function {name}(value: number {{\n  return {other};\n}}\n"),
            ("json", f'{{ "{other}": 1, "{name}" 2 }}\n'),
            ("css", f".{other} {{ color: red;\n"),
        )
    )
    path = f"src/{other}-{names.noun()}.{suffix}"
    step = _prettier(shop, path, text).step
    return Fault(
        step=step,
        evidence=(f"[error] {path}: ",),
        subject=path,
        cause=f"`{path}` does not compile: syntax error.",
        fix=f"Correct the syntax of `{path}`.",
    )


def _stylelint(shop: Workshop, rule: str, declaration: str) -> Fault:
    """Lint style sheets of which one violates ``rule``."""
    rng, names = shop.rng, shop.names
    rules = ("color-no-invalid-hex", "property-no-unknown", "unit-no-unknown", "block-no-empty")
    shop.write(".stylelintrc.json", json.dumps({"rules": {name: True for name in rules}}) + "\n")
    for _ in range(rng.randint(0, 3)):
        shop.write(f"styles/{names.noun()}-error.css", f".{names.noun()} {{\n  margin: {rng.randint(1, 9)}px;\n}}\n")
    path = f"styles/{names.noun()}.css"
    before = "".join(f".{names.noun()} {{\n  padding: {rng.randint(1, 9)}px;\n}}\n\n" for _ in range(rng.randint(0, 5)))
    shop.write(path, f"{before}.{names.noun()} {{\n  display: block;\n  {declaration}\n}}\n")
    call = command(
        shop, rng.choice(("stylelint 'styles/*.css'", "stylelint styles/**/*.css")), rng.choice(("lint:css", "lint"))
    )
    warm_up(shop, 1)
    return Fault(
        step=shop.failing(call),
        evidence=(path, f"  {rule}"),
        subject=rule,
        cause=f"Lint rule `{rule}` is violated in `{path}`.",
        fix=f"Change `{path}` so that it follows `{rule}`.",
    )


@recipe("stylelint.invalid-colour", tool="stylelint", category="lint_failure", origin="code", requires=("stylelint",))
def invalid_colour(shop: Workshop) -> Fault:
    """A colour is not a hexadecimal number (color-no-invalid-hex)."""
    colour = f"#{shop.rng.randint(10, 99)}{shop.rng.choice('ghjkxyz')}"
    return _stylelint(
        shop, "color-no-invalid-hex", f"{shop.names.pick(('color', 'background-color', 'fill'))}: {colour};"
    )


@recipe("stylelint.unknown-property", tool="stylelint", category="lint_failure", origin="code", requires=("stylelint",))
def unknown_property(shop: Workshop) -> Fault:
    """A declaration names a property that CSS does not have (property-no-unknown)."""
    return _stylelint(
        shop, "property-no-unknown", f"{shop.names.noun()}-{shop.names.noun()}: {shop.rng.randint(1, 9)}px;"
    )


@recipe(
    "markdownlint.heading-or-fence",
    tool="markdownlint",
    category="lint_failure",
    origin="code",
    requires=("markdownlint",),
)
def heading_or_fence(shop: Workshop) -> Fault:
    """A document violates one of markdownlint's rules."""
    rng, names = shop.rng, shop.names
    title = names.noun().title()
    rule, body = rng.choice(
        (
            ("MD001/heading-increment", f"### {names.noun().title()}\n\nText.\n"),
            ("MD040/fenced-code-language", f"```\nnpm run {names.noun()}\n```\n"),
            ("MD034/no-bare-urls", f"See http://{names.host()}/{names.noun()} for more.\n"),
            ("MD009/no-trailing-spaces", f"About {names.noun()}. \nMore text.\n"),
            ("MD012/no-multiple-blanks", f"About {names.noun()}.\n\n\nMore text.\n"),
        )
    )
    for _ in range(rng.randint(0, 3)):
        shop.write(f"docs/{names.noun()}-errors.md", f"# {names.noun().title()}\n\nNothing failed.\n")
    path = f"docs/{names.module()}.md"
    shop.write(path, f"# {title}\n\n{body}")
    call = command(
        shop, rng.choice(("markdownlint docs", "markdownlint 'docs/*.md'")), rng.choice(("lint:md", "lint:docs"))
    )
    warm_up(shop, 1)
    return Fault(
        step=shop.failing(call),
        evidence=(f" error {rule}",),
        subject=rule,
        cause=f"Lint rule `{rule}` is violated in `{path}`.",
        fix=f"Change `{path}` so that it follows `{rule}`.",
    )
