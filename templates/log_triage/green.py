"""What the last green log already had: a set of normalised lines, so that only new ones remain to be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from understudy.templates.log_triage.lines import blocks, clean

__all__ = ["GreenLog", "normalise"]

_MAX_LINES = 1_500_000
_DIGITS = b"0123456789"

_VARIABLE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|(?:/private)?/(?:tmp|var/folders|var/tmp)/[^\s:'\"),;\]]+|[A-Z]:\\[^\s]*\\Temp\\[^\s'\"]+"
    r"|\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,}\b|0x[0-9a-f]+"
    r"|\b(?:mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\b"
    r"|@[0-9a-f]{5,}\b"
    r"|[+-]?\d[\d.,:_]*\s?(?:(?:ns|us|µs|ms|s|sec|secs|seconds?|m|min|mins|minutes?|h|hours?|[kmgt]i?b(?:/s)?|b|bytes|%|am|pm)\b|%)?",
    re.IGNORECASE,
)
_SPACES = re.compile(r"\s+")


def normalise(text: str) -> str:
    """Return a cleaned line with what changes from run to run replaced: numbers, ids, temporary paths."""
    return _SPACES.sub(" ", _VARIABLE.sub("0", text)).strip().lower()


class GreenLog:
    """The normalised lines of a log of a run that passed; at most 1.5 million different ones are remembered."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Read the log once."""
        self._raw: set[int] = set()
        self._normal: set[int] = set()
        for block in blocks(chunks):
            for raw in block.lines:
                key = hash(raw.translate(None, _DIGITS))
                if key not in self._raw and len(self._raw) < _MAX_LINES:
                    self._raw.add(key)
                    self._normal.add(hash(normalise(clean(raw).text)))

    def fresh(self, lines: Sequence[bytes]) -> Iterator[int]:
        """Yield the positions of the lines that the green log does not have; blank lines never count."""
        for index, raw in enumerate(lines):
            if hash(raw.translate(None, _DIGITS)) in self._raw:
                continue
            text = normalise(clean(raw).text)
            if text and hash(text) not in self._normal:
                yield index
