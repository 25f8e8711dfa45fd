"""The output schema narrowed to one piece: only anchors that exist, only names that stand in the change."""

from __future__ import annotations

import keyword
import re
from functools import lru_cache
from typing import Any

from understudy.templates.code_review.numbered import anchors, numbered
from understudy.templates.code_review.schema import CATEGORIES, MAX_COMMENTS, SEVERITIES, ReviewInput

__all__ = ["MAX_SUGGESTION", "can_write", "names_in", "narrowed_schema"]

_MAX_NAMES, _LONGEST_NAME = 400, 80
_MAX_QUOTED = 4
"""Quotations in one message. Without a bound a small model falls into a loop."""
_MAX_PROSE = 160
"""Characters between two quotations."""
MAX_SUGGESTION = 240
"""Characters; a longer change is no suggestion but another patch."""

_NAME = re.compile(r"[A-Za-z_]\w*")
_PROSE = r"[^`\\\x00-\x1f\x7f]"
"""No backslash: it says nothing outside a quotation, and a small model that begins to escape does not end."""
_BETWEEN = r"[^`\w\x00-\x1f\x7f]"
_CODE = r"[^\x00-\x08\x0b-\x1f\x7f]"
_MAX_WORDS, _MAX_BETWEEN = 12, 8
"""Of a quotation: names and numbers, and characters that are neither between two of them."""


def names_in(piece: ReviewInput) -> list[str]:
    """Return the names a message may quote: identifiers of the change and its path, and the words of Python."""
    found: dict[str, None] = {}
    for text in (*(line.line.text for line in numbered(piece)), piece.path):
        for name in _NAME.findall(text):
            if len(name) <= _LONGEST_NAME:
                found[name] = None
    return [*list(found)[:_MAX_NAMES], *(word for word in keyword.kwlist if word not in found)]


def can_write(piece: ReviewInput, message: str) -> bool:
    """Return whether the grammar lets ``message`` through: known names in quotations, plain prose around them."""
    return re.fullmatch(_pattern(tuple(names_in(piece))), message) is not None


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> str:
    word = "(?:" + "|".join([*(re.escape(name) for name in names), "[0-9]{1,9}"]) + ")"
    between = f"{_BETWEEN}{{0,{_MAX_BETWEEN}}}"
    words = f"{between}{word}(?:{_BETWEEN}{{1,{_MAX_BETWEEN}}}{word}){{0,{_MAX_WORDS - 1}}}{between}"
    quoted = f"(?:{words}|{_BETWEEN}{{1,{_MAX_BETWEEN}}})"
    prose = f"{_PROSE}{{0,{_MAX_PROSE}}}"
    return (
        f"{_PROSE}{{1,{_MAX_PROSE}}}(?:`{quoted}`{prose}){{0,{_MAX_QUOTED}}}|(?:`{quoted}`{prose}){{1,{_MAX_QUOTED}}}"
    )


def narrowed_schema(piece: ReviewInput, *, least: int = 0, exclude: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the JSON schema of :class:`Review` for this piece, in generation order.

    Args:
        piece: what the model is shown.
        least: comments that must be made; 1 asks for the best candidate where the model would rather make none.
        exclude: anchors that may not be chosen.
    """
    new = [lines for lines in anchors(piece, "RIGHT") if lines not in exclude]
    old = [lines for lines in anchors(piece, "LEFT") if lines not in exclude]
    message = _message(piece)
    kinds = []
    if new:
        code = {"type": "string", "pattern": f"^{_CODE}{{0,{MAX_SUGGESTION}}}$"}
        kinds.append(_comment(new, message, {"anyOf": [{"type": "null"}, code]}))
    if old:  # nothing can be suggested for a line that is gone
        kinds.append(_comment(old, message, {"type": "null"}))
    comments: dict[str, Any] = {"type": "array", "minItems": least if kinds else 0}
    comments |= {"items": {"anyOf": kinds}, "maxItems": MAX_COMMENTS} if kinds else {"maxItems": 0}
    return {
        "type": "object",
        "properties": {"comments": comments},
        "required": ["comments"],
        "additionalProperties": False,
    }


def _message(piece: ReviewInput) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?:{_pattern(tuple(names_in(piece)))})$"}


def _comment(lines: list[str], message: dict[str, Any], suggestion: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "lines": {"enum": lines},
            "severity": {"enum": list(SEVERITIES)},
            "category": {"enum": list(CATEGORIES)},
            "message": message,
            "suggestion": suggestion,
        },
        "required": ["lines", "severity", "category", "message", "suggestion"],
        "additionalProperties": False,
    }
