"""Java: what javac and an offline Maven refuse."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.native_shapes import warm_up

__all__: list[str] = []

_JAVA = ("javac", "java")


def _method(shop: Workshop) -> str:
    name, number = shop.names.method(), shop.rng.randint(2, 90)
    body = shop.rng.choice(
        (
            f"int {name}(int value) {{\n        return value * {number};\n    }}",
            f'String {name}(String text) {{\n        return text.trim() + "-{number}";\n    }}',
            f"boolean {name}(int[] items) {{\n        return items.length > {number};\n    }}",
            f"long {name}(long first, long second) {{\n        return Math.max(first, second) - {number}L;\n    }}",
        )
    )
    return f"    static {body}\n"


def _class(shop: Workshop, package: str, name: str, body: str = "", imports: str = "") -> str:
    """Write class ``name`` with ``body`` among sound methods and return its path."""
    parts = [_method(shop) for _ in range(shop.rng.randint(0, 3))]
    if body:
        parts.insert(shop.rng.randint(0, len(parts)), body)
    path = f"src/main/java/{package.replace('.', '/')}/{name}.java"
    shop.write(path, f"package {package};\n\n{imports}public class {name} {{\n" + "\n".join(parts) + "}\n")
    return path


def _package(shop: Workshop) -> str:
    return f"{shop.rng.choice(('com', 'org', 'io'))}.{shop.names.noun()}.{shop.names.noun()}"


def _others(shop: Workshop, package: str) -> None:
    for _ in range(shop.rng.randint(0, 3)):
        _class(shop, package, shop.names.type())


def _compile(shop: Workshop) -> Step:
    warm_up(shop, "javac --version", "find src -name '*.java' | sort", most=1)
    lint = shop.rng.choice(("", "-Xlint:all ", "-g ", "--release 17 ", "-nowarn "))
    shape = shop.rng.choice(
        (
            f"javac {lint}-d build $(find src -name '*.java' | sort)",
            f"find src -name '*.java' | sort > sources.txt\njavac {lint}-d build/classes @sources.txt",
            f"mkdir -p out\njavac {lint}-d out -sourcepath src/main/java $(find src -name '*.java' | sort)",
        )
    )
    return shop.failing(shape)


@recipe("javac.unknown-symbol", tool="javac", category="compile_error", origin="code", requires=_JAVA)
def unknown_symbol(shop: Workshop) -> Fault:
    """A variable, method or class is used that does not exist."""
    package, name, method = _package(shop), shop.names.type(), shop.names.method()
    kind, symbol, body = shop.rng.choice(
        (
            (
                "variable",
                symbol := shop.names.method(),
                f"    static int {method}(int value) {{\n        return value + {symbol};\n    }}\n",
            ),
            (
                "method",
                symbol := shop.names.method(),
                f"    static int {method}(int value) {{\n        return {symbol}(value) - 1;\n    }}\n",
            ),
            (
                "class",
                symbol := shop.names.type(),
                f"    static void {method}({symbol} item) {{\n        System.out.println(item);\n    }}\n",
            ),
        )
    )
    path = _class(shop, package, name, body)
    _others(shop, package)
    run = _compile(shop)
    return Fault(
        run,
        (f"{path}:", f"symbol:   {kind} {symbol}"),
        symbol,
        f"`{path}` does not compile: `{symbol}` is not defined.",
        f"Define `{symbol}` or import it.",
    )


@recipe("javac.incompatible-types", tool="javac", category="type_error", origin="code", requires=_JAVA)
def incompatible_types(shop: Workshop) -> Fault:
    """A value of one type is used where another is expected."""
    package, name, method = _package(shop), shop.names.type(), shop.names.method()
    want, got, body = shop.rng.choice(
        (
            (
                "int",
                "String",
                f"    static int {method}() {{\n"
                f'        int total = "{shop.names.noun()}";\n        return total;\n    }}\n',
            ),
            ("String", "int", f"    static String {method}(int value) {{\n        return value;\n    }}\n"),
            (
                "boolean",
                "String",
                f"    static boolean {method}(String text) {{\n"
                f"        boolean found = text;\n        return found;\n    }}\n",
            ),
            (
                "List<Integer>",
                "List<String>",
                f"    static java.util.List<Integer> {method}(java.util.List<String> items) {{\n"
                f"        return items;\n    }}\n",
            ),
            (
                "Integer",
                "long",
                f"    static Integer {method}(long value) {{\n"
                f"        Integer total = value;\n        return total;\n    }}\n",
            ),
        )
    )
    path = _class(shop, package, name, body)
    _others(shop, package)
    run = _compile(shop)
    return Fault(
        run,
        (f"{got} cannot be converted to {want}",),
        path,
        f"Type error in `{path}`: expected `{want}`, got `{got}`.",
        f"Use a `{want}` in `{path}` or convert the value.",
    )


@recipe("javac.missing-package", tool="javac", category="dependency_install", origin="dependency", requires=_JAVA)
def missing_package(shop: Workshop) -> Fault:
    """A library is imported that is not on the class path."""
    package, library, kind = _package(shop), _package(shop), shop.names.type()
    path = _class(
        shop,
        package,
        shop.names.type(),
        f"    static void {shop.names.method()}({kind} item) {{}}\n",
        f"import {library}.{kind};\n\n",
    )
    _others(shop, package)
    run = _compile(shop)
    return Fault(
        run,
        (f"{path}:",),
        library,
        f"Module `{library}` is not installed.",
        f"Add the library of `{library}` to the class path.",
    )


@recipe("javac.unreported-exception", tool="javac", category="compile_error", origin="code", requires=_JAVA)
def unreported_exception(shop: Workshop) -> Fault:
    """A checked exception is neither caught nor declared."""
    package, method = _package(shop), shop.names.method()
    kind, body = shop.rng.choice(
        (
            (
                "IOException",
                f"    static String {method}() {{\n"
                f'        return java.nio.file.Files.readString(java.nio.file.Path.of("{shop.names.noun()}.txt"));\n'
                f"    }}\n",
            ),
            (
                "InterruptedException",
                f"    static void {method}() {{\n        Thread.sleep({shop.rng.randint(2, 99)});\n    }}\n",
            ),
            (
                "ClassNotFoundException",
                f'    static Class<?> {method}() {{\n        return Class.forName("{shop.names.type()}");\n    }}\n',
            ),
            (
                "Exception",
                f"    static void {method}(boolean bad) {{\n"
                f'        if (bad) throw new Exception("{shop.names.noun()}");\n    }}\n',
            ),
        )
    )
    path = _class(shop, package, shop.names.type(), body)
    _others(shop, package)
    run = _compile(shop)
    return Fault(
        run,
        (f"error: unreported exception {kind};",),
        path,
        f"`{path}` does not compile: exception `{kind}` is not caught.",
        f"Catch or declare `{kind}` in `{path}`.",
    )


@recipe("javac.syntax-error", tool="javac", category="compile_error", origin="code", requires=_JAVA)
def syntax_error(shop: Workshop) -> Fault:
    """A token is missing."""
    package, method = _package(shop), shop.names.method()
    token, body = shop.rng.choice(
        (
            (
                "';' expected",
                f"    static int {method}(int value) {{\n"
                f"        int total = value * 2\n        return total;\n    }}\n",
            ),
            ("')' expected", f"    static int {method}(int value) {{\n        return Math.abs(value;\n    }}\n"),
            (
                "illegal start of expression",
                f"    static int {method}(int value) {{\n        return value + ;\n    }}\n",
            ),
            ("<identifier> expected", f"    static int {method}(int) {{\n        return 2;\n    }}\n"),
        )
    )
    path = _class(shop, package, shop.names.type(), body)
    _others(shop, package)
    run = _compile(shop)
    return Fault(
        run,
        (f"{path}:",),
        path,
        f"`{path}` does not compile: syntax error, `{token}`.",
        f"Correct the syntax in `{path}`.",
    )


def _pom(shop: Workshop, dependencies: str, packaging: str = "jar") -> str:
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0">\n'
        f"  <modelVersion>4.0.0</modelVersion>\n  <groupId>{_package(shop)}</groupId>\n"
        f"  <artifactId>{shop.repo}</artifactId>\n"
        f"  <version>{shop.names.version()}</version>\n  <packaging>{packaging}</packaging>\n"
        f"  <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )


@recipe("mvn.missing-artifact", tool="mvn", category="dependency_install", origin="dependency", requires=("mvn",))
def missing_artifact(shop: Workshop) -> Fault:
    """A dependency is in no repository Maven may ask."""
    group, artifact, version = _package(shop), shop.names.package(), shop.names.version()
    shop.write(
        "pom.xml",
        _pom(
            shop,
            "    "
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n",
        ),
    )
    _others(shop, _package(shop))
    run = shop.failing(
        shop.rng.choice(
            ("mvn -o -B -ntp compile", "mvn --offline --batch-mode package", "mvn -o -B -q verify", "mvn -o -B -e test")
        )
        + " -Dstyle.color=never"
    )
    name = f"{group}:{artifact}:jar:{version}"
    return Fault(
        run,
        ("Could not resolve dependencies",),
        name,
        f"Dependency `{name}` cannot be installed: not found.",
        f"Correct the version or repository of `{name}`.",
    )


@recipe("mvn.invalid-pom", tool="mvn", category="other", origin="config", requires=("mvn",))
def invalid_pom(shop: Workshop) -> Fault:
    """The project's model lacks a value or cannot be parsed."""
    group, artifact = _package(shop), shop.names.package()
    key, text = shop.rng.choice(
        (
            (
                "dependencies.dependency.version",
                _pom(
                    shop,
                    f"    <dependency>\n      <groupId>{group}</groupId>\n"
                    f"      <artifactId>{artifact}</artifactId>\n    </dependency>\n",
                ),
            ),
            ("packaging", _pom(shop, "", shop.names.noun()).replace("<packaging>", "<packaging>x-")),
            ("version", _pom(shop, "").replace("<version>", "<!--").replace("</version>", "-->")),
            ("modelVersion", _pom(shop, "").replace("4.0.0</modelVersion>", "3.9</modelVersion>")),
            (
                "artifactId",
                _pom(shop, "").replace(
                    f"<artifactId>{shop.repo}", f"<artifactId>{shop.names.noun()} {shop.names.noun()}"
                ),
            ),
        )
    )
    shop.write("pom.xml", text)
    run = shop.failing(
        shop.rng.choice(("mvn -o -B -ntp compile", "mvn --offline --batch-mode verify", "mvn -o -B validate"))
        + " -Dstyle.color=never"
    )
    line = next((line for line in run.output if line.startswith("[ERROR]") and key in line), "no line")
    return Fault(run, (line,), key, f"The manifest is invalid: `{key}`.", f"Correct `{key}` in the manifest.")
