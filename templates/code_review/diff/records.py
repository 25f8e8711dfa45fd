"""A patch in types: frozen, and complete enough to be written out again byte for byte.

Text is what the bytes give as UTF-8; a byte that is not UTF-8 stands as a lone surrogate (``surrogateescape``), so that
files in other encodings survive the round trip. Nothing here is ever opened: paths are names in a patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from understudy.templates.code_review.diff.names import shown

__all__ = ["Anchor", "FileDiff", "Hunk", "Kind", "Line", "NotUnderstood", "Patch", "Refusal", "Side", "Status"]

Side = Literal["LEFT", "RIGHT"]
"""GitHub's words: LEFT is the file before the change, RIGHT the file after it."""
Kind = Literal["context", "added", "removed"]
Status = Literal["added", "deleted", "modified", "renamed", "copied"]

_KINDS: dict[str, Kind] = {"+": "added", "-": "removed"}


class NotUnderstood(Exception):
    """A file of the patch is refused; caught by the reader, which goes on with the next file."""

    def __init__(self, reason: str, line: int) -> None:
        """Keep what is wrong and the index (0-based) of the patch line that shows it."""
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Anchor(NamedTuple):
    """One place in a pull request that a review comment can stand at."""

    path: str
    side: Side
    line: int
    """1-based number in the file of that side."""


class Line(NamedTuple):
    """One line of a hunk. A line ends at LF alone: CR, form feed and U+2028 are part of its text."""

    mark: str
    """``+``, ``-``, a space, or nothing where a tool stripped the space of an empty context line."""
    text: str
    ending: str
    """The LF, followed by the patch's own ``\\ No newline at end of file`` line where the file's line has no LF."""
    old: int | None
    """1-based number in the old file; None for an added line."""
    new: int | None
    """1-based number in the new file; None for a removed line."""

    @property
    def kind(self) -> Kind:
        """What the change does with the line."""
        return _KINDS.get(self.mark, "context")

    @property
    def side(self) -> Side:
        """The side a comment on this line stands on."""
        return "LEFT" if self.new is None else "RIGHT"

    @property
    def number(self) -> int:
        """The line's number in the file of its side."""
        return self.new or self.old or 0

    @property
    def content(self) -> str:
        """The line as it stands in the file, with its LF if it has one there."""
        return self.text + "\n" if self.ending == "\n" else self.text


@dataclass(frozen=True, slots=True)
class Hunk:
    """One block of a file's change."""

    header: str
    """The whole ``@@`` line, with its LF."""
    old_start: int
    old_length: int
    new_start: int
    new_length: int
    lines: tuple[Line, ...]

    def render(self) -> str:
        """Return the hunk as it stands in the patch."""
        return self.header + "".join([line.mark + line.text + line.ending for line in self.lines])


@dataclass(frozen=True, slots=True)
class FileDiff:
    """What the patch does to one file."""

    old_path: str | None
    """None for a new file."""
    new_path: str | None
    """None for a deleted file."""
    status: Status
    old_mode: str | None
    """Octal, as git writes it (``100644``); None where the patch does not say."""
    new_mode: str | None
    binary: bool
    hunks: tuple[Hunk, ...]
    """Empty for binary files and for changes of name or mode alone."""
    line: int
    """1-based line of the patch where the file begins."""
    strip: int
    """Leading folders taken off the names, ``git apply -p``: 1, or 0 in patches that have no ``a/`` and ``b/``."""
    before: str
    """Text between the previous file and this one, which ``git apply`` ignores: an e-mail, a commit message."""
    header: str
    """Everything of the file before its first hunk, the data of a binary patch included."""

    @property
    def path(self) -> str:
        """The name GitHub knows the file by: the new one, of a deleted file the old one."""
        path = self.new_path if self.new_path is not None else self.old_path
        assert path is not None
        return path

    @property
    def added(self) -> int:
        """Number of added lines."""
        return sum(line.mark == "+" for hunk in self.hunks for line in hunk.lines)

    @property
    def removed(self) -> int:
        """Number of removed lines."""
        return sum(line.mark == "-" for hunk in self.hunks for line in hunk.lines)

    @property
    def lines(self) -> Iterator[Line]:
        """The lines of all hunks in order; each is commentable, at its ``side`` and ``number``."""
        return (line for hunk in self.hunks for line in hunk.lines)

    def anchors(self) -> list[Anchor]:
        """Return every place of this file that GitHub accepts a comment at, in the order of the patch.

        Added and context lines count on the RIGHT, removed lines on the LEFT (GitHub REST, "Create a review").
        """
        path = self.path
        return [Anchor(path, line.side, line.number) for line in self.lines]

    def hunk_at(self, side: Side, start: int, end: int | None = None) -> Hunk | None:
        """Return the hunk in which a comment from ``start`` to ``end`` on one side can stand, or None.

        GitHub takes a range only if it begins before it ends and both ends are commentable lines of one hunk; without
        ``end`` a single line is asked for.
        """
        if end is not None and start >= end:
            return None
        wanted = {start} if end is None else {start, end}
        for hunk in self.hunks:
            if wanted <= {line.number for line in hunk.lines if line.side == side}:
                return hunk
        return None

    def render(self) -> str:
        """Return the file's part of the patch, without the text before it."""
        return self.header + "".join([hunk.render() for hunk in self.hunks])

    def to_json(self) -> dict[str, Any]:
        """Return one entry of the ``files`` that ``understudy diff --json`` prints."""
        return {
            "path": self.path,
            "old_path": self.old_path,
            "status": self.status,
            "old_mode": self.old_mode,
            "new_mode": self.new_mode,
            "binary": self.binary,
            "hunks": len(self.hunks),
            "added": self.added,
            "removed": self.removed,
            "lines": [{"side": line.side, "line": line.number, "kind": line.kind} for line in self.lines],
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of the patch that was not understood, kept as it stands."""

    path: str | None
    """The name as far as it could be read; None if not at all."""
    reason: str
    """What is wrong and how to mend it, without a full stop."""
    line: int
    """1-based line of the patch that shows it."""
    before: str
    text: str

    @property
    def sentence(self) -> str:
        """The refusal for people; names are escaped."""
        name = "a file without a readable name" if self.path is None else shown(self.path)
        return f"line {self.line}: {name} is refused: {self.reason}"

    def render(self) -> str:
        """Return the refused part of the patch, without the text before it."""
        return self.text

    def to_json(self) -> dict[str, Any]:
        """Return one entry of the ``refused`` that ``understudy diff --json`` prints."""
        return {"path": self.path, "reason": self.reason, "line": self.line}


@dataclass(frozen=True, slots=True)
class Patch:
    """A whole patch: what was understood, what was refused, and the text around both."""

    parts: tuple[FileDiff | Refusal, ...]
    after: str
    """Text after the last file, for example the signature of an e-mail."""

    @property
    def files(self) -> list[FileDiff]:
        """The files that were understood, in order."""
        return [part for part in self.parts if isinstance(part, FileDiff)]

    @property
    def refused(self) -> list[Refusal]:
        """The parts that were not, in order."""
        return [part for part in self.parts if isinstance(part, Refusal)]

    def commentable(self) -> frozenset[Anchor]:
        """Return every place that GitHub accepts a comment at."""
        return frozenset(anchor for file in self.files for anchor in file.anchors())

    def render(self) -> bytes:
        """Return the patch's bytes, equal to those that were read."""
        text = "".join([part.before + part.render() for part in self.parts]) + self.after
        return text.encode("utf-8", "surrogateescape")

    def to_json(self) -> dict[str, Any]:
        """Return the ``diff`` shape of the command line."""
        return {
            "files": [file.to_json() for file in self.files],
            "refused": [refusal.to_json() for refusal in self.refused],
        }
