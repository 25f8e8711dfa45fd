"""A patch from bytes to records, file by file; one that is refused never hides the others.

``git apply`` looks for the next header, reads one file, and goes on behind it; so does this. Where git skips lines in
silence (surplus lines after a hunk, combined diffs, a header with nothing behind it) or gives up on the whole patch,
the file is refused by name and reading goes on at the next header. Where the two accept, they read the same.
"""

from __future__ import annotations

import io
import re
from dataclasses import replace

from understudy.core.errors import BadInput
from understudy.templates.code_review.diff import binary, headers, names
from understudy.templates.code_review.diff.headers import GIT, Header
from understudy.templates.code_review.diff.hunks import is_hunk_header, read_hunks
from understudy.templates.code_review.diff.records import FileDiff, Hunk, NotUnderstood, Patch, Refusal

__all__ = ["read_patch"]

_FIRST = frozenset("d-@*BFG\ufeff")
"""First characters of the lines that can begin something; all others are skipped without another look."""
_COMBINED = ("diff --cc ", "diff --combined ")
_NOTICE = re.compile(r"(?:Binary files|Files) .+ and (?P<new>.+) differ\n")
_HG_NOTICE = re.compile(r"Binary file (?P<new>.+) has changed(?: to .*)?\n")
_SIGNATURES = ("-- \n", "--\n", "-- \r\n")
_HUNK_LINE = ("+", "-", " ", "\\")
_MARKS = ("\ufeffdiff ", "\ufeff--- ", "\ufeffIndex: ")
_WIDE = (b"\xff\xfe", b"\xfe\xff")


def read_patch(data: bytes, name: str = "the patch") -> Patch:
    """Read a patch.

    Args:
        data: the patch as it stands in a file, an e-mail or an answer of GitHub.
        name: where it came from, for error messages.

    Raises:
        BadInput: there is nothing in it that even looks like a unified diff. A patch of which only parts are wrong
            raises nothing; see ``Patch.refused``.
    """
    if data.startswith(_WIDE):
        raise BadInput(f"{name} is in UTF-16; write it as UTF-8, for example with `git diff --output=FILE`")
    patch = _Reader(data.decode("utf-8", "surrogateescape")).read()
    if not patch.parts:
        state = "is empty" if not data.strip() else "holds no unified diff"
        raise BadInput(f"{name} {state}; give the output of `git diff`")
    return patch


def _notice(line: str) -> re.Match[str] | None:
    """Return the match of a line that says a binary file differs; only such a line is searched for names."""
    if binary.is_notice(line):
        return _NOTICE.fullmatch(line)
    return _HG_NOTICE.fullmatch(line) if line.startswith("Binary file ") else None


class _Reader:
    """One pass over the lines of a patch."""

    def __init__(self, text: str) -> None:
        self.lines = list(io.StringIO(text, newline="\n"))
        self.strip = 1
        self.parts: list[FileDiff | Refusal] = []
        self.starts: list[int] = []
        """Index of the line where each part's own text begins."""

    def read(self) -> Patch:
        """Read all."""
        lines = self.lines
        owned = index = 0
        while index < len(lines):
            if lines[index][0] not in _FIRST or not self._begins(index):
                index += 1
                continue
            before = "".join(lines[owned:index])
            try:
                part, end = self._file(index)
                self._check_tail(end)
                self.parts.append(replace(part, before=before))
                self.starts.append(index)
            except NotUnderstood as why:
                end = self._resume(index)
                self._refuse(index, end, before, why)
            owned = index = end
        return Patch(tuple(self.parts), "".join(lines[owned:]))

    def _line(self, index: int) -> str:
        return self.lines[index] if index < len(self.lines) else ""

    def _begins(self, index: int) -> bool:
        """Return whether something that must be understood or refused begins at this line."""
        line = self.lines[index]
        if line[0] == "-":
            return line.startswith("--- ") and self._line(index + 1).startswith("+++ ")
        if line[0] == "d":
            return line.startswith((GIT, *_COMBINED))
        if line[0] == "@":
            return is_hunk_header(line) or line.startswith("@@@ -")
        if line[0] == "*":
            return self._is_context_diff(index)
        if line[0] == "G":
            return line == binary.MARK
        return line.startswith(_MARKS) or _notice(line) is not None

    def _is_context_diff(self, index: int) -> bool:
        return (
            self.lines[index].startswith("*** ")
            and self._line(index + 1).startswith("--- ")
            and self._line(index + 2).startswith("***************")
        )

    def _file(self, index: int) -> tuple[FileDiff, int]:
        """Read the file that begins at a line; return it and the index after it."""
        line = self.lines[index]
        if line.startswith(GIT):
            return self._git_file(index)
        if line.startswith("--- ") and self._line(index + 2).startswith("@@ -"):
            return self._traditional_file(index)
        raise NotUnderstood(self._why_not(index), index)

    def _why_not(self, index: int) -> str:
        """Return why what begins at a line cannot be used, in words that lead to a patch that can."""
        line = self.lines[index]
        if line.startswith((*_COMBINED, "@@@ -")) or self._line(index + 2).startswith("@@@ -"):
            return "it is a combined diff of a merge; compare with one parent, as `git diff BASE...HEAD` does"
        if line.startswith("*** "):
            return "it is a context diff; make a unified one with `diff -u` or `git diff`"
        if line.startswith("--- "):
            return "no hunk follows its `---` and `+++` lines"
        if line.startswith("@@ -"):
            return "a hunk stands apart from any file header: lines were lost, or a hunk is longer than it says"
        if line[0] == "\ufeff":
            return "a byte-order mark hides its first header line; save the patch as UTF-8 without it"
        return "it is binary and has no `diff --git` header; make the patch with `git diff --binary`"

    def _git_file(self, index: int) -> tuple[FileDiff, int]:
        end = headers.git_end(self.lines, index)
        header = headers.read_git(self.lines, index, end, self.strip)
        header.check(index)
        first = self._line(end)
        hunks: tuple[Hunk, ...] = ()
        is_binary = False
        body = end
        if first.startswith("@@ -"):
            hunks, end = read_hunks(self.lines, end)
        elif first == binary.MARK:
            is_binary, end = True, binary.read_binary(self.lines, end)
            body = end
        elif binary.is_notice(first):
            is_binary, end = True, end + 1
            body = end
        elif not header.changes_metadata:
            raise NotUnderstood("its header announces a change, but none follows", index)
        return self._built(header, index, body, hunks, is_binary), end

    def _traditional_file(self, index: int) -> tuple[FileDiff, int]:
        self._learn_strip(index)
        header = headers.read_traditional(self.lines, index, self.strip)
        header.check(index)
        hunks, end = read_hunks(self.lines, index + 2)
        return self._built(header, index, index + 2, hunks, False), end

    def _learn_strip(self, index: int) -> None:
        """Learn from a new name without any folder that nothing is to be taken off, here and in the files behind it."""
        if names.has_no_folder(self.lines[index + 1][4:]):
            self.strip = 0

    def _built(self, header: Header, index: int, body: int, hunks: tuple[Hunk, ...], is_binary: bool) -> FileDiff:
        """Return the record, once the hunks fit what the header says of the file."""
        if header.is_new and any(hunk.old_length for hunk in hunks):
            raise NotUnderstood("it is a new file, but its hunks have old lines", index)
        if header.is_deleted and any(hunk.new_length for hunk in hunks):
            raise NotUnderstood("it is a deleted file, but its hunks leave lines in it", index)
        return FileDiff(
            old_path=header.old,
            new_path=header.new,
            status=header.status,
            old_mode=header.old_mode,
            new_mode=header.new_mode,
            binary=is_binary,
            hunks=hunks,
            line=index + 1,
            strip=header.strip,
            before="",
            header="".join(self.lines[index:body]),
        )

    def _check_tail(self, end: int) -> None:
        """Refuse a file behind which lines of a hunk are left over; git would skip them without a word."""
        index = end
        while self._line(index).isspace():
            index += 1
        if self._line(index) in _SIGNATURES:
            index += 1
        line = self._line(index)
        if line.startswith(_HUNK_LINE) and line not in _SIGNATURES and not self._begins(index):
            raise NotUnderstood("lines are left over behind its last hunk; the hunk is longer than it says", index)

    def _resume(self, index: int) -> int:
        """Return where the next file begins behind one that is refused at ``index``, its own header left out."""
        end = index + 1
        if _notice(self.lines[index]):
            return end
        if self.lines[index].startswith(GIT):
            end = headers.git_end(self.lines, index)
            end += _notice(self._line(end)) is not None
        elif self.lines[index].startswith(_COMBINED):
            while end < len(self.lines) and not self.lines[end].startswith(("@@@", "diff ")):
                end += 1
        elif self.lines[index].startswith("--- "):
            end = index + 2
        while end < len(self.lines) and not self._is_new_file(end):
            end += 1
        return end

    def _is_new_file(self, index: int) -> bool:
        """Return whether another file begins here; inside a refused one a hunk or binary data does not count."""
        line = self.lines[index]
        if line.startswith((GIT, *_COMBINED)) or _notice(line):
            return True
        pair = line.startswith("--- ") and self._line(index + 1).startswith("+++ ")
        return (pair and self._line(index + 2).startswith("@@")) or self._is_context_diff(index)

    def _refuse(self, index: int, end: int, before: str, why: NotUnderstood) -> None:
        """Record a refusal; a hunk without a header is blamed on the file before it, whose change it continues."""
        line = self.lines[index]
        if line.startswith("@@ -") and self.parts:
            last = self.parts.pop()
            start = self.starts[-1]
            text = "".join(self.lines[start:end])
            path = last.path
            self.parts.append(Refusal(path, why.reason, why.line + 1, last.before, text))
            return
        self.parts.append(
            Refusal(self._path(index, end), why.reason, why.line + 1, before, "".join(self.lines[index:end]))
        )
        self.starts.append(index)

    def _path(self, index: int, end: int) -> str | None:
        line = self.lines[index]
        if line.startswith(_COMBINED):
            return names.name_in(line.split(" ", 2)[2], 0, tab=False)
        if found := _notice(line):
            return found["new"]
        if self._is_context_diff(index):
            return names.traditional_name(line[4:], 0)
        if not line.startswith((GIT, "--- ")):
            return None
        header = headers.git_end(self.lines, index) if line.startswith(GIT) else index + 2
        return headers.guessed_path(self.lines, index, min(header, end), self.strip)
