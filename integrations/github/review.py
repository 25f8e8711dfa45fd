"""A review to a plan: comments only where they are new and GitHub takes them, everything else in the summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from understudy.core.files import sha256_bytes
from understudy.core.outside import fenced, plain, prose
from understudy.integrations.github.marker import read_marker, with_marker
from understudy.integrations.github.plan import (
    MOST_BODY,
    CommentStep,
    Plan,
    Remark,
    ResolveStep,
    ReviewStep,
    Step,
    count_of,
    cut,
    scrubbed,
)
from understudy.integrations.github.scrub import Scrubber
from understudy.templates.code_review.diff import FileDiff, Patch, Side

__all__ = ["Finding", "Found", "PullFacts", "digests", "fingerprint", "plan_review", "unchanged"]

_SEVERITIES = ("critical", "major", "minor", "nit")
_MOST_DIGESTS = 1500
"""Files remembered in the summary's marker: 17 characters each, within what a comment may have."""
_MOST_LISTED = 100
"""Entries of a list in the summary."""


class Finding(BaseModel):
    """One entry of ``comments`` in the ``review`` shape; fields that are not used here are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    path: str
    line: int
    start_line: int | None = None
    side: Side = "RIGHT"
    severity: str
    category: str
    message: str
    suggestion: str | None = None


class Skipped(BaseModel):
    """One entry of ``skipped``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    path: str
    reason: str


class Found(BaseModel):
    """The ``review`` shape that ``understudy review --json`` prints."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    comments: list[Finding]
    summary: str = ""
    reviewed: list[str] = Field(default_factory=list)
    skipped: list[Skipped] = Field(default_factory=list)
    model: str = "rules"


@dataclass(frozen=True)
class PullFacts:
    """A pull request as it was read, at one head."""

    repo: str
    number: int
    head: str
    patch: Patch
    """What GitHub lists of the change."""
    changed_files: int
    """By GitHub's count; it lists at most 3,000 of them."""
    listed: Sequence[str]
    """Paths that it listed."""
    without_patch: Mapping[str, str]
    """Path to the reason why a listed file has no lines to review."""
    comments: Sequence[dict[str, Any]]
    """Review comments, as the API gives them."""
    threads: Mapping[int, tuple[str, bool]]
    """First comment's id to the thread's id and whether it is resolved."""
    login: str
    """Whose comments are ours."""
    seen: Mapping[str, str] = field(default_factory=dict)
    """Digests of the files that our last review read."""
    seen_by: str = ""
    """The model that read them."""

    def known(self, model: str) -> Mapping[str, str]:
        """Return the digests of what this model read already."""
        return self.seen if model == self.seen_by else {}


def fingerprint(path: str, side: Side, code: Sequence[str], category: str) -> str:
    """Return 16 hex digits of path, side, the commented lines without their blanks, and the category.

    Not of the message, which a model words anew each time, nor of line numbers, which every push moves.
    """
    key = "\0".join((path, side, "\n".join("".join(line.split()) for line in code), category))
    return sha256_bytes(key.encode("utf-8", "surrogateescape"))[:16]


def digests(patch: Patch) -> dict[str, str]:
    """Return for each file a digest of its changes without their line numbers, which a rebase moves."""
    found = {}
    for file in patch.files:
        text = "\0".join([f"{line.mark}{line.text}" for line in file.lines])
        found[_short(file.path)] = _short(text)
    return found


def unchanged(patch: Patch, seen: Mapping[str, str]) -> list[str]:
    """Return the paths of files that the last review read just as they are now."""
    now = digests(patch)
    return [file.path for file in patch.files if seen.get(_short(file.path)) == now[_short(file.path)]]


def _short(text: str) -> str:
    return sha256_bytes(text.encode("utf-8", "surrogateescape"))[:8]


@dataclass(frozen=True)
class _Sorted:
    """The findings by what becomes of them."""

    remarks: list[Remark]
    over: list[Finding]
    """New, but beyond the cap."""
    nowhere: list[Finding]
    """On no line that can be commented."""
    repeated: int
    """Posted before."""


def plan_review(
    pull: PullFacts,
    found: Found,
    scrubber: Scrubber,
    *,
    most: int = 30,
    event: Literal["COMMENT", "REQUEST_CHANGES"] = "COMMENT",
) -> Plan:
    """Return what to write about a review.

    Args:
        pull: the pull request at one head.
        found: the review of its files that are new since the last one.
        scrubber: takes out secrets that the model or the diff brought in.
        most: new comments at most; the others are listed in the summary.
        event: ``REQUEST_CHANGES`` only when a person asked for it.
    """
    # Before escaping, which would hide a secret's underscores from the detectors.
    found = Found.model_validate(scrubber.value(found.model_dump(mode="json")))
    if not pull.patch.parts and not pull.comments:
        reason = f"review: none of the {pull.changed_files} changed files has lines to review"
        return Plan(command="review", repo=pull.repo, model=found.model, steps=[], left_out=[reason])
    sorted_ = _sort(pull, found, most)
    steps: list[Step] = []
    if sorted_.remarks:
        count = count_of(len(sorted_.remarks), "new comment")
        body = with_marker(f"{count}; the summary comment says what was reviewed.", "draft", head=pull.head)
        why = f"{count}; {sorted_.repeated} posted before"
        steps.append(
            ReviewStep(number=pull.number, head=pull.head, event=event, body=body, remarks=sorted_.remarks, why=why)
        )
    body = with_marker(
        cut(_summary(pull, found, sorted_), MOST_BODY - 20 * _MOST_DIGESTS - 500),
        "review",
        head=pull.head,
        model=found.model,
        files=_remembered(pull, found),
    )
    steps.append(
        CommentStep(
            number=pull.number, head=pull.head, kind="review", body=body, why="what was reviewed, edited in place"
        )
    )
    resolved, left = _outdated(pull)
    left_out = [f"{count_of(sorted_.repeated, 'finding')} posted before"] if sorted_.repeated else []
    left_out += [f"{count_of(len(sorted_.over), 'comment')} beyond the cap of {most}, listed in the summary"] * bool(
        sorted_.over
    )
    plan = Plan(
        command="review", repo=pull.repo, model=found.model, steps=[*steps, *resolved], left_out=left_out + left
    )
    return scrubbed(plan, scrubber)


def _sort(pull: PullFacts, found: Found, most: int) -> _Sorted:
    files = {file.path: file for file in pull.patch.files}
    posted = {str(marker["fp"]) for _, marker in _own(pull)}
    remarks: list[Remark] = []
    over: list[Finding] = []
    nowhere: list[Finding] = []
    repeated = 0
    for finding in sorted(found.comments, key=_rank):
        code = _commented(files.get(finding.path), finding)
        if code is None:
            nowhere.append(finding)
            continue
        known = fingerprint(finding.path, finding.side, code, finding.category)
        if known in posted:
            repeated += 1
        elif len(remarks) >= min(most, 100):
            over.append(finding)
        else:
            posted.add(known)
            remarks.append(_remark(finding, known, len(code), found.model, pull.head))
    return _Sorted(remarks, over, nowhere, repeated)


def _rank(finding: Finding) -> int:
    return _SEVERITIES.index(finding.severity) if finding.severity in _SEVERITIES else len(_SEVERITIES)


def _commented(file: FileDiff | None, finding: Finding) -> list[str] | None:
    """Return the text of the commented lines, or None where GitHub takes no comment."""
    first = finding.line if finding.start_line is None else finding.start_line
    hunk = file.hunk_at(finding.side, first, None if first == finding.line else finding.line) if file else None
    if hunk is None:
        return None
    lines = [line for line in hunk.lines if line.side == finding.side and first <= line.number <= finding.line]
    return [line.text for line in lines]


def _remark(finding: Finding, known: str, lines: int, model: str, head: str) -> Remark:
    body = f"**[{prose(finding.severity.upper())}]** {prose(finding.category)}: {prose(finding.message)}"
    suggestion = finding.suggestion
    # GitHub applies a suggestion to the new file; what cannot be seen, or was redacted, must not be applied.
    shown = suggestion is not None and plain(suggestion) == suggestion and "[REDACTED:" not in suggestion
    if suggestion is not None and shown and finding.side == "RIGHT":
        body += f"\n\n{fenced(suggestion, 'suggestion')}"
    return Remark(
        path=finding.path,
        line=finding.line,
        side=finding.side,
        start_line=finding.start_line if finding.start_line != finding.line else None,
        body=with_marker(
            cut(body, MOST_BODY - 500), "remark", fp=known, n=lines, cat=finding.category, model=model, head=head
        ),
        fingerprint=known,
        why=f"{finding.severity} {finding.category}",
    )


def _own(pull: PullFacts) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield our comments with their markers."""
    for comment in pull.comments:
        marker = read_marker(comment, pull.login)
        if marker is not None and marker["kind"] == "remark" and "fp" in marker:
            yield comment, marker


def _outdated(pull: PullFacts) -> tuple[list[ResolveStep], list[str]]:
    """Return the threads of ours whose code is gone from the change, but for those that people answered."""
    files = {file.path: file for file in pull.patch.files}
    answered = {
        comment["in_reply_to_id"]
        for comment in pull.comments
        if comment.get("in_reply_to_id") and (comment.get("user") or {}).get("login") != pull.login
    }
    steps, left = [], []
    for comment, marker in _own(pull):
        thread, resolved = pull.threads.get(comment["id"], ("", True))
        # A file that GitHub did not list, or that was not understood, proves nothing.
        unknown = comment["path"] not in files and comment["path"] in {*pull.listed, *_refused(pull.patch)}
        if resolved or unknown or len(pull.listed) < pull.changed_files:
            continue
        if _still_there(files.get(comment["path"]), marker):
            continue
        if comment["id"] in answered:
            left.append(f"the outdated thread {comment['id']} stays open, because somebody answered")
            continue
        why = f"the commented code is no longer part of the change in {comment['path']}"
        steps.append(ResolveStep(number=pull.number, head=pull.head, thread=thread, comment=comment["id"], why=why))
    return steps, left


def _refused(patch: Patch) -> set[str]:
    return {part.path for part in patch.refused if part.path is not None}


def _still_there(file: FileDiff | None, marker: Mapping[str, Any]) -> bool:
    """Whether lines with the marker's fingerprint stand anywhere in a file's change."""
    if file is None:
        return False
    count, category = marker.get("n"), str(marker.get("cat"))
    if not isinstance(count, int) or not 1 <= count <= 1000:
        return True
    sides: tuple[Side, Side] = ("LEFT", "RIGHT")
    for hunk in file.hunks:
        for side in sides:
            lines = [line.text for line in hunk.lines if line.side == side]
            for at in range(len(lines) - count + 1):
                if fingerprint(file.path, side, lines[at : at + count], category) == marker["fp"]:
                    return True
    return False


def _remembered(pull: PullFacts, found: Found) -> dict[str, str]:
    """Return the digests of the files that were reviewed now, or before and not changed since."""
    now = digests(pull.patch)
    read = {_short(path) for path in found.reviewed} - {_short(one.path) for one in found.skipped}
    before = pull.known(found.model)
    kept = {name: value for name, value in now.items() if name in read or before.get(name) == value}
    return dict(list(kept.items())[:_MOST_DIGESTS])


def _summary(pull: PullFacts, found: Found, sorted_: _Sorted) -> str:
    before = sum(1 for _ in _own(pull))
    new = len(sorted_.remarks) + len(sorted_.over) + len(sorted_.nowhere)
    heading = count_of(new, "new finding") if new else "No new findings" if before else "No issues found"
    parts = ["### understudy review", "", f"**{heading}** at {pull.head[:12]}.", ""]
    if sorted_.nowhere:
        parts += ["Found, but on no line that can be commented:", "", *_listed(sorted_.nowhere), ""]
    if sorted_.over:
        parts += ["Found, but beyond the number of comments wanted:", "", *_listed(sorted_.over), ""]
    parts += [*_coverage(pull, found), "", f"<sub>by {prose(found.model)}</sub>"]
    return "\n".join(parts)


def _listed(findings: Sequence[Finding]) -> list[str]:
    lines = [
        f"- {prose(one.path)}, line {one.line}: **{prose(one.severity)}** {prose(one.message[:500])}"
        for one in findings[:_MOST_LISTED]
    ]
    return lines + [f"- and {len(findings) - _MOST_LISTED} more"] * (len(findings) > _MOST_LISTED)


def _coverage(pull: PullFacts, found: Found) -> list[str]:
    """Say what was reviewed, and of everything else why not."""
    same = set(unchanged(pull.patch, pull.known(found.model))) - set(found.reviewed)
    skipped = dict(pull.without_patch) | {one.path: one.reason for one in found.skipped}
    skipped |= {part.path or "a file": part.reason for part in pull.patch.refused}
    told = {*found.reviewed, *same, *skipped}
    skipped |= {path: "the reviewer did not mention it" for path in pull.listed if path not in told}
    parts = [f"Reviewed {len(set(found.reviewed))} of {pull.changed_files} changed files"]
    parts += [f"{len(same)} not changed since the last review"] * bool(same)
    parts += [f"{len(skipped)} skipped"] * bool(skipped)
    unseen = pull.changed_files - len(pull.listed)
    parts += [f"{unseen} never seen, because GitHub lists at most 3,000 files"] * (unseen > 0)
    lines = ["; ".join(parts) + "."]
    if skipped:
        lines += ["", "<details><summary>Skipped</summary>", ""]
        lines += [f"- {prose(path)}: {prose(reason)}" for path, reason in sorted(skipped.items())[:_MOST_LISTED]]
        lines += [f"- and {len(skipped) - _MOST_LISTED} more"] * (len(skipped) > _MOST_LISTED)
        lines += ["", "</details>"]
    return lines
