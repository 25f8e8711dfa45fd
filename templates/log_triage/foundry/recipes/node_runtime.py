"""Scripts that Node itself stops: uncaught errors, what cannot be found or reached, and memory."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.node_shapes import run_script, script, shown, warm_up, word

__all__: list[str] = []


@recipe("node.uncaught-error", tool="node", category="other", origin="code", requires=("node",))
def uncaught_error(shop: Workshop) -> Fault:
    """A script throws an error that nobody catches."""
    rng, names = shop.rng, shop.names
    kind = rng.choice(("Error", "RangeError", "TypeError"))
    what, limit = names.noun(), rng.randint(2, 90)
    message = rng.choice(
        (f"{what} must not exceed {limit}", f"invalid {what}: expected {limit} parts", f"no {what} left")
    )
    function = names.method()
    body = rng.choice(
        (
            f"const found = {limit + 3};\nif (found > {limit}) {{\n  throw new {kind}('{message}');\n}}",
            f"function {function}(value) {{\n  if (!value) throw new {kind}('{message}');\n}}\n{function}(0);",
            f"class {names.type()} {{\n  static {function}() {{\n    throw new {kind}('{message}');\n  }}\n}}\n",
        )
    )
    if body.startswith("class"):
        body += f"{body.split()[1]}.{function}();"
    path = script(shop, body)
    return Fault(
        step=run_script(shop, path),
        evidence=(shown(shop, path) + ":", f"{kind}: {message}"),
        subject=path,
        cause=f"Script `{path}` raises `{kind}`.",
        fix=f"Correct `{path}` so that it does not raise `{kind}`.",
    )


@recipe("node.undefined-property", tool="node", category="other", origin="code", requires=("node",))
def undefined_property(shop: Workshop) -> Fault:
    """A script reads a property of undefined or null."""
    rng, names = shop.rng, shop.names
    key, holder, field = names.noun(), names.method(), names.noun()
    body = rng.choice(
        (
            f"const {holder} = {{ {field}: [] }};\nconsole.log({holder}.{field}[0].{key});",
            f"function {holder}(options) {{\n  return options.{field}.{key};\n}}\n{holder}({{}});",
            f"const {holder} = null;\nfor (const name of ['{field}']) {{\n  console.log(name, {holder}.{key});\n}}",
        )
    )
    path = script(shop, body, module=rng.random() < 0.3)
    return Fault(
        step=run_script(shop, path),
        evidence=(shown(shop, path) + ":", f"(reading '{key}')"),
        subject=key,
        cause=f"Script `{path}` raises `TypeError`: `{key}` is read from a missing object.",
        fix=f"Check that the object exists before `{key}` is read.",
    )


@recipe("node.undefined-variable", tool="node", category="other", origin="code", requires=("node",))
def undefined_variable(shop: Workshop) -> Fault:
    """A script uses a name that nothing defines."""
    rng, names = shop.rng, shop.names
    name, other = names.method(), names.method()
    body = rng.choice(
        (
            f"console.log({name}({rng.randint(1, 9)}));",
            f"const {other} = () => {name}.length + {rng.randint(1, 9)};\n{other}();",
            f"const {other} = [{rng.randint(1, 9)}, 2].map((item) => item * {name});",
        )
    )
    path = script(shop, body, module=rng.random() < 0.3)
    return Fault(
        step=run_script(shop, path),
        evidence=(shown(shop, path) + ":", f"ReferenceError: {name} is not defined"),
        subject=name,
        cause=f"Script `{path}` raises `ReferenceError`: `{name}` is not defined.",
        fix=f"Define or import `{name}`.",
    )


@recipe("node.module-not-found", tool="node", category="dependency_install", origin="dependency", requires=("node",))
def module_not_found(shop: Workshop) -> Fault:
    """A script loads a package that is not installed."""
    rng, names = shop.rng, shop.names
    package = names.package() if rng.random() < 0.7 else f"@{names.noun()}/{names.noun()}"
    name, module = names.method(), rng.random() < 0.5
    if module:
        line = rng.choice((f"import {name} from '{package}';", f"import {{ {name} }} from '{package}';"))
        quote = f"Cannot find package '{package}'"
    else:
        line = rng.choice((f"const {name} = require('{package}');", f"const {{ {name} }} = require('{package}');"))
        quote = f"Error: Cannot find module '{package}'"
    path = script(shop, f"{line}\nconsole.log({name});", module=module)
    return Fault(
        step=run_script(shop, path),
        evidence=(quote,),
        subject=package,
        cause=f"Module `{package}` is not installed.",
        fix=f"Add `{package}` to the dependencies and install it.",
    )


@recipe("node.missing-local-module", tool="node", category="other", origin="code", requires=("node",))
def missing_local_module(shop: Workshop) -> Fault:
    """A script loads a file of its own project that does not exist."""
    rng, names = shop.rng, shop.names
    target, module = f"../{rng.choice(('src', 'lib', 'shared'))}/{names.module()}.js", rng.random() < 0.5
    name = names.method()
    body = f"import {{ {name} }} from '{target}';" if module else f"const {{ {name} }} = require('{target}');"
    path = script(shop, f"{body}\n{name}();", module=module)
    file = target[3:] if module else target
    return Fault(
        step=run_script(shop, path),
        evidence=("Cannot find module '",),
        subject=file,
        cause=f"File `{file}` is missing.",
        fix=f"Add `{file}` or correct the path that loads it.",
    )


@recipe("node.syntax-error", tool="node", category="compile_error", origin="code", requires=("node",))
def syntax_error(shop: Workshop) -> Fault:
    """A script does not parse."""
    rng, names = shop.rng, shop.names
    one, two = names.method(), word(shop)
    body, message, token = rng.choice(
        (
            (f"function {one}({two}) {{\n  return {two} + 1);\n}}", "Unexpected token ')'", ")"),
            (f"const {one} = [1, 2;\nconsole.log({one});", "Unexpected token ';'", ";"),
            (f"if ({rng.randint(1, 9)} > 2 {{\n  console.log('{two}');\n}}", "Unexpected token '{'", "{"),
            (f"let {one} {two} = {rng.randint(1, 99)};", f"Unexpected identifier '{two}'", two),
            (f"const {one} = 1;\nconst {one} = 2;", f"Identifier '{one}' has already been declared", one),
        )
    )
    path = script(shop, body, module=rng.random() < 0.3)
    return Fault(
        step=run_script(shop, path),
        evidence=(shown(shop, path) + ":", f"SyntaxError: {message}"),
        subject=path,
        cause=f"`{path}` does not compile: syntax error near `{token}`.",
        fix=f"Correct the syntax of `{path}`.",
    )


@recipe("node.missing-secret", tool="node", category="permission_or_secret", origin="config", requires=("node",))
def missing_secret(shop: Workshop) -> Fault:
    """A script needs an environment variable that the job does not set."""
    rng, names = shop.rng, shop.names
    secret = f"{names.noun().upper()}_{rng.choice(('TOKEN', 'API_KEY', 'SECRET', 'PASSWORD', 'DEPLOY_KEY'))}"
    message = rng.choice(
        (
            "{} is not set",
            "Missing required environment variable: {}",
            "environment variable {} is empty",
            "no value for {}",
        )
    ).format(secret)
    body = rng.choice(
        (
            f"if (!process.env.{secret}) {{\n  throw new Error('{message}');\n}}",
            f"const value = process.env['{secret}'];\nif (!value) {{\n"
            f"  console.error('error: {message}');\n  process.exit(2);\n}}",
            f"const assert = require('node:assert');\nassert.ok(process.env.{secret}, '{message}');",
        )
    )
    other = names.constant()
    return Fault(
        step=run_script(shop, script(shop, body), env={other: "1"} if rng.random() < 0.4 else None),
        evidence=(f": {message}",),
        subject=secret,
        cause=f"Secret `{secret}` is not set.",
        fix=f"Set the secret `{secret}` for this job.",
    )


@recipe("node.heap-out-of-memory", tool="node", category="timeout_or_oom", origin="code", requires=("node",))
def heap_out_of_memory(shop: Workshop) -> Fault:
    """A script keeps more objects than its heap holds."""
    rng, names = shop.rng, shop.names
    size, kept = rng.randint(12, 24), names.method()
    body = rng.choice(
        (
            f"const {kept} = [];\nwhile (true) {kept}.push(new Array(1000).fill({kept}.length * 1.5));",
            f"const {kept} = new Map();\n"
            f"for (let i = 0; ; i += 1) {kept}.set(`key${{i}}`, {{ id: i, tags: [`a${{i}}`] }});",
            f"let {kept} = null;\nfor (;;) {kept} = {{ next: {kept}, data: [Math.sqrt(2), 1.5, 2.5, 3.5] }};",
        )
    )
    path = script(shop, body)
    warm_up(shop)
    call, env = f"node --max-old-space-size={size} {path}", None
    if rng.random() < 0.5:
        call, env = f"node {path}", {"NODE_OPTIONS": f"--max-old-space-size={size}"}
    # A second command keeps the shell alive, which then reports the abort with the script's name, as on a runner.
    run = shop.failing(f"{call}\necho {names.noun()} written", env=env)
    return Fault(
        step=run,
        evidence=("JavaScript heap out of memory", f"Aborted                 {call}"),
        subject=path,
        cause=f"`{path}` ran out of memory.",
        fix=f"Keep less in memory in `{path}` or raise its heap limit.",
    )
