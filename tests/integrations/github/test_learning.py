"""What ``github history`` collects, the packs' builders read: from GitHub to a dataset version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from understudy.integrations.github.client import GitHub
from understudy.integrations.github.history import History

from ...fakes.github.server import FakeGitHub
from ...fakes.github.state import ReviewComment
from ..conftest import FAILED, Cli

WORDS = ["anchor", "basket", "candle", "dragon", "engine", "feather", "garden", "harbour", "island", "jacket", "kettle"]
"""Eleven of everything, told apart by words: numbers alone count as the same."""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def built(cli: Cli, pack: str, builder: str, file: str) -> int:
    """Build a dataset version of a collected file; return how many examples it has."""
    source = f"data.sources=[{{builder: {builder}, paths: [history/{file}]}}]"
    settings = (f"pack={pack}", source, "data.near_duplicate_threshold=1")
    ran = cli("data", "build", "--json", *(part for text in settings for part in ("--set", text)))
    assert ran.code == 0, ran.err
    return sum(split["count"] for split in json.loads(ran.out)["splits"].values())


def test_review_threads_become_reviews(fake: FakeGitHub, github: GitHub, cli: Cli) -> None:
    for number, name in enumerate(WORDS):
        fake.repo.open_issue(f"Change of {name}")
        hunk = f"@@ -1,2 +1,3 @@\n first_{name}\n+{name} = open(path).read()\n last_{name}"
        body = f"Close the file that {name} is read from; use a with block."
        fake.repo.review_comments.append(
            ReviewComment(
                fake.repo.new_id(), number + 1, "ann", body, f"src/{name}.py", 2, "RIGHT", None, None, "x", None,
                fake.repo.tick(), diff_hunk=hunk,
            )
        )  # fmt: skip
    # The next push changed the line: so the comment was heard.
    for one in fake.repo.review_comments:
        one.original_line, one.line = one.line, None
    History(github, "team/app", cli.folder / "history").collect("reviews", "2020-01-01")
    rows = lines(cli.folder / "history" / "reviews.jsonl")
    assert all(row["line_changed"] and row["is_resolved"] is False for row in rows)
    assert built(cli, "code-review", "history", "reviews.jsonl") == 11


def test_labelled_tickets_become_tickets(fake: FakeGitHub, github: GitHub, cli: Cli) -> None:
    for number, name in enumerate(WORDS):
        kind = ("bug", "feature", "question")[number % 3]
        fake.repo.open_issue(f"About the {name}", f"It is a {name}.", (kind,))
    History(github, "team/app", cli.folder / "history").collect("labels", "2020-01-01")
    assert built(cli, "bug-classification", "tickets", "tickets.jsonl") == 11


@pytest.fixture
def collected(fake: FakeGitHub, github: GitHub, cli: Cli) -> Path:
    """A folder with failed runs."""
    green = fake.repo.add_run("success")
    fake.repo.add_job(green, "build", "success", b"pytest -q\nwarning: cache is cold\n12 passed in 0.30s\n")
    for name in WORDS:
        log = FAILED.replace(b"test_sum", f"test_{name}".encode()).replace(b"test_total", f"test_{name}".encode())
        fake.repo.add_job(fake.repo.add_run(), "build", "failure", b"warning: cache is cold\n" + log, "Run pytest")
    folder = cli.folder / "history"
    History(github, "team/app", folder).collect("runs", "2020-01-01")
    return folder


def test_failed_runs_become_examples_once_a_person_checked_their_causes(
    fake: FakeGitHub, github: GitHub, cli: Cli, collected: Path
) -> None:
    failed = lines(collected / "failed_runs.jsonl")
    assert all(row["compared"] for row in failed)
    assert all("warning: cache is cold" not in [line["text"] for line in row["lines"]] for row in failed)
    causes = lines(collected / "causes.jsonl")
    assert {cause["category"] for cause in causes} == {"test_assertion"}
    assert not any(cause["checked"] for cause in causes)
    source = "data.sources=[{builder: runs, paths: [history/failed_runs.jsonl]}]"
    assert "nothing was checked yet" in cli.refused("data", "build", "--set", source)
    for number, cause in enumerate(causes):
        cause["checked"] = number < 10
    (collected / "causes.jsonl").write_text("".join(json.dumps(cause) + "\n" for cause in causes))
    assert built(cli, "log-triage", "runs", "failed_runs.jsonl") == 10
    # Collecting again leaves alone what people wrote.
    fake.repo.add_job(fake.repo.add_run(), "build", "failure", FAILED, "Run pytest")
    History(github, "team/app", collected).collect("runs", "2020-01-01")
    again = lines(collected / "causes.jsonl")
    assert again[:11] == causes
    assert (len(again), again[11]["checked"]) == (12, False)


def test_a_cause_that_is_none_is_refused_by_line(cli: Cli, collected: Path) -> None:
    causes = lines(collected / "causes.jsonl")
    causes[1]["category"] = "bad luck"
    (collected / "causes.jsonl").write_text("".join(json.dumps(cause) + "\n" for cause in causes))
    source = "data.sources=[{builder: runs, paths: [history/failed_runs.jsonl]}]"
    assert "line 2: category" in cli.refused("data", "build", "--set", source)
