"""A throw-away folder where a recipe builds its project and runs real tools, with nothing of this machine leaking out.

The tools see a small, fixed environment (no tokens, no colours, English). In what they print, three paths are
replaced so that a sample reads like a hosted runner's and is the same on every machine: the project folder, the
home folder and the toolbox.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from understudy.templates.log_triage.foundry._names import Names
from understudy.templates.log_triage.foundry._recipe import RecipeError
from understudy.templates.log_triage.foundry._toolbox import search_path, toolbox_folder

__all__ = ["Step", "Workshop"]

_MAX_OUTPUT_LINES = 400
"""A recipe whose step prints more is refused: long logs come from many steps, not from one flood."""


@dataclass(frozen=True)
class Step:
    """One command that really ran, as a workflow step."""

    command: str
    output: tuple[str, ...]
    """Lines of stdout and stderr in the order they were written, paths replaced."""
    exit_code: int


class Workshop:
    """One project of one recipe: its folder, its random names, and the steps run so far."""

    def __init__(self, folder: Path, seed: str) -> None:
        """Work below ``folder`` (created); ``seed`` decides every name and number."""
        self.rng = random.Random(seed)
        self.names = Names(self.rng)
        self.repo = self.names.project()
        self.root = folder / "work"
        self.root.mkdir(parents=True)
        self.home = folder / "home"
        self.home.mkdir()
        self.passed: list[Step] = []

    def write(self, path: str, text: str) -> Path:
        """Write one file of the project (parents are created) and return where it is."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def passing(self, command: str, *, env: dict[str, str] | None = None, timeout: float = 60) -> Step:
        """Run ``command`` as a step that must succeed, and keep it before the failing one.

        Raises:
            RecipeError: it failed; the message holds its output.
        """
        step = self._run(command, env or {}, timeout)
        if step.exit_code != 0:
            raise RecipeError(f"expected to pass: {command}\n" + "\n".join(step.output))
        self.passed.append(step)
        return step

    def failing(self, command: str, *, env: dict[str, str] | None = None, timeout: float = 60) -> Step:
        """Run ``command`` (bash, ``-e -o pipefail``, in the project folder) as the step that must fail.

        Raises:
            RecipeError: it succeeded, or printed nothing or too much.
        """
        step = self._run(command, env or {}, timeout)
        if step.exit_code == 0:
            raise RecipeError(f"expected to fail: {command}\n" + "\n".join(step.output))
        if not step.output or len(step.output) > _MAX_OUTPUT_LINES:
            raise RecipeError(f"{len(step.output)} lines of output from: {command}")
        return step

    def quiet(self, command: str, *, env: dict[str, str] | None = None, timeout: float = 60) -> None:
        """Run ``command`` as preparation that never shows in the log; it must succeed."""
        step = self._run(command, env or {}, timeout)
        if step.exit_code != 0:
            raise RecipeError(f"preparation failed: {command}\n" + "\n".join(step.output))

    def _run(self, command: str, env: dict[str, str], timeout: float) -> Step:
        tools = toolbox_folder()
        environment = {
            "PATH": ":".join([*map(str, search_path()), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "CI": "true",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_CONFIG_FILE": "/dev/null",
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
            "CARGO_NET_OFFLINE": "true",
            **env,
        }
        with subprocess.Popen(
            ["bash", "-e", "-o", "pipefail", "-c", command],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                raw, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                raise RecipeError(f"still running after {timeout} s: {command}") from None
        text = raw.decode("utf-8", "replace")
        for real, shown in (
            (str(self.root), f"/home/runner/work/{self.repo}/{self.repo}"),
            (str(self.home), "/home/runner"),
            (str(self.root.parent), "/home/runner/work"),
            (str(tools / "python"), "/opt/hostedtoolcache/Python/3.11.7/x64"),
            (str(tools / "node"), "/opt/hostedtoolcache/node/20.20.2/x64"),
            (str(Path.home()), "/home/runner"),
        ):
            text = text.replace(real, shown)
        lines = text.replace("\r\n", "\n").rstrip("\n").split("\n") if text.strip() else []
        return Step(command, tuple(lines), process.returncode)
