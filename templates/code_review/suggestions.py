"""Suggestions: what a file's lines become, and whether Python still parses them."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from textwrap import indent

from understudy.templates.code_review.numbered import Place, numbered
from understudy.templates.code_review.schema import ReviewInput

__all__ = ["applied", "breaks_python", "commented_lines", "parses"]

_PYTHON = (".py", ".pyi")
_LEVEL = re.compile(r"[ \t]*")
_CONTINUES = {"else": "if 1", "elif": "if 1", "except": "try", "finally": "try", "case": "match 1"}
"""First word of a block that needs another before it, and the one it needs."""
_LONGEST = 20_000
"""Characters; beyond it nothing is parsed."""


def commented_lines(piece: ReviewInput, place: Place) -> list[str]:
    """Return the text of the lines a comment covers, on its own side."""
    return [
        shown.line.text
        for shown in numbered(piece)
        if shown.line.side == place.side and place.start <= shown.line.number <= place.line
    ]


def applied(piece: ReviewInput, place: Place, suggestion: str) -> tuple[list[str], list[str]]:
    """Return the new side of the comment's hunk as it is, and as it is when the suggestion is taken.

    A suggestion replaces exactly the commented lines; an empty one deletes them.
    """
    shown = numbered(piece)
    hunk = next(s.hunk for s in shown if s.line.side == place.side and s.line.number == place.start)
    before = [s.line.text for s in shown if s.hunk == hunk and s.line.new is not None]
    head = [s.line.text for s in shown if s.hunk == hunk and s.line.new is not None and s.line.new < place.start]
    tail = [s.line.text for s in shown if s.hunk == hunk and s.line.new is not None and s.line.new > place.line]
    return before, [*head, *(suggestion.split("\n") if suggestion else []), *tail]


def breaks_python(piece: ReviewInput, place: Place, suggestion: str) -> bool:
    """Return whether code that parses would no longer do so.

    A hunk is a part of a file, so it is completed to something that can stand alone; where even the code as it is
    cannot be completed, only the commented lines and the suggestion for them are compared.
    """
    if not piece.path.endswith(_PYTHON):
        return False
    before, after = applied(piece, place, suggestion)
    if parses(before):
        return not parses(after)
    return parses(commented_lines(piece, place)) and not parses(suggestion.split("\n"))


def parses(lines: Sequence[str]) -> bool:
    """Return whether a run of lines out of a Python file can be completed to a module."""
    code = "\n".join(line.rstrip("\r") for line in lines)
    if len(code) > _LONGEST:
        return False
    for text in _completed(code):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return True
    return False


def _completed(code: str) -> Iterator[str]:
    """Yield the ways to complete a fragment: the blocks it stands in before it, the body it announces after it."""
    levels = [_LEVEL.match(line)[0] for line in code.split("\n") if line.strip()]  # type: ignore[index]
    if not levels:
        yield code
        return
    first = levels[0]
    outer = sorted({level for level in [*levels, ""] if len(level) < len(first)}, key=len)
    blocks = "".join(f"{level}if 1:\n" for level in outer)
    word = re.match(r"\s*(\w*)", code)
    opener = _CONTINUES.get(word[1], "") if word else ""
    lead = f"{first}{opener}:\n{first} pass\n" if opener else ""
    last = levels[-1] + " pass"
    for body in (code, code + "\n" + last):
        yield f"async def _():\n{indent(blocks + lead + body, ' ', lambda line: True)}"
        yield blocks + lead + body
