"""Faults that the TypeScript compiler reports."""

from __future__ import annotations

import json

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.node_shapes import bystanders, command, library, warm_up, word

__all__: list[str] = []

_VALUES = (("string", '"{n}"'), ("number", "{n}"), ("boolean", "true"), ("number[]", "[{n}]"), ("string[]", '["a{n}"]'))


def _types(shop: Workshop) -> tuple[str, str, str]:
    """Draw an expected type, another type, and an expression of the other one."""
    expected, given = shop.rng.sample(_VALUES, 2)
    return expected[0], given[0], given[1].format(n=shop.rng.randint(2, 99))


def _check(shop: Workshop, body: str) -> tuple[str, Step]:
    """Put ``body`` into a module of a TypeScript project, check the project, and return the module and the step."""
    rng, names = shop.rng, shop.names
    bystanders(shop, "ts")
    before = library(shop, "ts")[1] + "\n" if rng.random() < 0.6 else ""
    after = "\n" + library(shop, "ts")[1] if rng.random() < 0.4 else ""
    folder = rng.choice(("src", "src", f"src/{names.noun()}"))
    path = f"{folder}/{rng.choice((names.noun(), f'{names.noun()}-{names.noun()}'))}.ts"
    shop.write(path, f"{before}{body}\n{after}")
    # The smallest standard library and no ambient packages: the compiler's own start is most of its time.
    options = {"strict": True, "noEmit": True, "target": "es5", "lib": ["es5"], "types": [], "skipLibCheck": True}
    module, resolution = rng.choice((("es2015", "bundler"), ("esnext", "bundler"), ("node16", "node16")))
    options |= {"module": module, "moduleResolution": resolution, "outDir": "dist"}
    shop.write("tsconfig.json", json.dumps({"compilerOptions": options, "include": ["src"]}, indent=2) + "\n")
    task = rng.choice(("typecheck", "build", "check:types", "lint:types"))
    call = command(shop, rng.choice(("tsc", "tsc -p .", "tsc --noEmit", "tsc -p tsconfig.json --pretty false")), task)
    warm_up(shop)
    return path, shop.failing(call)


def _decided(path: str, step: Step, code: str, subject: str, cause: str, fix: str) -> Fault:
    """Return the fault whose only evidence is the compiler's message ``code`` about ``path``."""
    evidence = next((line for line in step.output if line.startswith(f"{path}(") and f"error {code}:" in line), code)
    return Fault(step, (evidence,), subject, cause, fix)


@recipe("tsc.wrong-assignment", tool="tsc", category="type_error", origin="code", requires=("tsc",))
def wrong_assignment(shop: Workshop) -> Fault:
    """A value of another type is assigned (TS2322)."""
    names = shop.names
    expected, given, value = _types(shop)
    name, owner = names.method(), names.type()
    body = shop.rng.choice(
        (
            f"export const {name}: {expected} = {value};",
            f"export function {name}(): {expected} {{\n  return {value};\n}}",
            f"export interface {owner} {{\n  {name}: {expected};\n}}\n\n"
            f"export const default{owner}: {owner} = {{ {name}: {value} }};",
            f"export class {owner} {{\n  private {name}: {expected} = {value};\n}}",
        )
    )
    path, step = _check(shop, body)
    cause = f"Type error in `{path}`: expected `{expected}`, got `{given}`."
    return _decided(path, step, "TS2322", path, cause, f"Give `{path}` a value of type `{expected}` here.")


@recipe("tsc.wrong-argument", tool="tsc", category="type_error", origin="code", requires=("tsc",))
def wrong_argument(shop: Workshop) -> Fault:
    """A function is called with an argument of another type (TS2345)."""
    names = shop.names
    expected, given, value = _types(shop)
    name, variable, owner = names.method(), word(shop), names.type()
    body = shop.rng.choice(
        (
            f"function {name}(value: {expected}): void {{}}\n\n"
            f"export const {variable}List: {given} = {value};\n{name}({variable}List);",
            f"export class {owner} {{\n  {name}(first: number, second: {expected}): void {{}}\n}}\n\n"
            f"const raw{owner}: {given} = {value};\nnew {owner}().{name}(1, raw{owner});",
            f"const {name} = (option: {expected}): {expected} => option;\nlet {variable}Value: {given} = {value};\n"
            f"export const result = {name}({variable}Value);",
        )
    )
    path, step = _check(shop, body)
    cause = f"Type error in `{path}`: expected `{expected}`, got `{given}`."
    return _decided(path, step, "TS2345", path, cause, f"Pass an argument of type `{expected}` in `{path}`.")


@recipe("tsc.missing-property", tool="tsc", category="type_error", origin="code", requires=("tsc",))
def missing_property(shop: Workshop) -> Fault:
    """A property is read that its type does not have (TS2339)."""
    names = shop.names
    name, owner, other, field = word(shop), names.type(), word(shop), names.method()
    shape = f"{{\n  {other}: number;\n}}"
    body = shop.rng.choice(
        (
            f"export interface {owner} {shape}\n\nexport function {field}(item: {owner}) {{\n  return item.{name};\n}}",
            f"export class {owner} {{\n  {other} = 1;\n}}\n\nexport const {field} = new {owner}().{name};",
            f"type {owner} = {shape};\n\n"
            f"export const {field} = (items: {owner}[]) => items.map((item) => item.{name});",
        )
    )
    path, step = _check(shop, body)
    cause = f"Type error in `{path}`: `{owner}` has no attribute `{name}`."
    return _decided(path, step, "TS2339", name, cause, f"Add `{name}` to `{owner}` or correct the name.")


@recipe("tsc.undefined-name", tool="tsc", category="compile_error", origin="code", requires=("tsc",))
def undefined_name(shop: Workshop) -> Fault:
    """A name is used that nothing declares (TS2304)."""
    names = shop.names
    name, user, kind = names.method(), names.method(), names.type()
    body, missing = shop.rng.choice(
        (
            (f"export const {user} = () => {name}({shop.rng.randint(1, 9)});", name),
            (f"export function {user}(items: {kind}[]) {{\n  return items.length;\n}}", kind),
            (f"export function {user}(limit: number) {{\n  return limit > {name} ? limit : 0;\n}}", name),
        )
    )
    path, step = _check(shop, body)
    cause = f"`{path}` does not compile: `{missing}` is not defined."
    return _decided(path, step, "TS2304", missing, cause, f"Define or import `{missing}`.")


@recipe("tsc.missing-package", tool="tsc", category="dependency_install", origin="dependency", requires=("tsc",))
def missing_package(shop: Workshop) -> Fault:
    """A package is imported that is not installed (TS2307)."""
    names = shop.names
    package = names.package() if shop.rng.random() < 0.6 else f"@{names.noun()}/{names.noun()}"
    name, user = names.method(), names.method()
    head = shop.rng.choice((f"import {{ {name} }} from", f"import {name} from", f"import * as {name} from"))
    path, step = _check(shop, f'{head} "{package}";\n\nexport const {user} = {name};')
    fix = f"Add `{package}` to the dependencies and install it."
    return _decided(path, step, "TS2307", package, f"Module `{package}` is not installed.", fix)


@recipe("tsc.missing-local-module", tool="tsc", category="compile_error", origin="code", requires=("tsc",))
def missing_local_module(shop: Workshop) -> Fault:
    """A module of the project is imported that does not exist (TS2307)."""
    names = shop.names
    target = f"{shop.rng.choice(('./', '../', './lib/'))}{names.module()}"
    name = names.method()
    body = shop.rng.choice((f'export * from "{target}";', f'import {{ {name} }} from "{target}";\n\n{name}();'))
    path, step = _check(shop, body)
    cause = f"`{path}` does not compile: `{target}` is not found."
    return _decided(path, step, "TS2307", target, cause, f"Add the module `{target}` or correct its path.")


@recipe("tsc.missing-export", tool="tsc", category="compile_error", origin="code", requires=("tsc",))
def missing_export(shop: Workshop) -> Fault:
    """A name is imported that its module does not export (TS2305)."""
    names = shop.names
    name, other, target = names.method(), names.method(), f"@{names.noun()}/{names.noun()}"
    shop.write("src/ambient.d.ts", f'declare module "{target}" {{\n  export const {other}: string;\n}}\n')
    body = shop.rng.choice(
        (
            f'import {{ {name} }} from "{target}";\n\nexport const used = {name};',
            f'export {{ {name} }} from "{target}";',
            f'import {{ {other}, {name} }} from "{target}";\n\nexport default [{other}, {name}];',
        )
    )
    path, step = _check(shop, body)
    cause = f"`{path}` does not compile: `{name}` is not exported by `{target}`."
    return _decided(path, step, "TS2305", name, cause, f"Export `{name}` or correct the name.")


@recipe("tsc.implicit-any", tool="tsc", category="type_error", origin="code", requires=("tsc",))
def implicit_any(shop: Workshop) -> Fault:
    """A parameter has no type (TS7006)."""
    names = shop.names
    name, parameter, owner = names.method(), word(shop), names.type()
    body = shop.rng.choice(
        (
            f"export function {name}({parameter}) {{\n  return [{parameter}];\n}}",
            f"export const {name} = (limit: number, {parameter}) => [{parameter}, limit];",
            f"export class {owner} {{\n  {name}({parameter}) {{\n    return {parameter};\n  }}\n}}",
        )
    )
    path, step = _check(shop, body)
    cause = f"Type error in `{path}`: `{parameter}` has no declared type."
    return _decided(path, step, "TS7006", parameter, cause, f"Declare the type of `{parameter}`.")


@recipe("tsc.syntax-error", tool="tsc", category="compile_error", origin="code", requires=("tsc",))
def syntax_error(shop: Workshop) -> Fault:
    """A module does not parse (TS1005)."""
    names = shop.names
    name, other = names.method(), word(shop)
    body = shop.rng.choice(
        (
            f"export const {name} = (value: number => value;",
            f"export class {names.type()} {{\n  {name}(): number {{\n    return 1;\n  }}\n",
            f"export function {name}(items: number[]) {{\n  return items.map((item) => item * 2;\n}}",
            f"export const {name} = {{ {other}: 1 {other}2: 2 }};",
        )
    )
    path, step = _check(shop, body)
    line = next((row for row in step.output if row.startswith(f"{path}(")), "")
    token = line.partition("error TS1005: '")[2].partition("'")[0]
    cause = f"`{path}` does not compile: syntax error near `{token}`."
    return _decided(path, step, "TS1005", path, cause, f"Correct the syntax of `{path}`.")


@recipe("tsc.argument-count", tool="tsc", category="type_error", origin="code", requires=("tsc",))
def argument_count(shop: Workshop) -> Fault:
    """A function is called with too few or too many arguments (TS2554)."""
    rng, names = shop.rng, shop.names
    name, owner, used = names.method(), names.type(), names.method()
    expected = rng.randint(1, 4)
    given = rng.choice([count for count in range(6) if count != expected])
    parameters = ", ".join(f"{word(shop)}: number" for _ in range(expected))
    values = ", ".join(str(rng.randint(1, 99)) for _ in range(given))
    body = rng.choice(
        (
            f"function {name}({parameters}): void {{}}\n\n{name}({values});",
            f"class {owner} {{\n  {name}({parameters}): number {{\n    return 1;\n"
            f"  }}\n}}\n\nexport const {used} = new {owner}().{name}({values});",
            f"const {name} = ({parameters}) => 1;\nexport function {used}() {{\n  return {name}({values});\n}}",
        )
    )
    path, step = _check(shop, body)
    cause = f"Type error in `{path}`: expected `{expected}` arguments, got `{given}`."
    return _decided(path, step, "TS2554", path, cause, f"Pass `{expected}` arguments in `{path}`.")
