"""Rows of other tools' files, CodeReviewer's and plain prompts with completions, as pieces with a comment.

Neither form says which line a comment is about. It is put on the last run of changed lines of the hunk, at most
``MAX_SPAN`` of them: that is where GitHub ends the hunk it stores with a comment, and all that the row tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.core.pack import TokenCounter
from understudy.templates.code_review.diff import Side
from understudy.templates.code_review.numbered import MAX_SPAN
from understudy.templates.code_review.packing import hunk_text
from understudy.templates.code_review.prompt import messages
from understudy.templates.code_review.schema import ReviewInput

__all__ = ["Hunk", "Pair", "fitting_piece", "hunk_of", "pair_of", "tidy"]

_HEADER = re.compile(r"@@ -(\d{1,9})(?:,\d{1,9})? \+(\d{1,9})(?:,\d{1,9})? @@ ?(.*)")
_NOTHING = re.compile(r"\W*(?:no (?:issues?|comments?|problems?)(?: found)?|lgtm|looks good(?: to me)?)?\W*", re.I)
_SPACE = re.compile(r"\s+")
_ODD = re.compile(r"[\x00-\x1f\x7f]")
_KEPT = 600


@dataclass(frozen=True)
class Hunk:
    """A hunk whose header may count more lines than are there."""

    section: str
    old: int
    new: int
    lines: tuple[tuple[str, str], ...]
    """Mark and text."""

    def without_first(self) -> Hunk:
        """Return the hunk from its second line on."""
        mark = self.lines[0][0]
        return Hunk(self.section, self.old + (mark != "+"), self.new + (mark != "-"), self.lines[1:])

    def last_change(self) -> list[tuple[Side, int]]:
        """Return the places of the last run of lines that are all added or all removed, first to last."""
        runs: list[list[tuple[Side, int]]] = [[]]
        old, new = self.old, self.new
        for mark, _ in self.lines:
            place: tuple[Side, int] = ("LEFT", old) if mark == "-" else ("RIGHT", new)
            if mark == " " or (runs[-1] and runs[-1][-1][0] != place[0]):
                runs.append([])
            if mark != " ":
                runs[-1].append(place)
            old += mark != "+"
            new += mark != "-"
        return next((run[-MAX_SPAN:] for run in reversed(runs) if run), [])


@dataclass(frozen=True)
class Pair:
    """One row: a hunk, and what was said of it."""

    path: str
    hunk: Hunk
    message: str
    """Empty where no comment was made."""
    project: str


def pair_of(row: Mapping[str, Any]) -> Pair | None:
    """Return what a row says, or None where nothing can be learnt from it: a comment without text, or no changed line.

    Known are ``patch`` or ``prompt`` for the hunk, ``msg`` or ``completion`` for the comment, ``y`` (0: no comment was
    made), ``path``, ``proj`` and ``lang``.

    Raises:
        ValueError: the row has no hunk; the message says what is wrong.
    """
    text = next((row[key] for key in ("patch", "prompt", "diff") if isinstance(row.get(key), str)), None)
    if text is None:
        raise ValueError("has no text under patch, prompt or diff")
    message = tidy(next((row[key] for key in ("msg", "completion", "comment") if isinstance(row.get(key), str)), ""))
    silent = _NOTHING.fullmatch(message) is not None
    commented = str(row["y"]) == "1" if str(row.get("y", "")) in ("0", "1") else not silent
    hunk = hunk_of(text)
    if hunk is None or not hunk.last_change() or (commented and silent):
        return None
    path = _ODD.sub("_", str(row.get("path") or f"file.{row.get('lang') or 'txt'}"))
    return Pair(path, hunk, message if commented else "", str(row.get("proj") or row.get("repo") or "unknown"))


def tidy(message: str) -> str:
    """Return a comment as one paragraph: no control characters, no runs of blanks, cut at a word's end."""
    text = _ODD.sub(" ", _SPACE.sub(" ", message)).strip()
    return text if len(text) <= _KEPT else text[:_KEPT].rpartition(" ")[0]


def hunk_of(text: str) -> Hunk | None:
    """Return the first hunk of a text, None if it does not begin with one.

    What GitHub stores with a comment ends at the commented line, while its header still counts the whole hunk.
    """
    first, *rest = text.removesuffix("\n").split("\n")
    found = _HEADER.match(first)
    if found is None:
        return None
    lines = []
    for line in rest:
        if line.startswith("@@ -"):
            break
        if not line.startswith("\\"):
            lines.append((line[:1] if line[:1] in ("+", "-") else " ", line[1:]))
    return Hunk(found[3].strip(), max(int(found[1]), 1), max(int(found[2]), 1), tuple(lines))


def fitting_piece(path: str, hunk: Hunk, budget: int, count_tokens: TokenCounter) -> ReviewInput | None:
    """Return as much of a hunk's end as fits into ``budget`` tokens of prompt; None if no changed line does."""
    while hunk.lines and hunk.last_change():
        piece = ReviewInput(path=path, diff=hunk_text(hunk.section, hunk.lines, hunk.old, hunk.new))
        if sum(count_tokens(message.content) for message in messages(piece)) <= budget:
            return piece
        hunk = hunk.without_first()
    return None
