"""Rust: what rustc, cargo, clippy and rustfmt refuse."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, warm_up

__all__ = ["source_with"]


def _function(shop: Workshop) -> str:
    name, number = shop.names.function(), shop.rng.randint(2, 99)
    return shop.rng.choice(
        (
            f"pub fn {name}(value: u32) -> u32 {{\n    value.wrapping_mul({number})\n}}\n",
            f"pub fn {name}(items: &[i64]) -> i64 {{\n    items.iter().map(|item| item + {number}).sum()\n}}\n",
            f"pub fn {name}(text: &str) -> usize {{\n"
            f"    text.chars().take({number}).filter(|letter| *letter == '_').count()\n}}\n",
            f"pub fn {name}(first: u8, second: u8) -> bool {{\n    first > {number} || second < first\n}}\n",
        )
    )


def source_with(shop: Workshop, body: str, head: str = "") -> str:
    """Put ``body`` between sound functions; ``head`` (uses) comes first."""
    parts = [_function(shop) for _ in range(shop.rng.randint(0, 3))]
    if body:
        parts.insert(shop.rng.randint(0, len(parts)), body)
    doc = f"//! {shop.names.noun().capitalize()} and {shop.names.noun()}.\n\n" if chance(shop, 0.4) else ""
    return doc + head + "\n".join(parts)


def _crate(shop: Workshop, body: str, head: str = "", *, manifest: str = "") -> str:
    """Write a crate whose fault is ``body`` and return the path of its file: ``src/lib.rs`` or a module of it."""
    package = shop.rng.choice((shop.repo, shop.names.package(), shop.names.noun()))
    edition = shop.rng.choice(("2021", "2021", "2018", "2024"))
    shop.write(
        "Cargo.toml",
        f'[package]\nname = "{package}"\nversion = "{shop.names.version()}"\n'
        f'edition = "{edition}"\n\n[dependencies]\n{manifest}',
    )
    modules = sorted(shop.names.module() for _ in range(shop.rng.randint(0, 3)))
    for name in modules:
        shop.write(f"src/{name}.rs", source_with(shop, ""))
    path = "src/lib.rs"
    text = source_with(shop, body, head)
    declared = [*modules]
    if chance(shop, 0.5):
        name = shop.names.module()
        path, declared = f"src/{name}.rs", sorted([*modules, name])
        shop.write(path, text)
        text = ""
    shop.write(
        "src/lib.rs", text + ("\n" if declared and text else "") + "".join(f"pub mod {name};\n" for name in declared)
    )
    warm_up(shop, "cargo --version", "rustc --version", most=1)
    return path


def _build(shop: Workshop) -> Step:
    return shop.failing(
        shop.rng.choice(
            (
                "cargo build",
                "cargo check",
                "cargo build --release",
                "cargo check --all-targets",
                "cargo build --verbose",
                "cargo check -j 1 --lib",
            )
        )
    )


def _place(path: str, shop: Workshop, marker: str) -> str:
    """The `` --> file:line:`` rustc prints for the first line that holds ``marker``."""
    lines = (shop.root / path).read_text(encoding="utf-8").split("\n")
    return f"--> {path}:{next(number for number, line in enumerate(lines, 1) if marker in line)}:"


@recipe("rustc.mismatched-types", tool="cargo", category="type_error", origin="code", requires=("cargo",))
def mismatched_types(shop: Workshop) -> Fault:
    """E0308: an expression has another type than the one declared."""
    function, name = shop.names.function(), shop.names.variable()
    number, word = shop.rng.randint(2, 99), shop.names.noun()
    body, marker, want, got = shop.rng.choice(
        (
            (
                f'pub fn {function}() -> u32 {{\n    let {name}: u32 = "{word}";\n    {name}\n}}\n',
                f'"{word}"',
                "u32",
                "&str",
            ),
            (
                f"pub fn {function}(value: i64) -> i64 {{\n    let {name}: i32 = {number};\n    value + {name}\n}}\n",
                f"value + {name}",
                "i64",
                "i32",
            ),
            (f"pub fn {function}({name}: u64) -> String {{\n    {name}\n}}\n", f"    {name}", "String", "u64"),
            (
                f"pub fn {function}({name}: bool) -> u8 {{\n    if {name} {{ {number} }} else {{ false }}\n}}\n",
                f"if {name}",
                "u8",
                "bool",
            ),
            (
                f"pub fn {function}({name}: Vec<u8>) -> usize {{\n"
                f"    let total: usize = {name}.first();\n    total\n}}\n",
                f"{name}.first()",
                "usize",
                "Option<&u8>",
            ),
        )
    )
    path = _crate(shop, body)
    run = _build(shop)
    label = f"expected `{want}`, found `{got}`"
    return Fault(
        run,
        ("error[E0308]: mismatched types", _place(path, shop, marker), label),
        path,
        f"Type error in `{path}`: expected `{want}`, got `{got}`.",
        f"Use a `{want}` in `{path}` or convert the value.",
    )


@recipe("rustc.moved-value", tool="cargo", category="compile_error", origin="code", requires=("cargo",))
def moved_value(shop: Workshop) -> Fault:
    """E0382 and friends: a value is used after it moved, or borrowed twice."""
    function, name, word = shop.names.function(), shop.names.variable(), shop.names.noun()
    body, marker, says = shop.rng.choice(
        (
            (
                f'pub fn {function}() -> usize {{\n    let {name} = String::from("{word}");\n'
                f"    drop({name});\n    {name}.len()\n}}\n",
                f"{name}.len()",
                f"borrow of moved value: `{name}`",
            ),
            (
                f"pub fn {function}({name}: Vec<u8>) -> Vec<u8> {{\n"
                f"    let total: usize = {name}.into_iter().map(usize::from).sum();\n"
                f"    assert!(total > 0);\n    {name}\n}}\n",
                f"    {name}\n",
                f"use of moved value: `{name}`",
            ),
            (
                f"pub fn {function}(mut {name}: Vec<u8>) -> u8 {{\n"
                f"    let first = &{name}[0];\n    {name}.push(2);\n    *first\n}}\n",
                f"{name}.push",
                f"cannot borrow `{name}` as mutable because it is also borrowed as immutable",
            ),
            (
                f"pub fn {function}() -> u8 {{\n    let {name} = 2;\n    {name} = {name} + 1;\n    {name}\n}}\n",
                f"{name} = {name} + 1",
                f"cannot assign twice to immutable variable `{name}`",
            ),
        )
    )
    path = _crate(shop, body)
    run = _build(shop)
    return Fault(
        run,
        (f"]: {says}", _place(path, shop, marker.rstrip("\n"))),
        name,
        f"`{path}` does not compile: `{name}` breaks a borrowing rule.",
        f"Clone `{name}` or change the order of its uses.",
    )


@recipe("rustc.unresolved-name", tool="cargo", category="compile_error", origin="code", requires=("cargo",))
def unresolved_name(shop: Workshop) -> Fault:
    """E0425, E0412 or E0433: a value, function or type is used that is not in scope."""
    function, name, kind = shop.names.function(), shop.names.variable(), shop.names.type()
    body, says, symbol, marker = shop.rng.choice(
        (
            (
                f"pub fn {function}() -> u32 {{\n    {name} + 2\n}}\n",
                f"cannot find value `{name}`",
                name,
                f"{name} + 2",
            ),
            (
                f"pub fn {function}(value: u32) -> u32 {{\n    {name}(value) + 2\n}}\n",
                f"cannot find function `{name}`",
                name,
                f"{name}(",
            ),
            (
                f"pub fn {function}(item: &{kind}) -> u32 {{\n    let _ = item;\n    2\n}}\n",
                f"cannot find type `{kind}`",
                kind,
                kind,
            ),
            (
                f"pub fn {function}() -> u32 {{\n    {name}!(2);\n    3\n}}\n",
                f"cannot find macro `{name}`",
                name,
                f"{name}!",
            ),
        )
    )
    path = _crate(shop, body)
    run = _build(shop)
    return Fault(
        run,
        (says, _place(path, shop, marker)),
        symbol,
        f"`{path}` does not compile: `{symbol}` is not defined.",
        f"Define `{symbol}` or bring it into scope.",
    )


@recipe("rustc.unresolved-crate", tool="cargo", category="dependency_install", origin="dependency", requires=("cargo",))
def unresolved_crate(shop: Workshop) -> Fault:
    """E0432 or E0433: a crate is used that the manifest does not name."""
    crate, thing = shop.names.module() + "_rs", shop.names.type()
    head = shop.rng.choice((f"use {crate}::{thing};\n\n", f"use {crate}::{{{thing}, {shop.names.type()}}};\n\n"))
    body, marker = f"pub fn {shop.names.function()}(_item: &{thing}) {{}}\n", f"use {crate}"
    if chance(shop, 0.4):
        head, body, marker = (
            "",
            f"pub fn {shop.names.function()}() -> bool {{\n    {crate}::{shop.names.function()}(2)\n}}\n",
            f"    {crate}::",
        )
    path = _crate(shop, body, head)
    run = _build(shop)
    return Fault(
        run,
        (f"`{crate}`", _place(path, shop, marker)),
        crate,
        f"Module `{crate}` is not installed.",
        f"Add `{crate}` to the dependencies.",
    )


@recipe(
    "cargo.missing-dependency", tool="cargo", category="dependency_install", origin="dependency", requires=("cargo",)
)
def missing_dependency(shop: Workshop) -> Fault:
    """A dependency of the manifest is not in any registry at hand."""
    crate, version = shop.names.package(), shop.names.version()
    line = shop.rng.choice(
        (
            f'{crate} = "{version}"\n',
            f'{crate} = {{ version = "{version}", features = ["derive"] }}\n',
            f'{crate} = {{ path = "../{crate}" }}\n',
        )
    )
    _crate(shop, "", manifest=line if chance(shop, 0.5) else f"{line}\n[features]\n{shop.names.noun()} = []\n")
    run = _build(shop)
    says = (
        f"no matching package named `{crate}` found"
        if "path" not in line
        else f"failed to load source for dependency `{crate}`"
    )
    return Fault(
        run,
        (says,),
        crate,
        f"Dependency `{crate}` cannot be installed: not found.",
        f"Correct the name or source of `{crate}`.",
    )


@recipe("cargo.bad-manifest", tool="cargo", category="other", origin="config", requires=("cargo",))
def bad_manifest(shop: Workshop) -> Fault:
    """Cargo.toml has a wrong type, a missing key or an impossible value."""
    _crate(shop, "")
    package, feature, edition = shop.names.package(), shop.names.noun(), shop.rng.choice(("2019", "2023", "2030"))
    key = f"{shop.names.noun()}-{shop.names.noun()}"
    body, says, subject = shop.rng.choice(
        (
            (f'[package]\nname = "{package}"\nversion = "0.1.0"\nedition = "{edition}"\n', f"`{edition}`", edition),
            (
                f'[package]\nname = "{package}"\nversion = "0.1.0"\n\n[features]\n{feature} = ["{key}"]\n',
                "which is neither a dependency nor another feature",
                key,
            ),
            (
                f'[package]\nname = "{package}"\nversion = "1.{shop.rng.randint(0, 9)}"\n',
                "unexpected end of input while parsing",
                "version",
            ),
            (f'[package]\nversion = "0.{shop.rng.randint(1, 9)}.0"\n', "missing field `package.name`", "package.name"),
            (
                f'[package]\nname = "{package}"\nversion = "0.1.0"\n\n[[bin]]\nname = "{key}"\n',
                f"can't find `{key}` bin at",
                key,
            ),
            (
                f'[package]\nname = "{package}"\nversion = "0.1.0"\n\n[dependencies]\n{key} = 3\n',
                "invalid type: integer `3`",
                "3",
            ),
        )
    )
    shop.write("Cargo.toml", body)
    run = _build(shop)
    return Fault(
        run, (says,), subject, f"The manifest is invalid: `{subject}`.", f"Correct `{subject}` in the manifest."
    )


@recipe("clippy.denied-lint", tool="clippy", category="lint_failure", origin="code", requires=("cargo-clippy",))
def denied_lint(shop: Workshop) -> Fault:
    """Clippy finds a lint that the job denies."""
    function, name = shop.names.function(), shop.names.variable()
    body, rule, marker = shop.rng.choice(
        (
            (
                f"pub fn {function}() -> u32 {{\n    let {name} = 3;\n    return {name};\n}}\n",
                "needless_return",
                f"return {name}",
            ),
            (f"pub fn {function}({name}: &[u8]) -> bool {{\n    {name}.len() == 0\n}}\n", "len_zero", f"{name}.len()"),
            (f"pub fn {function}({name}: &Vec<u8>) -> usize {{\n    {name}.len()\n}}\n", "ptr_arg", "&Vec"),
            (f"pub fn {function}({name}: bool) -> bool {{\n    {name} == true\n}}\n", "bool_comparison", "== true"),
            (f"pub fn {function}({name}: u32) -> u32 {{\n    {name}.clone()\n}}\n", "clone_on_copy", ".clone()"),
            (
                f'pub fn {function}({name}: &str) -> String {{\n    format!("{{}}", {name}.to_string())\n}}\n',
                "useless_format",
                "format!",
            ),
        )
    )
    path = _crate(shop, body)
    run = shop.failing(
        shop.rng.choice(
            (
                "cargo clippy -- -D warnings",
                "cargo clippy --all-targets -- -D warnings",
                "cargo clippy -q -- -D clippy::all",
            )
        )
    )
    shown = rule.replace("_", "-") if f"clippy::{rule.replace('_', '-')}" in "\n".join(run.output) else rule
    return Fault(
        run,
        (_place(path, shop, marker), f"clippy::{shown}"),
        f"clippy::{shown}",
        f"Lint rule `clippy::{shown}` is violated in `{path}`.",
        f"Follow `clippy::{shown}` in `{path}`.",
    )


@recipe("rustfmt.not-formatted", tool="rustfmt", category="formatting_failure", origin="code", requires=("rustfmt",))
def not_formatted(shop: Workshop) -> Fault:
    """Rustfmt in check mode finds a file it would change."""
    function, name = shop.names.function(), shop.names.variable()
    body = shop.rng.choice(
        (
            f"pub fn {function}({name}: u32) -> u32 {{\n  {name} + 2\n}}\n",
            f"pub fn {function}({name}:u32)->u32 {{\n    {name}*2\n}}\n",
            f"pub fn {function}(\n    {name}: u32) -> u32\n{{\n    {name}\n}}\n",
            f"pub fn {function}() -> Vec<u32> {{\n    vec![1,2,   {shop.rng.randint(3, 99)}]\n}}\n",
        )
    )
    path = _crate(shop, body)
    run = shop.failing(
        shop.rng.choice(("cargo fmt --check", "cargo fmt --all -- --check", f"rustfmt --check --edition 2021 {path}"))
    )
    return Fault(run, (f"{path}:",), path, f"`{path}` is not formatted.", f"Format `{path}`.")
