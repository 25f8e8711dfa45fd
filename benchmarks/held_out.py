"""The main job's figures on faults that training never saw: run the demo (or reuse its result) and print them.

Run ``python benchmarks/held_out.py``; takes the demo's ten minutes unless ``.understudy`` holds its report already.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from understudy.evals.report import read_report

_WANTED = {"category_macro_f1": 0.85, "evidence_f1": 0.75, "names_entity": 0.70}


def main() -> None:
    reports = sorted(
        Path(".understudy/reports").glob("log-triage-*/report.json"), key=lambda path: path.stat().st_mtime
    )
    if not reports:
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "understudy.integrations.cli.main", "demo"], check=False)
        print(f"demo: {(time.monotonic() - started) / 60:.1f} minutes wall")
        reports = sorted(Path(".understudy/reports").glob("log-triage-*/report.json"))
    report = read_report(reports[-1])
    print(f"held-out recipes: {report.n} samples of {report.groups} recipes, model {report.identity.model}")
    for arm in report.arms:
        values = "  ".join(f"{name} {estimate.value:.3f}" for name, estimate in arm.metrics.items())
        print(f"  {arm.name:<10} schema-valid {arm.schema_valid.value:.3f}  {values}")
    tuned = report.arm("tuned")
    for name, wanted in _WANTED.items():
        value = tuned.metrics[name].value
        print(f"  {name}: {value:.3f}, wanted {wanted} ({'reached' if value >= wanted else 'falls short'})")
    for one in report.comparisons:
        print(
            f"  tuned against {one.arm}: {one.wins} wins, {one.losses} losses, {one.ties} ties, "
            f"McNemar exact p {one.mcnemar_p:.2g}, sign-flip by recipe p {one.sign_flip_p:.2g}"
        )


if __name__ == "__main__":
    main()
