"""The words a search compares: what tells two texts of the same kind apart, without what differs between any two runs.

Identifiers count whole and in parts, so that ``ModuleNotFoundError`` meets ``module not found``; error codes
(``E0308``, ``TS2345``, ``ERESOLVE``) stay whole; times, dates, hashes and bare numbers are left out.
"""

from __future__ import annotations

import re

__all__ = ["words"]

_NOISE = re.compile(
    r"\d{4}-\d\d-\d\d[T ]?(?:\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?Z?)?"  # dates and ISO times
    r"|\b\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?\b"  # clock times
    r"|\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"  # commits and digests
)
_WORD = re.compile(r"[^\W_][\w]*")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+")


def words(text: str) -> list[str]:
    """Return the words of ``text`` in order, in lower case; a compound is followed by its parts."""
    found = []
    for word in _WORD.findall(_NOISE.sub(" ", text)):
        if word.isdigit():
            continue
        found.append(word.lower())
        parts = [part.lower() for part in _PART.findall(word)]
        if len(parts) > 1:
            found += parts
    return found
