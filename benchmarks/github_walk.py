"""A walk through the GitHub commands against the fake GitHub, as docs/github.md shows it.

Run ``python benchmarks/github_walk.py``: it opens a pull request, two tickets and a failed run on the fake, and runs
the real commands in processes of their own. What they print is printed; the pace is
the real one, so it takes half a minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fakes.github.server import TOKEN, FakeGitHub
from tests.fakes.github.state import PullFile

_LOG = Path(__file__).resolve().parents[1] / "templates" / "log_triage" / "seed" / "failed.log"
_PATCH = """@@ -8,5 +8,6 @@ def total(rows):
     count = 0
     for row in rows:
-        count += row.price
+        if row.price is not None:
+            count += row.price * row.amont
     return count
 """


def _prepare(fake: FakeGitHub) -> int:
    repo = fake.repo
    repo.add_label_names("bug", "feature", "question", "critical")
    repo.open_pull([PullFile("shop/cart.py", patch=_PATCH.rstrip("\n")), PullFile("logo.png", patch=None)])
    repo.open_issue("The app crashes with an error when I open settings", "Traceback: KeyError. Please fix this bug.")
    repo.open_issue("How do I change the language?", "I could not find it.", user="bob")
    repo.label(3, "question", "bob")
    green = repo.add_run("success")
    repo.add_job(green, "build", "success", b"npm ci\nadded 120 packages\n")
    run = repo.add_run(head_sha=repo.pulls[1].head, pulls=[1])
    repo.add_job(run, "build", "failure", _LOG.read_bytes(), "Install")
    return run.id


def main() -> None:
    with FakeGitHub() as fake, tempfile.TemporaryDirectory() as folder:
        run = _prepare(fake)
        finding = {
            "path": "shop/cart.py", "line": 12, "start_line": None, "side": "RIGHT", "severity": "major",
            "category": "bug", "message": "`amont` is probably `amount`.", "suggestion": None,
        }  # fmt: skip
        finding["suggestion"] = "            count += row.price * row.amount"
        found = {"comments": [finding], "reviewed": ["shop/cart.py"], "skipped": [], "model": "code-review-20261121"}
        (Path(folder) / "found.json").write_text(json.dumps(found))
        labels = [{"group": "type", "label": "bug", "probability": 0.94, "applied": True}]
        known = {"abstained": False, "model": "bug-classification-20261121"}
        known["groups"] = [{"group": "type", "table": {"bug": 0.94, "question": 0.05, "feature": 0.01}}]
        rows = [{"id": number, "labels": labels, **known} for number in "23"]
        (Path(folder) / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for command in (
            f"github explain {run}",
            "github review team/app#1 --findings found.json",
            "github review team/app#1 --findings found.json --apply",
            "github review team/app#1 --findings found.json --apply",
            "github label team/app --since 2026-01-01 --answers answers.jsonl --apply",
            "github history team/app --out history",
        ):
            _run(command, fake, Path(folder))
        fake.repo.push(1)
        _run("github review team/app#1 --findings found.json --plan plan.json", fake, Path(folder))
        fake.repo.push(1)
        _run("github apply plan.json", fake, Path(folder))
        if fake.violations:
            sys.exit(f"not as GitHub describes its API: {fake.violations}")


def _run(command: str, fake: FakeGitHub, folder: Path) -> None:
    print(f"$ understudy {command}", flush=True)
    variables = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": fake.url, "GITHUB_REPOSITORY": "team/app", "COLUMNS": "110"}
    done = subprocess.run(
        [sys.executable, "-m", "understudy.integrations.cli.main", *command.split()],
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout, end="")
    print(f"(exit code {done.returncode})\n" if done.returncode else "", flush=True)


if __name__ == "__main__":
    main()
