"""How long an evaluation takes with the seedling, and how long the second time, when every answer is known.

Run ``python benchmarks/evals_speed.py`` where ``.understudy`` holds a model of log triage (``understudy demo``):
300 samples, five arms. The first run starts from a copy of the registry without any answers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ARMS = "evaluate.arms=[reference, base, few-shot, rag, tuned]"


def main() -> None:
    if not list(Path(".understudy/models").glob("log-triage-*")):
        sys.exit("there is no model of log triage in .understudy: run `understudy demo` first")
    print(f"load average {os.getloadavg()[0]:.1f}, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(".understudy", Path(folder) / ".understudy", ignore=shutil.ignore_patterns("predictions"))
        for name, wanted in (("first run", 240), ("from cache", 5)):
            wall, used = time.monotonic(), os.times()
            command = [sys.executable, "-m", "understudy.integrations.cli.main", "evaluate", "--json"]
            settings = [part for value in (ARMS, "evaluate.samples=300") for part in ("--set", value)]
            done = subprocess.run([*command, *settings], cwd=folder, stdout=subprocess.DEVNULL, check=False)
            seconds, now = time.monotonic() - wall, os.times()
            processor = now.children_user + now.children_system - used.children_user - used.children_system
            reached = "reached" if seconds <= wanted else "falls short"
            print(
                f"{name}: {seconds:.1f} s wall, {processor:.1f} s of processor (wanted {wanted} s: {reached})",
                flush=True,
            )
            if done.returncode not in (0, 1, 3):
                sys.exit(f"the evaluation ended with exit code {done.returncode}")


if __name__ == "__main__":
    main()
