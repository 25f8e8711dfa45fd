"""Asking a pack about text from outside, in a process of its own that holds no token.

Diffs, logs and tickets are written by anybody, and a model reads them: the process that does so gets no secret of the
environment, and answers in the JSON shapes that the command line prints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from understudy.core.errors import BadInput, Unavailable
from understudy.integrations.github.explain import Explained
from understudy.integrations.github.label import Labelled
from understudy.integrations.github.review import Found, PullFacts, unchanged
from understudy.integrations.github.runs import FailedJob
from understudy.integrations.github.scrub import is_secret
from understudy.templates.code_review.diff import Patch
from understudy.templates.log_triage.explain import Explanation
from understudy.templates.log_triage.sources import NamedLog

__all__ = ["Ask", "Asking", "ask", "explanations_of", "labels_of", "read_answers", "review_of", "without_secrets"]

Ask = Callable[[Sequence[str], bytes], str]
"""Returns what ``understudy ARGUMENTS`` prints when it reads a text."""


def ask(
    arguments: Sequence[str],
    text: bytes,
    environment: Mapping[str, str] | None = None,
    *,
    seconds: float | None = None,
    quiet: bool = False,
) -> str:
    """Return what ``understudy ARGUMENTS`` prints when it reads ``text``.

    Args:
        arguments: of the command.
        text: its standard input.
        environment: the process's own by default; what is secret in it is left out.
        seconds: it may take.
        quiet: let nothing of its stderr through, where what strangers wrote must reach no log.

    Raises:
        Unavailable: it ended with exit code 4, or took longer than ``seconds``.
        BadInput: it ended with another error; its own sentence was on stderr.
    """
    given = os.environ if environment is None else environment
    try:
        done = subprocess.run(
            [sys.executable, "-m", "understudy.integrations.cli.main", *arguments],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            env=without_secrets(given),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`understudy {arguments[0]}` did not answer within {seconds:g} s") from None
    if done.returncode == 0:
        return done.stdout.decode("utf-8")
    kind = Unavailable if done.returncode == Unavailable.exit_code else BadInput
    raise kind(f"`understudy {arguments[0]}` ended with exit code {done.returncode}, so that nothing is planned")


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for processes that read what strangers wrote."""
    return {name: value for name, value in environment.items() if not is_secret(name)}


@dataclass(frozen=True)
class Asking:
    """How the packs are asked."""

    model: str | None = None
    """As ``--model`` of ``understudy review`` and ``explain`` takes it."""
    settings: Sequence[str] = ()
    """Options that name the settings."""
    ask: Ask = ask

    @property
    def options(self) -> list[str]:
        """The options of a command that takes a model."""
        return ["--json", *(["--model", self.model] if self.model else []), *self.settings]


def explanations_of(jobs: Sequence[FailedJob], asking: Asking) -> list[Explained]:
    """Ask the log-triage pack about the logs of failed jobs, all at once: a model is loaded only once.

    Raises:
        BadInput: the pack cannot read a log.
    """
    asked = [(job, log) for job in jobs for log in job.logs]
    answers: list[Explanation] = []
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        failed, green = Path(folder, "failed"), Path(folder, "green")
        for number, (job, log) in enumerate(asked):
            _copy(log, failed / f"{number:04}.log")
            if job.green is not None:
                _copy(job.green, green / f"{number:04}.log")
        if asked:
            compared = ["--green", str(green)] if green.exists() else []
            printed = asking.ask(["explain", str(failed), *compared, *asking.options], b"")
            answers = _explanations(printed, [log.name for _, log in asked])
    left = iter(answers)
    return [Explained(job.name, job.step, job.url, tuple(next(left) for _ in job.logs), job.missing) for job in jobs]


def _copy(log: NamedLog, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as out:
        for piece in log.chunks():
            out.write(piece)


def _explanations(printed: str, names: Sequence[str]) -> list[Explanation]:
    """Read the explanations of the logs with these names out of what ``understudy explain`` printed."""
    decoder, found, at = json.JSONDecoder(), list[Explanation](), 0
    try:
        while printed[at:].strip():
            value, end = decoder.raw_decode(printed[at:].lstrip())
            at = len(printed) - len(printed[at:].lstrip()) + end
            found.append(Explanation.model_validate(value))
    except ValueError as error:
        raise BadInput(f"`understudy explain` answered in another form: {str(error)[:200]}") from None
    if len(found) != len(names):
        raise BadInput(f"`understudy explain` answered {len(found)} of {len(names)} logs")
    return [
        one.model_copy(update={"evidence": [quote.model_copy(update={"file": name}) for quote in one.evidence]})
        for one, name in zip(found, names, strict=True)
    ]


def review_of(facts: PullFacts, whole: bool, asking: Asking) -> Found:
    """Ask the code-review pack about a pull request.

    Args:
        facts: the pull request.
        whole: also the files that the last review read as they are now.
        asking: how the pack is asked.
    """
    same = set() if whole else set(unchanged(facts.patch, facts.seen))
    fresh = [file for file in facts.patch.files if file.path not in same]
    if not fresh:
        return Found(comments=[], model=facts.seen_by or "rules")
    arguments = ["review", "--diff", "-", *asking.options]
    found = _found(asking.ask(arguments, Patch(tuple(fresh), "").render()))
    if found.model != facts.seen_by and len(fresh) < len(facts.patch.files):
        # Another model than last time: what that one read counts for nothing.
        found = _found(asking.ask(arguments, Patch(tuple(facts.patch.files), "").render()))
    return found


def _found(text: str) -> Found:
    try:
        return Found.model_validate_json(text)
    except ValidationError as error:
        raise BadInput(f"`understudy review` answered in another form: {error.errors()[0]['msg']}") from None


def labels_of(repo: str, issues: Sequence[Mapping[str, Any]], asking: Asking) -> dict[int, Labelled]:
    """Ask the bug-classification pack about tickets; return the answers by number."""
    if not issues:
        return {}
    rows = [{"id": str(one["number"]), "project": repo, "title": one["title"], "body": one["body"]} for one in issues]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    arguments = ["label", "--file", "-", "--json", *asking.settings]
    return read_answers(asking.ask(arguments, text.encode("utf-8")), "`understudy label`")


def read_answers(text: str, name: str) -> dict[int, Labelled]:
    """Return answers, one a line, by the ticket's number.

    Raises:
        BadInput: a line is no answer; it is named.
    """
    found = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            one = Labelled.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "it"
            raise BadInput(f"{name}, line {number}: no answer of `understudy label`: {place}: {first['msg']}") from None
        identity = one.id.lstrip("#")
        if not (identity.isascii() and identity.isdigit()):
            raise BadInput(f"{name}, line {number}: its id {one.id[:40]!r} is no number of a ticket")
        found[int(identity)] = one.model_copy(update={"id": identity})
    if not found:
        raise BadInput(f"{name}: has no answers")
    return found
