"""Tickets read for labelling, and the journal by which a back-fill goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from understudy.core.errors import BadInput
from understudy.core.journal import Journal
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.label import Labelled, TicketFacts
from understudy.integrations.github.plan import LabelStep, Plan, Step

__all__ = ["Backfill", "events_of", "one_ticket", "tickets_since"]


def one_ticket(github: GitHub, repo: str, number: int) -> dict[str, Any]:
    """Return an issue or pull request.

    Raises:
        ServiceError: it is not there, was deleted, or was transferred.
    """
    issue = github.get(f"/repos/{repo}/issues/{number}")
    where = str(issue["repository_url"]).rpartition("/repos/")[2]
    if where.lower() != repo.lower():
        raise ServiceError(f"#{number} was transferred to {where}; name that repository")
    return dict(issue)


def tickets_since(github: GitHub, repo: str, since: str, pulls: bool) -> Iterator[dict[str, Any]]:
    """Yield the issues opened on or after a day, oldest first; ``pulls`` also yields pull requests.

    Raises:
        BadInput: ``since`` is no date.
    """
    try:
        day = date.fromisoformat(since).isoformat()
    except ValueError:
        raise BadInput(f"--since: {since!r} is no date; write it as 2026-11-30") from None
    query = {"since": f"{day}T00:00:00Z", "state": "all", "sort": "created", "direction": "asc"}
    for issue in github.pages(f"/repos/{repo}/issues", **query):
        # The API's `since` looks at the last change.
        if issue["created_at"] >= day and (pulls or "pull_request" not in issue):
            yield issue


def events_of(github: GitHub, repo: str, issue: dict[str, Any], answer: Labelled) -> TicketFacts:
    """Return a ticket with its events; those of one that gets no label are not asked for."""
    events: list[dict[str, Any]] = []
    if any(choice.applied for choice in answer.labels):
        events = list(github.pages(f"/repos/{repo}/issues/{issue['number']}/events"))
    return TicketFacts(issue=issue, events=events)


class Backfill:
    """Which tickets were finished by which model, one line each; a kill loses at most the ticket in hand."""

    def __init__(self, registry: Path, repo: str) -> None:
        """Use the journal of one repository below ``registry``; it is made by the first ticket."""
        self._journal = Journal(registry / "github" / f"label-{repo.replace('/', '-').lower()}.jsonl")

    def finished(self) -> set[tuple[int, str]]:
        """Return numbers with the model that labelled them."""
        return {(int(entry["number"]), str(entry["model"])) for entry in self._journal.read()}

    def watch(self, plan: Plan, answers: dict[int, Labelled]) -> Callable[[Step, bool], None]:
        """Return what notes a ticket once all its labels are added; tickets without any are noted now."""
        left: dict[int, int] = dict.fromkeys(answers, 0)
        for step in plan.steps:
            if isinstance(step, LabelStep):
                left[step.number] += 1
        for number in [number for number, steps in left.items() if not steps]:
            self._note(answers[number], [])
        added: dict[int, list[str]] = {}

        def tell(step: Step, done: bool) -> None:
            if isinstance(step, LabelStep) and done:
                added.setdefault(step.number, []).append(step.label)
                left[step.number] -= 1
                if not left[step.number]:
                    self._note(answers[step.number], added[step.number])

        return tell

    def _note(self, answer: Labelled, added: list[str]) -> None:
        scores = {choice.label: round(choice.probability, 4) for choice in answer.labels}
        entry = {"number": int(answer.id), "model": answer.model, "added": added, "scores": scores}
        self._journal.append(entry)
