"""Makefiles, and test programs in C that make runs."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, warm_up

__all__: list[str] = []


@recipe("gcc.failed-assert", tool="gcc", category="test_assertion", origin="code", requires=("gcc", "make"))
def failed_assert(shop: Workshop) -> Fault:
    """A hand-written C test program stops at its assert()."""
    function, stem = shop.names.function(), shop.names.module()
    factor, given = shop.rng.randint(2, 9), shop.rng.randint(3, 60)
    claim = f"{function}({given}) == {given * factor}"
    test, path = f"test_{function}", f"tests/test_{stem}.c"
    others = [f"test_{shop.names.function()}" for _ in range(shop.rng.randint(0, 6))]
    sound = [f"static void {name}(void)\n{{\n    assert({function}(0) == {factor - 1});\n}}\n" for name in others]
    order = [*others, test]
    shop.rng.shuffle(order)
    chatty = chance(shop, 0.6)
    calls = "".join(f"    {name}();\n" + (f'    puts("ok   {name}");\n' if chatty else "") for name in order)
    shop.write(f"src/{stem}.c", f"int {function}(int value)\n{{\n    return value * {factor} + {factor - 1};\n}}\n")
    shop.write(
        path,
        f"#include <assert.h>\n#include <stdio.h>\n\nint {function}(int value);\n\n"
        + "\n".join(sound)
        + f"\nstatic void {test}(void)\n{{\n    assert({claim});\n}}\n\nint main(void)\n"
        f"{{\n    setvbuf(stdout, NULL, _IONBF, 0);\n{calls}    return 0;\n}}\n",
    )
    program = f"test_{stem}"
    compiling = f"gcc -Wall src/{stem}.c {path} -o {program}"
    shop.write("Makefile", f"check: {program}\n\t./{program}\n\n{program}: src/{stem}.c {path}\n\t{compiling}\n")
    if chance(shop, 0.5):
        warm_up(shop, "gcc --version", f"make {program}")
        run = shop.failing("make check")
    else:
        shop.passing(compiling)
        run = shop.failing(f"./{program} 2>&1 | cat")
    return Fault(
        run,
        (f"Assertion `{claim}' failed.",),
        test,
        f"Test `{test}` fails: `{claim}` does not hold.",
        f"Correct the code under `{test}` or the value it expects.",
    )


@recipe("make.missing-rule", tool="make", category="other", origin="config", requires=("make", "gcc"))
def missing_rule(shop: Workshop) -> Fault:
    """A target is asked for, or needed, that no rule makes."""
    target, goal = shop.names.noun(), shop.names.noun()
    done = [shop.names.noun() for _ in range(shop.rng.randint(0, 4))]
    rules = "".join(f"{name}:\n\t@echo 'step {name}: 0 errors'\n\n" for name in done)
    missing = shop.rng.choice((target, f"src/{target}.c", f"build/{target}.o", f"docs/{target}.md"))
    if chance(shop, 0.4):
        missing = target
        shop.write("Makefile", f"all: {' '.join(done)}\n\n{rules}\n")
        run = shop.failing(f"make {' '.join(done)} {target}")
    else:
        shop.write("Makefile", f"{rules}\n{goal}: {' '.join(done)} {missing}\n\tcat $^ > $@\n")
        run = shop.failing(
            shop.rng.choice((f"make {goal}", f"make -B {goal}", f"make --no-print-directory -C . {goal}"))
        )
    return Fault(
        run,
        (f"No rule to make target '{missing}'",),
        missing,
        f"Make target `{missing}` has no rule.",
        f"Add a rule for `{missing}` or the missing file.",
    )


@recipe("make.missing-separator", tool="make", category="other", origin="config", requires=("make",))
def missing_separator(shop: Workshop) -> Fault:
    """A recipe line of the Makefile begins with spaces, not with a tab."""
    names = [shop.names.noun() for _ in range(shop.rng.randint(1, 6))]
    bad = shop.rng.randrange(len(names))
    tab = [" " * shop.rng.choice((2, 4, 8)) if i == bad else "\t" for i in range(len(names))]
    text = "".join(f"{name}:\n{tab[i]}echo {name} > {name}.log\n\n" for i, name in enumerate(names))
    extra = f"VERSION = {shop.names.version()}\n\n" if chance(shop, 0.5) else ""
    path = shop.rng.choice(("Makefile", "Makefile", f"{shop.names.noun()}.mk", f"ci/{shop.names.noun()}.mk"))
    shop.write(path, extra + text)
    warm_up(shop, "make --version")
    run = shop.failing("make" if path == "Makefile" else f"make -f {path} {names[0]}")
    return Fault(
        run,
        (f"{path}:",),
        path,
        f"`{path}` cannot be read: missing separator.",
        f"Begin the recipe lines of `{path}` with a tab.",
    )
