"""What the training benchmarks share: arms that take turns, each in a process of its own, told as medians.

An arm is a function of a folder that returns figures. Turns are interleaved, so that a busy spell of the machine meets
all arms; time is CPU time on a processor, which is that of the clock on a quiet machine, and clock time on a GPU; peak
memory is that of the arm's process alone, its weights, optimiser and libraries included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Arm = Callable[[Path], dict[str, Any]]
Found = dict[str, list[dict[str, Any]]]
_MARK = "RESULT "


def take_turns(arms: Mapping[str, Arm], *, seldom: tuple[str, ...] = ()) -> Found:
    """Return what every arm found in every turn; in the process of one arm, print its figures and end.

    Those that run ``seldom`` only do so when ``--arms`` names them.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", choices=list(arms), help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--arms", nargs="*", choices=list(arms), default=[name for name in arms if name not in seldom])
    given = parser.parse_args()
    if given.one:
        _one(arms[given.one])
    found: Found = {name: [] for name in given.arms}
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "TQDM_DISABLE": "1"}
    for turn in range(given.turns):
        for name in given.arms:
            command = [sys.executable, *sys.argv, "--one", name]
            ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            if ran.returncode:
                sys.exit(f"{name}: {ran.stderr}")
            line = next(line for line in ran.stdout.split("\n") if line.startswith(_MARK))
            found[name].append(json.loads(line.removeprefix(_MARK)))
            print(f"turn {turn + 1}: {name} done", file=sys.stderr, flush=True)
    return found


def _one(arm: Arm) -> None:
    import transformers

    from understudy.core.hardware import resolve
    from understudy.core.peak import peak_memory

    device = resolve(int(os.environ["OMP_NUM_THREADS"])).device
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        figures = arm(Path(folder))
    print(_MARK + json.dumps({"peak": peak_memory(device) / 2**20} | figures))
    sys.exit()


def median(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def spread(runs: list[dict[str, Any]], name: str) -> str:
    """Return the lowest and the highest figure of all turns."""
    values = [run[name] for run in runs]
    return f"{min(values):.2f}-{max(values):.2f}"


def same_losses(found: Found, one: str, other: str, share: float = 0.01) -> None:
    """End with an error unless two arms that saw the same batches had the same losses, within ``share``."""
    if one not in found or other not in found:
        return
    for mine, theirs in zip(found[one][0]["losses"], found[other][0]["losses"], strict=True):
        if abs(mine - theirs) > share * abs(theirs):
            sys.exit(f"{one}: loss {mine} is not within {share:.0%} of {theirs} of {other}, on the same batch")


def clock(device: str) -> Callable[[], float]:
    """Return the clock to time an arm on ``device`` with, in seconds."""
    if device == "cpu":
        return time.process_time
    import torch

    def synchronised() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return synchronised


def watcher(device: str = "cpu") -> Any:
    """Return a trainer's callback that keeps the time (``steps``) and the loss (``losses``) of each step."""
    from transformers import TrainerCallback

    now = clock(device)

    class Watch(TrainerCallback):
        """Keeps times and losses."""

        def __init__(self) -> None:
            self.steps: list[float] = []
            self.losses: list[float] = []
            self.began = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Start the clock."""
            self.began = now()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Stop it."""
            self.steps.append(now() - self.began)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            """Keep the loss."""
            if "loss" in (logs or {}):
                self.losses.append(logs["loss"])

    return Watch()
