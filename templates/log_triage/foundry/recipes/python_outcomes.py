"""Time limits, tests that depend on luck, green runs, and failures that do not say why."""

from __future__ import annotations

from understudy.templates.log_triage.foundry._recipe import Fault, recipe
from understudy.templates.log_triage.foundry._workshop import Workshop
from understudy.templates.log_triage.foundry.recipes.python_project import Project, find_line
from understudy.templates.log_triage.foundry.recipes.python_runtime import run_script

__all__: list[str] = []

_PYTEST = ("pytest", "make")


@recipe("pytest.timeout", tool="pytest", category="timeout_or_oom", origin="code", requires=_PYTEST)
def pytest_timeout(shop: Workshop) -> Fault:
    """A test runs longer than pytest-timeout allows."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    source = rng.choice(
        (
            f"import time\n\n\ndef {function}(rounds):\n    for _ in range(rounds):\n"
            f"        time.sleep(0.05)\n    return rounds\n",
            f"import threading\n\n\ndef {function}(limit):\n    return threading.Event().wait(limit)\n",
            f"import queue\n\n\ndef {function}(size):\n    return queue.Queue(size).get()\n",
        )
    )
    name, _ = project.add(source)
    test, limit = project.test_name(function), rng.choice((0.1, 0.2, 0.25, 0.3))
    mark, flags = rng.choice(
        (
            (f"@pytest.mark.timeout({limit})\n", ""),
            ("", f"--timeout={limit}"),
            ("", f"--timeout {limit} --timeout-method=signal"),
        )
    )
    project.add_test(
        f"{mark}def {test}():\n    assert {function}({rng.randint(200, 900)})\n",
        f"import pytest\n\nfrom {name} import {function}\n",
    )
    run = project.pytest(flags=flags)
    return Fault(
        step=run,
        evidence=(find_line(run, "E  ", "Timeout (>"), find_line(run, "FAILED ", f"::{test}")),
        subject=test,
        cause=f"Test `{test}` exceeded its time limit.",
        fix=f"Make `{test}` faster or raise its time limit.",
    )


@recipe("timeout.command", tool="coreutils", category="timeout_or_oom", origin="code", requires=("timeout", "make"))
def timeout_command(shop: Workshop) -> Fault:
    """A whole program is stopped by ``timeout``."""
    project, rng = Project(shop), shop.rng
    path = f"{rng.choice(('jobs', 'scripts', 'bin'))}/{shop.names.function()}.py"
    words = [shop.names.noun() for _ in range(rng.randint(1, 5))]
    steps = "".join(f'print("{word}: done, no errors", flush=True)\n' for word in words)
    wait = rng.choice(("time.sleep(60)", "while True:\n    time.sleep(0.1)", "threading.Event().wait()"))
    script = shop.write(
        path, f"#!/usr/bin/env python3\nimport threading\nimport time\n\n{steps}{wait}\nprint(threading)\n"
    )
    script.chmod(0o755)
    project.warm_up()
    limit = rng.choice(("0.4", "0.5", "0.6"))
    step = project.fail(f"timeout {rng.choice(('-v', '--verbose', '-v -s INT', '-v -k 1'))} {limit} ./{path}")
    line = find_line(step, "timeout: sending signal", path)
    return Fault(
        step,
        (line,),
        f"./{path}",
        f"`./{path}` exceeded its time limit.",
        f"Make `./{path}` faster or raise its time limit.",
    )


@recipe("python.child-timeout", tool="python", category="timeout_or_oom", origin="code", requires=("make",))
def child_timeout(shop: Workshop) -> Fault:
    """A script stops a program that it started and that takes too long."""
    rng = shop.rng
    child = f"{rng.choice(('workers', 'jobs', 'steps'))}/{shop.names.noun()}.py"
    shop.write(child, "import time\n\ntime.sleep(30)\n")
    limit = rng.choice((0.2, 0.3, 0.4))
    body = rng.choice(
        (
            f'subprocess.run([sys.executable, "{child}"], check=True, timeout={limit})\n',
            f'return subprocess.check_output(["python", "{child}"], timeout={limit})\n',
            f'return subprocess.call(["python", "-u", "{child}", "--all"], timeout={limit})\n',
        )
    )
    step, _ = run_script(shop, body, "import subprocess\nimport sys\n")
    line = find_line(step, "subprocess.TimeoutExpired: ", child)
    return Fault(
        step, (line,), child, f"`{child}` exceeded its time limit.", f"Make `{child}` faster or raise its time limit."
    )


@recipe(
    "python.killed", tool="python", category="timeout_or_oom", origin="infra", transient=True, requires=("timeout",)
)
def killed(shop: Workshop) -> Fault:
    """A program is killed from outside, as a runner short of memory does."""
    project, rng = Project(shop), shop.rng
    path = f"{rng.choice(('train', 'jobs', 'etl'))}/{shop.names.function()}.py"
    lines = "".join(f'print("{shop.names.noun()} {n} of 9 loaded", flush=True)\n' for n in range(1, rng.randint(2, 8)))
    shop.write(path, f"import os\nimport signal\n\n{lines}os.kill(os.getpid(), signal.SIGKILL)\n")
    script = f"{rng.choice(('ci', 'scripts'))}/{shop.names.noun()}.sh"
    shop.write(script, f"#!/usr/bin/env bash\nset -e\npython {rng.choice(('-u ', ''))}{path}\necho finished\n")
    project.warm_up()
    step = shop.failing(f"bash {script}")
    line = find_line(step, f"{script}: line ", "Killed", path)
    return Fault(
        step,
        (line,),
        path,
        f"`{path}` was killed: it probably ran out of memory.",
        f"Give `{path}` more memory and run it again.",
    )


@recipe(
    "pytest.flaky-repeat", tool="pytest", category="network_or_flaky", origin="test", transient=True, requires=_PYTEST
)
def flaky_repeat(shop: Workshop) -> Fault:
    """The same test on the same code passes in some rounds and fails in others."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    rounds = rng.randint(3, 5)
    good = set(rng.sample(range(rounds), rng.randint(1, rounds - 1)))
    draws = [rng.uniform(0.0, 0.45) if i in good else rng.uniform(0.55, 1.0) for i in range(rounds)]
    name, _ = project.add(
        f"import os\n\n_DRAWS = {[round(d, 3) for d in draws]}\n\n\n"
        f'def {function}():\n    return _DRAWS[int(os.environ["ROUND"])]\n'
    )
    test = project.test_name(function)
    file = project.add_test(
        f"def {test}():\n    assert {function}() < 0.5\n", f"from {name} import {function}\n", padding=False
    )
    verdict = rng.choice(
        (
            "{t} is flaky: {p} of {n} rounds passed",
            "flaky test {t} ({p} of {n} rounds passed)",
            "::warning::{t} passed in {p} of {n} rounds, flaky",
        )
    )
    shop.write(
        "pytest.ini",
        f"[pytest]\npythonpath = {project.base or '.'}\n"
        f"addopts = -p no:cacheprovider -q {rng.choice(('', '--tb=short', '--tb=line'))}\n",
    )
    script = f"{rng.choice(('ci', 'scripts'))}/repeat.sh"
    said = verdict.format(t=test, p="$passed", n=str(rounds))
    shop.write(
        script,
        f"passed=0\nfor ROUND in $(seq 0 {rounds - 1}); do\n  export ROUND\n"
        f"  if python -m pytest {file}; then passed=$((passed + 1)); fi\ndone\n"
        f'if [ "$passed" -lt {rounds} ]; then echo "{said}"; exit 1; fi\n',
    )
    project.warm_up()
    step = shop.failing(f"bash {script}")
    lines = (find_line(step, "FAILED ", f"::{test}"), find_line(step, "", test, f"{len(good)} of {rounds} rounds"))
    return Fault(
        step,
        lines,
        test,
        f"Test `{test}` is flaky: `{len(good)} of {rounds}` rounds passed.",
        f"Make `{test}` independent of luck.",
    )


@recipe(
    "pytest.flaky-seed", tool="pytest", category="network_or_flaky", origin="test", transient=True, requires=_PYTEST
)
def flaky_seed(shop: Workshop) -> Fault:
    """A test draws random numbers without a fixed seed and misses its bound."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    seed = rng.randint(1000, 99_999)
    name, _ = project.add(
        f"import random\n\n\ndef {function}(seed, size={rng.randint(5, 40)}):\n"
        f"    draw = random.Random(seed)\n    return sum(draw.random() for _ in range(size)) / size\n"
    )
    test = project.test_name(function)
    words = rng.choice(
        (
            "flaky: random seed {s} gave {v}",
            "random seed {s} is out of luck: {v}",
            "with the random seed {s} of this run the mean is {v}",
        )
    )
    message = words.format(s="{seed}", v="{mean:.3f}")
    body = (
        f'def {test}():\n    seed = int(os.environ.get("RUN_SEED", "1"))\n'
        f'    mean = {function}(seed)\n    assert abs(mean - 0.5) < 0.00001, f"{message}"\n'
    )
    project.add_test(body, f"import os\n\nfrom {name} import {function}\n")
    shop.write(f"{project.tests}/conftest.py", f'import os\n\nos.environ["RUN_SEED"] = "{seed}"\n')
    run = project.pytest()
    lines = (find_line(run, "E  ", "random seed", str(seed)), find_line(run, "FAILED ", f"::{test}"))
    return Fault(
        run,
        lines,
        test,
        f"Test `{test}` is flaky: it depends on the random seed `{seed}`.",
        f"Fix the seed of `{test}` or widen its bound.",
    )


@recipe(
    "pytest.flaky-clock", tool="pytest", category="network_or_flaky", origin="test", transient=True, requires=_PYTEST
)
def flaky_clock(shop: Workshop) -> Fault:
    """A test asserts how fast the machine is."""
    project, rng, function = Project(shop), shop.rng, shop.names.function()
    nap, limit = rng.choice((0.03, 0.05, 0.08)), rng.choice((5, 10, 20))
    name, _ = project.add(f"import time\n\n\ndef {function}():\n    time.sleep({nap})\n    return True\n")
    test = f"test_{function}_{rng.choice(('is_fast', 'latency', 'speed', 'under_load'))}"
    clock = rng.choice(("time.perf_counter()", "time.monotonic()"))
    message = rng.choice(
        (
            "took {spent} ms, the limit is LIMIT ms",
            "slow runner? {spent} ms elapsed, expected under LIMIT ms",
            "{spent} ms > LIMIT ms wall time",
        )
    )
    body = (
        f"def {test}():\n    start = {clock}\n    {function}()\n    spent = round(({clock} - start) * 1000)\n"
        f'    assert spent < {limit}, f"{message.replace("LIMIT", str(limit))}"\n'
    )
    project.add_test(body, f"import time\n\nfrom {name} import {function}\n")
    run = project.pytest()
    lines = (find_line(run, "E  ", "AssertionError: ", f"{limit} ms"), find_line(run, "FAILED ", f"::{test}"))
    return Fault(
        run,
        lines,
        test,
        f"Test `{test}` is flaky: it took longer than `{limit} ms`.",
        f"Make `{test}` independent of the clock.",
    )


@recipe("green.python-tests", tool="pytest", category="unknown", origin="external", requires=_PYTEST)
def green_tests(shop: Workshop) -> Fault:
    """Every test passes."""
    project, rng = Project(shop), shop.rng
    project.add_test(
        f"def test_{shop.names.noun()}_error_message():\n    assert str(ValueError('failed')) == 'failed'\n",
        "import os\n",
    )
    shop.write("pytest.ini", f"[pytest]\npythonpath = {project.base or '.'}\n")
    project.warm_up()
    shop.passing(f"python -m pytest {rng.choice(('', '-q', '-v', '-ra', '--durations=3'))} {project.tests}")
    return Fault(None, (), "", "No cause is shown in this log.", "No change is needed.")


@recipe("green.python-checks", tool="ruff", category="unknown", origin="external", requires=("ruff", "mypy", "black"))
def green_checks(shop: Workshop) -> Fault:
    """Linters, formatters and type checkers find nothing."""
    project, rng = Project(shop), shop.rng
    project.add(f"LIMIT: int = {rng.randint(2, 900)}\n", f"{project.module()}_errors")
    target = project.base or " ".join(sorted(project.modules))
    checks = [
        f"ruff check --isolated --no-cache {target}",
        f"mypy --cache-dir=/dev/null {target}",
        f"bandit -q -r {target}",
        f"flake8 --max-line-length 120 --extend-ignore E203 {target}",
    ]
    checks += [
        f"ruff format --isolated --no-cache --check {target}",
        f"python -m compileall {target}",
        "pip --version && python -m pytest --version",
    ]
    for command in rng.sample(checks, rng.randint(2, 4)):
        shop.passing(command)
    return Fault(None, (), "", "No cause is shown in this log.", "No change is needed.")


@recipe("silent.python-script", tool="python", category="unknown", origin="external", requires=("make",))
def silent_script(shop: Workshop) -> Fault:
    """A script ends with an exit code and does not say why."""
    rng = shop.rng
    words = [shop.names.noun() for _ in range(rng.randint(1, 6))]
    said = "".join(
        f'print("{rng.choice(("processing", "loading", "checking", "syncing"))} {word}", flush=True)\n'
        for word in words
    )
    end = rng.choice((f"sys.exit({rng.randint(1, 9)})\n", "raise SystemExit(1)\n", f"os._exit({rng.randint(1, 9)})\n"))
    step, _ = run_script(shop, said + end, "import os\nimport sys\n")
    return Fault(step, (), "", "No cause is shown in this log.", "Run again with more detailed output.")
