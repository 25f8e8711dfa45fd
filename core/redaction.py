"""Secrets and personal data out of text, with every line number left where it was.

Made for build logs, diffs and tickets: :func:`redact` never adds or removes a line, runs in linear time on hostile
input, and changes nothing when it is applied again. A placeholder says what was there and about how long it was
(rounded up to a multiple of four characters), nothing else: ``[REDACTED:github-token:40]``.

Nothing is judged by its entropy alone, so commit hashes, digests, UUIDs and test names stay readable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from understudy.core._redact_assignments import find_assignments
from understudy.core._redact_keys import find_private_keys
from understudy.core._redact_personal import find_personal
from understudy.core._redact_tokens import PLACEHOLDER, Span, find_tokens

__all__ = ["redact", "redact_lines", "redact_value"]

_ROUNDS = 8
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_RUN = re.compile(r"[A-Za-z0-9!#$%*+.^~_-]{8,}")
"""A piece of text that may be a secret told elsewhere by its context."""


def redact(text: str) -> tuple[str, Counter[str]]:
    """Return ``text`` with secrets and personal data replaced, and how many of each kind there were.

    A value that its context gives away once (``password=...``) is replaced wherever else it stands as a word.
    """
    counts = Counter[str]()
    for _ in range(_ROUNDS):
        spans = _merged(_find(text), text)
        if not spans:
            break
        counts.update(span.kind for span in spans)
        text = _replaced(text, spans)
    return text, counts


def redact_lines(lines: Sequence[str]) -> list[str]:
    """Return the lines with their secrets replaced, found in all of them as one text.

    A key block or a password is known by its neighbours; no line is lost or added.
    """
    return redact("\n".join(lines))[0].split("\n") if lines else []


def redact_value(value: Any) -> tuple[Any, Counter[str]]:
    """Return a JSON value with all its strings redacted, and how many finds of each kind there were.

    The strings are redacted as the lines of one text, so that a key block spread over a list of lines is seen as a
    block, and a secret that one string gives away is found in the others. Keys of mappings are left alone.
    """
    parts = list(value.values()) if isinstance(value, dict) else [value]
    strings: list[str] = []
    for part in parts:
        strings += [*_strings(part), ""]  # a block of lines does not go on from one part into the next
    clean, counts = redact("\n".join(strings))
    if not counts:
        return value, counts
    lines = iter(clean.split("\n"))
    pieces = iter(["\n".join(next(lines) for _ in range(text.count("\n") + 1)) for text in strings])
    changed = []
    for part in parts:
        changed.append(_rebuilt(part, pieces))
        next(pieces)
    return dict(zip(value, changed, strict=True)) if isinstance(value, dict) else changed[0], counts


def _find(text: str) -> list[Span]:
    """Return all finds, the most specific detectors' first."""
    # A colour code ends in a letter, which would seem to belong to the word after it.
    text = _COLOUR.sub(lambda match: " " * len(match[0]), text)
    told = [*find_private_keys(text), *find_tokens(text), *find_assignments(text)]
    told += _repeated(text, told)
    taken = [(span.start, span.end) for span in _united(told)]
    # The end of a password and the host after it look like an e-mail address.
    return [*told, *(span for span in find_personal(text) if not _touches(span, taken))]


def _repeated(text: str, told: Iterable[Span]) -> Iterator[Span]:
    """Yield other places of the values found, where they are long and mixed enough not to be common words."""
    values = {text[span.start : span.end]: span.kind for span in told if span.kind != "private-key"}
    known = {value for value in values if _RUN.fullmatch(value) and re.search(r"\d", value) and not value.isdigit()}
    if known:
        for match in _RUN.finditer(text):
            word = match[0].rstrip(".!")
            if word in known:
                yield Span(match.start(), match.start() + len(word), values[word])


def _merged(spans: Iterable[Span], text: str) -> list[Span]:
    """Return disjoint spans in order, without those that touch a placeholder."""
    taken = [match.span() for match in PLACEHOLDER.finditer(text)]
    return [span for span in _united(spans) if not _touches(span, taken)]


def _united(spans: Iterable[Span]) -> list[Span]:
    """Return disjoint spans in order; where some overlap, their union under the name of the first detector's."""
    rank = {span: position for position, span in reversed(list(enumerate(spans)))}
    kept: list[Span] = []
    best = 0
    for span in sorted(rank):
        if kept and span.start < kept[-1].end:
            last = kept[-1]
            kind = last.kind if best <= rank[span] else span.kind
            best = min(best, rank[span])
            kept[-1] = Span(last.start, max(last.end, span.end), kind)
        else:
            kept.append(span)
            best = rank[span]
    return kept


def _touches(span: Span, taken: list[tuple[int, int]]) -> bool:
    """Whether a span overlaps one of the sorted, disjoint ranges."""
    low, high = 0, len(taken)
    while low < high:
        middle = (low + high) // 2
        if taken[middle][1] <= span.start:
            low = middle + 1
        else:
            high = middle
    return low < len(taken) and taken[low][0] < span.end


def _replaced(text: str, spans: Iterable[Span]) -> str:
    pieces, position = [], 0
    for span in spans:
        size = (span.end - span.start + 3) // 4 * 4
        pieces += [text[position : span.start], f"[REDACTED:{span.kind}:{size}]"]
        position = span.end
    return "".join([*pieces, text[position:]])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _rebuilt(value: Any, pieces: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(pieces)
    if isinstance(value, dict):
        return {key: _rebuilt(item, pieces) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rebuilt(item, pieces) for item in value]
    return value
