"""A team's history off GitHub, for the packs to learn from: review threads, failed runs, tickets with their labels.

Every stream keeps what it read in a JSON Lines file and where it stands in ``cursor.json``; a page is on disk before
the cursor moves, so that a kill loses at most one page and repeats are known by id. What the packs read is made from
that. Nothing is written that was not redacted in memory, and people are numbers: a hash instead of the login.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from understudy.core._json_lines import read_json_lines
from understudy.core.errors import BadInput
from understudy.core.files import sha256_bytes, write_json, write_text
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.pulls import threads_of
from understudy.templates.log_triage.explain import redacted
from understudy.templates.log_triage.select import select
from understudy.templates.log_triage.sources import NamedLog
from understudy.templates.log_triage.team import CAUSES, causes_in, draft_of

__all__ = ["KINDS", "History"]

KINDS = ("reviews", "labels", "runs")

Tell = Callable[[str, int], None]
"""Called with the kind and the number of records read so far."""

_MOST_LOG = 64 << 20
_LINES = 400
"""Lines kept of a failed job's log."""
_MOST_RUNS = 1000
"""Runs that one query of GitHub's lists at most."""
_COMMENT = (
    "id", "path", "diff_hunk", "body", "created_at", "updated_at", "in_reply_to_id", "line", "original_line",
    "start_line", "original_start_line", "side", "reactions",
)  # fmt: skip


class _Gone(Exception):
    """A log has expired."""


class History:
    """One repository's history in one folder. One process at a time."""

    def __init__(
        self,
        github: GitHub,
        repo: str,
        folder: Path,
        tell: Tell = lambda kind, count: None,
        bots: Collection[str] = (),
    ) -> None:
        """Go on in ``folder``, or begin there; ``bots`` are accounts that GitHub takes for people."""
        self._bots = {github.login.lower(), *(name.lower() for name in bots)}
        self._github, self._root, self._repo, self._folder, self._tell = github, f"/repos/{repo}", repo, folder, tell
        self._green_jobs: dict[int, dict[str, int]] = {}
        self._cursor_file = folder / "cursor.json"
        self._cursor: dict[str, Any] = {}
        if self._cursor_file.exists():
            self._cursor = self._read_cursor(repo)
        self._cursor["repo"] = repo

    def collect(self, kind: str, since: str) -> int:
        """Read what is new of one of :data:`KINDS` and make the file that a pack reads; return how many lines it has.

        Args:
            kind: ``reviews``, ``labels`` or ``runs``.
            since: day as ``2026-11-30``; nothing older is read. Going on, it does not reach back behind what was read.

        Raises:
            ServiceError: GitHub cannot be reached or its limit is used up; what was read is kept.
        """
        made: dict[str, Callable[[str], int]] = {"reviews": self._reviews, "labels": self._labels, "runs": self._runs}
        return made[kind](since)

    def _read_cursor(self, repo: str) -> dict[str, Any]:
        try:
            cursor = json.loads(self._cursor_file.read_text("utf-8"))
            held = cursor["repo"]
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{self._cursor_file} is damaged; delete the folder and begin anew") from None
        if held != repo:
            raise BadInput(f"{self._folder} holds the history of {held}; name another folder for {repo}")
        return dict(cursor)

    def _reviews(self, since: str) -> int:
        """Review comments in the order of their last change, which is also how GitHub filters them."""
        state = self._cursor.setdefault("reviews", {"since": f"{since}T00:00:00Z", "tag": None})
        unasked = set(state.setdefault("unasked", []))
        path, count = f"{self._root}/pulls/comments", 0
        query = {"sort": "updated", "direction": "asc", "since": state["since"]}
        tag, first = self._github.get_if_changed(path, state["tag"], per_page=100, **query)
        if first is not None:
            # The last comment of the last time is listed again: GitHub's `since` includes its moment.
            had = {(one["id"], one["updated_at"]) for one in self._read("review_comments")}
            for page in _paged(self._github.pages(path, **query)):
                fresh = [one for one in page if (one["id"], one["updated_at"]) not in had]
                self._append("review_comments", [_comment(one) for one in fresh])
                count += len(fresh)
                self._tell("reviews", count)
                unasked |= {_pull_of(one) for one in fresh}
                state |= {"since": page[-1]["updated_at"], "tag": None, "unasked": sorted(unasked)}
                self._save()
            state["tag"] = tag if state["since"] == query["since"] else None
            self._save()
        resolved = self._resolved(state)
        threads: dict[int, dict[str, Any]] = {}
        newest = {one["id"]: one for one in self._read("review_comments")}
        for one in sorted(newest.values(), key=lambda one: (one["created_at"], one["id"])):
            root = one["in_reply_to_id"] or one["id"]
            known = {"repo": self._repo, "pull": one["pull"], "comments": [], "is_resolved": resolved.get(root)}
            # GitHub takes the line off a comment whose code was changed by a later push.
            thread = threads.setdefault(root, {**known, "line_changed": one["line"] is None})
            thread["comments"].append(one)
        return self._write("reviews", threads.values())

    def _resolved(self, state: dict[str, Any]) -> dict[int, bool]:
        """Return first comment's id to whether its thread is resolved, asking about pull requests with new comments."""
        for pull in list(state["unasked"]):
            threads = threads_of(self._github, self._repo, pull)
            found = [{"comment": comment, "resolved": done} for comment, (_, done) in threads.items()]
            self._append("review_threads", found)
            state["unasked"].remove(pull)
            self._save()
        return {one["comment"]: one["resolved"] for one in self._read("review_threads")}

    def _labels(self, since: str) -> int:
        """Label events from the newest back to the newest of the last time."""
        state = self._cursor.setdefault("labels", {"done": 0, "top": 0, "page": 1, "tag": None})
        path, count = f"{self._root}/issues/events", 0
        tag, first = self._github.get_if_changed(path, state["tag"], per_page=100)
        if first is not None:
            # Going on a page earlier: what was deleted meanwhile moves older events forward.
            start = max(1, state["page"] - 1)
            for number, page in enumerate(_paged(self._github.pages(path, page=start)), start=start):
                wanted = [one for one in page if one["id"] > state["done"] and one["created_at"] >= since]
                if number == 1:
                    state["top"] = page[0]["id"]
                events = [one for one in wanted if one["event"] in ("labeled", "unlabeled")]
                self._append("label_events", [_event(one, self._bots) for one in events])
                count += len(wanted)
                self._tell("labels", count)
                state["page"] = number
                self._save()
                if len(wanted) < len(page):
                    break
            state |= {"done": max(state["top"], state["done"]), "page": 1, "tag": tag if start == 1 else None}
            self._save()
        rows = list(self._tickets())
        self._write("corrections", (row for row in rows if row["removed"]))
        labelled = ({key: value for key, value in row.items() if key != "removed"} for row in rows if row["labels"])
        return self._write("tickets", labelled)

    def _tickets(self) -> Iterator[dict[str, Any]]:
        """Yield every ticket with the labels that people gave it and those of a bot that they removed.

        What a bot set and nobody touched, nobody confirmed.
        """
        events = {one["id"]: one for one in self._read("label_events")}
        tickets: dict[int, dict[str, Any]] = {}
        for event in sorted(events.values(), key=lambda one: one["id"]):
            ticket = tickets.setdefault(event["number"], {"held": {}, "removed": {}})
            ticket |= {key: event[key] for key in ("title", "body", "opened")}
            held, removed, name = ticket["held"], ticket["removed"], event["name"]
            before = held.pop(name, None)
            if event["event"] == "labeled":
                held[name] = event["by"]
                if event["by"] == "person":
                    removed.pop(name, None)
            elif (before, event["by"]) == ("bot", "person"):
                removed[name] = True
        for number, ticket in sorted(tickets.items()):
            known = {"id": str(number), "project": self._repo, "created_at": ticket["opened"]}
            labels = [name for name, by in ticket["held"].items() if by == "person"]
            said = {"labels": labels, "removed": list(ticket["removed"])}
            yield {**known, "title": ticket["title"], "body": ticket["body"], **said}

    def _runs(self, since: str) -> int:
        """Failed runs from the newest back; finished ones are known by id."""
        finished = {one["run"] for one in self._read("failed_jobs")}
        greens: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for count, run in enumerate(self._failed(since), start=1):
            if run["id"] not in finished:
                key = (run["workflow_id"], run["head_branch"] or "")
                if key not in greens:
                    greens[key] = self._green(*key)
                self._append("failed_jobs", self._jobs(run, greens[key]) or [{"run": run["id"], "job": None}])
            self._tell("runs", count)
        kept = [one for one in self._read("failed_jobs") if one["job"] is not None]
        made = self._write("failed_runs", kept)
        self._draft_causes(kept)
        return made

    def _draft_causes(self, failed: list[dict[str, Any]]) -> None:
        """Add a draft of the cause for every failed job that has none; what people wrote there stays."""
        had = causes_in(self._path(CAUSES.removesuffix(".jsonl")))
        drafts = [draft_of(one) for one in failed if one["lines"] and (one["run"], one["job"]) not in had]
        self._append(CAUSES.removesuffix(".jsonl"), [draft.model_dump(mode="json") for draft in drafts])

    def _failed(self, since: str) -> Iterator[dict[str, Any]]:
        """Yield failed runs; GitHub lists a thousand for a question, so the next one asks for older ones."""
        until, seen = "", set[int]()
        while True:
            created = f"{since}..{until}" if until else f">={since}"
            page = list(
                self._github.pages(f"{self._root}/actions/runs", "workflow_runs", status="failure", created=created)
            )
            fresh = [run for run in page if run["id"] not in seen]
            yield from fresh
            seen |= {run["id"] for run in fresh}
            if len(page) < _MOST_RUNS or not fresh:
                return
            until = min(run["created_at"] for run in page)

    def _green(self, workflow: int, branch: str) -> list[dict[str, Any]]:
        path = f"{self._root}/actions/workflows/{workflow}/runs"
        query = {"branch": branch} if branch else {}
        runs: list[dict[str, Any]] = self._github.get(path, status="success", per_page=100, **query)["workflow_runs"]
        return sorted(runs, key=lambda run: str(run["created_at"]))

    def _jobs(self, run: dict[str, Any], greens: list[dict[str, Any]]) -> list[dict[str, Any]]:
        fixed = next((green for green in greens if green["created_at"] > run["created_at"]), None)
        passed = [green for green in greens if green["created_at"] < run["created_at"]]
        before = self._job_ids(passed[-1]["id"]) if passed else {}
        found = []
        for job in self._github.pages(f"{self._root}/actions/runs/{run['id']}/jobs", "jobs", filter="latest"):
            if job["conclusion"] != "failure":
                continue
            steps = [step["name"] for step in job.get("steps") or () if step.get("conclusion") == "failure"]
            record = {
                "run": run["id"],
                "project": self._repo,
                "workflow": run["name"],
                "branch": run["head_branch"],
                "commit": run["head_sha"],
                "created_at": run["created_at"],
                "job": job["name"],
                "step": steps[0] if steps else "",
                "fixed_by": fixed and {"run": fixed["id"], "commit": fixed["head_sha"]},
            }
            found.append({**record, **self._log(job["id"], before.get(str(job["name"])))})
        return found

    def _job_ids(self, run: int) -> dict[str, int]:
        """Return name to id of the jobs of a green run, asked once."""
        if run not in self._green_jobs:
            jobs = self._github.pages(f"{self._root}/actions/runs/{run}/jobs", "jobs", filter="latest")
            self._green_jobs[run] = {str(job["name"]): job["id"] for job in jobs}
        return self._green_jobs[run]

    def _log(self, job: int, green: int | None) -> dict[str, Any]:
        """Return the telling lines of a job's log, also by what the green one does not have; or why there is none."""
        try:
            log = self._downloaded(job)
        except _Gone as error:
            return {"lines": [], "missing": str(error)}
        passed = None
        if green is not None:
            with suppress(_Gone):
                passed = self._downloaded(green)
        selection = select(log, green=passed, budget=_LINES)
        lines = [{"number": number, "text": text} for number, text in redacted(selection).items()]
        return {"lines": lines, "total_lines": selection.total_lines, "compared": passed is not None}

    def _downloaded(self, job: int) -> NamedLog:
        """Return a job's log, which never is on disk."""
        held = io.BytesIO()
        try:
            self._github.download(f"{self._root}/actions/jobs/{job}/logs", held, _MOST_LOG)
        except ServiceError as error:
            if error.status not in (404, 410):
                raise
            raise _Gone(str(error)) from None
        data = held.getvalue()
        return NamedLog(f"job {job}", lambda: io.BytesIO(data))

    def _append(self, name: str, records: list[dict[str, Any]]) -> None:
        """Add records to a raw file, redacted; they are on disk when this returns."""
        if not records:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(self._github.scrubber.value(record)) + "\n" for record in records)
        path = self._path(name)
        _mend(path)
        with path.open("ab") as out:
            out.write(lines.encode("utf-8"))
            out.flush()
            os.fsync(out.fileno())

    def _read(self, name: str) -> list[dict[str, Any]]:
        path = self._path(name)
        _mend(path)
        return read_json_lines(path, lambda line: line) if path.exists() and path.stat().st_size else []

    def _write(self, name: str, records: Iterable[dict[str, Any]]) -> int:
        lines = [json.dumps(record) + "\n" for record in records]
        write_text(self._path(name), "".join(lines))
        return len(lines)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.jsonl"

    def _save(self) -> None:
        write_json(self._cursor_file, self._cursor)


def _paged(records: Iterator[Any]) -> Iterator[list[Any]]:
    """Group the records of a list into pages of a hundred, as they arrive."""
    page: list[Any] = []
    for one in records:
        page.append(one)
        if len(page) == 100:
            yield page
            page = []
    if page:
        yield page


def _mend(path: Path) -> None:
    """Take off a last line that a kill tore; its page is read again."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        data = file.read()
        if data and not data.endswith(b"\n"):
            file.truncate(data.rfind(b"\n") + 1)


def _person(user: dict[str, Any] | None) -> dict[str, str]:
    """Return who wrote something: a bot by name, a person by a hash of theirs."""
    login, kind = str((user or {}).get("login", "")), str((user or {}).get("type", "User"))
    hidden = login if kind == "Bot" else "person-" + sha256_bytes(login.encode("utf-8"))[:10]
    return {"login": hidden, "type": kind}


def _comment(one: dict[str, Any]) -> dict[str, Any]:
    return {**{key: one.get(key) for key in _COMMENT}, "pull": _pull_of(one), "user": _person(one.get("user"))}


def _pull_of(comment: dict[str, Any]) -> int:
    return int(str(comment["pull_request_url"]).rpartition("/")[2])


def _event(one: dict[str, Any], bots: Collection[str]) -> dict[str, Any]:
    issue, actor = one["issue"], one.get("actor") or {}
    bot = actor.get("type") == "Bot" or str(actor.get("login", "")).lower() in bots
    return {
        "id": one["id"],
        "event": one["event"],
        "name": one["label"]["name"],
        "by": "bot" if bot else "person",
        "created_at": one["created_at"],
        "number": issue["number"],
        "title": issue["title"],
        "body": issue["body"],
        "opened": issue["created_at"],
    }
