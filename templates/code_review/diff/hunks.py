"""Hunks: ``unidiff`` reads them, and nothing it could skip, miscount or misread gets past.

``unidiff`` leaves out what stands after the lines a hunk header announces, takes lines that ``git apply`` refuses, and
numbers whatever a header says. So the lines are counted here first, ``unidiff`` is given exactly one file's hunks under
a neutral name, and what it returns must be what the patch says, line by line.
"""

from __future__ import annotations

import re
from itertools import pairwise

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from understudy.templates.code_review.diff.records import Hunk, Line, NotUnderstood

__all__ = ["is_hunk_header", "read_excerpt", "read_hunks"]

_HEADER = re.compile(r"@@ -([0-9]+)(?:,([0-9]+))? \+([0-9]+)(?:,([0-9]+))? @@[^\n]*\n")
_NEUTRAL = ("--- a/file\n", "+++ b/file\n")
_SHORTEST_MARKER = 13
"""Bytes; git knows the translated ``\\ No newline at end of file`` only by its beginning and about this length."""
_MOST_LINES = 10**9


def is_hunk_header(line: str) -> bool:
    """Return whether the line is a whole hunk header."""
    return _HEADER.fullmatch(line) is not None


class _Frame:
    """One hunk while it is counted: its header's numbers and the lines that belong to it."""

    def __init__(self, header: str, index: int) -> None:
        found = _HEADER.fullmatch(header)
        if found is None:
            raise NotUnderstood("a hunk header is not of the form `@@ -1,2 +1,2 @@`", index)
        if any(len(number or "") > 9 for number in found.groups()):
            raise NotUnderstood(f"a hunk header has a number beyond {_MOST_LINES}", index)
        self.header = header
        self.index = index
        self.old_start, self.new_start = int(found[1]), int(found[3])
        self.old_length = 1 if found[2] is None else int(found[2])
        self.new_length = 1 if found[4] is None else int(found[4])
        self.lines: list[str] = []
        self.markers: dict[int, str] = {}
        """The ``\\ No newline`` line after the line of that position."""

    @property
    def old_begin(self) -> int:
        """First old line; a side of no lines is numbered by the line before it."""
        return self.old_start + (self.old_length == 0)

    @property
    def new_begin(self) -> int:
        """First new line; a side of no lines is numbered by the line before it."""
        return self.new_start + (self.new_length == 0)


def read_hunks(lines: list[str], start: int) -> tuple[tuple[Hunk, ...], int]:
    """Read the hunks that begin at ``lines[start]``; return them and the index after the last.

    Raises:
        NotUnderstood: the lines are not those that the headers announce, or ``git apply`` could not place them.
    """
    frames, end = _frames(lines, start)
    _check_order(frames)
    return _typed(frames), end


def read_excerpt(lines: list[str]) -> tuple[Hunk, ...]:
    """Read some of a file's hunks: as exact as :func:`read_hunks`, but hunks in between may be left out.

    Raises:
        NotUnderstood: the lines are not those that the headers announce, or something else stands among them.
    """
    frames, end = _frames(lines, 0)
    if end < len(lines) or not frames:
        raise NotUnderstood("something else than hunks stands there", end)
    for before, after in pairwise(frames):
        if after.old_begin < before.old_begin + before.old_length or after.new_begin < before.new_begin + (
            before.new_length
        ):
            raise NotUnderstood("its hunks overlap or are out of order", after.index)
    return _typed(frames)


def _frames(lines: list[str], start: int) -> tuple[list[_Frame], int]:
    frames: list[_Frame] = []
    end = start
    while end < len(lines) and lines[end].startswith("@@ -"):
        frame = _Frame(lines[end], end)
        end = _collect(lines, end + 1, frame)
        frames.append(frame)
    return frames, end


def _collect(lines: list[str], start: int, frame: _Frame) -> int:
    """Take the announced lines and their markers into the frame; return the index after them."""
    old, new = frame.old_length, frame.new_length
    taken = frame.lines
    index = start
    changed = False
    total = len(lines)
    while old or new:
        line = lines[index] if index < total else ""
        mark = line[:1]
        if mark == " " or mark == "\n":
            old -= 1
            new -= 1
        elif mark == "-":
            old -= 1
            changed = True
        elif mark == "+":
            new -= 1
            changed = True
        elif mark == "\\":
            _take_marker(frame, line, index)
            index += 1
            continue
        else:
            old = -1
        if old < 0 or new < 0 or line[-1:] != "\n":
            raise NotUnderstood(_miscounted(frame, lines, index), index)
        taken.append(line)
        index += 1
    if not changed:
        raise NotUnderstood("a hunk changes nothing", frame.index)
    if index < total and lines[index].startswith("\\ "):
        _take_marker(frame, lines[index], index)
        index += 1
    return index


def _miscounted(frame: _Frame, lines: list[str], index: int) -> str:
    announced = f"{frame.old_length} old and {frame.new_length} new lines that line {frame.index + 1} announces"
    if index >= len(lines):
        return f"the patch ends before the {announced}"
    if not lines[index].endswith("\n"):
        return "the patch is cut off: its last line has no line end"
    return f"a hunk does not have the {announced}"


def _take_marker(frame: _Frame, line: str, index: int) -> None:
    position = len(frame.lines) - 1
    whole = line.startswith("\\ ") and len(line.encode("utf-8", "replace")) >= _SHORTEST_MARKER
    if not whole:
        raise NotUnderstood("a line in a hunk begins with a backslash, but is no `\\ No newline at end of file`", index)
    if position < 0 or position in frame.markers or len(frame.lines[position]) < 3:
        raise NotUnderstood("`\\ No newline at end of file` follows no line that could lack one", index)
    frame.markers[position] = line


def _check_order(frames: list[_Frame]) -> None:
    """Refuse numbers that no pair of files has: each hunk lies behind the one before it, on both sides equally far."""
    old_end = new_end = 1
    for frame in frames:
        if (frame.old_length and not frame.old_start) or (frame.new_length and not frame.new_start):
            raise NotUnderstood("a hunk header speaks of a line 0", frame.index)
        if frame.old_begin < old_end or frame.new_begin < new_end:
            raise NotUnderstood("its hunks overlap or are out of order", frame.index)
        left = new_end + frame.old_begin - old_end
        if frame.new_begin != left:
            raise NotUnderstood(
                f"a hunk header says new line {frame.new_start}, but the hunks before it leave "
                f"line {left - (frame.new_length == 0)}, so its place in the file cannot be told; apply the patch and "
                "take the output of `git diff`",
                frame.index,
            )
        old_end = frame.old_begin + frame.old_length
        new_end = frame.new_begin + frame.new_length
    for frame in frames:
        for position in frame.markers:
            _check_marker(frame, position, is_last=frame is frames[-1])


def _check_marker(frame: _Frame, position: int, *, is_last: bool) -> None:
    """Refuse a line without LF that others of the same file follow."""
    mark = frame.lines[position][0]
    later = {line[0] for line in frame.lines[position + 1 :]}
    follows = later - {"+" if mark == "-" else "-"} if mark in "+-" else later
    if follows or not is_last:
        raise NotUnderstood("`\\ No newline at end of file` stands before the last line of the file", frame.index)


def _typed(frames: list[_Frame]) -> tuple[Hunk, ...]:
    """Let ``unidiff`` read the lines, and compare what it read with what stands there."""
    source = [*_NEUTRAL]
    for frame in frames:
        source.append(frame.header)
        source += frame.lines
    try:
        (file,) = PatchSet(source)
    except (UnidiffParseError, ValueError) as error:
        raise NotUnderstood("unidiff and git read it differently; please report this patch", frames[0].index) from error
    if len(file) != len(frames):
        raise NotUnderstood("unidiff and git count its hunks differently; please report this patch", frames[0].index)
    hunks = []
    for frame, read in zip(frames, file, strict=True):
        typed = [
            Line("" if raw == "\n" else line.line_type, line.value[:-1], "\n", line.source_line_no, line.target_line_no)
            for raw, line in zip(frame.lines, read, strict=False)
        ]
        same = "".join([line.mark + line.text + "\n" for line in typed]) == "".join(frame.lines)
        if not same or len(read) != len(frame.lines):
            raise NotUnderstood("unidiff and git read a hunk differently; please report this patch", frame.index)
        for position, marker in frame.markers.items():
            typed[position] = typed[position]._replace(ending="\n" + marker)
        hunks.append(
            Hunk(frame.header, frame.old_start, frame.old_length, frame.new_start, frame.new_length, tuple(typed))
        )
    return tuple(hunks)
