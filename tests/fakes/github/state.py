"""What the fake GitHub knows: one repository in memory, with the helpers that stand for what people do on it."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

__all__ = ["BOT", "Comment", "Event", "Issue", "Job", "Pull", "PullFile", "Repo", "Review", "ReviewComment", "Run"]

BOT = "github-actions[bot]"
"""Who the token belongs to."""

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


def sha_of(text: str) -> str:
    return hashlib.sha1(text.encode("utf-8")).hexdigest()


@dataclass
class Event:
    id: int
    event: str
    label: str
    actor: str
    number: int
    created_at: str


@dataclass
class Issue:
    number: int
    title: str
    body: str | None
    user: str
    created_at: str
    labels: list[str] = field(default_factory=list)
    state: str = "open"
    locked: bool = False
    deleted: bool = False
    moved_to: str | None = None
    is_pull: bool = False


@dataclass
class PullFile:
    filename: str
    status: str = "modified"
    patch: str | None = ""
    previous_filename: str | None = None

    def places(self) -> list[set[tuple[str, int]]]:
        """The commentable places of each hunk, read independently of the code under test."""
        hunks: list[set[tuple[str, int]]] = []
        old = new = 0
        for line in (self.patch or "").split("\n"):
            found = _HUNK.match(line)
            if found:
                hunks.append(set())
                old, new = int(found[1]), int(found[2])
            elif hunks and line[:1] == "+":
                hunks[-1].add(("RIGHT", new))
                new += 1
            elif hunks and line[:1] == "-":
                hunks[-1].add(("LEFT", old))
                old += 1
            elif hunks and line[:1] == " ":
                # GitHub takes a comment on an unchanged line on either side, each by its own number.
                hunks[-1] |= {("RIGHT", new), ("LEFT", old)}
                old, new = old + 1, new + 1
        return hunks


@dataclass
class Pull:
    number: int
    files: list[PullFile]
    head: str
    base: str
    commits: list[str]
    head_repo: str


@dataclass
class Review:
    id: int
    number: int
    user: str
    state: str
    body: str
    commit_id: str


@dataclass
class ReviewComment:
    id: int
    number: int
    user: str
    body: str
    path: str
    line: int | None
    side: str
    start_line: int | None
    start_side: str | None
    commit_id: str
    review_id: int | None
    created_at: str
    in_reply_to_id: int | None = None
    diff_hunk: str = ""
    resolved: bool = False
    original_line: int | None = None
    """Where it stood when it was written; ``line`` is None once a push changed that."""


@dataclass
class Comment:
    id: int
    number: int
    user: str
    body: str
    created_at: str


@dataclass
class Job:
    id: int
    run_id: int
    name: str
    conclusion: str | None
    log: bytes | None
    steps: list[dict[str, Any]] = field(default_factory=list)
    gone: bool = False
    """Its log has expired."""


@dataclass
class Run:
    id: int
    workflow_id: int
    name: str
    head_branch: str
    head_sha: str
    status: str
    conclusion: str | None
    created_at: str
    attempt: int = 1
    pulls: list[int] = field(default_factory=list)
    zip_gone: bool = False


class Repo:
    """One repository; ``tick`` moves its clock by a minute for each thing that happens."""

    def __init__(self, full_name: str = "team/app") -> None:
        self.full_name = full_name
        self.labels: dict[str, str] = {}
        self.issues: dict[int, Issue] = {}
        self.pulls: dict[int, Pull] = {}
        self.reviews: list[Review] = []
        self.review_comments: list[ReviewComment] = []
        self.comments: list[Comment] = []
        self.events: list[Event] = []
        self.permissions: dict[str, str] = {}
        """Login to permission; ``read`` for all others, as of a public repository."""
        self.runs: dict[int, Run] = {}
        self.jobs: dict[int, Job] = {}
        self.artifacts: dict[int, tuple[int, str, bytes]] = {}
        """Artifact id to (run id, name, zip)."""
        self._ids = 1000
        self._now = datetime(2026, 11, 1, tzinfo=timezone.utc)

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    def tick(self) -> str:
        self._now += timedelta(minutes=1)
        return self._now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def add_label_names(self, *names: str) -> None:
        self.labels |= {name.lower(): name for name in names}

    def open_issue(self, title: str, body: str | None = "", labels: tuple[str, ...] = (), user: str = "ann") -> Issue:
        number = 1 + len(self.issues)
        issue = Issue(number, title, body, user, self.tick())
        self.issues[number] = issue
        for label in labels:
            self.label(number, label, user)
        return issue

    def open_pull(self, files: list[PullFile], title: str = "A change", fork: bool = False) -> Pull:
        issue = self.open_issue(title)
        issue.is_pull = True
        head, base = sha_of(f"{issue.number} head 1"), sha_of(f"{issue.number} base")
        pull = Pull(issue.number, files, head, base, [head], "guest/app" if fork else self.full_name)
        self.pulls[issue.number] = pull
        return pull

    def push(self, number: int, files: list[PullFile] | None = None, force: bool = False) -> str:
        """A new head; ``force`` takes the commits before it out of the pull request."""
        pull = self.pulls[number]
        head = sha_of(f"{number} head {pull.head} {force}")
        pull.commits = [head] if force else [*pull.commits, head]
        pull.head = head
        if files is not None:
            pull.files = files
        return head

    def label(self, number: int, name: str, actor: str) -> None:
        issue = self.issues[number]
        self.labels.setdefault(name.lower(), name)
        if name.lower() not in {label.lower() for label in issue.labels}:
            issue.labels.append(self.labels[name.lower()])
            self.events.append(Event(self.new_id(), "labeled", name, actor, number, self.tick()))

    def unlabel(self, number: int, name: str, actor: str) -> None:
        self.issues[number].labels = [one for one in self.issues[number].labels if one.lower() != name.lower()]
        self.events.append(Event(self.new_id(), "unlabeled", name, actor, number, self.tick()))

    def reply(self, comment_id: int, user: str, body: str) -> None:
        root = next(comment for comment in self.review_comments if comment.id == comment_id)
        self.review_comments.append(
            ReviewComment(
                self.new_id(),
                root.number,
                user,
                body,
                root.path,
                root.line,
                root.side,
                None,
                None,
                root.commit_id,
                root.review_id,
                self.tick(),
                in_reply_to_id=root.id,
                diff_hunk=root.diff_hunk,
            )
        )

    def add_run(self, conclusion: str | None = "failure", **changes: Any) -> Run:
        run_id = self.new_id()
        known: dict[str, Any] = {
            "workflow_id": 7,
            "name": "CI",
            "head_branch": "main",
            "head_sha": sha_of(f"run {run_id}"),
            "status": "completed" if conclusion else "in_progress",
        }
        run = Run(run_id, conclusion=conclusion, created_at=self.tick(), **(known | changes))
        self.runs[run_id] = run
        return run

    def add_job(self, run: Run, name: str, conclusion: str | None, log: bytes | None, failed_step: str = "") -> Job:
        steps = [{"name": "Set up job", "status": "completed", "conclusion": "success", "number": 1}]
        if failed_step:
            steps.append({"name": failed_step, "status": "completed", "conclusion": conclusion, "number": 2})
        job = Job(self.new_id(), run.id, name, conclusion, log, steps)
        self.jobs[job.id] = job
        return job

    def add_artifact(self, run: Run, name: str, members: dict[str, bytes]) -> None:
        self.artifacts[self.new_id()] = (run.id, name, zipped(members))

    def run_zip(self, run_id: int) -> bytes:
        jobs = [job for job in self.jobs.values() if job.run_id == run_id and job.log is not None]
        return zipped({f"{index}_{job.name.replace('/', '')}.txt": job.log or b"" for index, job in enumerate(jobs)})


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()
