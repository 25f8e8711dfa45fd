"""How long ``understudy --help`` takes, beside an empty Python process on the same machine."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path


def _median(command: list[str]) -> float:
    times = []
    for _ in range(9):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    program = shutil.which("understudy", path=str(Path(sys.executable).parent)) or "understudy"
    ours, empty = _median([program, "--help"]), _median([sys.executable, "-c", "pass"])
    print(f"understudy --help: {ours:.2f} s median of 9 (an empty Python process: {empty:.2f} s)")


if __name__ == "__main__":
    main()
