"""Shapes the native recipes share: small C and C++ trees, ways to build them, scripts, harmless first steps."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._workshop import Step, Workshop

__all__ = ["c_build", "c_function", "c_objects", "chance", "chatter", "closed_port", "script", "warm_up"]


def chance(shop: Workshop, probability: float) -> bool:
    """True with ``probability``."""
    return shop.rng.random() < probability


def warm_up(shop: Workshop, *commands: str, most: int = 2) -> None:
    """Run up to ``most`` of ``commands`` (drawn at random, none is likely too) as steps that pass."""
    for command in shop.rng.sample(commands, shop.rng.randint(0, min(most, len(commands)))):
        shop.passing(command)


def closed_port(shop: Workshop) -> int:
    """A loopback port nobody listens on: the reserved range between the classic services."""
    ports: list[int] = [*range(566, 585), *range(700, 748), *range(803, 830), *range(913, 988)]
    return shop.rng.choice(ports)


def c_function(shop: Workshop, name: str = "") -> tuple[str, str]:
    """Return a prototype and a definition of one harmless C function that also compiles as C++."""
    name = name or shop.names.function()
    first, second = shop.rng.sample(("count", "limit", "offset", "level", "step", "rank", "depth"), 2)
    low, high = shop.rng.randint(2, 9), shop.rng.randint(11, 99)
    head, body = shop.rng.choice(
        (
            (f"int {name}(int {first}, int {second})", f"    return {first} * {low} + {second} % {high};"),
            (
                f"double {name}(const double *items, int {first})",
                f"    double sum = 0;\n    for (int i = 0; i < {first}; i++)\n"
                f"        sum += items[i] * {low};\n    return sum;",
            ),
            (
                f"int {name}(const char *text)",
                f"    int {first} = 0;\n    while (*text)\n"
                f"        {first} = ({first} * {low} + *text++) % {high};\n    return {first};",
            ),
            (
                f"unsigned {name}(unsigned {first})",
                f"    if ({first} > {high}u)\n        {first} = {high}u;\n    return {first} ^ {low}u;",
            ),
            (
                f"void {name}(int *items, int {first})",
                f"    for (int i = 1; i < {first}; i++)\n"
                f"        if (items[i] < items[i - 1])\n            items[i] += {low};",
            ),
        )
    )
    return f"{head};", f"{head}\n{{\n{body}\n}}\n"


def c_objects(shop: Workshop, suffix: str, most: int = 3, *, warn: bool = True) -> list[str]:
    """Write up to ``most`` sound modules below ``src`` and return their paths, without the suffix; some ``warn``."""
    stems = []
    for _ in range(shop.rng.randint(0, most)):
        stem = f"src/{shop.names.module()}"
        functions = [c_function(shop) for _ in range(shop.rng.randint(1, 3))]
        text = "\n".join([head for head, _ in functions] + [""] + [body for _, body in functions])
        if warn and chance(shop, 0.15):
            text = f'#warning "{shop.names.noun()} error handling is not finished"\n' + text
        shop.write(f"{stem}.{suffix}", text)
        stems.append(stem)
    return stems


def c_build(
    shop: Workshop, sources: dict[str, str], *, flags: str = "", libraries: str = "", debug: bool = False
) -> Step:
    """Write ``sources`` (path to text, the program's ``main`` among them) among sound ones; build all; it must fail.

    The build is a chatty or a terse Makefile, a shell script, or CMake with Ninja or make.
    """
    suffix = next(iter(sources)).rpartition(".")[2]
    compiler, flavour = ("g++", "CXX") if suffix == "cpp" else ("gcc", "CC")
    for path, text in sources.items():
        shop.write(path, text)
    stems = [path.rpartition(".")[0] for path in sources if path.endswith(suffix)] + c_objects(
        shop, suffix, warn="-Werror" not in flags
    )
    shop.rng.shuffle(stems)
    level = shop.rng.choice(("-O2", "-O1", "-Wall", "-Wall -O2", "-std=c++17" if suffix == "cpp" else "-std=c11"))
    flags = f"{level}{' -g' if debug or chance(shop, 0.3) else ''} -Iinclude {flags}".rstrip()
    program = shop.repo
    style = shop.rng.choice(("make", "make", "terse", "script", "cmake"))
    if style == "script":
        lines = [f"{compiler} {flags} -c {stem}.{suffix} -o {stem}.o" for stem in stems]
        lines.append(f"{compiler} {' '.join(f'{stem}.o' for stem in stems)} -o {program} {libraries}".rstrip())
        if chance(shop, 0.5):
            return shop.failing("\n".join(lines))
        shop.write("build.sh", "set -e" + ("x" if chance(shop, 0.5) else "") + "\n" + "\n".join(lines) + "\n")
        return shop.failing(shop.rng.choice(("bash build.sh", "sh ./build.sh")))
    warm_up(shop, f"{compiler} --version", "make --version" if style != "cmake" else "cmake --version", most=1)
    if style == "cmake":
        return _cmake_build(shop, stems, suffix, flags, libraries)
    hush = "@" if style == "terse" else ""
    tell = f"\t@echo '  {flavour:5} $@'\n" if hush else ""
    link = "\t@echo '  LINK  $@'\n" if hush else ""
    shop.write(
        "Makefile",
        f"{flavour} = {compiler}\nFLAGS = {flags}\nOBJECTS = {' '.join(f'{stem}.o' for stem in stems)}\n\n"
        f"{program}: $(OBJECTS)\n{link}\t{hush}$({flavour}) -o $@ $(OBJECTS) {libraries}\n\n"
        f"%.o: %.{suffix}\n{tell}\t{hush}$({flavour}) $(FLAGS) -c $< -o $@\n",
    )
    return shop.failing(shop.rng.choice(("make", "make -j1", f"make {program}", "make -k")))


def _cmake_build(shop: Workshop, stems: list[str], suffix: str, flags: str, libraries: str) -> Step:
    generator = shop.rng.choice(("Ninja", "Unix Makefiles"))
    language = "CXX" if suffix == "cpp" else "C"
    shop.write(
        "CMakeLists.txt",
        f"cmake_minimum_required(VERSION 3.16)\nproject({shop.repo.replace('-', '_')} LANGUAGES {language})\n"
        f"add_executable({shop.repo}\n  " + "\n  ".join(f"{stem}.{suffix}" for stem in stems) + "\n)\n"
        f'separate_arguments(FLAGS UNIX_COMMAND "{flags}")\ntarget_compile_options({shop.repo} PRIVATE ${{FLAGS}})\n'
        f"target_include_directories({shop.repo} PRIVATE include)\n"
        + (f"target_link_libraries({shop.repo} {libraries})\n" if libraries else ""),
    )
    shop.passing(f'cmake -S . -B build -G "{generator}"')
    return shop.failing(shop.rng.choice(("cmake --build build", "cmake --build build --verbose")))


def chatter(shop: Workshop, least: int = 0, most: int = 6) -> list[str]:
    """Shell lines that pass and print what build scripts print, the words error and failed among it."""
    lines = []
    for _ in range(shop.rng.randint(least, most)):
        thing, number = shop.names.module(), shop.rng.randint(2, 400)
        lines.append(
            shop.rng.choice(
                (
                    f'echo "==> {shop.rng.choice(("Preparing", "Packing", "Checking", "Syncing"))} {thing}"',
                    f'echo "{thing}: {number} files, 0 errors"',
                    f'echo "[{shop.rng.choice(("info", "debug"))}] {thing} loaded in {number} ms"',
                    f'echo "warning: {thing} failed once, retry 2 of 3 succeeded" >&2',
                    f"mkdir -p build/{thing}",
                    f'printf "%s\\n" "{thing}_error_handler ok" "{thing} ok"',
                    f"export {shop.names.constant()}={number}",
                    f"# {thing} comes first",
                )
            )
        )
    return lines


def script(shop: Workshop, *body: str, options: str = "-e") -> tuple[str, str]:
    """Surround ``body`` with chatter and return a command that runs it and the name bash calls the script by.

    It is a file of the project, or (the name is then ``bash``) typed into the workflow itself.
    """
    lines = [*chatter(shop), *body, *chatter(shop, 0, 3)]
    if chance(shop, 0.35):
        return "\n".join(line for line in lines if not line.startswith("#")), "bash"
    stem = shop.names.function().replace("_", shop.rng.choice("-_"))
    path = f"{shop.rng.choice(('scripts', 'ci', '.ci', 'tools', 'bin'))}/{stem}.sh"
    first = "#!/usr/bin/env bash\n" if chance(shop, 0.7) else ""
    shop.write(path, f"{first}set {options}\n\n" + "\n".join(lines) + "\n")
    return f"bash {path}", path
