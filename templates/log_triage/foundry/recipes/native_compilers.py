"""C and C++ that does not compile, does not link, or fails its own assertions."""

# ruff: noqa: RUF001 - gcc puts names between typographic quotes
from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import c_build, c_function, chance

__all__: list[str] = []

_TOOLS = ("gcc", "g++", "make", "cmake", "ninja")


def _surround(shop: Workshop, body: str, includes: str = "") -> str:
    """Put ``body`` somewhere between harmless functions, behind ``includes``."""
    parts = ["{}\n{}".format(*c_function(shop)) for _ in range(shop.rng.randint(0, 3))]
    parts.insert(shop.rng.randint(0, len(parts)), body)
    note = f"/* {shop.names.noun()}: {shop.names.noun()} {shop.names.noun()} */\n" if chance(shop, 0.4) else ""
    return note + includes + "\n" + "\n".join(parts)


def _main(shop: Workshop, body: str = "") -> str:
    return f"int main(void)\n{{\n{body}    return {shop.rng.choice(('0', '1 - 1'))};\n}}\n"


def _pair(shop: Workshop) -> tuple[str, str]:
    """Paths of the faulty file and of the one with ``main``."""
    suffix = shop.rng.choice(("c", "cpp"))
    return f"src/{shop.names.module()}.{suffix}", f"src/main.{suffix}"


@recipe("gcc.undeclared", tool="gcc", category="compile_error", origin="code", requires=_TOOLS)
def undeclared(shop: Workshop) -> Fault:
    """A variable or constant is used that nobody declared."""
    (path, main), name, function = _pair(shop), shop.names.variable(), shop.names.function()
    symbol = shop.rng.choice((name, shop.names.constant()))
    body = shop.rng.choice(
        (
            f"int {function}(int value)\n{{\n    return value + {symbol};\n}}\n",
            f"int {function}(void)\n{{\n    int total = 0;\n"
            f"    for (int i = 0; i < {symbol}; i++)\n        total += i;\n    return total;\n}}\n",
            f"void {function}(int *out)\n{{\n    if (*out > 3)\n        {symbol} = *out;\n}}\n",
        )
    )
    run = c_build(shop, {path: _surround(shop, body), main: _main(shop)})
    says = f"‘{symbol}’ was not declared in this scope" if path.endswith("cpp") else f"‘{symbol}’ undeclared"
    return Fault(
        run,
        (says,),
        symbol,
        f"`{path}` does not compile: `{symbol}` is not defined.",
        f"Define `{symbol}` or include its header.",
    )


@recipe("gcc.missing-header", tool="gcc", category="compile_error", origin="code", requires=_TOOLS)
def missing_header(shop: Workshop) -> Fault:
    """An include names a header that is not there."""
    path, main = _pair(shop)
    stem = shop.names.variable()
    header = shop.rng.choice(
        (f"{stem}.h", f"{shop.names.noun()}/{stem}.h", f"{stem}.hpp", f"{stem}/{shop.names.module()}.h")
    )
    include = f"#include <{header}>\n" if chance(shop, 0.5) else f'#include "{header}"\n'
    others = [
        f"#include <{name}.h>\n"
        for name in shop.rng.sample(("stdio", "string", "stdlib", "stdint"), shop.rng.randint(0, 2))
    ]
    run = c_build(shop, {path: _surround(shop, "", "".join([*others, include])), main: _main(shop)})
    return Fault(
        run,
        (f"fatal error: {header}: No such file or directory",),
        header,
        f"`{path}` does not compile: `{header}` is missing.",
        f"Add `{header}` or correct the include path.",
    )


@recipe("gcc.undefined-reference", tool="ld", category="compile_error", origin="code", requires=_TOOLS)
def undefined_reference(shop: Workshop) -> Fault:
    """A function is declared and called, but no object defines it."""
    suffix, symbol = shop.rng.choice(("c", "cpp")), shop.names.function()
    shape = shop.rng.randrange(3)
    proto = f"int {symbol}(int value);\n" if shape else f"extern int {symbol};\n"
    link_name = f"{symbol}(int)" if suffix == "cpp" and shape else symbol
    use = f"{symbol}({shop.rng.randint(1, 50)})" if shape else symbol
    sources = {f"src/main.{suffix}": f"{proto}\n" + _main(shop, f"    if ({use} > 4)\n        return 2;\n")}
    if shape == 2:
        caller, path = shop.names.function(), f"src/{shop.names.module()}.{suffix}"
        sources = {
            path: _surround(shop, f"{proto}\nint {caller}(int value)\n{{\n    return {use} - value;\n}}\n"),
            f"src/main.{suffix}": f"int {caller}(int value);\n\n"
            + _main(shop, f"    if ({caller}(3) > 4)\n        return 2;\n"),
        }
    run = c_build(shop, sources, debug=chance(shop, 0.5))
    return Fault(
        run,
        (f"undefined reference to `{link_name}'",),
        symbol,
        f"The program does not link: `{symbol}` is not defined.",
        f"Define `{symbol}` or link the object that does.",
    )


@recipe("gcc.syntax-error", tool="gcc", category="compile_error", origin="code", requires=_TOOLS)
def syntax_error(shop: Workshop) -> Fault:
    """A semicolon, a bracket or an operand is missing."""
    path, main = _pair(shop)
    function, a = shop.names.function(), shop.names.variable()
    head = f"int {function}(int value)\n{{\n"
    body, says, token = shop.rng.choice(
        (
            (f"{head}    int {a} = value * 2\n    return {a};\n}}\n", " before ‘return’", "return"),
            (
                f"{head}    if (value > 3 {{\n        value = 2;\n    }}\n    return value;\n}}\n",
                " before ‘{’ token",
                "{",
            ),
            (f"{head}    int {a} = (value + );\n    return {a};\n}}\n", "before ‘)’ token", ")"),
            (f"{head}    int {a}[3] = {{1, 2, 3;\n    return {a}[0] + value;\n}}\n", "before ‘;’ token", ";"),
        )
    )
    run = c_build(shop, {path: _surround(shop, body), main: _main(shop)})
    return Fault(
        run,
        (says,),
        path,
        f"`{path}` does not compile: syntax error near `{token}`.",
        f"Correct the syntax in `{path}` before `{token}`.",
    )


@recipe("gcc.argument-count", tool="gcc", category="compile_error", origin="code", requires=_TOOLS)
def argument_count(shop: Workshop) -> Fault:
    """A function is called with too few or too many arguments."""
    path, main = _pair(shop)
    function, caller, header = shop.names.function(), shop.names.function(), f"{shop.names.module()}.h"
    shop.write(f"include/{header}", f"#pragma once\nint {function}(int first, int second);\n")
    few = chance(shop, 0.5)
    given = shop.rng.randint(1, 99) if few else f"1, {shop.rng.randint(2, 99)}, value"
    body = f"int {caller}(int value)\n{{\n    return {function}({given}) + value;\n}}\n"
    definition = f'#include "{header}"\n\nint {function}(int first, int second)\n{{\n    return first - second;\n}}\n\n'
    run = c_build(shop, {path: _surround(shop, body, f'#include "{header}"\n'), main: definition + _main(shop)})
    shown = f"‘int {function}(int, int)’" if path.endswith("cpp") else f"‘{function}’"
    word = "few" if few else "many"
    return Fault(
        run,
        (f"too {word} arguments to function {shown}",),
        function,
        f"`{path}` does not compile: `{function}` is called with too {word} arguments.",
        f"Correct the arguments of `{function}`.",
    )


@recipe("gcc.werror", tool="gcc", category="compile_error", origin="code", requires=_TOOLS)
def werror(shop: Workshop) -> Fault:
    """A warning that -Werror turns into an error: the compiler refuses the source, so this is no lint."""
    (path, main), name, function = _pair(shop), shop.names.variable(), shop.names.function()
    rule, body, flags = shop.rng.choice(
        (
            (
                "unused-variable",
                f"int {function}(int value)\n{{\n    int {name} = 4;\n    return value;\n}}\n",
                "-Wall -Werror",
            ),
            ("unused-parameter", f"int {function}(int {name})\n{{\n    return 4;\n}}\n", "-Wall -Wextra -Werror"),
            (
                "unused-but-set-variable",
                f"void {function}(int *out)\n{{\n    int {name};\n    {name} = 3;\n    *out = 2;\n}}\n",
                "-Werror -Wall",
            ),
            (
                "shadow",
                f"int {function}(int {name})\n{{\n    {{\n        int {name} = 2;\n"
                f"        if ({name} > 3) return 1;\n    }}\n    return {name};\n}}\n",
                "-Werror -Wshadow",
            ),
        )
    )
    if rule == "unused-but-set-variable":  # g++ reports this one under another rule
        path, main = path.replace(".cpp", ".c"), main.replace(".cpp", ".c")
    run = c_build(shop, {path: body, main: _main(shop)}, flags=flags)
    return Fault(
        run,
        (f"[-Werror={rule}]",),
        name,
        f"`{path}` does not compile: `{name}` violates `-Werror={rule}`.",
        f"Remove or use `{name}`.",
    )


def _wrong_type(shop: Workshop, cpp: bool, function: str, record: str) -> tuple[str, str, str, str]:
    """A function with a type error: its source, the compiler's words, the type wanted, the type given."""
    if cpp:
        return shop.rng.choice(
            (
                (
                    f"int {function}(void)\n{{\n    struct {record} item = {{3}};\n"
                    f"    int id = item;\n    return id;\n}}\n",
                    "cannot convert",
                    "int",
                    record,
                ),
                (
                    f"int {function}(int value)\n{{\n    int id = value;\n"
                    f'    id = "{shop.names.noun()}";\n    return id;\n}}\n',
                    "invalid conversion from",
                    "int",
                    "const char*",
                ),
                (
                    f"const char *{function}(int value)\n{{\n    return value + 2;\n}}\n",
                    "invalid conversion from",
                    "const char*",
                    "int",
                ),
            )
        )
    return shop.rng.choice(
        (
            (
                f"int {function}(struct {record} item)\n{{\n    int id;\n    id = item;\n    return id;\n}}\n",
                "incompatible types when",
                "int",
                f"struct {record}",
            ),
            (
                f"struct {record} {function}(int value)\n{{\n    return value;\n}}\n",
                "incompatible types when",
                f"struct {record}",
                "int",
            ),
            (
                f"double {function}(struct {record} item)\n{{\n    double total = item;\n    return total;\n}}\n",
                "incompatible types when",
                "double",
                f"struct {record}",
            ),
        )
    )


@recipe("gcc.incompatible-types", tool="gcc", category="type_error", origin="code", requires=_TOOLS)
def incompatible_types(shop: Workshop) -> Fault:
    """A value of one type is used where another is expected."""
    path, main = _pair(shop)
    function, record = shop.names.function(), shop.names.noun()
    define = f"struct {record} {{\n    int id;\n}};\n\n"
    body, says, want, got = _wrong_type(shop, path.endswith("cpp"), function, record)
    run = c_build(shop, {path: _surround(shop, define + body), main: _main(shop)})
    return Fault(
        run,
        (f"error: {says}",),
        path,
        f"Type error in `{path}`: expected `{want}`, got `{got}`.",
        f"Use a `{want}` in `{path}` or convert the value.",
    )


@recipe("gcc.static-assert", tool="gcc", category="compile_error", origin="code", requires=_TOOLS)
def static_assert(shop: Workshop) -> Fault:
    """A static assertion does not hold."""
    (path, main), record, name = _pair(shop), shop.names.noun(), shop.names.constant()
    message = shop.rng.choice(
        (
            f"{record} must fit one cache line",
            f"size of {record} changed",
            f"{name} is out of range",
            f"update {record} when {name} changes",
        )
    )
    word = "static_assert" if path.endswith("cpp") else "_Static_assert"
    body = shop.rng.choice(
        (
            f"struct {record} {{\n    long id;\n    char text[{shop.rng.randint(70, 300)}];\n"
            f'}};\n{word}(sizeof(struct {record}) <= 64, "{message}");\n',
            f'enum {{ {name} = {shop.rng.randint(9, 90)} }};\n{word}({name} < 8, "{message}");\n',
        )
    )
    run = c_build(shop, {path: _surround(shop, body), main: _main(shop)})
    return Fault(
        run,
        ("error: static assertion failed",),
        path,
        f"`{path}` does not compile: static assertion `{message}` failed.",
        f"Satisfy the static assertion in `{path}`.",
    )


@recipe("ld.multiple-definition", tool="ld", category="compile_error", origin="code", requires=_TOOLS)
def multiple_definition(shop: Workshop) -> Fault:
    """Two objects define one symbol."""
    (first, second), symbol = _pair(shop), shop.names.function()
    a, b = shop.rng.randint(1, 9), shop.rng.randint(10, 99)
    shape = shop.rng.choice((f"int {symbol} = {{}};\n", f"int {symbol}(void)\n{{{{\n    return {{}};\n}}}}\n"))
    run = c_build(
        shop,
        {first: _surround(shop, shape.format(a)), second: shape.format(b) + "\n" + _main(shop)},
        debug=chance(shop, 0.5),
    )
    return Fault(
        run,
        ("multiple definition of",),
        symbol,
        f"The program does not link: `{symbol}` is defined more than once.",
        f"Define `{symbol}` in one file only.",
    )


@recipe("ld.missing-library", tool="ld", category="dependency_install", origin="dependency", requires=_TOOLS)
def missing_library(shop: Workshop) -> Fault:
    """A library to link is not installed."""
    suffix = shop.rng.choice(("c", "cpp"))
    library = (
        f"-l{shop.rng.choice((shop.names.variable(), shop.names.package(), shop.names.variable().replace('_', '')))}"
    )
    before = shop.rng.choice(("", "-lm ", "-lpthread "))
    run = c_build(shop, {f"src/main.{suffix}": _surround(shop, _main(shop))}, libraries=before + library)
    return Fault(
        run,
        (f"cannot find {library}",),
        library,
        f"Library `{library}` is not installed.",
        f"Install the library behind `{library}`.",
    )
