"""Logs that show no cause: everything passes, or something fails without a word."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import c_function, chance, chatter, script, warm_up

__all__: list[str] = []


def _nothing(step: Step | None) -> Fault:
    return Fault(step, (), "", "No cause is shown in this log.", "Run again with more detailed output.")


@recipe("native.green-build", tool="make", category="unknown", origin="code", requires=("gcc", "make", "tar"))
def green_build(shop: Workshop) -> Fault:
    """A C project builds, tests and packs itself without a fault."""
    stems = [shop.names.module() for _ in range(shop.rng.randint(1, 4))]
    for stem in stems:
        warning = f'#warning "{shop.names.noun()}: error codes are not final"\n' if chance(shop, 0.3) else ""
        shop.write(f"src/{stem}.c", warning + "{}\n{}".format(*c_function(shop)))
    shop.write(
        "src/main.c",
        "#include <stdio.h>\n\nint main(void)\n{\n"
        + "".join(f'    puts("ok   {shop.names.function()}");\n' for _ in range(shop.rng.randint(1, 6)))
        + '    puts("0 failed");\n    return 0;\n}\n',
    )
    objects = " ".join(f"src/{stem}.o" for stem in [*stems, "main"])
    hush = "@" if chance(shop, 0.3) else ""
    shop.write(
        "Makefile",
        f"CC = gcc\n\napp: {objects}\n\t{hush}$(CC) -o $@ $^\n\n%.o: %.c\n"
        f"\t{hush}$(CC) {shop.rng.choice(('-O2', '-Wall', '-g'))} -c $< -o $@\n\n"
        f"check: app\n\t./app\n\ndist: app\n\ttar -cvzf {shop.repo}.tar.gz app src\n",
    )
    warm_up(shop, "gcc --version", "make --version", most=1)
    shop.passing("make")
    for target in shop.rng.sample(("check", "dist", "-n app"), shop.rng.randint(1, 2)):
        shop.passing(f"make {target}")
    return _nothing(None)


@recipe("native.green-checks", tool="bash", category="unknown", origin="code", requires=("git", "sha256sum", "perl"))
def green_checks(shop: Workshop) -> Fault:
    """Scripts, checksums and git all succeed; recovered retries are part of it."""
    files = [f"dist/{shop.names.module()}-{shop.names.version()}.tar.gz" for _ in range(shop.rng.randint(1, 5))]
    for name in files:
        shop.write(name, shop.names.function())
    shop.quiet(f"sha256sum {' '.join(files)} > checksums.txt")
    command, _ = script(shop, *chatter(shop, 1))
    steps = [
        command,
        "sha256sum -c checksums.txt",
        "git init -q . && git add dist && git status --short",
        "perl -e 'print \"tests: 12, errors: 0, failed: 0\\n\"'",
        "ls dist | wc -l",
    ]
    for step in shop.rng.sample(steps, shop.rng.randint(2, 4)):
        shop.passing(step)
    return _nothing(None)


@recipe("native.silent-failure", tool="bash", category="unknown", origin="code", requires=("bash", "make"))
def silent_failure(shop: Workshop) -> Fault:
    """A step fails, and nothing it prints says why."""
    noun = shop.names.noun()
    shape = shop.rng.randrange(4)
    if shape == 0:
        command, _ = script(shop, *chatter(shop, 1), f"exit {shop.rng.randint(1, 9)}")
    elif shape == 1:
        rules = "".join(
            f"{name}:\n\t@echo '{name}: 0 errors'\n\n"
            for name in (shop.names.noun() for _ in range(shop.rng.randint(1, 4)))
        )
        shop.write(
            "Makefile",
            f"{rules}{noun}:\n\t@echo 'running {noun}'\n"
            f"\t@{shop.rng.choice(('false', 'test -s missing', f'exit {shop.rng.randint(2, 9)}'))}\n",
        )
        command = f"make {noun}"
    elif shape == 2:
        shop.write(f"tools/{noun}.sh", "\n".join(chatter(shop, 2)) + f"\ngrep -q {noun} README.md\n")
        shop.write("README.md", f"# {shop.repo}\n")
        command = f"bash tools/{noun}.sh"
    else:
        shop.write(
            f"tools/{noun}.pl",
            f'print "loading {shop.names.module()}\\n'
            f'" for 1 .. {shop.rng.randint(1, 5)};\nexit {shop.rng.randint(1, 99)};\n',
        )
        command = f"perl tools/{noun}.pl --{shop.names.noun()}"
    run = shop.failing(
        f"echo '{shop.names.noun()} {shop.names.version()}'\n{command}" if chance(shop, 0.5) or shape == 0 else command
    )
    return _nothing(run)
