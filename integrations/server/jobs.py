"""Carrying out a job: may who asked for it do so, then plan and apply as the commands do."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from understudy.core.errors import BadInput
from understudy.core.outside import prose
from understudy.core.settings import GitHubAppSettings
from understudy.integrations.github import planning
from understudy.integrations.github.apply import apply
from understudy.integrations.github.ask import Asking, labels_of
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.marker import with_marker
from understudy.integrations.github.plan import AnnotateStep, CommentStep, Plan, SummaryStep
from understudy.integrations.github.preview import preview
from understudy.integrations.github.pulls import pull_at
from understudy.integrations.github.tickets import one_ticket
from understudy.integrations.server.github import Ignored, Job, command_of
from understudy.integrations.server.ledger import Ledger

__all__ = ["Jobs"]

_LOCKS = 64
_MAY = ("admin", "write")
"""Permissions of who may command; GitHub says ``write`` for maintainers, too."""


class Jobs:
    """What a worker does. May be used by several threads."""

    def __init__(
        self,
        client: Callable[[int, str], GitHub],
        asking: Asking,
        settings: GitHubAppSettings,
        ledger: Ledger,
    ) -> None:
        """Use ``client(installation, repo)`` for every repository."""
        self._client, self._asking, self._settings, self._ledger = client, asking, settings, ledger
        self._protected = frozenset(name.lower() for name in settings.protected)
        # A fork's run is known by its pull request only here, when a command about that one may be in hand, too.
        self._writing = [threading.Lock() for _ in range(_LOCKS)]

    def do(self, job: Job) -> str:
        """Do all that a job asks for; doing it twice writes nothing twice. Return what was done, in words.

        Raises:
            Ignored: who asked may not, or took it back.
            ServiceError: GitHub cannot be reached, or refuses.
            BadInput: it cannot be done at all.
        """
        github = self._client(job.installation, job.repo)
        if job.comment is not None:
            _check_commander(github, job)
        try:
            return self._apply_waiting(github, job) if job.command == "apply" else self._plan_and_write(github, job)
        except (BadInput, ServiceError) as error:
            if job.comment is None or getattr(error, "passing", False):
                raise
            return f"answered: {self._answer(github, job, str(error))}"

    def _plan_and_write(self, github: GitHub, job: Job) -> str:
        plan, number = self._plan(github, job)
        kept = [step for step in plan.steps if not isinstance(step, SummaryStep | AnnotateStep)]
        plan = plan.model_copy(update={"steps": kept})
        if not plan.steps:
            if plan.failed:
                raise BadInput("; ".join(plan.failed))
            return "; ".join(plan.left_out) or "nothing to write"
        if self._settings.writes == "when told":
            self._ledger.keep_plan(_waiting(job.repo, number), plan.command, plan.model_dump_json())
            plan = plan.model_copy(update={"steps": [preview(plan, number)]})
        with self._writing[hash((job.repo.lower(), number)) % len(self._writing)]:
            return self._write(github, plan)

    def _plan(self, github: GitHub, job: Job) -> tuple[Plan, int]:
        """Return the plan and the number of the issue or pull request that it is about."""
        if job.command == "explain":
            return self._explanation(github, job)
        assert job.number is not None  # only explanations have none, see github.py
        if job.command == "review":
            return planning.review(github, job.repo, job.number, self._asking), job.number
        issue = one_ticket(github, job.repo, job.number)
        said = labels_of(job.repo, [issue], self._asking)
        if job.number not in said:
            raise BadInput(f"there is no answer for #{job.number}")
        return planning.labels(github, job.repo, [(issue, said[job.number])], self._protected), job.number

    def _explanation(self, github: GitHub, job: Job) -> tuple[Plan, int]:
        root, number = f"/repos/{job.repo}", job.number
        if job.run is None:
            assert number is not None  # a command stands below something
            head = str(github.get(f"{root}/pulls/{number}")["head"]["sha"])
            query = {"head_sha": head, "status": "failure", "per_page": 1}
            runs = github.get(f"{root}/actions/runs", **query)["workflow_runs"]
            if not runs:
                raise BadInput(f"no failed run of the head {head[:7]} to explain")
            run = runs[0]
        else:
            run = github.get(f"{root}/actions/runs/{job.run}")
            number = number or pull_at(github, job.repo, str(run["head_sha"]))
            if number is None:
                raise Ignored("the failed run belongs to no open pull request: there is no place to explain it")
        plan = planning.explanation(
            github, job.repo, self._asking, run_id=int(run["id"]), comment=True, comment_on=number
        )
        return plan, number

    def _apply_waiting(self, github: GitHub, job: Job) -> str:
        assert job.number is not None
        waiting = _waiting(job.repo, job.number)
        plans = [Plan.model_validate_json(text) for text in self._ledger.take_plans(waiting)]
        if not plans:
            raise BadInput("no plan waits here to be applied")
        done = [self._write(github, plan) for plan in plans]
        self._ledger.drop_plans(waiting)
        body = with_marker("The plan was carried out.", "plan")
        applied = CommentStep(number=job.number, kind="plan", body=body, why="it was told to")
        self._write(github, plans[0].model_copy(update={"steps": [applied], "failed": []}))
        return "; ".join(done)

    def _write(self, github: GitHub, plan: Plan) -> str:
        outcome = apply(plan, github, protected=self._protected, out=io.StringIO(), environment={})
        if outcome.failed:
            raise ServiceError("; ".join(outcome.failed), passing=outcome.passing)
        return "; ".join(outcome.done)

    def _answer(self, github: GitHub, job: Job, why: str) -> str:
        """Tell who commanded why nothing came of it, in one comment that is edited in place."""
        assert job.number is not None
        body = with_marker(f"`/understudy {job.command}`: {prose(github.scrubber.text(why))}", "answer")
        step = CommentStep(number=job.number, kind="answer", body=body, why="a command was not done")
        self._write(github, Plan(command="review", repo=job.repo, model="rules", steps=[step]))
        return why


def _waiting(repo: str, number: int) -> str:
    return f"{repo.lower()}#{number}"


def _check_commander(github: GitHub, job: Job) -> None:
    """Read again who commanded and what, and whether they may write; what the delivery said of it counts for nothing.

    Raises:
        Ignored: they may not, or the comment is gone or says something else.
    """
    root = f"/repos/{job.repo}"
    try:
        comment: dict[str, Any] = github.get(f"{root}/issues/comments/{job.comment}")
    except ServiceError as error:
        if error.status in (404, 410):
            raise Ignored("the comment was deleted") from None
        raise
    user = comment.get("user") or {}
    here = str(comment.get("issue_url", "")).lower().endswith(f"{root}/issues/{job.number}".lower())
    if not here or command_of(comment.get("body") or "") != job.command or user.get("type") == "Bot":
        raise Ignored("the comment does not ask for it any more")
    login = str(user.get("login", ""))
    said = github.get(f"{root}/collaborators/{quote(login, safe='')}/permission")
    if said.get("permission") not in _MAY:
        raise Ignored("who asked may not write to the repository")
