"""Private keys, whole or cut: every line of the block is replaced, so that no line number moves.

A block begins at its BEGIN line, or, when that was cut off, at a line with the first bytes that only private keys
have, or is found backwards from its END line. It goes on while lines look like base64 and ends at the first that
does not, so a block without an end cannot swallow a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from understudy.core._redact_tokens import PLACEHOLDER, Span

__all__ = ["find_private_keys"]

_KIND = "private-key"
_BEGIN = re.compile(r"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{0,5}")
_END = re.compile(r"-{4,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{0,5}")
_MAGIC = re.compile(
    r"(?<![A-Za-z0-9/])(?:MII[A-Za-z0-9+/]{3}IBA|MC4CAQAwBQYDK2Vw|MHcCAQEEI|MI[GI][A-Za-z0-9+/]{1,3}AgEAM|b3BlbnNzaC1rZXktdjE)"
    r"[A-Za-z0-9+/]{12,}={0,2}"
)
"""How DER of PKCS#1, PKCS#8, Ed25519 and EC keys (version 0 or 1 first) and OpenSSH's format begin in base64."""
_HEADER = re.compile(r"(?:Proc-Type|DEK-Info|Version|Comment|Hash): ")
_BODY = re.compile(r"[A-Za-z0-9+/=]+")
_CLOSING = "\r\t \"',\\"
_LONG = 40
_FULL = 16
"""Characters that make a line of base64 in a known position full; a block's last line may be shorter."""


def find_private_keys(text: str) -> Iterator[Span]:
    """Yield one span for every line, or part of a line, that belongs to a private key."""
    if "PRIVATE KEY" not in text and not _MAGIC.search(text):
        return
    lines = text.split("\n")
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    done = -1
    for number, line in enumerate(lines):
        if number <= done:
            continue
        opening = _BEGIN.search(line) or _MAGIC.search(line)
        closing = _END.search(line)
        if opening and not (closing and closing.start() < opening.start()):
            end = _first_line_end(line, opening)
            yield Span(offsets[number] + opening.start(), offsets[number] + end, _KIND)
            if closing is None:
                done = number
                for inner, start, stop in _body(lines, number, opening.start()):
                    yield Span(offsets[inner] + start, offsets[inner] + stop, _KIND)
                    done = inner
        elif closing:
            yield Span(offsets[number] + closing.start(), offsets[number] + closing.end(), _KIND)
            for inner, start, stop in _body_before(lines, number, closing.start(), done):
                yield Span(offsets[inner] + start, offsets[inner] + stop, _KIND)


def _first_line_end(line: str, opening: re.Match[str]) -> int:
    """Return where the key ends in the line it begins in: at its END, at a quote, or with the line."""
    closing = _END.search(line, opening.end())
    if closing:
        return closing.end()
    quote = re.compile(r"\\?[\"'`]").search(line, opening.end())
    return quote.start() if quote else len(line.rstrip("\r"))


def _body(lines: list[str], begin: int, indent: int) -> Iterator[tuple[int, int, int]]:
    """Yield line, start and end of each piece of a block after its first line."""
    prefix = _shape(lines[begin][:indent])
    seen_last = False
    seen_body = _MAGIC.match(lines[begin], indent) is not None
    for number in range(begin + 1, len(lines)):
        line = lines[number]
        closing = _END.search(line)
        if closing:
            yield number, closing.start(), closing.end()
            return
        known = _shape(line[:indent]) == prefix
        rest = line[indent:].strip(_CLOSING) if known else ""
        if known and not seen_body and (_HEADER.match(rest) or not rest):
            if rest:
                yield number, indent, len(line.rstrip(_CLOSING))
            continue
        piece = _piece(line, indent if known else None)
        checksum = piece is not None and line[piece[0]] == "="  # PGP's, after the last line
        if piece is None or (seen_last and not checksum) or PLACEHOLDER.search(line):
            return
        seen_last = piece[1] - piece[0] < _FULL or line[piece[1] - 1] == "="
        seen_body = True
        yield number, *piece


def _body_before(lines: list[str], end: int, indent: int, done: int) -> Iterator[tuple[int, int, int]]:
    """Yield the pieces of a block above an END line whose BEGIN was cut off."""
    for number in range(end - 1, done, -1):
        known = _shape(lines[number][:indent]) == _shape(lines[end][:indent])
        piece = _piece(lines[number], indent if known else None)
        if piece is None or (piece[1] - piece[0] < _LONG and number < end - 1):
            return
        yield number, *piece


def _piece(line: str, indent: int | None) -> tuple[int, int] | None:
    """Return the base64 in a line: behind a known indent of any length, else only as a long last word."""
    stop = len(line.rstrip(_CLOSING))
    if line[:stop].endswith(("\\n", "\\r")):
        stop -= 2
    if indent is not None:
        start = indent + len(line[indent:stop]) - len(line[indent:stop].lstrip(" \t\"'"))
        if start < stop and _BODY.fullmatch(line, start, stop):
            return start, stop
    start = max(line.rfind(char, 0, stop) for char in " \t\"'|>") + 1
    if stop - start >= _LONG and _BODY.fullmatch(line, start, stop):
        return start, stop
    return None


def _shape(prefix: str) -> str:
    """Return a log prefix without its digits: two stamps of one log have one shape."""
    return re.sub(r"\d", "0", prefix)
