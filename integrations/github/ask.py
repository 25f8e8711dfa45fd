"""Asking a pack about text from outside, in a process of its own that holds no token.

Diffs and tickets are written by anybody, and a model reads them: the process that does so gets no secret of the
environment, and answers in the JSON shapes that the command line prints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from understudy.core.errors import BadInput, Unavailable
from understudy.integrations.github.label import Labelled
from understudy.integrations.github.review import Found, PullFacts, unchanged
from understudy.integrations.github.scrub import is_secret
from understudy.templates.code_review.diff import Patch

__all__ = ["ask", "labels_of", "read_answers", "review_of"]


def ask(arguments: Sequence[str], text: bytes, environment: Mapping[str, str] | None = None) -> str:
    """Return what ``understudy ARGUMENTS`` prints when it reads ``text``; its progress goes to our stderr.

    Raises:
        Unavailable: it ended with exit code 4.
        BadInput: it ended with another error; its own sentence was on stderr.
    """
    given = os.environ if environment is None else environment
    done = subprocess.run(
        [sys.executable, "-m", "understudy.integrations.cli.main", *arguments],
        input=text,
        stdout=subprocess.PIPE,
        env={name: value for name, value in given.items() if not is_secret(name)},
        check=False,
    )
    if done.returncode == 0:
        return done.stdout.decode("utf-8")
    kind = Unavailable if done.returncode == Unavailable.exit_code else BadInput
    raise kind(f"`understudy {arguments[0]}` ended with exit code {done.returncode}, so that nothing is planned")


def review_of(facts: PullFacts, model: str | None, whole: bool, settings: Sequence[str]) -> Found:
    """Ask the code-review pack about a pull request.

    Args:
        facts: the pull request.
        model: as ``understudy review --model`` takes it.
        whole: also the files that the last review read as they are now.
        settings: options that name the settings.
    """
    same = set() if whole else set(unchanged(facts.patch, facts.seen))
    fresh = [file for file in facts.patch.files if file.path not in same]
    if not fresh:
        return Found(comments=[], model=facts.seen_by or "rules")
    options = ["review", "--diff", "-", "--json", *(["--model", model] if model else []), *settings]
    found = _found(ask(options, Patch(tuple(fresh), "").render()))
    if found.model != facts.seen_by and len(fresh) < len(facts.patch.files):
        # Another model than last time: what that one read counts for nothing.
        found = _found(ask(options, Patch(tuple(facts.patch.files), "").render()))
    return found


def _found(text: str) -> Found:
    try:
        return Found.model_validate_json(text)
    except ValidationError as error:
        raise BadInput(f"`understudy review` answered in another form: {error.errors()[0]['msg']}") from None


def labels_of(repo: str, issues: Sequence[Mapping[str, Any]], settings: Sequence[str]) -> dict[int, Labelled]:
    """Ask the bug-classification pack about tickets; return the answers by number."""
    if not issues:
        return {}
    rows = [{"id": str(one["number"]), "project": repo, "title": one["title"], "body": one["body"]} for one in issues]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    return read_answers(ask(["label", "--file", "-", "--json", *settings], text.encode("utf-8")), "`understudy label`")


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
