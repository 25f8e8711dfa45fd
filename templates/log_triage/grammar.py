"""The output schema narrowed to one log: only positions that exist, only names that stand in the lines."""

from __future__ import annotations

import re
from typing import Any

from understudy.templates.log_triage.schema import CATEGORIES, ORIGINS, LogInput

__all__ = ["MAX_SENTENCE", "names_in", "narrowed_schema"]

MAX_SENTENCE = 200
"""Characters of a sentence; an open end would let an untrained model write to the token limit."""

_MAX_EVIDENCE = 4
_MAX_NAMES = 400
"""Names a grammar may hold; the budget of a prompt keeps real ones below."""

_WORD = re.compile(r"[^\s`\"'\\<>(){}\[\],;=|]+")
_PART = re.compile(r"[\w.@+-]*\w")
_PROSE = r"[A-Za-z0-9 ,.;:()'/%+=*_-]"


def names_in(log: LogInput) -> list[str]:
    """Return the names that a sentence may quote, in order of first appearance.

    A name is a run of characters without blanks, quotes or brackets, as it stands and without trailing punctuation,
    and each of its parts between slashes and colons: ``tests/test_a.py::test_b:`` gives ``tests/test_a.py::test_b``,
    ``tests``, ``test_a.py`` and ``test_b``.
    """
    found: dict[str, None] = {}
    for line in log.lines:
        for word in _WORD.findall(line.text):
            whole = word.strip(".:!?*#&$~^")
            for name in (whole, *_PART.findall(whole)):
                if 2 <= len(name) <= 100 or name.isdigit():
                    found[name] = None
    return list(found)[:_MAX_NAMES]


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
