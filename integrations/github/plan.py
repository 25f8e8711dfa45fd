"""What is to be written on GitHub and why, as a value that can be printed, stored and applied later by another job.

Plans are made by pure functions and hold no secret. Approving a pull request has no form here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from understudy.integrations.github.scrub import Scrubber

__all__ = [
    "MOST_ANNOTATIONS",
    "MOST_BODY",
    "MOST_SUMMARY",
    "REPO",
    "AnnotateStep",
    "CommentStep",
    "LabelStep",
    "Plan",
    "Remark",
    "ResolveStep",
    "ReviewStep",
    "Step",
    "SummaryStep",
    "count_of",
    "cut",
    "scrubbed",
]

REPO = r"[A-Za-z0-9_-]+/[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*"
"""What ``owner/name`` looks like; a name of dots alone would be a path."""
MOST_BODY = 65_000
"""Characters of a comment; GitHub refuses more than 65,536."""
MOST_SUMMARY = 1 << 20
"""Bytes of a step summary; GitHub shows nothing of a longer one."""
MOST_ANNOTATIONS = 3
"""Annotations of a step; GitHub shows ten, people read few."""

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")]
Number = Annotated[int, Field(ge=1)]
Body = Annotated[str, Field(min_length=1, max_length=65_536)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Remark(_Part):
    """One comment on lines of a pull request."""

    path: str = Field(min_length=1)
    line: Number
    """The last line, in the file of ``side``."""
    side: Literal["LEFT", "RIGHT"]
    start_line: Number | None = None
    body: Body
    fingerprint: str = Field(pattern=r"^[0-9a-f]{16}$")
    """Of path, normalised code line and category; the same one is never posted twice."""
    why: str


class ReviewStep(_Part):
    """Post one review with all its comments."""

    do: Literal["review"] = "review"
    number: Number
    head: Sha
    """Nothing is posted when the pull request has another head by then."""
    event: Literal["COMMENT", "REQUEST_CHANGES"] = "COMMENT"
    body: Body
    remarks: list[Remark] = Field(min_length=1, max_length=100)
    why: str


class CommentStep(_Part):
    """Write our one comment of a kind on an issue or pull request, in place where it is there."""

    do: Literal["comment"] = "comment"
    number: Number
    head: Sha | None = None
    kind: str = Field(pattern=r"^[a-z]+(:[0-9]+)?$")
    """Which of our comments: ``review``, or ``explain:`` and the workflow's id."""
    body: Body
    why: str


class ResolveStep(_Part):
    """Resolve a thread of ours that nobody answered."""

    do: Literal["resolve"] = "resolve"
    number: Number
    head: Sha
    thread: str = Field(min_length=1)
    comment: int
    """Id of the thread's first comment."""
    why: str


class LabelStep(_Part):
    """Add one label to an issue."""

    do: Literal["label"] = "label"
    number: Number
    group: str
    rivals: list[str]
    """All labels of the group; one that somebody else set settles the matter."""
    label: str = Field(min_length=1, max_length=50)
    why: str


class SummaryStep(_Part):
    """Append to the summary page of the workflow step."""

    do: Literal["summary"] = "summary"
    body: str = Field(min_length=1)
    why: str


class AnnotateStep(_Part):
    """Show one line at the head of the workflow run."""

    do: Literal["annotate"] = "annotate"
    level: Literal["error", "warning", "notice"]
    title: str
    message: str
    why: str


Step = Annotated[
    ReviewStep | CommentStep | ResolveStep | LabelStep | SummaryStep | AnnotateStep, Field(discriminator="do")
]


class Plan(_Part):
    """All that one command wants to do."""

    version: Literal[1] = 1
    command: Literal["review", "explain", "label"]
    repo: str = Field(pattern=rf"^({REPO})?$")
    """``owner/name``; empty where nothing is written on GitHub."""
    model: str
    """Id of the model version, or ``rules``."""
    steps: list[Step]
    left_out: list[str] = []
    """What is not done on purpose, each with its reason."""
    failed: list[str] = []
    """What was asked for and could not be done; the command ends with an error although the rest is done."""


def scrubbed(plan: Plan, scrubber: Scrubber) -> Plan:
    """Return the plan without the secrets that a log, a diff or a model may have brought in."""
    return Plan.model_validate(scrubber.value(plan.model_dump(mode="json")))


def count_of(number: int, what: str) -> str:
    """Return ``1 comment``, ``2 comments``."""
    return f"{number} {what}{'s' * (number != 1)}"


def cut(text: str, most: int) -> str:
    """Return ``text`` in at most ``most`` UTF-8 bytes, cut at a line end with a note where it is longer."""
    if len(text.encode("utf-8")) <= most:
        return text
    note = "\n\n(cut here: GitHub takes no more)\n"
    kept = text.encode("utf-8")[: most - len(note)].decode("utf-8", "ignore").rpartition("\n")[0]
    lines = kept.split("\n")
    # A cut inside a code block must not swallow what follows it.
    fence = ""
    for line in lines:
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if len(ticks) >= 3:
            fence = ("" if len(ticks) >= len(fence) else fence) if fence else ticks
    if fence:
        kept = kept[: -len(fence) - 1].rpartition("\n")[0] + f"\n{fence}"
    return kept + note
