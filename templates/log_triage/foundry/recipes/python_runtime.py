"""Scripts that Python itself gives up on: modules, syntax, secrets, permissions, files, memory, recursion."""

from __future__ import annotations

from itertools import pairwise

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Step, Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line, indent

__all__ = ["run_script"]

_MAKE = ("make",)


def run_script(
    shop: Workshop, body: str, imports: str = "", *, before: str = "", env: dict[str, str] | None = None
) -> tuple[Step, str]:
    """Run a script whose main function, one to three calls deep, does ``body``; return the step and its path."""
    rng, names = shop.rng, shop.names
    project = Project(shop)
    folder = rng.choice(("scripts", "tools", "ci", "jobs", "bin"))
    path = f"{folder}/{names.function()}.py"
    calls = [names.function() for _ in range(rng.randint(1, 3))]
    text = f'"""Part of {shop.repo}."""\n{imports}\n\ndef {calls[0]}():\n{indent(body)}'
    for inner, outer in pairwise(calls):
        text += f"\n\ndef {outer}():\n    return {inner}()\n"
    hello = rng.choice(
        (
            "",
            f'print("{names.noun()}: starting, 0 errors", flush=True)\n',
            f'print("loaded {rng.randint(2, 90)} {names.noun()}s", flush=True)\n',
        )
    )
    shop.write(path, text + f'\n\nif __name__ == "__main__":\n{indent(f"{hello}{calls[-1]}()")}')
    project.warm_up()
    flag = rng.choice(("", "-u ", "-X utf8 ", "-W ignore "))
    return project.fail(f"{before}python {flag}{path}", env=env), path


def _last_line(step: Step, start: str) -> str:
    """Return the last line that begins with ``start``: the exception that ended the program."""
    find_line(step, start)
    return [line for line in step.output if line.startswith(start)][-1]


@recipe("python.module-missing", tool="python", category="dependency_install", origin="dependency", requires=_MAKE)
def module_missing(shop: Workshop) -> Fault:
    """A script imports a module that is not installed."""
    module = shop.rng.choice(
        (shop.names.package().replace("-", "_"), f"{shop.names.noun()}_sdk", f"{shop.names.noun()}lib")
    )
    line = shop.rng.choice(
        (
            f"import {module}\n",
            f"from {module} import Client\n",
            f"import {module} as lib\n",
            f"from {module}.io import load\n",
        )
    )
    step, _ = run_script(shop, "return 1\n", f"import os\n{line}" if shop.rng.random() < 0.5 else line)
    shown = find_line(step, "ModuleNotFoundError: ", module)
    return Fault(
        step, (shown,), module, f"Module `{module}` is not installed.", f"Add `{module}` to the installed dependencies."
    )


@recipe("python.tool-missing", tool="python", category="dependency_install", origin="dependency", requires=_MAKE)
def tool_missing(shop: Workshop) -> Fault:
    """``python -m`` is asked for a tool that is not installed."""
    project = Project(shop)
    module = shop.rng.choice(
        (shop.names.package().replace("-", "_"), "nox", "tox", "poetry", "pdm", "invoke", f"{shop.names.noun()}_tasks")
    )
    project.warm_up()
    step = project.fail(f"python -m {module} {shop.rng.choice(('run', 'build', '--version', 'check .', '-q'))}")
    return Fault(
        step,
        (find_line(step, "", f"No module named {module}"),),
        module,
        f"Module `{module}` is not installed.",
        f"Add `{module}` to the installed dependencies.",
    )


@recipe("python.syntax-error", tool="python", category="compile_error", origin="code", requires=_MAKE)
def syntax_error(shop: Workshop) -> Fault:
    """A script or a module is not valid Python, under ``python`` or ``compileall``."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    bad = rng.choice(
        (
            f"def {function}(value)\n    return value\n",
            f"def {function}(value):\n    print 'value'\n",
            f"def {function}(rows):\n    return [row for row in rows\n\n\nprint({function}([]))\n",
            f"class {shop.names.type()}:\n    def {function}(self):\n    return 1\n",
            f'{function} = "{shop.names.noun()}\n',
            f"for {shop.names.variable()} in range({rng.randint(2, 90)}):\n    pass\n   {function} = 2\n",
            f"async def {function}():\n    return 1\n\n\ndef main():\n    await {function}()\n",
        )
    )
    _, path = project.add(bad)
    project.parses = False
    project.warm_up()
    step = project.fail(
        rng.choice((f"python {path}", f"python -m py_compile {path}", f"python -B {path}", f"python -W ignore {path}"))
    )
    where = find_line(step, "", 'File "', path)
    what = find_line(step, "", "Error: ")
    return Fault(
        step,
        (where, what),
        path,
        f"`{path}` does not compile: syntax error.",
        f"Correct the syntax of `{path}`.",
    )


@recipe("python.circular-import", tool="python", category="compile_error", origin="code", requires=_MAKE)
def circular_import(shop: Workshop) -> Fault:
    """Two modules of the project import each other."""
    project, rng = Project(shop), shop.rng
    project.package, one, two, middle = "", project.module(), project.module(), project.module()
    first, second = shop.names.function(), shop.names.function()
    chain = rng.random() < 0.4
    project.add(f"from {middle if chain else two} import {second}\n\n\ndef {first}():\n    return {second}()\n", one)
    if chain:
        project.add(f"from {two} import {second}\n", middle)
    project.add(
        f"from {one} import {first}\n\n\ndef {second}():\n    return {rng.randint(1, 90)}\n\n\nprint({first})\n", two
    )
    project.warm_up()
    step = project.fail(f"python -c 'import {one}'", env={"PYTHONPATH": project.base or "."})
    line = find_line(step, "ImportError: cannot import name ", first, "circular import")
    cause = f"`{one}` does not compile: `{first}` is imported in a circle."
    return Fault(step, (line,), first, cause, f"Break the circular import of `{first}`.")


@recipe(
    "python.secret-not-in-environment", tool="python", category="permission_or_secret", origin="config", requires=_MAKE
)
def secret_not_in_environment(shop: Workshop) -> Fault:
    """A script reads a secret from an environment that does not hold it."""
    secret = f"{shop.names.constant()}_{shop.rng.choice(('TOKEN', 'API_KEY', 'PASSWORD', 'SECRET'))}"
    imports, body = shop.rng.choice(
        (
            ("import os\n", f'token = os.environ["{secret}"]\nreturn len(token)\n'),
            ("from os import environ\n", f'names = ["PATH", "{secret}"]\nreturn [environ[name] for name in names]\n'),
            ("import os\n", f'headers = {{"Authorization": "Bearer " + os.environ["{secret}"]}}\nreturn headers\n'),
        )
    )
    step, _ = run_script(shop, body, imports)
    return Fault(
        step,
        (find_line(step, "KeyError: ", secret),),
        secret,
        f"Secret `{secret}` is not set.",
        f"Set the secret `{secret}` for this job.",
    )


@recipe("python.secret-reported", tool="python", category="permission_or_secret", origin="config", requires=_MAKE)
def secret_reported(shop: Workshop) -> Fault:
    """A script says in its own words that a secret is missing or empty."""
    rng = shop.rng
    owner = rng.choice(("DEPLOY", "PUBLISH", "SIGNING", shop.names.noun().upper()))
    secret = f"{owner}_{rng.choice(('TOKEN', 'API_KEY', 'PASSWORD', 'SECRET'))}"
    message = rng.choice(
        (
            f"error: environment variable {secret} is not set",
            f"::error::{secret} is required but empty",
            f"Missing credentials: please define {secret}",
            f"FATAL {shop.names.noun()} upload needs {secret}, which is not available in this run",
            f"ValueError: {secret} must not be empty",
        )
    )
    body = rng.choice(
        (
            f'if not os.environ.get("{secret}"):\n    sys.exit("{message}")\n',
            f'if os.getenv("{secret}", "") == "":\n    print("{message}")\n    sys.exit(3)\n',
        )
    )
    step, _ = run_script(shop, body, "import os\nimport sys\n", env={secret: ""} if rng.random() < 0.5 else None)
    return Fault(
        step,
        (find_line(step, "", message),),
        secret,
        f"Secret `{secret}` is not set.",
        f"Set the secret `{secret}` for this job.",
    )


@recipe("python.permission-denied", tool="python", category="permission_or_secret", origin="infra", requires=_MAKE)
def permission_denied(shop: Workshop) -> Fault:
    """A script starts a program that is not executable, though it is there."""
    rng, name = shop.rng, shop.names.noun()
    helper = f"{rng.choice(('tools', 'hooks', 'build'))}/{name}{rng.choice(('.sh', '', '.bin'))}"
    shop.write(helper, "#!/bin/sh\necho ok\n")
    body = rng.choice(
        (
            f'subprocess.run(["./{helper}", "--all"], check=True)\n',
            f'with subprocess.Popen("./{helper}") as process:\n    return process.wait()\n',
            f'return subprocess.check_output("./{helper}")\n',
        )
    )
    step, _ = run_script(shop, body, "import subprocess\n")
    line = find_line(step, "PermissionError: ", "Permission denied", helper)
    return Fault(step, (line,), f"./{helper}", f"Permission denied: `./{helper}`.", f"Make `./{helper}` executable.")


@recipe("python.file-missing", tool="python", category="other", origin="code", requires=_MAKE)
def file_missing(shop: Workshop) -> Fault:
    """A script opens a file that does not exist."""
    rng = shop.rng
    ending = rng.choice(("json", "toml", "csv", "yaml", "sql", "db"))
    file = f"{rng.choice(('config', 'data', 'build', 'fixtures', 'dist'))}/{shop.names.noun()}.{ending}"
    shop.write(f"{file.split('/')[0]}/{shop.names.noun()}.txt", "1\n")
    imports, body = rng.choice(
        (
            ("", f'with open("{file}") as handle:\n    return handle.read()\n'),
            ("from pathlib import Path\n", f'text = Path("{file}").read_text()\nreturn text.split()\n'),
            ("import shutil\n", f'return shutil.copy("{file}", "copy.bak")\n'),
            ("import os\n", f'size = os.stat("{file}").st_size\nreturn size\n'),
        )
    )
    step, _ = run_script(shop, body, imports)
    return Fault(
        step,
        (find_line(step, "FileNotFoundError: ", file),),
        file,
        f"File `{file}` is missing.",
        f"Create `{file}` or correct its path.",
    )


@recipe("python.command-missing", tool="python", category="other", origin="infra", requires=_MAKE)
def command_missing(shop: Workshop) -> Fault:
    """A script starts a program that is not installed."""
    rng = shop.rng
    command = rng.choice(
        (f"{shop.names.noun()}ctl", f"{shop.names.noun()}-cli", "ffprobe", "terraform", "helm", "protoc-gen-x")
    )
    body = rng.choice(
        (
            f'subprocess.run(["{command}", "--version"], check=True)\n',
            f'return subprocess.check_output(["{command}", "list", "--json"])\n',
            f'with subprocess.Popen(["{command}"], stdout=subprocess.PIPE) as process:\n    return process.pid\n',
        )
    )
    step, _ = run_script(shop, body, "import subprocess\n")
    line = find_line(step, "FileNotFoundError: ", f"'{command}'")
    return Fault(step, (line,), command, f"Command `{command}` is not found.", f"Install `{command}` before this step.")


@recipe("python.invalid-config", tool="python", category="other", origin="config", requires=_MAKE)
def invalid_config(shop: Workshop) -> Fault:
    """A script refuses a configuration file: broken JSON or TOML, a missing key."""
    rng, word = shop.rng, shop.names.noun()
    file = f"{rng.choice(('config', 'settings', 'deploy'))}/{shop.names.noun()}.{rng.choice(('json', 'toml'))}"
    loader = "tomllib" if file.endswith("toml") else "json"
    shop.write(
        file, rng.choice((f'{{"{word}": 1,, }}\n', f'{{"{word}" 2}}\n', f"{word} = [1, 2\n[x\n", f"{{{word}: yes}}\n"))
    )
    body = f'try:\n    return {loader}.loads(Path("{file}").read_text())\nexcept ValueError as error:\n    {{end}}\n'
    end = rng.choice(
        (
            f'sys.exit(f"error: {file}: {{error}}")',
            f'raise SystemExit(f"{file} is not valid: {{error}}")',
            f'raise RuntimeError(f"cannot load {file}: {{error}}") from None',
        )
    )
    step, _ = run_script(shop, body.replace("{end}", end), f"import {loader}\nimport sys\nfrom pathlib import Path\n")
    line = find_line(step, "", file)
    return Fault(step, (line,), file, f"File `{file}` is invalid.", f"Correct the syntax of `{file}`.")


@recipe("python.out-of-memory", tool="python", category="timeout_or_oom", origin="infra", requires=_MAKE)
def out_of_memory(shop: Workshop) -> Fault:
    """A script asks for more memory than its limit."""
    rng, size = shop.rng, shop.rng.randint(2, 9)
    body = rng.choice(
        (
            f"block = bytearray({size} * 1024**3)\nreturn len(block)\n",
            f"rows = [0] * ({size} * 10**8)\nreturn len(rows)\n",
            f'return "x" * {size}_000_000_000\n',
        )
    )
    step, path = run_script(shop, body, before=f"ulimit -v {rng.randint(250, 500) * 1000}; ")
    end = _last_line(step, "MemoryError")
    frames = [line for line in step.output if path in line and line.startswith("  File ")]
    return Fault(
        step,
        (frames[-1], end),
        path,
        f"`{path}` ran out of memory.",
        f"Lower the memory use of `{path}` or raise its limit.",
    )


@recipe("python.recursion", tool="python", category="other", origin="code", requires=_MAKE)
def recursion(shop: Workshop) -> Fault:
    """A script calls itself without an end."""
    rng, function = shop.rng, shop.names.function()
    body = rng.choice(
        (
            f"def {function}(n):\n    return {function}(n + 1)\n\nreturn {function}(0)\n",
            f"def {function}(tree):\n    for child in tree:\n        {function}(child)\n"
            f"\ntree = []\ntree.append(tree)\nreturn {function}(tree)\n",
        )
    )
    step, _ = run_script(shop, body)
    line = _last_line(step, "RecursionError: ")
    return Fault(
        step,
        (line,),
        "RecursionError",
        "The program raises `RecursionError`.",
        "End the recursion that raises `RecursionError`.",
    )


@recipe("python.unhandled-exception", tool="python", category="other", origin="code", requires=_MAKE)
def unhandled_exception(shop: Workshop) -> Fault:
    """A script ends with an exception about its data."""
    rng, word, n = shop.rng, shop.names.noun(), shop.rng.randint(3, 900)
    imports, body, error = rng.choice(
        (
            ("", f'return int("{n} {word}s")\n', "ValueError"),
            ("", f"total, count = {n}, 0\nreturn total / count\n", "ZeroDivisionError"),
            ("", f'record = {{"{word}": None}}\nreturn record["{word}"].upper()\n', "AttributeError"),
            ("", f'return "{word}" + {n}\n', "TypeError"),
            ("import datetime\n", f'return datetime.date.fromisoformat("2026-{n}-{word}")\n', "ValueError"),
            ("", f'assert {n} < 2, "{word} does not add up"\n', "AssertionError"),
        )
    )
    step, _ = run_script(shop, body, imports)
    line = _last_line(step, f"{error}: ")
    return Fault(step, (line,), error, f"The program raises `{error}`.", f"Handle the case that raises `{error}`.")
