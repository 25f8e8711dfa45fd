"""Binary files: ``GIT binary patch`` data, checked as git does, and the bare notice that two files differ."""

from __future__ import annotations

import base64
import re
import zlib

from understudy.templates.code_review.diff.records import NotUnderstood

__all__ = ["MARK", "is_notice", "read_binary"]

MARK = "GIT binary patch\n"

_METHOD = re.compile(r"(?:literal|delta) ([0-9]{1,10})\n")
_MOST = 1 << 30
"""Bytes a block may unpack to; unpacking only to count must not become a way to keep a machine busy."""
_PIECE = 1 << 20


def is_notice(line: str) -> bool:
    """Return whether git takes the line for "this file is binary and its content is not here"."""
    return line.startswith(("Binary files ", "Files ")) and line.endswith(" differ\n")


def read_binary(lines: list[str], start: int) -> int:
    """Check the data after ``GIT binary patch`` at ``start`` and return the index after it.

    One block makes the new file, an optional second one the old file again; each ends at an empty line. A line is one
    letter for its length (A-Z 1 to 26, a-z 27 to 52 bytes) and that many bytes in base 85; together they are a zlib
    stream of the size the block announces.

    Raises:
        NotUnderstood: the data is damaged.
    """
    end = _block(lines, start + 1)
    if end is None:
        raise NotUnderstood("neither `literal` nor `delta` follows `GIT binary patch`", start)
    return _block(lines, end) or end


def _block(lines: list[str], start: int) -> int | None:
    if start >= len(lines) or not lines[start].startswith(("literal ", "delta ")):
        return None
    method = _METHOD.fullmatch(lines[start])
    if method is None:
        raise NotUnderstood("its binary data is cut off or damaged: a block does not say its size", start)
    if int(method[1]) > _MOST:
        raise NotUnderstood(f"its binary data claims more than {_MOST >> 30} GiB", start)
    packed = []
    end = start + 1
    while end < len(lines) and lines[end] != "\n":
        packed.append(_decoded(lines[end], end))
        end += 1
    if end == len(lines):
        raise NotUnderstood("its binary data is cut off; the empty line at its end is missing", end - 1)
    if _unpacked_size(b"".join(packed), int(method[1])) != int(method[1]):
        raise NotUnderstood("its binary data is damaged: it does not unpack to the announced size", start)
    return end + 1


def _decoded(line: str, index: int) -> bytes:
    body = line[1:-1]
    letter = line[0]
    size = ord(letter) - 64 if "A" <= letter <= "Z" else ord(letter) - 70 if "a" <= letter <= "z" else 0
    if not line.endswith("\n") or not body or len(body) % 5 or not 0 <= len(body) // 5 * 4 - size < 4 or not size:
        raise NotUnderstood("its binary data is damaged: a line has not the length it announces", index)
    try:
        return base64.b85decode(body)[:size]
    except ValueError as error:
        raise NotUnderstood("its binary data is damaged: a line is not base 85", index) from error


def _unpacked_size(packed: bytes, limit: int) -> int:
    """Return how many bytes the stream unpacks to, -1 if it is broken, incomplete or bigger than ``limit``."""
    stream = zlib.decompressobj()
    total = 0
    try:
        piece = stream.decompress(packed, _PIECE)
        while piece or stream.unconsumed_tail:
            total += len(piece)
            if total > limit:
                return -1
            piece = stream.decompress(stream.unconsumed_tail, _PIECE)
    except zlib.error:
        return -1
    return total if stream.eof else -1
