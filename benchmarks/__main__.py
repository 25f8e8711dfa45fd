"""Run the benchmarks: ``make bench`` or ``python -m benchmarks``. One that fails is named, the others still run.

With ``--long`` also those that train for an hour and more.
"""

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
    "tickets",
    "tickets_scoring",
    "evals_gate",
    "evals_monitor",
    "github_bot",
    "webhooks",
)
_LONG = (
    "defects",
    "reviews",
    "evals_speed",
    "tickets_stack",
    "training/methods",
    "training/sft",
    "training/dpo",
    "training/gpu",
)


def main() -> None:
    failed = []
    for name in (*_SCRIPTS, *(_LONG if "--long" in sys.argv[1:] else ())):
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, Path(__file__).parent / f"{name}.py"], check=False).returncode != 0:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
