"""Selecting evidence from a huge log: peak memory and speed, measured in a process of its own.

Run ``python benchmarks/big_log.py [MEGABYTES]`` (default 1000). The log is written to a temporary file: steps of a
build with progress bars, colours and timestamps, about two percent of lines with words such as "error" in harmless
places, a few real failures, and a single line of 200 MB.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

_CHILD = """
import json, resource, sys, time
from understudy.templates.log_triage.select import select
from understudy.templates.log_triage.sources import open_logs
log, = open_logs(sys.argv[1])
start = time.process_time()
chosen = select(log)
seconds = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"cpu_seconds": seconds, "peak_rss_mib": peak, "total_lines": chosen.total_lines,
                  "selected": len(chosen.lines), "found": any("undefined reference" in l.text for l in chosen.lines)}))
"""


def write_log(path: Path, size: int, long_line: int) -> None:
    """Write about ``size`` bytes of log, the last lines of which hold the failure."""
    rng = random.Random(0)
    harmless = ("Compiling error_handler.c", "test_failure_mode PASSED", "0 errors, 0 warnings", "copy docs/fatal.html")
    pieces = []
    for number in range(40_000):
        stamp = f"2026-01-05T06:{number // 60 % 60:02d}:{number % 60:02d}.{rng.randrange(10**7):07d}Z "
        if rng.random() < 0.02:
            text = f"{rng.choice(harmless)} {number}"
        elif rng.random() < 0.05:
            text = f"\x1b[32mDownloading\x1b[0m {number % 100} %\rDownloading {number % 100 + 1} %\r"
        else:
            folder = f"src/CMakeFiles/part{rng.randrange(9999)}.dir"
            text = f"[{number % 900:3d}/900] Building C object {folder}/unit{number}.c.o"
        pieces.append(stamp + text)
    body = ("\n".join(pieces) + "\n").encode()
    with path.open("wb") as out:
        for _ in range(long_line // 1_000_000):  # in pieces: a child's peak memory on Linux begins at its parent's
            out.write(b"x" * 1_000_000)
        out.write(b"\n")
        while out.tell() < size:
            out.write(body)
        out.write(b"src/main.c:(.text+0x1d): undefined reference to `merge_invoice'\n")
        out.write(b"collect2: error: ld returned 1 exit status\n##[error]Process completed with exit code 1.\n")


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 1000) * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.log"
        long_line = min(200_000_000, size // 5)
        write_log(path, size, long_line)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        run = subprocess.run(
            [sys.executable, "-c", _CHILD, str(path)], env=environment, capture_output=True, text=True, check=True
        )
        result = json.loads(run.stdout)
        megabytes = path.stat().st_size / 1e6
    print(f"log                {megabytes:.0f} MB, {result['total_lines']} lines, one of {long_line / 1e6:.0f} MB")
    print(f"speed              {megabytes / result['cpu_seconds']:.1f} MB/s of CPU time (bound: at least 20)")
    print(f"peak memory        {result['peak_rss_mib']:.0f} MiB (bound: at most 400)")
    print(f"selected           {result['selected']} lines, the cause among them: {result['found']}")


if __name__ == "__main__":
    main()
