"""Run every benchmark: ``make bench`` or ``python -m benchmarks``. One that fails is named, the others still run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPTS = (
    "help_time",
    "packing",
    "select_logs",
    "big_log",
    "held_out",
    "explain_logs",
    "diffs",
    "defects",
    "reviews",
    "tickets",
    "tickets_stack",
    "evals_gate",
    "evals_monitor",
    "github_bot",
    "training/methods",
    "training/sft",
    "training/dpo",
)


def main() -> None:
    failed = []
    for name in _SCRIPTS:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, Path(__file__).parent / f"{name}.py"], check=False).returncode != 0:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
