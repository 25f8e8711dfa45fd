"""Deliveries of GitHub's webhooks: proven genuine before they are read, then read into the one job they ask for.

Only the body is signed. Event name and delivery id are not, so what a body asks for must follow from the body, and the
ledger knows a body again whatever id it comes with.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy.core.settings import GitHubAppSettings
from understudy.integrations.github.plan import REPO

__all__ = ["EVENTS", "Ignored", "Job", "Malformed", "command_of", "genuine", "job_of"]

Command = Literal["review", "label", "explain", "apply"]
Repo = Annotated[str, Field(pattern=rf"^{REPO}$", max_length=200)]
Id = Annotated[int, Field(ge=1, lt=2**63)]

_COMMAND = re.compile(r"/understudy (review|label|explain|apply)[ \t\r]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


class Malformed(Exception):
    """A genuine body is not what its event looks like; the message names the field."""


class Ignored(Exception):
    """A delivery asks for nothing; the message says why."""


class Job(BaseModel):
    """What one delivery asks for: all that is kept of it. It holds nothing that people wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Command
    installation: Id
    repo: Repo
    number: Id | None = None
    """Of the issue or pull request."""
    run: Id | None = None
    """Of the failed run."""
    comment: Id | None = None
    """The comment that asked."""

    @property
    def target(self) -> str:
        """What two jobs must not work on at the same time: an issue or pull request, or a run of unknown ones."""
        return f"{self.repo.lower()} " + (f"#{self.number}" if self.number else f"run {self.run}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _User(_Part):
    login: str
    type: str = "User"


class _Repository(_Part):
    full_name: Repo


class _Installation(_Part):
    id: Id


class _Delivery(_Part):
    action: str
    repository: _Repository
    installation: _Installation | None = None
    sender: _User


class _Numbered(_Part):
    number: Id


class _PullRequest(_Delivery):
    pull_request: _Numbered


class _Issues(_Delivery):
    issue: _Numbered


class _App(_Part):
    id: Id


class _Comment(_Part):
    id: Id
    body: str
    user: _User
    performed_via_github_app: _App | None = None


class _IssueComment(_Issues):
    comment: _Comment


class _Linked(_Part):
    number: Id
    url: str


class _Run(_Part):
    id: Id
    conclusion: str | None
    pull_requests: list[_Linked] = []


class _WorkflowRun(_Delivery):
    workflow_run: _Run


EVENTS: dict[str, type[_Delivery]] = {
    "issue_comment": _IssueComment,
    "issues": _Issues,
    "pull_request": _PullRequest,
    "workflow_run": _WorkflowRun,
}
"""The events that can ask for something."""


def genuine(secret: bytes, body: bytes, signatures: Sequence[bytes]) -> bool:
    """Whether ``body`` comes from who knows ``secret``, by the one ``X-Hub-Signature-256`` header."""
    expected = b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
    return len(signatures) == 1 and hmac.compare_digest(expected, signatures[0])


def job_of(event: str, body: bytes, login: str, app_id: int, settings: GitHubAppSettings) -> Job:
    """Return what a genuine delivery asks for.

    Args:
        event: name in ``X-GitHub-Event``.
        body: raw JSON.
        login: our own account.
        app_id: our own App.
        settings: what is answered.

    Raises:
        Ignored: it asks for nothing.
        Malformed: it is no JSON, or not what this event looks like.
    """
    if event not in EVENTS:
        raise Ignored(f"nothing is done about {event}")
    try:
        found = EVENTS[event].model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise Malformed(f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"[:200]) from None
    if found.sender.login == login:
        raise Ignored("we did that ourselves")
    if found.installation is None:
        raise Ignored("it does not come from an installation of the App")
    asked = _asked(found, login, app_id)
    wanted = "commands" if asked.get("comment") else asked["command"]
    if wanted not in settings.answers:
        raise Ignored(f"{wanted} is not among serve.github.answers")
    return Job(installation=found.installation.id, repo=found.repository.full_name, **asked)


def _asked(found: _Delivery, login: str, app_id: int) -> dict[str, Any]:
    """Return the fields of the job that depend on the event."""
    if isinstance(found, _PullRequest) and found.action in ("opened", "synchronize", "reopened"):
        return {"command": "review", "number": found.pull_request.number}
    if isinstance(found, _IssueComment):
        return _commanded(found, login, app_id)
    if isinstance(found, _Issues) and found.action == "opened":
        return {"command": "label", "number": found.issue.number}
    if isinstance(found, _WorkflowRun) and found.action == "completed":
        if found.workflow_run.conclusion not in ("failure", "timed_out"):
            raise Ignored("the run did not fail")
        # Of a fork's run GitHub may name the pull request in the repository it was forked from.
        here = f"/repos/{found.repository.full_name}/pulls/".lower()
        numbers = [one.number for one in found.workflow_run.pull_requests if here in one.url.lower()]
        return {"command": "explain", "run": found.workflow_run.id, "number": next(iter(numbers), None)}
    raise Ignored(f"nothing is done about {found.action[:40]!r}")


def _commanded(found: _IssueComment, login: str, app_id: int) -> dict[str, Any]:
    comment = found.comment
    if found.action != "created":  # an edit may be somebody else's, and comes without a word about whose
        raise Ignored("only a new comment can ask for something")
    command = command_of(comment.body)
    if command is None:
        raise Ignored("the comment asks for nothing")
    via = comment.performed_via_github_app
    if comment.user.type == "Bot" or comment.user.login == login or (via is not None and via.id == app_id):
        raise Ignored("a bot's comment asks for nothing")
    if comment.user.login != found.sender.login:
        raise Ignored("the comment is not by who sent it")
    return {"command": command, "number": found.issue.number, "comment": comment.id}


def command_of(body: str) -> Command | None:
    """Return the first command that stands on a line of its own, outside code blocks and hidden text."""
    shown = _HIDDEN.sub(lambda hidden: "x" + "\nx" * hidden[0].count("\n"), body)
    fence = ""
    for line in shown.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
            fence = ""
        elif not fence and (found := _COMMAND.fullmatch(line)):
            return found[1]  # type: ignore[return-value]
    return None
