"""Faults that the bundlers esbuild and webpack report."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.node_shapes import bystanders, command, library, warm_up, word

__all__: list[str] = []


def _bundle(shop: Workshop, tool: str, body: str) -> tuple[str, Step]:
    """Bundle an entry with ``body`` and 0 to 3 sound imports; return the entry and the step."""
    rng, names = shop.rng, shop.names
    sound = []
    for path in bystanders(shop, "esm", most=3):
        name = (shop.root / path).read_text(encoding="utf-8").split(" ")[2].partition("(")[0]
        sound.append(f'import {{ {name} }} from "./{path[4:]}";\nconsole.log({name});\n')
    entry = f"src/{rng.choice(('index', 'main', names.noun()))}.js"
    shop.write(entry, "".join(sound) + body + "\n")
    if tool == "esbuild":
        flags = rng.choice(("--outfile=dist/out.js", "--outdir=dist --minify", "--outdir=dist --sourcemap"))
        call = command(shop, f"esbuild {entry} --bundle {flags}", "build")
    else:
        call = command(shop, f"webpack --mode {rng.choice(('development', 'production'))} --entry ./{entry}", "build")
    warm_up(shop)
    return entry, shop.failing(call)


def _target(shop: Workshop) -> str:
    names = shop.names
    return shop.rng.choice(
        (f"./{names.module()}.js", f"./lib/{names.noun()}", names.package(), f"@{names.noun()}/{names.noun()}")
    )


@recipe("esbuild.unresolved-import", tool="esbuild", category="compile_error", origin="code", requires=("esbuild",))
def esbuild_unresolved(shop: Workshop) -> Fault:
    """A module or package that is imported does not exist."""
    target, name = _target(shop), shop.names.method()
    body = shop.rng.choice(
        (f'import {{ {name} }} from "{target}";\n{name}();', f'import "{target}";', f'export * from "{target}";')
    )
    entry, step = _bundle(shop, "esbuild", body)
    return Fault(
        step=step,
        evidence=(f'Could not resolve "{target}"', f"    {entry}:"),
        subject=target,
        cause=f"`{entry}` does not compile: `{target}` is not found.",
        fix=f"Add `{target}` or correct its path.",
    )


@recipe("esbuild.syntax-error", tool="esbuild", category="compile_error", origin="code", requires=("esbuild",))
def esbuild_syntax(shop: Workshop) -> Fault:
    """A module does not parse."""
    name, other = shop.names.method(), word(shop)
    body, message, token = shop.rng.choice(
        (
            (f"export const {name} = [1, 2;", 'Expected "]" but found ";"', ";"),
            (f"function {name}({other} {{\n  return 1;\n}}", 'Expected ")" but found "{"', "{"),
            (f"export const {name} = {{ {other}: 1 b: 2 }};", 'Expected "}" but found "b"', "b"),
            (f"export const {name} = {other} +* 2;", 'Unexpected "*"', "*"),
        )
    )
    entry, step = _bundle(shop, "esbuild", body)
    return Fault(
        step=step,
        evidence=(message, f"    {entry}:"),
        subject=entry,
        cause=f"`{entry}` does not compile: syntax error near `{token}`.",
        fix=f"Correct the syntax of `{entry}`.",
    )


@recipe("esbuild.missing-export", tool="esbuild", category="compile_error", origin="code", requires=("esbuild",))
def esbuild_missing_export(shop: Workshop) -> Fault:
    """A name is imported that its module does not export."""
    name, stem = shop.names.method(), f"lib/{shop.names.noun()}"
    shop.write(f"src/{stem}.js", library(shop, "esm")[1])
    suffix = shop.rng.choice(("", ".js"))
    body = shop.rng.choice(
        (
            f'import {{ {name} }} from "./{stem}{suffix}";\nconsole.log({name}(2));',
            f'export {{ {name} }} from "./{stem}{suffix}";',
        )
    )
    entry, step = _bundle(shop, "esbuild", body)
    return Fault(
        step=step,
        evidence=(f'No matching export in "src/{stem}.js" for import "{name}"', f"    {entry}:"),
        subject=name,
        cause=f"`{entry}` does not compile: `{name}` is not exported by `src/{stem}.js`.",
        fix=f"Export `{name}` from `src/{stem}.js` or correct the name.",
    )


@recipe("webpack.unresolved-import", tool="webpack", category="compile_error", origin="code", requires=("webpack",))
def webpack_unresolved(shop: Workshop) -> Fault:
    """A module or package that is imported does not exist."""
    # No bare packages: webpack would list where it looked, up to this machine's own folders.
    target, name = shop.rng.choice(("./", "./lib/", "../shared/")) + shop.names.module(), shop.names.method()
    body = shop.rng.choice((f'import {{ {name} }} from "{target}";\n{name}();', f'import "{target}";'))
    entry, step = _bundle(shop, "webpack", body)
    return Fault(
        step=step,
        evidence=(f"ERROR in ./{entry}", f"Can't resolve '{target}'"),
        subject=target,
        cause=f"`./{entry}` does not compile: `{target}` is not found.",
        fix=f"Add `{target}` or correct its path.",
    )


@recipe("webpack.syntax-error", tool="webpack", category="compile_error", origin="code", requires=("webpack",))
def webpack_syntax(shop: Workshop) -> Fault:
    """A module does not parse."""
    name, other = shop.names.method(), word(shop)
    bodies = (
        f"export const {name} = [1, 2;",
        f"function {name}({other} {{\n  return 1;\n}}",
        f"const {name} = {{ {other}: 1 b: 2 }};",
    )
    entry, step = _bundle(shop, "webpack", shop.rng.choice(bodies))
    return Fault(
        step=step,
        evidence=(f"ERROR in ./{entry}", "Module parse failed: Unexpected token"),
        subject=f"./{entry}",
        cause=f"`./{entry}` does not compile: syntax error.",
        fix=f"Correct the syntax of `./{entry}`.",
    )


@recipe("webpack.invalid-configuration", tool="webpack", category="other", origin="config", requires=("webpack",))
def webpack_configuration(shop: Workshop) -> Fault:
    """The configuration has a property that webpack does not know."""
    rng, wrong = shop.rng, f"{shop.names.noun()}{shop.rng.choice(('Options', 'Loader', 'Path'))}"
    mode = rng.choice(("development", "production"))
    lines = [f"mode: '{mode}'", "entry: './src/index.js'", f"{wrong}: {rng.choice(('true', '{}', '[]'))}"]
    rng.shuffle(lines)
    shop.write("webpack.config.js", "module.exports = {\n" + "".join(f"  {line},\n" for line in lines) + "};\n")
    shop.write("src/index.js", library(shop, "esm")[1])
    bystanders(shop, "esm")
    call = command(shop, rng.choice(("webpack", "webpack build", "webpack --config webpack.config.js")), "build")
    warm_up(shop)
    return Fault(
        step=shop.failing(call),
        evidence=(f"configuration has an unknown property '{wrong}'",),
        subject=wrong,
        cause=f"The configuration is invalid: `{wrong}` is not allowed.",
        fix=f"Remove or rename `{wrong}`.",
    )
