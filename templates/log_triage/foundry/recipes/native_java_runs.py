"""Java programs that start and then fail."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import chance, warm_up

__all__: list[str] = []

_JAVA = ("javac", "java")
_QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Keeps the many short runs cheap."""


def _launch(shop: Workshop, name: str, text: str, options: str = "") -> Step:
    """Run one class without a package: from its source, or compiled in a step of its own."""
    shop.write(f"src/{name}.java", text)
    options = f"{options} {_QUICK}".strip()
    if chance(shop, 0.5):
        warm_up(shop, "java --version", most=1)
        return shop.failing(f"java {options} src/{name}.java")
    shop.passing(f"javac -d build src/{name}.java")
    return shop.failing(f"java {options} -cp build {name}")


@recipe("java.failed-check", tool="java", category="test_assertion", origin="code", requires=_JAVA)
def failed_check(shop: Workshop) -> Fault:
    """A test program written by hand finds a wrong value."""
    name, method = f"{shop.names.type()}Test", shop.names.method()
    tests = [f"test{shop.names.type()}" for _ in range(shop.rng.randint(1, 9))]
    bad = shop.rng.choice(tests)
    factor, given = shop.rng.randint(3, 9), shop.rng.randint(11, 90)
    got, want = given * factor, given * factor - shop.rng.randint(1, 5)
    calls = "".join(
        f'        check("{test}", {method}({given if test == bad else number}), '
        f"{want if test == bad else number * factor});\n"
        for number, test in enumerate(tests, 2)
    )
    body, says = shop.rng.choice(
        (
            (
                'throw new AssertionError(name + ": expected " + want + " but got " + got);',
                f"AssertionError: {bad}: expected {want} but got {got}",
            ),
            (
                'System.out.println("FAIL " + name + ": expected " + want + ", got " + got);\n            failed++;',
                f"FAIL {bad}: expected {want}, got {got}",
            ),
            (
                'assert false : name + " expected:<" + want + "> but was:<" + got + ">";',
                f"AssertionError: {bad} expected:<{want}> but was:<{got}>",
            ),
        )
    )
    passed = 'System.out.println("ok   " + name);' if chance(shop, 0.6) else ""
    text = (
        f"public class {name} {{\n    static int failed = 0;\n\n"
        f"    static int {method}(int value) {{\n        return value * {factor};\n    }}\n\n"
        f"    static void check(String name, int got, int want) {{\n        if (got != want) {{\n"
        f"            {body}\n        }} else {{\n            {passed}\n        }}\n    }}\n\n"
        f"    public static void main(String[] args) {{\n"
        f'{calls}        System.out.println({len(tests)} + " tests, " + failed + " failed");\n'
        f"        System.exit(failed);\n    }}\n}}\n"
    )
    run = _launch(shop, name, text, "-ea")
    return Fault(
        run,
        (says,),
        bad,
        f"Test `{bad}` fails: expected `{want}`, got `{got}`.",
        f"Correct the code under `{bad}` or the value it expects.",
    )


@recipe("java.out-of-memory", tool="java", category="timeout_or_oom", origin="config", requires=_JAVA)
def out_of_memory(shop: Workshop) -> Fault:
    """The heap is too small."""
    name, item = shop.names.type(), shop.names.method()
    fill = shop.rng.choice(
        (
            f"byte[] {item} = new byte[{shop.rng.randint(300, 900)} * 1024 * 1024];",
            f"java.util.List<long[]> {item} = new java.util.ArrayList<>();\n"
            f"        while (true) {item}.add(new long[{shop.rng.randint(20, 90)}0000]);",
        )
    )
    end = f"\n        System.out.println({item}.length);" if "byte" in fill else ""
    text = (
        f"public class {name} {{\n    public static void main(String[] args) {{\n"
        f'        System.out.println("loading {shop.names.noun()} ...");\n        {fill}{end}\n    }}\n}}\n'
    )
    kind = "java.lang.OutOfMemoryError"
    run = _launch(
        shop, name, text, f"-Xmx{shop.rng.randint(24, 64)}m" + shop.rng.choice(("", " -XX:+ExitOnOutOfMemoryError"))
    )
    return Fault(
        run,
        (f"{kind}: Java heap space",),
        kind,
        f"Java ran out of memory: `{kind}`.",
        "Raise the heap limit or use less memory.",
    )


@recipe("java.uncaught-exception", tool="java", category="other", origin="code", requires=_JAVA)
def uncaught_exception(shop: Workshop) -> Fault:
    """A program ends with an exception nobody catches."""
    name, item, word = shop.names.type(), shop.names.method(), shop.names.noun()
    kind, body = shop.rng.choice(
        (
            ("java.lang.IllegalStateException", f'throw new IllegalStateException("{word} is not open");'),
            (
                "java.lang.NullPointerException",
                f'String {item} = System.getenv("{shop.names.constant()}_X");\n'
                f"        System.out.println({item}.length());",
            ),
            ("java.lang.NumberFormatException", f'System.out.println(Integer.parseInt("{word}"));'),
            (
                "java.lang.ArrayIndexOutOfBoundsException",
                f"int[] {item} = new int[{shop.rng.randint(2, 9)}];\n        {item}[{shop.rng.randint(10, 99)}] = 1;",
            ),
            (
                "java.lang.ArithmeticException",
                f"int {item} = args.length;\n        System.out.println({shop.rng.randint(2, 99)} / {item});",
            ),
            (
                "java.util.NoSuchElementException",
                f"var {item} = new java.util.ArrayDeque<String>();\n        System.out.println({item}.getFirst());",
            ),
        )
    )
    steps = "".join(
        f'        System.out.println("{shop.names.noun()} done, 0 errors");\n' for _ in range(shop.rng.randint(0, 4))
    )
    text = f"public class {name} {{\n    public static void main(String[] args) {{\n{steps}        {body}\n    }}\n}}\n"
    run = _launch(shop, name, text)
    return Fault(
        run,
        (f'Exception in thread "main" {kind}',),
        kind,
        f"The program stops with `{kind}`.",
        f"Handle `{kind}` or remove its reason.",
    )


@recipe("java.missing-class", tool="java", category="other", origin="config", requires=_JAVA)
def missing_class(shop: Workshop) -> Fault:
    """The class to start is not on the class path."""
    package, name = f"{shop.rng.choice(('com', 'org', 'io'))}.{shop.names.noun()}", shop.names.type()
    main = shop.rng.choice((f"{package}.{name}", name))
    shop.quiet("mkdir -p build lib")
    warm_up(shop, "java --version", "ls -d build lib", most=1)
    run = shop.failing(
        f"java {_QUICK} -cp {shop.rng.choice(('build', 'build:lib/*', 'lib/*:.'))} {main} --{shop.names.noun()}"
    )
    return Fault(
        run,
        ("Could not find or load main class",),
        main,
        f"Class `{main}` is missing.",
        f"Build `{main}` or correct the class path.",
    )
