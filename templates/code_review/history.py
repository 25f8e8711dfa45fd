"""A team's review threads on GitHub as training data: pure functions over the objects of its REST API.

Material is a JSON Lines file of threads, one thread a line, that a client appends to (:func:`threads_of` makes the
lines, :func:`seen_ids` says where to go on). A thread is ``{"repo", "pull", "comments": [...], "is_resolved",
"line_changed"}``: the comments as ``GET repos/{o}/{r}/pulls/{n}/comments`` gives them, first one first; whether the
thread is resolved, from GraphQL; and whether the commented lines changed in a later push, None where nobody looked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from understudy.core._json_lines import read_json_lines
from understudy.core.pack import TokenCounter
from understudy.core.records import Example, Preference, Source
from understudy.templates.code_review import checks, grammar
from understudy.templates.code_review.diff import Side
from understudy.templates.code_review.labels import category_of, severity_of
from understudy.templates.code_review.numbered import position_of
from understudy.templates.code_review.pairs import fitting_piece, hunk_of, tidy
from understudy.templates.code_review.schema import Remark, Review, ReviewInput

__all__ = [
    "Outcome",
    "Thread",
    "examples_from",
    "noise",
    "outcome",
    "preferences_from",
    "read_threads",
    "seen_ids",
    "threads_of",
]

Thread = Mapping[str, Any]
Outcome = Literal["accepted", "rejected", "ignored", "open"]

_PRAISE = re.compile(
    r"\W*(?:(?:very |really )?(?:nice|great|good|lgtm|looks good|well done|awesome|perfect|love (?:it|this)|thanks?|"
    r"thank you|cool|sweet|ship it|\+1|approved?|:\w+:)"
    r"(?: (?:catch|job|work|one|idea|point|to me|you|so much))?[\W]*)+",
    re.IGNORECASE,
)
_BOT = re.compile(
    r"\[bot\]$|(?:^|[-_])bot$|^(?:codecov|coderabbit|sonarcloud|dependabot|renovate|github-actions)", re.I
)
_MARKER = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"```suggestion\r?\n(.*?)\r?\n?```", re.DOTALL)
_ANY_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_REFUSAL = re.compile(
    r"\b(?:won'?t fix|disagree|intentional|on purpose|by design|as intended|not (?:needed|worth)|false)", re.I
)
_FEWEST_WORDS = 3
_PRAISED = 80
"""Characters; praise is short."""


def threads_of(repo: str, pull: int, comments: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a pull request's review comments as threads, oldest first; replies follow what they answer."""
    threads: dict[int, dict[str, Any]] = {}
    for comment in sorted(comments, key=lambda one: (one["created_at"], one["id"])):
        root = comment.get("in_reply_to_id") or comment["id"]
        thread = threads.setdefault(
            root, {"repo": repo, "pull": pull, "comments": [], "is_resolved": None, "line_changed": None}
        )
        thread["comments"].append(dict(comment))
    return list(threads.values())


def read_threads(path: Path) -> Iterator[Thread]:
    """Return the threads of a file; the whole file is checked first.

    Raises:
        BadInput: a line is no thread; it is named.
    """
    return iter(read_json_lines(path, _thread))


def _thread(line: dict[str, Any]) -> Thread:
    comments = line.get("comments")
    if not isinstance(comments, list) or not comments or not all(isinstance(one, dict) for one in comments):
        raise ValueError("comments must be a list of review comments, as GitHub's REST API gives them")
    for key in ("id", "path", "diff_hunk", "body", "created_at"):
        if key not in comments[0]:
            raise ValueError(f"its first comment has no {key}")
    return line


def seen_ids(path: Path) -> set[int]:
    """Return the ids of the first comments of all threads in a file, so that collecting can go on behind them.

    A last line that a kill tore off counts as not seen.
    """
    if not path.exists():
        return set()
    found = set()
    for line in path.read_text("utf-8").split("\n"):
        try:
            found.add(int(json.loads(line)["comments"][0]["id"]))
        except (ValueError, KeyError, IndexError, TypeError):
            continue
    return found


def noise(comment: Mapping[str, Any]) -> str:
    """Return why a comment teaches nothing, or an empty text: a bot's, praise, a mere question, hardly a word."""
    user = comment.get("user") or {}
    if user.get("type") == "Bot" or _BOT.search(str(user.get("login", ""))):
        return "written by a bot"
    text = _said(str(comment.get("body") or ""))
    if not text:
        return "empty, or code alone"
    if len(text) <= _PRAISED and _PRAISE.fullmatch(text):
        return "praise"
    if len(text.split()) < _FEWEST_WORDS:
        return "too short to say what is wrong"
    if checks.is_bare_question(text):
        return "a question"
    return ""


def outcome(thread: Thread) -> Outcome:
    """Return what became of a thread's first comment.

    ``accepted``: the line changed afterwards, or people agreed by reaction and nobody refused; ``rejected``: refused in
    words or by reaction, or resolved with the line left as it was; ``ignored``: nobody answered and nothing changed.
    """
    first, *replies = thread["comments"]
    reactions = first.get("reactions") or {}
    agreed = int(reactions.get("+1", 0)) + int(reactions.get("heart", 0)) - int(reactions.get("-1", 0))
    refused = any(_REFUSAL.search(str(reply.get("body") or "")) for reply in replies)
    if thread.get("line_changed"):
        return "accepted"
    if refused or agreed < 0:
        return "rejected"
    if agreed > 0:
        return "accepted"
    if thread.get("line_changed") is False:
        return "rejected" if thread.get("is_resolved") else "ignored"
    return "open"


def examples_from(threads: Iterable[Thread], budget: int, count_tokens: TokenCounter) -> Iterator[Example]:
    """Yield an example for every comment that was accepted, and that the task can express."""
    for thread in threads:
        found = _readable(thread, budget, count_tokens)
        if found is None or outcome(thread) != "accepted":
            continue
        piece, remark = found
        yield Example(
            id=f"history-{thread['comments'][0]['id']}",
            pack="code-review",
            group=f"{thread.get('repo', '')}#{thread.get('pull', '')}",
            stratum=remark.category,
            input=piece.model_dump(mode="json"),
            output=json.loads(Review(comments=[remark]).model_dump_json()),
            meta={"operator": "history"},
            source=_source(thread),
        )


def preferences_from(threads: Iterable[Thread], budget: int, count_tokens: TokenCounter) -> Iterator[Preference]:
    """Yield pairs: an accepted comment is better than silence, silence is better than one refused or ignored."""
    silence = json.loads(Review(comments=[]).model_dump_json())
    for thread in threads:
        found, end = _readable(thread, budget, count_tokens), outcome(thread)
        if found is None or end == "open":
            continue
        piece, remark = found
        said = json.loads(Review(comments=[remark]).model_dump_json())
        chosen, rejected = (said, silence) if end == "accepted" else (silence, said)
        yield Preference(
            id=f"history-{thread['comments'][0]['id']}",
            pack="code-review",
            group=f"{thread.get('repo', '')}#{thread.get('pull', '')}",
            input=piece.model_dump(mode="json"),
            chosen=chosen,
            rejected=rejected,
            reason=f"history:{end}",
            source=_source(thread),
        )


def _readable(thread: Thread, budget: int, count_tokens: TokenCounter) -> tuple[ReviewInput, Remark] | None:
    """Return a thread's hunk and first comment in the terms of the task; None for noise and what does not fit."""
    first = thread["comments"][0]
    hunk = hunk_of(str(first["diff_hunk"]))
    if hunk is None or noise(first):
        return None
    piece = fitting_piece(str(first["path"]).replace("\n", " "), hunk, budget, count_tokens)
    line = first.get("original_line") or first.get("line")
    if piece is None or not isinstance(line, int):
        return None
    side: Side = "LEFT" if first.get("side") == "LEFT" else "RIGHT"
    start = first.get("original_start_line") or first.get("start_line")
    lines = (isinstance(start, int) and position_of(piece, side, line, start)) or position_of(piece, side, line)
    body = str(first["body"])
    message = tidy(_said(body))
    if not lines or not grammar.can_write(piece, message):
        return None
    fenced = _FENCE.search(body)
    remark = Remark(
        lines=lines,
        severity=severity_of(message),
        category=category_of(message),
        message=message,
        suggestion=fenced[1].replace("\r\n", "\n") if fenced and len(fenced[1]) <= grammar.MAX_SUGGESTION else None,
    )
    return None if checks.check_remark(piece, remark) else (piece, remark)


def _said(body: str) -> str:
    """Return a comment's own words: no hidden markers, no code blocks, no quoted lines."""
    text = _ANY_FENCE.sub(" ", _MARKER.sub(" ", body.replace("\r\n", "\n")))
    return " ".join(line for line in text.split("\n") if not line.lstrip().startswith(">")).strip()


def _source(thread: Thread) -> Source:
    first: Mapping[str, Any] = thread["comments"][0]
    time = datetime.fromisoformat(str(first["created_at"]).replace("Z", "+00:00"))
    return Source(origin="history", project=str(thread.get("repo", "")), time=time)
