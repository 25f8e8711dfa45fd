"""File names in patch headers, by the rules of git's ``apply.c`` and ``quote.c`` (2.39).

Git quotes a name that holds control characters, a quotation mark, a backslash or (by default) anything beyond ASCII
like a C string, bytes as octal; other names stand as they are, blanks included, and end at a tab or a CR.
"""

from __future__ import annotations

import re

__all__ = [
    "git_header_name",
    "has_no_folder",
    "is_dev_null",
    "is_epoch",
    "name_in",
    "shown",
    "traditional_name",
    "unsafe",
]

_QUOTED = re.compile(r'"((?:[^"\\\n]|\\(?:[abfnrtv"\\]|[0-3][0-7]{2}))*)"')
_ESCAPE = re.compile(r"\\([abfnrtv\"\\]|[0-3][0-7]{2})")
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CODES = {value: letter for letter, value in _LETTERS.items()} | {'"': '"', "\\": "\\"}
_RUNNER = re.compile(r"#(?=#\w*\[)|^:(?=:)")
"""Where a CI runner would take a printed name for a command: ``##[error]``, ``::error::``."""

_TIMESTAMP = re.compile(
    r"(?<=[\t ])(?:[0-9]{2})?[0-9]{2}-[0-9]{2}-[0-9]{2}"
    r"(?: [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)?(?: [+-][0-9]{4}| [+-][0-9]{2}:[0-9]{2})?\n?\Z"
)
_LONGEST_DATE = 64
_EPOCH = re.compile(r"(1969-12-31|1970-01-01) ([0-2][0-9]):([0-5][0-9]):00(?:\.0+)? ([-+])([0-2][0-9]):?([0-5][0-9])\n")
_END_AT_BLANK = re.compile(r"[\r\n]")
_END_AT_TAB = re.compile(r"[\t\r\n]")
_SLASHES = re.compile(r"/{2,}")
_DOT_GIT = re.compile(r"(?:\.git|git~1)[ .]*(?:[:\\].*)?", re.IGNORECASE | re.DOTALL)
_LONGEST = 4096
"""Bytes of a path that Linux takes (PATH_MAX); also keeps the search for names in a header line short."""


def name_in(rest: str, strip: int, *, tab: bool) -> str | None:
    """Return the name that ``rest`` of a header line begins with, or None.

    Args:
        rest: the line after its keyword.
        strip: leading folders to take off.
        tab: whether a tab ends the name, as it does after ``---`` and ``+++`` but not after ``rename from``.
    """
    if rest.startswith('"'):
        return _squash(_quoted_name(rest, strip))
    end = (_END_AT_TAB if tab else _END_AT_BLANK).search(rest)
    return _squash(_stripped(rest[: end.start()] if end else rest, strip))


def traditional_name(rest: str, strip: int, shorter: str | None = None) -> str | None:
    """Return the name in a ``---`` or ``+++`` line that no ``diff --git`` line precedes, or None.

    A date after it is cut off. ``shorter`` is the name of the other side: if this one only adds to it (``.orig``,
    ``~``), the other one is meant.
    """
    if rest.startswith('"'):
        return _squash(_quoted_name(rest, strip))
    date = _TIMESTAMP.search(rest, max(0, len(rest) - _LONGEST_DATE))
    if date is None:
        end = _END_AT_TAB.search(rest)
        name = _stripped(rest[: end.start()] if end else rest, strip)
    else:
        kept = rest[: date.start()]
        name = _stripped(kept[:-1] if kept.endswith("\t") else kept.rstrip(" "), strip)
    if name is None or (shorter is not None and name != shorter and name.startswith(shorter)):
        return _squash(shorter)
    return _squash(name)


def has_no_folder(rest: str) -> bool:
    """Return whether the name in a ``---`` or ``+++`` line has no folder that could be taken off."""
    name = None if is_dev_null(rest) else traditional_name(rest, 0)
    return name is not None and "/" not in name


def git_header_name(rest: str, strip: int) -> str | None:
    """Return the name after ``diff --git`` if both names there are the same, or None.

    Names may hold blanks and stand unquoted, so the line alone does not say where the first one ends; a name counts
    only if it stands there twice. A rename has its names in lines of their own.
    """
    rest = rest.removesuffix("\n")
    if len(rest) > 2 * _LONGEST + 16:
        return None
    if rest.startswith('"'):
        found = _QUOTED.match(rest)
        second = _QUOTED.fullmatch(rest[found.end() :].lstrip(" \t\r")) if found else None
        if not found or not second:
            return None
        names = {_cut(_unescape(found[1]), strip), _cut(_unescape(second[1]), strip)}
        return names.pop() if len(names) == 1 else None
    first = _cut(rest, strip)
    if first is None:
        return None
    if '"' in first:
        place = first.index('"')
        quoted = _QUOTED.match(first, place)
        name = _cut(_unescape(quoted[1]), strip) if quoted else None
        fits = name is not None and first[:place].startswith(name) and first[len(name) : place].isspace()
        return name if fits else None
    for blank in re.finditer(r"[ \t]", first):
        other = _cut(first[blank.end() :], strip)
        if other is None:
            return None
        if other == first[: blank.start()]:
            return other
    return None


def is_dev_null(rest: str) -> bool:
    """Return whether a name stands for "no file"."""
    return rest.startswith("/dev/null") and rest[9:10] in (" ", "\t", "\r", "\n")


def is_epoch(rest: str) -> bool:
    """Return whether the date after a name is the beginning of 1970 in UTC, with which some tools mean "no file"."""
    found = _EPOCH.fullmatch(rest.rpartition("\t")[2]) if "\t" in rest else None
    if not found:
        return False
    day, hour, minute, sign, zone_hours, zone_minutes = found.groups()
    offset = (int(zone_hours) * 60 + int(zone_minutes)) * (-1 if sign == "-" else 1)
    return int(hour) * 60 + int(minute) - offset == (24 * 60 if day == "1969-12-31" else 0)


def unsafe(path: str) -> str | None:
    """Return why ``git apply`` never writes to a path, or None if it may (``verify_path`` in git's read-cache.c)."""
    if "\0" in path:
        return "has a NUL byte in its name"
    if path.startswith("/"):
        return "has an absolute path"
    if len(path) > _LONGEST:
        return f"has a name of more than {_LONGEST} characters"
    parts = path.split("/")
    if ".." in parts:
        return "has a path with `..`, which may lead out of the repository"
    if "" in parts or "." in parts:
        return "has a path with an empty part or a `.`"
    if any(_DOT_GIT.fullmatch(part) for part in parts):
        return "lies inside a .git folder"
    return None


def shown(path: str) -> str:
    """Return a path for people, quoted as git does if a character could mislead a terminal, a reader or a CI runner."""
    if path.isprintable() and not _RUNNER.search(path) and not set(path) & {'"', "\\"} and path == path.strip():
        return path
    safe = _RUNNER.sub(lambda found: f"\\{ord(found[0]):03o}", "".join(map(_escaped, path)))
    return f'"{safe}"'


def _escaped(character: str) -> str:
    if character in _CODES:
        return f"\\{_CODES[character]}"
    if character.isprintable():
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))


def _quoted_name(rest: str, strip: int) -> str | None:
    found = _QUOTED.match(rest)
    if not found:
        return None
    name = _unescape(found[1])
    return name.split("/", strip)[-1] if name.count("/") >= strip else None


def _unescape(text: str) -> str:
    def byte(found: re.Match[str]) -> bytes:
        code = found[1]
        return bytes([int(code, 8)]) if len(code) == 3 else _LETTERS.get(code, code).encode()

    pieces, last = [], 0
    for found in _ESCAPE.finditer(text):
        pieces += [text[last : found.start()].encode("utf-8", "surrogateescape"), byte(found)]
        last = found.end()
    pieces.append(text[last:].encode("utf-8", "surrogateescape"))
    return b"".join(pieces).decode("utf-8", "surrogateescape")


def _stripped(name: str, strip: int) -> str | None:
    return (name.split("/", strip)[-1] if name.count("/") >= strip else None) or None


def _cut(name: str, strip: int) -> str | None:
    """Take folders off a name in a ``diff --git`` line; an absolute one is no name there."""
    if name.startswith("/"):
        return None
    return name.split("/", strip)[-1] if name.count("/") >= strip else None


def _squash(name: str | None) -> str | None:
    return None if name is None else _SLASHES.sub("/", name)
