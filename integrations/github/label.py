"""Tickets and predictions to a plan: what may be labelled is decided by rules, not by the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["refusal"]


def refusal(
    label: str,
    rivals: Sequence[str],
    issue: dict[str, Any],
    root: str,
    known: Sequence[str],
    events: Sequence[dict[str, Any]],
    login: str,
    protected: frozenset[str],
) -> str | None:
    """Say why a label may not be added now, or None if it may.

    Args:
        label: to be added; names are compared without regard to case, as GitHub does.
        rivals: all labels of its group.
        issue: as the API gives it at this moment.
        root: the API's path of the repository, ``/repos/owner/name``.
        known: the repository's labels at this moment; adding another one would create it.
        events: of the issue.
        login: ours; all other accounts count as people.
        protected: names in small letters.
    """
    number, wanted = issue["number"], label.lower()
    group = {rival.lower() for rival in rivals} | {wanted}
    if not str(issue["repository_url"]).lower().endswith(root.lower()):
        return f"#{number} was transferred to {str(issue['repository_url']).rpartition('/repos/')[2]}"
    if wanted in protected:
        return f"{label!r} is protected"
    if wanted not in {name.lower() for name in known}:
        return f"{label!r} is no label of the repository, and none is created"
    others = [event for event in events if (event.get("actor") or {}).get("login") != login and event.get("label")]
    for event in others:
        if event["event"] == "unlabeled" and event["label"]["name"].lower() == wanted:
            return f"somebody removed {label!r} from #{number}"
    present = {one["name"].lower() for one in issue["labels"]}
    ours = {
        event["label"]["name"].lower()
        for event in events
        if event["event"] == "labeled" and event.get("label") and (event.get("actor") or {}).get("login") == login
    }
    theirs = sorted(present & group - (ours - {e["label"]["name"].lower() for e in others if e["event"] == "labeled"}))
    if theirs and theirs != [wanted]:
        return f"somebody labelled #{number} {theirs[0]!r} already"
    return None
