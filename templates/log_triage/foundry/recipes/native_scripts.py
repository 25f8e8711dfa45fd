"""Shell and Perl sources: what ShellCheck warns of, and what perl refuses or proves wrong."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, chatter, warm_up

__all__: list[str] = []


def _shellcheck(shop: Workshop, *faults: tuple[str, str]) -> Fault:
    """Check a script with one of ``faults`` (rule, source); the evidence is where it is and which rule it breaks."""
    code, body = shop.rng.choice(faults)
    path = f"{shop.rng.choice(('scripts', 'ci', 'bin', 'deploy'))}/{shop.names.function()}.sh"
    sound = [line for line in [*chatter(shop), *chatter(shop)] if line.startswith(("echo", "mkdir", "printf"))]
    sound.insert(shop.rng.randint(0, len(sound)), body)
    text = "\n".join(["#!/usr/bin/env bash", *(["set -euo pipefail"] if chance(shop, 0.4) else []), *sound]) + "\n"
    shop.write(path, text)
    others = []
    for _ in range(shop.rng.randint(0, 2)):
        others.append(f"scripts/{shop.names.function()}.sh")
        shop.write(others[-1], "#!/bin/sh\n" + f'echo "{shop.names.noun()}: 0 errors"\n')
    warm_up(shop, "shellcheck --version", f"bash -n {path}", most=1)
    files = " ".join(sorted([path, *others]))
    style = shop.rng.choice(("", "", "-f gcc ", "-x ", "--format=gcc "))
    run = shop.failing(f"shellcheck {style}{files}")
    row = next(number for number, line in enumerate(text.split("\n"), 1) if line == body.split("\n")[-1])
    where = (f"{path}:{row}:",) if "gcc" in style else (f"In {path} line {row}:", f"{code} (")
    rule = code
    return Fault(run, where, rule, f"Lint rule `{rule}` is violated in `{path}`.", f"Follow `{rule}` in `{path}`.")


@recipe("shellcheck.unquoted", tool="shellcheck", category="lint_failure", origin="code", requires=("shellcheck",))
def unquoted(shop: Workshop) -> Fault:
    """An expansion without quotes."""
    name = shop.names.noun()
    return _shellcheck(
        shop,
        ("SC2086", f"rm -f $1/{name}.log"),
        ("SC2046", f"touch $(find . -name '{name}')"),
        ("SC2068", f"./{name} $@"),
        ("SC2048", f"./{name} $*"),
    )


@recipe(
    "shellcheck.unused-variable", tool="shellcheck", category="lint_failure", origin="code", requires=("shellcheck",)
)
def unused_variable(shop: Workshop) -> Fault:
    """A variable that nothing reads, or that nothing sets."""
    name, number = shop.names.variable(), shop.rng.randint(2, 99)
    return _shellcheck(
        shop, ("SC2034", f"{name}={number}"), ("SC2034", f'{name}="$(date)"'), ("SC2154", f'echo "{number}: ${name}"')
    )


@recipe(
    "shellcheck.unsafe-command", tool="shellcheck", category="lint_failure", origin="code", requires=("shellcheck",)
)
def unsafe_command(shop: Workshop) -> Fault:
    """A command that does something else than it seems to."""
    name = shop.names.noun()
    return _shellcheck(
        shop,
        ("SC2006", f'echo "{name} `hostname`"'),
        ("SC2115", 'rm -rf "$1/"*'),
        ("SC2162", f"while read -p {name} _; do break; done"),
        ("SC2188", f"> {name}.txt"),
        ("SC2070", "if [ -n $1 ]; then exit 2; fi"),
        ("SC2016", f"echo '{name} $HOME'"),
        ("SC2010", f"ls | grep -v {name} > list.txt"),
    )


def _perl(shop: Workshop, *body: str) -> str:
    """Write a script with ``body`` after some sound lines and return its path."""
    path = f"{shop.rng.choice(('bin', 'tools', 'lib', 'script'))}/{shop.names.module()}.pl"
    sound = [f"my ${shop.names.variable()} = {shop.rng.randint(1, 99)};" for _ in range(shop.rng.randint(0, 4))]
    sound += [
        f"sub {shop.names.function()} {{\n    my ($value) = @_;\n    return $value + {shop.rng.randint(1, 9)};\n}}"
        for _ in range(shop.rng.randint(0, 2))
    ]
    shop.write(path, "\n".join(["#!/usr/bin/perl", "use strict;", "use warnings;", "", *sound, *body]) + "\n")
    warm_up(shop, "perl -e 'print \"perl $^V\\n\"'", f"head -n 1 {path}", most=1)
    return path


@recipe("perl.missing-module", tool="perl", category="dependency_install", origin="dependency", requires=("perl",))
def missing_module(shop: Workshop) -> Fault:
    """A module is used that is not installed."""
    name = "::".join(
        [
            shop.names.noun().capitalize(),
            shop.names.type(),
            *([shop.names.noun().capitalize()] if chance(shop, 0.3) else []),
        ]
    )
    path = _perl(
        shop,
        shop.rng.choice((f"use {name};", f"use {name} qw({shop.names.function()});", f"require {name};")),
        'print "ready\\n";',
    )
    run = shop.failing(shop.rng.choice((f"perl {path}", f"perl -Ilib {path} --all", f"perl -w {path}")))
    return Fault(run, (f"install the {name} module",), name, f"Module `{name}` is not installed.", f"Install `{name}`.")


@recipe("perl.undeclared-variable", tool="perl", category="compile_error", origin="code", requires=("perl",))
def undeclared_variable(shop: Workshop) -> Fault:
    """A variable without ``my`` under strict."""
    name = shop.names.variable()
    line, symbol = shop.rng.choice(
        (
            (f"${name} = 3;", f"${name}"),
            (f"my $copy = ${name} + 1;", f"${name}"),
            (f"push @{name}, 2;", f"@{name}"),
            (f"print join(',', keys %{name});", f"%{name}"),
        )
    )
    path = _perl(shop, line)
    run = shop.failing(shop.rng.choice((f"perl -c {path}", f"perl {path}", f"perl -wc {path}")))
    return Fault(
        run,
        (f'Global symbol "{symbol}"',),
        name,
        f"`{path}` does not compile: `{name}` is not defined.",
        f"Declare `{name}` before it is used.",
    )


@recipe("perl.syntax-error", tool="perl", category="compile_error", origin="code", requires=("perl",))
def syntax_error(shop: Workshop) -> Fault:
    """A script that does not parse."""
    name, number = shop.names.variable(), shop.rng.randint(2, 99)
    line = shop.rng.choice(
        (
            f"my ${name} = ({number} + );",
            f"my ${name} = {number}\nprint ${name};",
            f"if (1) {{ print {number} ;;; else {{ }}",
            f"foreach my ${name} in (1, {number}) {{ print 2; }}",
            f"my ${name} = [1, {number};",
        )
    )
    path = _perl(shop, line)
    run = shop.failing(shop.rng.choice((f"perl -c {path}", f"perl {path}", f"perl -wc {path}")))
    return Fault(
        run,
        (f"syntax error at {path} line",),
        path,
        f"`{path}` does not parse: syntax error.",
        f"Correct the syntax in `{path}`.",
    )


@recipe("perl.failed-test", tool="perl", category="test_assertion", origin="code", requires=("perl", "prove"))
def failed_test(shop: Workshop) -> Fault:
    """A Test::More test gets another value than it expects."""
    function, path = shop.names.function(), f"t/{shop.names.module()}.t"
    names = [
        f"{shop.names.function()}_{shop.rng.choice(('works', 'is_stable', 'handles_errors'))}"
        for _ in range(shop.rng.randint(1, 8))
    ]
    bad, given, factor = shop.rng.choice(names), shop.rng.randint(11, 90), shop.rng.randint(2, 9)
    got, want = given * factor, given * factor + shop.rng.randint(1, 6)
    rows = [f"is({function}({given}), {want if name == bad else got}, '{name}');" for name in names]
    shop.write(
        path,
        f"use strict;\nuse warnings;\nuse Test::More tests => {len(rows)};\n\n"
        f"sub {function} {{\n    return $_[0] * {factor};\n}}\n\n" + "\n".join(rows) + "\n",
    )
    run = shop.failing(shop.rng.choice((f"prove {path}", "prove -v t", f"perl {path}", "prove -l t/*.t")))
    return Fault(
        run,
        (f"#   Failed test '{bad}'", f"#          got: '{got}'", f"#     expected: '{want}'"),
        bad,
        f"Test `{bad}` fails: expected `{want}`, got `{got}`.",
        f"Correct the code under `{bad}` or the value it expects.",
    )
