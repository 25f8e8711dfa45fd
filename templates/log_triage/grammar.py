"""The output schema narrowed to one log: only positions that exist, only names that stand in the lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from understudy.templates.log_triage.schema import CATEGORIES, ORIGINS, LogInput

__all__ = ["MAX_SENTENCE", "names_in", "narrowed_schema"]

MAX_SENTENCE = 200
"""Characters of a sentence; an open end would let an untrained model write to the token limit."""

_MAX_EVIDENCE = 4
_MAX_NAMES = 800
"""Names a grammar may hold; the budget of a prompt keeps real ones below."""

_WORD = re.compile(r"[^\s`\"'\\<>(){}\[\],;=|]+")
_EDGE = ".:!?*#&$~^"
"""Punctuation around a name."""
_PART = re.compile(r"[\w.@+-]*\w")
_PROSE = r"[A-Za-z0-9 ,.;:()'/%+=*_-]"


def names_in(log: LogInput) -> list[str]:
    """Return the names that a sentence may quote, in order of first appearance.

    A name is a run of characters without blanks, quotes or brackets, as it stands and without surrounding punctuation,
    and each of its parts between colons, slashes, at signs and dots: ``tests/test_a.py::test_b:`` gives
    ``tests/test_a.py::test_b``, ``tests/test_a.py``, ``test_b``, ``tests``, ``test_a.py`` and ``test_a``.
    """
    found: dict[str, None] = {}
    for line in log.lines:
        for word in _WORD.findall(line.text):
            for name in _forms(word):
                if 2 <= len(name) <= 100 or name.isdigit():
                    found[name] = None
    return list(found)[:_MAX_NAMES]


def _forms(word: str) -> Iterator[str]:
    """Yield the names in one word, the longest first: ``./a/b.py:3:`` is known as ``./a/b.py``, too."""
    yield from (word.rstrip(_EDGE), word.strip(_EDGE))
    yield word.rpartition("@")[0]
    for separator in (":", "/", "@", "."):
        if separator in word:
            yield from (part.rstrip(_EDGE) for part in word.split(separator))
    for path in word.split(":"):  # /home/runner/work/a/a/src/b.c is known as src/b.c, too
        folders = path.rstrip(_EDGE).split("/")
        yield from ("/".join(folders[-depth:]) for depth in range(2, min(len(folders), 6)))
    yield from _PART.findall(word)


def narrowed_schema(log: LogInput) -> dict[str, Any]:
    """Return the JSON schema of :class:`RootCause` for this log, in generation order."""
    quoted = "|".join(re.escape(name).replace("/", "\\/") for name in names_in(log))
    pattern = f"^({_PROSE}|`({quoted})`)*$" if quoted else f"^{_PROSE}*$"
    sentence = {"type": "string", "pattern": pattern, "maxLength": MAX_SENTENCE}
    evidence: dict[str, Any] = {"type": "array", "maxItems": min(_MAX_EVIDENCE, len(log.lines))}
    if log.lines:
        evidence["items"] = {"enum": list(range(1, len(log.lines) + 1))}
    return {
        "type": "object",
        "properties": {
            "category": {"enum": list(CATEGORIES)},
            "origin": {"enum": list(ORIGINS)},
            "transient": {"type": "boolean"},
            "evidence": evidence,
            "root_cause": sentence,
            "fix": sentence,
        },
        "required": ["category", "origin", "transient", "evidence", "root_cause", "fix"],
        "additionalProperties": False,
    }
