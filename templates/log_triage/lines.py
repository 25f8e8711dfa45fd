"""Bytes of a log to cleaned lines that remember their source number, streaming and in bounded memory.

A line ends at LF and at nothing else: a carriage return, a form feed or U+2028 never starts a new number, so the
numbers are those of every editor and of the log viewers. What is cleaned away (colours, runner timestamps, progress
states that a terminal would have overwritten) never changes a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["MAX_LINE_BYTES", "Block", "Line", "blocks", "clean", "cut_middle"]

MAX_LINE_BYTES = 16_384
"""A longer line keeps its two ends around a marker, so that one line of 200 MB costs no more than this."""

_HALF = MAX_LINE_BYTES // 2

_ESCAPE = re.compile(
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements, erase
    r"|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"  # OSC, DCS and the like, but only when they end: no hidden text
    r"|[ -/]*[0-~])"  # two-character escapes
)
_RUNNER_STAMP = re.compile(
    r"\ufeff?(?:[^\t\r]{1,200}\t[^\t\r]{1,200}\t\ufeff?)?"  # "job<TAB>step<TAB>", as the gh command line exports it
    r"\[?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z\]?(?: \d\d[OE]\+?)?(?: |$)"  # GitHub, GitLab, Jenkins
)
_MARKER = re.compile(
    r"##\[(group|endgroup|error|warning|notice|debug|command|section)\]|\[command\]|::(group|endgroup)::"
)
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line for matching and for showing."""

    number: int
    """1-based, counted at LF."""
    text: str
    """Without colours, timestamps and group markers; no control character but the tab."""
    marker: str = ""
    """The runner's marker that stood before the text: ``group``, ``endgroup``, ``error``, ``warning`` and so on."""


@dataclass(frozen=True, slots=True)
class Block:
    """A run of whole lines, as big as the chunk they came in."""

    first: int
    """Number of the first line."""
    lines: list[bytes]
    """Without their LF; none is longer than ``MAX_LINE_BYTES`` and a marker."""
    data: bytes
    """The same lines joined by LF, for searching."""


class _Unfinished:
    """The line whose end has not been read yet: its first and last bytes, whatever its length."""

    def __init__(self) -> None:
        self.length = 0
        self._head = b""
        self._tail = b""

    def add(self, piece: bytes) -> None:
        self.length += len(piece)
        room = _HALF - len(self._head)
        self._head += piece[:room]
        if len(piece) > room:
            self._tail = (self._tail + piece[room:])[-_HALF:]

    def take(self) -> bytes:
        cut = self.length - len(self._head) - len(self._tail)
        line = self._head + (b" [... %d bytes cut ...] " % cut if cut else b"") + self._tail
        self.length, self._head, self._tail = 0, b"", b""
        return line


def blocks(chunks: Iterable[bytes]) -> Iterator[Block]:
    """Yield the lines of a log, a block for each chunk that ends at least one line.

    Memory is bounded by the largest chunk, however long a line is. A last line without LF counts; the empty piece
    behind a final LF does not.
    """
    number = 1
    unfinished = _Unfinished()
    for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end < 0:
            unfinished.add(chunk)
            continue
        lines = chunk[:end].split(b"\n")
        whole = not unfinished.length and max(map(len, lines)) <= MAX_LINE_BYTES
        if not whole:
            unfinished.add(lines[0])
            lines[0] = unfinished.take()
            lines[1:] = [line if len(line) <= MAX_LINE_BYTES else _shortened(line) for line in lines[1:]]
        yield Block(number, lines, chunk[:end] if whole else b"\n".join(lines))
        number += len(lines)
        unfinished.add(chunk[end + 1 :])
    if unfinished.length:
        last = unfinished.take()
        yield Block(number, [last], last)


def _shortened(line: bytes) -> bytes:
    holder = _Unfinished()
    holder.add(line)
    return holder.take()


def clean(raw: bytes, number: int = 1) -> Line:
    """Return one line ready for matching and showing.

    Bytes that are not UTF-8 become U+FFFD; of a progress bar the last state that is not blank stays; other control
    and direction-changing characters are written as escapes, so that they cannot act where the text is shown.
    """
    text = raw.decode("utf-8", "replace")
    if "\x1b" in text:
        text = _ESCAPE.sub("", text)
    stamp = _RUNNER_STAMP.match(text)
    if stamp:
        text = text[stamp.end() :]
    if "\r" in text:
        text = next((state for state in reversed(text.split("\r")) if state.strip()), "")
    marker = ""
    found = _MARKER.match(text, 1 if text.startswith("\ufeff") else 0)
    if found:
        marker = found[1] or found[2] or "command"
        if marker in {"group", "endgroup"}:
            text = text[found.end() :]
    if not text.isprintable():
        text = _UNSAFE.sub(_visible, text.removeprefix("\ufeff"))
    return Line(number, text.rstrip(), marker)


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cut_middle(text: str, limit: int) -> str:
    """Return ``text`` in at most ``limit`` characters (9 or more), both ends kept around `` [...] ``."""
    if len(text) <= limit:
        return text
    room = limit - 7
    head = (room * 2 + 2) // 3
    return f"{text[:head]} [...] {text[len(text) - (room - head) :]}"
