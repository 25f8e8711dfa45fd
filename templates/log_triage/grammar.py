"""The output schema narrowed to one log: only positions that exist, only names that stand in the lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from understudy.templates.log_triage.schema import CATEGORIES, ORIGINS, LogInput

__all__ = ["MAX_SENTENCE", "can_write", "names_in", "narrowed_schema"]

MAX_SENTENCE = 200
"""Characters of a sentence; an open end would let an untrained model write to the token limit."""

_MAX_EVIDENCE = 4
_MAX_NAMES = 800
"""Names a grammar may hold; the budget of a prompt keeps real ones below."""

_MAX_QUOTED = 3
"""Names in one sentence. Without a bound a small model falls into a loop: "expected `a`, got `a`, got `a` ..."."""
_MAX_PROSE = 80
"""Characters between two names."""

_WORD = re.compile(r"[^\s`\"'\\<>(){}\[\],;=|]+")
_EDGE = ".:!?*#&$~^"
"""Punctuation around a name."""
_AT = re.compile(r"(?<=[^/])@")
"""Between a name and its version or host, but not before a scope: nobody calls the package @scope/name scope/name."""
_PART = re.compile(r"[\w.@+-]*\w")
_SPAN = re.compile(
    r"'[^'\\]{1,60}'|\"[^\"\\]{1,60}\"|[\w.]*\[[^\[\]\\]{0,60}\]|\{[^{}\\]{0,60}\}|\w+<[^<>\\]{1,40}>|[(){};,\]\[]"
)
"""Values and types as tools print them: ``'a b'``, ``list[int]``, ``{'a': 1}``, ``Option<u8>``, a lone bracket."""
_PHRASE = re.compile(r" {2,}|: |[`'\"()<>|,\\\u2018\u2019]")
"""What stands between phrases: ``urllib: HTTP Error 403: Forbidden`` has ``HTTP Error 403``."""
_PROSE = r"[A-Za-z0-9 ,.;:()'/%+=*_-]"


def names_in(log: LogInput) -> list[str]:
    """Return the names that a sentence may quote, in order of first appearance.

    A name is a run of characters without blanks, quotes or brackets, as it stands and without surrounding punctuation,
    and each of its parts between colons, slashes, at signs and dots: ``tests/test_a.py::test_b:`` gives
    ``tests/test_a.py::test_b``, ``tests/test_a.py``, ``test_b``, ``tests``, ``test_a.py`` and ``test_a``. After those
    come quoted values, types and short phrases between punctuation.
    """
    found: dict[str, None] = {}
    for line in log.lines:
        for word in _WORD.findall(line.text):
            for name in _forms(word):
                if 2 <= len(name) <= 100 or name.isdigit():
                    found[name] = None
    for line in log.lines:
        spans = [span for match in _SPAN.findall(line.text) for span in (match, match[1:-1].strip())]
        phrases = [phrase.strip() for phrase in _PHRASE.split(line.text)]
        for name in (*spans, *(phrase for phrase in phrases if len(phrase) <= 60)):
            if name.strip() and "`" not in name and "\\" not in name:
                found[name] = None
    return list(found)[:_MAX_NAMES]


def can_write(log: LogInput, sentence: str) -> bool:
    """Return whether the grammar of ``log`` lets ``sentence`` through: its names are known, its prose is plain."""
    names = set(names_in(log))
    parts = sentence.split("`")
    plain = all(re.fullmatch(f"{_PROSE}{{0,{_MAX_PROSE}}}", part) for part in parts[::2])
    short = len(sentence) <= MAX_SENTENCE and len(parts) <= 2 * _MAX_QUOTED + 1
    return plain and short and len(parts) % 2 == 1 and names.issuperset(parts[1::2])


def _forms(word: str) -> Iterator[str]:
    """Yield the names in one word, the longest first: ``./a/b.py:3:`` is known as ``./a/b.py``, too."""
    yield from (word.rstrip(_EDGE), word.strip(_EDGE))
    yield word.rpartition("@")[0]
    for separator in (":", "/", "."):
        if separator in word:
            yield from (part.rstrip(_EDGE) for part in word.split(separator))
    yield from (part.rstrip(_EDGE) for part in _AT.split(word))
    for path in word.split(":"):  # /home/runner/work/a/a/src/b.c is known as src/b.c, too
        folders = path.rstrip(_EDGE).split("/")
        yield from ("/".join(folders[-depth:]) for depth in range(2, min(len(folders), 6)))
    yield from _PART.findall(word)


def narrowed_schema(log: LogInput) -> dict[str, Any]:
    """Return the JSON schema of :class:`RootCause` for this log, in generation order."""
    quoted = "|".join(re.escape(name).replace("/", "\\/") for name in names_in(log))
    named = f"(`({quoted})`{_PROSE}{{0,{_MAX_PROSE}}}){{0,{_MAX_QUOTED}}}" if quoted else ""
    pattern = f"^{_PROSE}{{0,{_MAX_PROSE}}}{named}$"
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
