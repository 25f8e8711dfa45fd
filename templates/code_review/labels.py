"""Category and severity of a comment that people wrote without either, by its words.

Coarse on purpose: it labels a team's history so that the model learns their sentences; its labels are never used as
truth in a measurement of categories.
"""

from __future__ import annotations

import re

from understudy.templates.code_review.schema import Category, Severity

__all__ = ["category_of", "severity_of"]


def _words(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})", re.IGNORECASE)


_CATEGORIES: tuple[tuple[Category, re.Pattern[str]], ...] = (
    ("security", _words(r"secur|inject|xss|csrf|secret|credential|password|sanitiz|escap(?:e|ing)|vulnerab|untrusted")),
    ("test", _words(r"tests?\b|assert|coverage|fixture|mock")),
    ("docs", _words(r"doc(?:s|string|ument)|comment (?:is|says|here)|readme|changelog|typo|spelling")),
    ("performance", _words(r"slow|perf(?:ormance)?\b|o\(n|allocat|quadratic|cache|n\+1|expensive|faster")),
    (
        "bug",
        _words(
            r"bug|crash|wrong|incorrect|broken|fails?\b|race|deadlock|leak|null|none\b|nil\b|exception|overflow|"
            r"off.by.one|edge case|never (?:true|false|called)|undefined|missing await|not handled"
        ),
    ),
    (
        "style",
        _words(r"nit|style|indent|whitespace|blank line|format|naming|rename|lint|import order|line (?:is )?too"),
    ),
)
_CRITICAL = _words(r"critical|security hole|vulnerab|data loss|injection|remote code|must not (?:be )?merge")
_NIT = _words(r"nit|nitpick|typo|optional|minor|cosmetic|style|whitespace|blank line")
_MAJOR = _words(r"bug|crash|wrong|incorrect|broken|race|deadlock|leak|must|fails?\b|exception|overflow")


def category_of(message: str) -> Category:
    """Return the category whose words come first in the list of categories; maintainability when none does."""
    return next((name for name, words in _CATEGORIES if words.search(message)), "maintainability")


def severity_of(message: str) -> Severity:
    """Return the severity by the strongest word; minor when there is none."""
    if _CRITICAL.search(message):
        return "critical"
    if _NIT.search(message):
        return "nit"
    return "major" if _MAJOR.search(message) else "minor"
