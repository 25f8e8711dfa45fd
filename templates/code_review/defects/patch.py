"""Writing a change of one piece as the unified diff that git would print."""

from __future__ import annotations

import difflib
import re

from understudy.templates.code_review.defects.source import Piece

__all__ = ["CONTEXT", "body_lines", "replaced", "write_patch"]

CONTEXT = 3
_HEADING = re.compile(r"[A-Za-z_$]")
_HEADING_WIDTH = 80


def write_patch(piece: Piece, old: str | None, new: str) -> str:
    """Return the patch that turns the file with ``old`` in the piece's place into the file with ``new`` there.

    Args:
        piece: where in its file the change is.
        old: the piece's text before the change, without indentation; None where the piece is new in the file.
        new: its text afterwards.
    """
    lines = piece.source.lines[:-1]
    start = piece.start if old is not None else _gap(piece)
    before = piece.indented(old or "")
    after = lines[start : piece.start] + piece.indented(new)
    offset = max(0, start - CONTEXT)
    head, tail = lines[offset:start], lines[piece.end : piece.end + CONTEXT]
    left, right = head + before + tail, head + after + tail
    path = piece.source.path
    out = [f"diff --git a/{path} b/{path}", f"--- a/{path}", f"+++ b/{path}"]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        old_start, old_end, new_start, new_end = group[0][1], group[-1][2], group[0][3], group[-1][4]
        heading = next((line for line in reversed(lines[:offset] + left[:old_start]) if _HEADING.match(line)), "")
        place = f"-{_range(offset + old_start, old_end - old_start)} +{_range(offset + new_start, new_end - new_start)}"
        out.append(f"@@ {place} @@ {heading[:_HEADING_WIDTH]}".rstrip())
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                out += [" " + line for line in left[i1:i2]]
                continue
            out += ["-" + line for line in left[i1:i2]]
            out += ["+" + line for line in right[j1:j2]]
    return "".join(line + "\n" for line in out)


def replaced(piece: Piece, text: str | None) -> str:
    """Return the whole file with other text in the piece's place; None takes it and the blank lines before it away."""
    lines = piece.source.lines
    head = lines[: piece.start if text is not None else _gap(piece)]
    return "\n".join([*head, *piece.indented(text or ""), *lines[piece.end :]])


def _gap(piece: Piece) -> int:
    """Return the index of the first of the blank lines before a piece."""
    start = piece.start
    while start and not piece.source.lines[start - 1]:
        start -= 1
    return start


def _range(start: int, length: int) -> str:
    """Return a range as git writes it: 1-based, the line before where it is empty, no length where that is 1."""
    first = start + 1 if length else start
    return f"{first}" if length == 1 else f"{first},{length}"


def body_lines(patch: str) -> list[str]:
    """Return the lines of a patch's hunks, with their marks."""
    return [line for line in patch.split("\n")[3:] if line and not line.startswith("@@ ")]
