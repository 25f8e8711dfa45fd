"""CMake projects that do not configure, and tests that CTest sees fail."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, warm_up

__all__: list[str] = []


def _lines(shop: Workshop, most: int = 4) -> list[str]:
    """CMake commands that work in any project."""
    return [
        shop.rng.choice(
            (
                f"set({shop.names.constant()} {shop.rng.randint(1, 90)})",
                f'message(STATUS "{shop.names.noun()} '
                f'{shop.rng.choice(("enabled", "disabled", "error handling: on"))}")',
                f'option({shop.names.constant()} "Build the {shop.names.noun()}" {shop.rng.choice(("ON", "OFF"))})',
                f'file(WRITE ${{CMAKE_BINARY_DIR}}/{shop.names.noun()}.txt "{shop.names.version()}")',
                f'message(WARNING "{shop.names.noun()} is deprecated")'
                if chance(shop, 0.3)
                else f"# {shop.names.noun()}",
            )
        )
        for _ in range(shop.rng.randint(0, most))
    ]


def _project(shop: Workshop, *faulty: str, minimum: str = "") -> tuple[Step, str]:
    """Write a project with the ``faulty`` lines in its list file or in one of a subfolder; configure it.

    Returns:
        The failed step, and the list file as CMake names it.
    """
    language = shop.rng.choice(("NONE", "NONE", "C"))
    head = [
        f"cmake_minimum_required(VERSION {minimum or shop.rng.choice(('3.16', '3.20', '3.14...3.25'))})",
        f"project({shop.names.noun()} VERSION {shop.names.version()} LANGUAGES {language})",
        "",
    ]
    path, body = "CMakeLists.txt", [*_lines(shop), *faulty, *_lines(shop)]
    if chance(shop, 0.4) and not minimum:
        folder = shop.rng.choice(("src", "lib", "libs/" + shop.names.noun(), "tests"))
        path = f"{folder}/CMakeLists.txt"
        shop.write(path, "\n".join(body) + "\n")
        body = [*_lines(shop), f"add_subdirectory({folder})", *_lines(shop)]
    shop.write("CMakeLists.txt", "\n".join(head + body) + "\n")
    warm_up(shop, "cmake --version", "ninja --version", most=1)
    kind = shop.rng.choice(("", " -DCMAKE_BUILD_TYPE=Release", " -G Ninja", " -Wno-dev", " --log-level=VERBOSE"))
    return shop.failing(
        shop.rng.choice(
            (f"cmake -S . -B build{kind}", f"mkdir -p out\ncd out\ncmake ..{kind}", f"cmake -B cmake-build{kind} .")
        )
    ), path


@recipe(
    "cmake.missing-package",
    tool="cmake",
    category="dependency_install",
    origin="dependency",
    requires=("cmake", "ninja", "gcc"),
)
def missing_package(shop: Workshop) -> Fault:
    """find_package finds nothing."""
    name = shop.rng.choice(
        (
            shop.names.type(),
            shop.names.package().replace("-", ""),
            shop.names.noun().capitalize() + shop.rng.choice(("SDK", "Kit", "2", "RPC")),
        )
    )
    version = shop.rng.choice(("", f" {shop.names.version()}"))
    mode = shop.rng.choice((" REQUIRED", " CONFIG REQUIRED", " REQUIRED COMPONENTS core"))
    run, path = _project(shop, f"find_package({name}{version}{mode})")
    line = next((line for line in run.output if f'"{name}"' in line or f"{name}Config.cmake" in line), "no line")
    return Fault(
        run,
        (f"CMake Error at {path}:", line),
        name,
        f"Dependency `{name}` cannot be installed: not found.",
        f"Install `{name}` or correct its name.",
    )


@recipe("cmake.missing-source", tool="cmake", category="other", origin="code", requires=("cmake", "ninja", "gcc"))
def missing_source(shop: Workshop) -> Fault:
    """A target, an include or a subfolder names a file that is not there."""
    name = shop.names.module()
    source, folder, module = (
        f"{name}.{shop.rng.choice(('c', 'cpp', 'h'))}",
        f"{name}/{shop.names.noun()}",
        f"cmake/{name}.cmake",
    )
    line, says, subject = shop.rng.choice(
        (
            (f"add_custom_target({shop.names.noun()} SOURCES {source})", f"    {source}", source),
            (f"include({module})", f"    {module}", module),
            (f"configure_file({source}.in {source})", f"{source}.in", f"{source}.in"),
            (f"add_subdirectory({folder})", f'"{folder}"', folder),
        )
    )
    run, path = _project(shop, line)
    if f"{says} which" not in "\n".join(run.output) and line.startswith(("add_subdirectory", "configure_file")):
        says = next((line for line in run.output if subject in line), "no line")
    return Fault(
        run,
        (f"CMake Error at {path}:", says),
        subject,
        f"File `{subject}` is missing.",
        f"Add `{subject}` or correct the path.",
    )


@recipe("cmake.unknown-command", tool="cmake", category="other", origin="code", requires=("cmake", "ninja", "gcc"))
def unknown_command(shop: Workshop) -> Fault:
    """A list file calls a command nobody defined."""
    name = shop.rng.choice(
        (
            shop.names.function(),
            f"add_{shop.names.noun()}_library",
            f"{shop.names.noun()}_target",
            "add_executeable",
            "target_include_directory",
            "find_packages",
        )
    )
    run, path = _project(shop, f"{name}({shop.names.noun()} {shop.rng.choice(('PUBLIC', 'src', 'REQUIRED'))})")
    return Fault(
        run,
        (f"CMake Error at {path}:", f'Unknown CMake command "{name}"'),
        name,
        f"Command `{name}` is not found.",
        f"Define `{name}` or correct its name.",
    )


@recipe("cmake.minimum-version", tool="cmake", category="other", origin="infra", requires=("cmake", "ninja", "gcc"))
def minimum_version(shop: Workshop) -> Fault:
    """The project wants a newer CMake than the runner has."""
    version = f"{shop.rng.randint(4, 9)}.{shop.rng.randint(0, 31)}" + shop.rng.choice(
        ("", f".{shop.rng.randint(0, 9)}")
    )
    run, path = _project(shop, minimum=version)
    return Fault(
        run,
        (f"CMake Error at {path}:", f"CMake {version} or higher is required"),
        version,
        f"CMake is too old: `{version}` or higher is required.",
        f"Install CMake `{version}` or lower the requirement.",
    )


@recipe("cmake.syntax-error", tool="cmake", category="compile_error", origin="code", requires=("cmake", "ninja", "gcc"))
def syntax_error(shop: Workshop) -> Fault:
    """A list file does not parse."""
    noun = shop.names.noun()
    line, says = shop.rng.choice(
        (
            (f'set({noun.upper()}_DIR "src/{noun})', "Parse error"),
            (f"if({noun.upper()}_X", "Parse error"),
            (f"foreach({noun} a b)\nendif()", "Flow control statements are not properly nested"),
            (f"if(1 {noun.upper()} 2)\nendif()", "Unknown arguments specified"),
        )
    )
    run, path = _project(shop, line)
    where = next((line for line in run.output if line.startswith("CMake Error") and path in line), "no line")
    subject = path if path in where else "no subject"
    exact = next((line for line in run.output if says in line), "no line")
    return Fault(
        run,
        (where, exact),
        subject,
        f"`{subject}` does not parse: {says[0].lower()}{says[1:]}.",
        f"Correct the syntax in `{subject}`.",
    )


def _tests(shop: Workshop, bad: str, command: str, properties: str = "") -> Step:
    """Configure a project of small tests, ``bad`` among them, and run CTest."""
    names = [
        bad,
        *(
            f"{shop.names.noun()}_{shop.rng.choice(('unit', 'smoke', 'error_handling'))}"
            for _ in range(shop.rng.randint(0, 8))
        ),
    ]
    shop.rng.shuffle(names)
    rows = [
        f"add_test(NAME {name} COMMAND {command if name == bad else '${CMAKE_COMMAND} -E echo ok'})" for name in names
    ]
    shop.write(
        "CMakeLists.txt",
        "\n".join(
            [
                f"cmake_minimum_required(VERSION 3.16)\nproject({shop.names.noun()} LANGUAGES NONE)\nenable_testing()",
                *rows,
                properties,
            ]
        )
        + "\n",
    )
    shop.passing("cmake -S . -B build")
    return shop.failing(
        shop.rng.choice(
            (
                "ctest --test-dir build",
                "ctest --test-dir build --output-on-failure",
                "cd build\nctest --output-on-failure --no-compress-output",
                "ctest --test-dir build -j 1",
            )
        )
    )


@recipe("ctest.failed-test", tool="ctest", category="test_assertion", origin="code", requires=("cmake",))
def failed_test(shop: Workshop) -> Fault:
    """One test program returns an error."""
    name, word = f"{shop.names.function()}_test", shop.names.noun()
    shop.write(f"tests/{word}.sh", f"echo 'checking {word}'\nexit {shop.rng.randint(1, 9)}\n")
    command = shop.rng.choice(
        (
            f"bash ${{CMAKE_SOURCE_DIR}}/tests/{word}.sh",
            "${CMAKE_COMMAND} -E false",
            f"${{CMAKE_COMMAND}} -E compare_files "
            f"${{CMAKE_SOURCE_DIR}}/tests/{word}.sh ${{CMAKE_SOURCE_DIR}}/CMakeLists.txt",
        )
    )
    run = _tests(shop, name, command)
    return Fault(run, (f": {name} ",), name, f"Test `{name}` fails.", f"Correct the code under `{name}`.")


@recipe("ctest.timeout", tool="ctest", category="timeout_or_oom", origin="test", requires=("cmake",))
def timed_out(shop: Workshop) -> Fault:
    """One test program runs longer than its TIMEOUT."""
    name = f"{shop.names.function()}_test"
    run = _tests(
        shop,
        name,
        f"sleep {shop.rng.randint(5, 60)}",
        f"set_tests_properties({name} PROPERTIES TIMEOUT 0.{shop.rng.randint(2, 4)})",
    )
    return Fault(
        run,
        (f": {name} ",),
        name,
        f"`{name}` exceeded its time limit.",
        f"Make `{name}` faster or raise its time limit.",
    )
