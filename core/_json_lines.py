"""JSON Lines from outside, read strictly: every broken line is known by its number before anything is used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from understudy.core.errors import BadInput

__all__ = ["read_json_lines", "read_numbered_lines"]

T = TypeVar("T")


def read_json_lines(path: Path, convert: Callable[[dict[str, Any]], T]) -> list[T]:
    """Return ``convert`` of the object in each line, as :func:`read_numbered_lines` does."""
    return read_numbered_lines(path, lambda line, number: convert(line))


def read_numbered_lines(path: Path, convert: Callable[[dict[str, Any], int], T]) -> list[T]:
    """Return ``convert`` of each line's object and number; blank lines are skipped, a line ends at LF only.

    Args:
        path: a UTF-8 file, with or without a byte order mark.
        convert: raises ``ValueError`` with a sentence when it cannot use an object. Numbers count from 1, blank lines
            included.

    Raises:
        BadInput: the file cannot be read or has broken lines; the message names the first and says how many there are.
    """
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    values, broken, total = [], [], 0
    for number, line in _numbered(data):
        total += 1
        try:
            values.append(convert(_object(line), number))
        except (ValueError, RecursionError) as error:
            broken.append((number, _reason(error)))
    if broken:
        number, reason = broken[0]
        raise BadInput(f"{path}, line {number}: {reason} ({len(broken)} of {total} lines are broken; none was used)")
    if not values:
        raise BadInput(f"{path}: has no lines; one JSON object per line is expected")
    return values


def _numbered(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _object(line: bytes) -> dict[str, Any]:
    text = line.decode("utf-8")
    value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    if not isinstance(value, dict):
        raise ValueError(f"is a JSON {'array' if isinstance(value, list) else 'value'}; each line must be one object")
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")  # half a surrogate pair cannot be stored
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"gives the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"holds {name}, which JSON has no form for")


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 text (byte {error.start + 1} of the line); save the file as UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "holds half of a surrogate pair (\\ud800 to \\udfff alone); write the whole character"
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} in column {error.colno}"
    return str(error)
