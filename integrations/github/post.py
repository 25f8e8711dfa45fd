"""The posters: one function for each kind of write. Each reads first, writes once, and proves what is there."""

from __future__ import annotations

from typing import Any

from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.label import refusal
from understudy.integrations.github.marker import read_marker
from understudy.integrations.github.plan import CommentStep, LabelStep, Remark, ResolveStep, ReviewStep

__all__ = ["comment", "label", "resolve", "review"]

_ROUNDS = 4
_RESOLVE = """mutation($thread: ID!) {
  resolveReviewThread(input: {threadId: $thread}) { thread { isResolved } }
}"""


def review(github: GitHub, root: str, step: ReviewStep) -> str:
    """Post what is missing of a review's comments as one review.

    A server may fail after making all comments, or some: what is there is read back by fingerprint, and only the rest
    is posted again.
    """
    path = f"{root}/pulls/{step.number}"
    missing = step.remarks
    for _ in range(_ROUNDS):
        there = _fingerprints(github, path)
        missing = [remark for remark in step.remarks if remark.fingerprint not in there]
        if not missing:
            return "posted" if _ else "was there already"
        wanted = {remark.fingerprint for remark in missing}
        _drop_left_over(github, path)
        github.write(
            "POST",
            f"{path}/reviews",
            {
                "commit_id": step.head,
                "event": step.event,
                "body": step.body,
                "comments": [_place(remark) for remark in missing],
            },
            lambda wanted=wanted: wanted & _fingerprints(github, path) or None,  # type: ignore[misc]
            lambda: _same_head(github, path, step.head),
        )
    there = _fingerprints(github, path)
    left = sum(remark.fingerprint not in there for remark in step.remarks)
    if left:
        raise ServiceError(f"{left} of {len(step.remarks)} comments are not there after {_ROUNDS} tries")
    return "posted"


def _place(remark: Remark) -> dict[str, Any]:
    place = {"path": remark.path, "body": remark.body, "line": remark.line, "side": remark.side}
    return place if remark.start_line is None else place | {"start_line": remark.start_line, "start_side": remark.side}


def _fingerprints(github: GitHub, path: str) -> set[str]:
    """Return the fingerprints of our comments on a pull request."""
    markers = [read_marker(one, github.login) for one in github.pages(f"{path}/comments")]
    return {str(marker.get("fp")) for marker in markers if marker and marker["kind"] == "remark"}


def _same_head(github: GitHub, path: str, head: str) -> None:
    pull = github.get(path)
    if pull["state"] != "open":
        raise ServiceError(f"#{pull['number']} was closed in the meantime; nothing is posted")
    if pull.get("locked"):
        raise ServiceError(f"#{pull['number']} is locked; nothing can be posted")
    if pull["head"]["sha"] != head:
        raise ServiceError(
            f"#{pull['number']} was pushed to in the meantime ({head[:7]} was read, {pull['head']['sha'][:7]} is "
            "there); nothing is posted, run the command again"
        )


def _drop_left_over(github: GitHub, path: str) -> None:
    """Delete a draft review that an interrupted run of ours left; GitHub allows one draft a user."""
    for draft in github.pages(f"{path}/reviews"):
        if draft["state"] != "PENDING" or (draft.get("user") or {}).get("login") != github.login:
            continue
        if read_marker(draft, github.login) is None:
            raise ServiceError(f"{github.login} has an unsent draft review there; send or delete it first")
        own = f"{path}/reviews/{draft['id']}"
        github.write("DELETE", own, None, lambda own=own: _gone(github, path, own))  # type: ignore[misc]


def _gone(github: GitHub, path: str, own: str) -> bool | None:
    return None if any(own.endswith(f"/{one['id']}") for one in github.pages(f"{path}/reviews")) else True


def comment(github: GitHub, root: str, step: CommentStep) -> str:
    """Write our comment of a kind: edited where it is there, else made."""

    def still() -> None:
        if step.head is not None:
            _same_head(github, f"{root}/pulls/{step.number}", step.head)

    own = _own_comment(github, root, step)
    if own is None:
        path = f"{root}/issues/{step.number}/comments"
        github.write("POST", path, {"body": step.body}, lambda: _own_comment(github, root, step), still)
        return "posted"
    if own["body"] == step.body:
        return "says so already"
    path = f"{root}/issues/comments/{own['id']}"
    github.write("PATCH", path, {"body": step.body}, lambda: _edited(github, root, step), still)
    return "edited"


def _edited(github: GitHub, root: str, step: CommentStep) -> dict[str, Any] | None:
    own = _own_comment(github, root, step)
    return own if own is not None and own["body"] == step.body else None


def _own_comment(github: GitHub, root: str, step: CommentStep) -> dict[str, Any] | None:
    for one in github.pages(f"{root}/issues/{step.number}/comments"):
        marker = read_marker(one, github.login)
        if marker is not None and marker["kind"] == step.kind:
            return dict(one)
    return None


def resolve(github: GitHub, root: str, step: ResolveStep) -> str:
    """Resolve a thread, unless somebody answered in the meantime; doing it twice changes nothing."""
    path = f"{root}/pulls/{step.number}"
    _same_head(github, path, step.head)
    for one in github.pages(f"{path}/comments"):
        if one.get("in_reply_to_id") == step.comment and (one.get("user") or {}).get("login") != github.login:
            return "left open, because somebody answered"
    github.graphql(_RESOLVE, {"thread": step.thread})
    return "done"


def label(github: GitHub, root: str, step: LabelStep, protected: frozenset[str]) -> str:
    """Add a label, unless it is not ours to add any more."""
    path = f"{root}/issues/{step.number}"

    def has() -> bool | None:
        return step.label.lower() in {one["name"].lower() for one in github.get(path)["labels"]} or None

    def still() -> None:
        issue = github.get(path)
        known = [one["name"] for one in github.pages(f"{root}/labels")]
        why = refusal(
            step.label, step.rivals, issue, root, known, list(github.pages(f"{path}/events")), github.login, protected
        )
        if why is not None:
            raise ServiceError(why)

    if has():
        return "was there already"
    github.write("POST", f"{path}/labels", {"labels": [step.label]}, has, still)
    return "added"
