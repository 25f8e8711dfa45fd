"""What stands before the hunks of a file: names, modes, renames, by the rules of git's ``apply.c`` (2.39).

Two kinds are known: ``diff --git`` with git's extended lines, and the pair ``---``, ``+++`` of plain ``diff -u``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from understudy.templates.code_review.diff import names
from understudy.templates.code_review.diff.records import NotUnderstood, Status

__all__ = ["GIT", "Header", "git_end", "guessed_path", "read_git", "read_traditional"]

GIT = "diff --git "

_KEYWORDS = (
    "--- ",
    "+++ ",
    "old mode ",
    "new mode ",
    "deleted file mode ",
    "new file mode ",
    "copy from ",
    "copy to ",
    "rename old ",
    "rename new ",
    "rename from ",
    "rename to ",
    "similarity index ",
    "dissimilarity index ",
    "index ",
)
_DECISIVE = tuple(keyword for keyword in _KEYWORDS if keyword[0] not in "-+" and "index" not in keyword)
_MODE = re.compile(r"[0-7]{1,7}(?=[ \t\r\n])")
_INDEX_MODE = re.compile(r"[^.\n]{0,64}\.\.[^ \n]{0,64} ([^\n]*\n)")
_TYPE = 0o170000
_TYPES = (0o100000, 0o120000, 0o160000)
"""File, symbolic link, submodule: all that a tree of git can hold by name."""


@dataclass
class Header:
    """The names and modes of one file while its header is read; becomes a ``FileDiff``."""

    strip: int
    old: str | None = None
    new: str | None = None
    old_mode: str | None = None
    new_mode: str | None = None
    is_new: bool = False
    is_deleted: bool = False
    is_rename: bool = False
    is_copy: bool = False

    @property
    def status(self) -> Status:
        """What happens to the file; two names without a word about it make a rename, as for ``git apply``."""
        if self.is_new:
            return "added"
        if self.is_deleted:
            return "deleted"
        if self.is_copy:
            return "copied"
        return "renamed" if self.is_rename or self.old != self.new else "modified"

    @property
    def changes_metadata(self) -> bool:
        """Whether the header alone is a change, without any hunk."""
        mode = self.old_mode is not None and self.new_mode is not None and self.old_mode != self.new_mode
        return self.is_new or self.is_deleted or self.is_rename or self.is_copy or mode

    def check(self, line: int) -> None:
        """Refuse names that ``git apply`` would not write to, and a change of a file's type in place."""
        for path in (None if self.is_new or self.is_copy else self.old, None if self.is_deleted else self.new):
            why = names.unsafe(path) if path is not None else None
            if why:
                raise NotUnderstood(f"it {why}", line)
        modes = [int(mode, 8) & _TYPE for mode in (self.old_mode, self.new_mode) if mode]
        if self.old and self.new and len(set(modes)) == 2:
            raise NotUnderstood(
                f"mode {self.new_mode} is another type of file than {self.old_mode}; "
                "git writes that as a deletion and a new file",
                line,
            )


def git_end(lines: list[str], start: int) -> int:
    """Return the index after the header that ``diff --git`` at ``start`` begins; a line without LF is cut off."""
    end = start + 1
    while end < len(lines) and lines[end].startswith(_KEYWORDS) and lines[end].endswith("\n"):
        end += 1
    return end


def guessed_path(lines: list[str], start: int, end: int, strip: int) -> str | None:
    """Return the best name for a file that is refused, from whatever part of its header can be read."""
    found: dict[str, str | None] = {}
    for line in lines[start:end]:
        for keyword in ("+++ ", "--- ", "rename to ", "copy to ", "rename from ", "copy from "):
            if line.startswith(keyword) and not names.is_dev_null(line[len(keyword) :]):
                tab = keyword in ("+++ ", "--- ")
                found.setdefault(keyword, names.name_in(line[len(keyword) :], strip if tab else 0, tab=tab))
    named = [found[keyword] for keyword in ("+++ ", "rename to ", "copy to ", "--- ") if found.get(keyword)]
    if named:
        return named[0]
    return names.git_header_name(lines[start][len(GIT) :], strip) if lines[start].startswith(GIT) else None


def read_git(lines: list[str], start: int, end: int, strip: int) -> Header:
    """Read the header in ``lines[start:end]``, whose first line is ``diff --git``.

    Raises:
        NotUnderstood: names are missing or contradict each other, or a mode is no mode.
    """
    if end == start + 1:
        raise NotUnderstood(
            "no header line that git knows follows its `diff --git` line; make the patch again with `git diff`", start
        )
    if end < len(lines) and not lines[end].endswith("\n") and lines[end].startswith(_DECISIVE):
        raise NotUnderstood("the patch is cut off inside the file's header; add the missing end", end)
    header = Header(strip)
    default = names.git_header_name(lines[start][len(GIT) :], strip)
    for index in range(start + 1, end):
        keyword = next(word for word in _KEYWORDS if lines[index].startswith(word))
        _apply(header, keyword, lines[index][len(keyword) :], default, index)
        if header.is_new + header.is_deleted + header.is_rename + header.is_copy > 1:
            raise NotUnderstood("its header says two of new, deleted, renamed and copied at once", index)
    if header.old is None and header.new is None:
        header.old = header.new = default
    if (header.new is None and not header.is_deleted) or (header.old is None and not header.is_new):
        raise NotUnderstood("its header does not say which file it changes; make the patch with `git diff`", start)
    _check_sides(header, lines[start:end], start)
    header.new_mode = header.new_mode or (None if header.is_deleted else header.old_mode)
    return header


def _check_sides(header: Header, lines: list[str], start: int) -> None:
    """Refuse headers whose order or gaps make git lose a mode, look for a file ``dev/null`` or stop at an assertion."""
    if (header.is_new and header.old is not None) or (header.is_deleted and header.new is not None):
        raise NotUnderstood("its header says new or deleted, but names a file where /dev/null belongs", start)
    modes = [line.startswith("old mode ") for line in lines if line.startswith(("old mode ", "new mode "))]
    if modes and set(modes) != {True, False}:
        raise NotUnderstood("its header has only one of `old mode` and `new mode`", start)
    if "dev/null" in (header.old, header.new):
        raise NotUnderstood("it names /dev/null without saying `new file mode` or `deleted file mode`", start)


def _apply(header: Header, keyword: str, rest: str, default: str | None, index: int) -> None:
    """Take one line of the header into account, in the order of the patch, as ``git apply`` does."""
    if keyword == "--- ":
        header.old = _verified(header.old, header.is_new, rest, header.strip, index)
    elif keyword == "+++ ":
        header.new = _verified(header.new, header.is_deleted, rest, header.strip, index)
    elif keyword == "old mode ":
        header.old_mode = _mode(rest, index)
    elif keyword == "new mode ":
        header.new_mode = _mode(rest, index)
    elif keyword == "deleted file mode ":
        header.is_deleted, header.old, header.old_mode = True, default, _mode(rest, index)
    elif keyword == "new file mode ":
        header.is_new, header.new, header.new_mode = True, default, _mode(rest, index)
    elif keyword in ("copy from ", "rename from ", "rename old "):
        header.old = names.name_in(rest, max(0, header.strip - 1), tab=False)
        _mark(header, keyword)
    elif keyword in ("copy to ", "rename to ", "rename new "):
        header.new = names.name_in(rest, max(0, header.strip - 1), tab=False)
        _mark(header, keyword)
    elif keyword == "index " and (found := _INDEX_MODE.match(rest)):
        header.old_mode = _mode(found[1], index)


def _mark(header: Header, keyword: str) -> None:
    if keyword.startswith("copy"):
        header.is_copy = True
    else:
        header.is_rename = True


def _mode(rest: str, index: int) -> str:
    found = _MODE.match(rest)
    if not found or int(found[0], 8) & _TYPE not in _TYPES:
        raise NotUnderstood("its header has a mode that git does not know, unlike 100644", index)
    return found[0]


def _verified(name: str | None, is_null: bool, rest: str, strip: int, index: int) -> str | None:
    """Return the name a ``---`` or ``+++`` line gives, which must fit what the lines before it said."""
    if name is None and is_null:
        if not names.is_dev_null(rest):
            raise NotUnderstood("its header says new or deleted, but names a file where /dev/null belongs", index)
        return None
    given = names.name_in(rest, strip, tab=True)
    if name is None:
        return given
    if is_null or given != name:
        raise NotUnderstood("its header gives different names for the same side", index)
    return name


def read_traditional(lines: list[str], start: int, strip: int) -> Header:
    """Read the pair ``---``, ``+++`` at ``start``, without a ``diff --git`` before it.

    Both sides have one name here: plain ``diff`` compares two places, not two names.

    Raises:
        NotUnderstood: no name is left after ``strip`` folders are taken off.
    """
    header = Header(strip)
    first, second = lines[start][4:], lines[start + 1][4:]
    if names.is_dev_null(first):
        header.is_new, name = True, names.traditional_name(second, strip)
    elif names.is_dev_null(second):
        header.is_deleted, name = True, names.traditional_name(first, strip)
    else:
        name = names.traditional_name(second, strip, names.traditional_name(first, strip))
        header.is_new = names.is_epoch(first)
        header.is_deleted = not header.is_new and names.is_epoch(second)
    if name is None:
        raise NotUnderstood("its `---` and `+++` lines hold no usable name", start)
    header.old = None if header.is_new else name
    header.new = None if header.is_deleted else name
    return header
