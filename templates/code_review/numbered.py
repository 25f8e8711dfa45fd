"""Positions: the small numbers that stand for commentable lines in the prompt.

GitHub knows a line by path, side and number in the file of that side. A model that writes such numbers gets them wrong;
here it picks from 1, 2, 3 ... and code maps them back, so an anchor that does not exist cannot be said.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import NamedTuple

from understudy.templates.code_review.diff import Hunk, Line, NotUnderstood, Side, read_excerpt
from understudy.templates.code_review.schema import ReviewInput

__all__ = [
    "MAX_SPAN",
    "Numbered",
    "Place",
    "anchors",
    "numbered",
    "place_of",
    "position_of",
    "read_hunks_of",
    "section_of",
]

MAX_SPAN = 10
"""Lines that one comment may cover."""


class Numbered(NamedTuple):
    """One line of a piece with its position."""

    position: int
    """1-based; every line of the piece is commentable."""
    hunk: int
    """0-based number of its hunk in the piece."""
    line: Line


class Place(NamedTuple):
    """Where a comment stands: what GitHub is told besides the path."""

    side: Side
    start: int
    """First line, 1-based, in the file of that side; equal to ``line`` for a single one."""
    line: int
    """Last line."""


@lru_cache(maxsize=1024)
def read_hunks_of(diff: str) -> tuple[Hunk, ...]:
    """Return the hunks of a piece's diff text.

    Raises:
        ValueError: the text is not exactly the hunks of one file.
    """
    text = diff if diff.endswith("\n") else diff + "\n"
    try:
        return read_excerpt(list(io.StringIO(text, newline="\n")))
    except NotUnderstood as error:
        raise ValueError(f"the diff cannot be read at its line {error.line + 1}: {error.reason}") from None


def numbered(piece: ReviewInput) -> tuple[Numbered, ...]:
    """Return the lines of a piece under their positions."""
    return _numbered(piece.diff)


@lru_cache(maxsize=256)
def _numbered(diff: str) -> tuple[Numbered, ...]:
    pairs = [(index, line) for index, hunk in enumerate(read_hunks_of(diff)) for line in hunk.lines]
    return tuple(Numbered(position, index, line) for position, (index, line) in enumerate(pairs, start=1))


def anchors(piece: ReviewInput, side: Side) -> list[str]:
    """Return every ``lines`` value a comment on one side may have: single lines, then runs of up to ``MAX_SPAN``.

    A run begins and ends in one hunk, as GitHub wants it; lines of the other side in between do not count.
    """
    own = [line for line in numbered(piece) if line.line.side == side]
    runs = [
        f"{first.position}-{last.position}"
        for index, first in enumerate(own)
        for last in own[index + 1 : index + MAX_SPAN]
        if first.hunk == last.hunk
    ]
    return [str(line.position) for line in own] + runs


def place_of(piece: ReviewInput, lines: str) -> Place | None:
    """Return where ``lines`` is in the files, or None if no comment can stand there."""
    shown = numbered(piece)
    first, _, last = lines.partition("-")
    ends = [int(first), int(last or first)]
    if not all(1 <= end <= len(shown) for end in ends) or (last and ends[0] >= ends[1]):
        return None
    start, end = (shown[position - 1] for position in ends)
    if start.hunk != end.hunk or start.line.side != end.line.side or end.line.number - start.line.number >= MAX_SPAN:
        return None
    return Place(start.line.side, start.line.number, end.line.number)


def position_of(piece: ReviewInput, side: Side, line: int, start: int | None = None) -> str | None:
    """Return the ``lines`` value for a place in the files, or None if the piece does not show it."""
    found = {(shown.line.side, shown.line.number): shown.position for shown in numbered(piece)}
    last, first = found.get((side, line)), found.get((side, line if start is None else start))
    if last is None or first is None:
        return None
    lines = str(last) if first == last else f"{first}-{last}"
    return lines if place_of(piece, lines) else None


def section_of(header: str) -> str:
    """Return what stands behind the numbers of a ``@@`` line: usually the enclosing function."""
    return header.rstrip("\r\n").partition("@@")[2].partition("@@")[2].strip()
