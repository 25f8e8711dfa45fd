"""Nothing secret leaves: what ``core.redaction`` finds, and the values of this process's own secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from understudy.core.redaction import redact, redact_value

__all__ = ["Scrubber", "is_secret"]

_SECRET_NAME = re.compile(
    r"(?i)(token|secret|passw|passphrase|credential|api_?key|private_?key|access_?key|_pat$|_key$)"
)
_NAMES = {
    "path",
    "reviewed",
    "repo",
    "head",
    "commit_id",
    "fingerprint",
    "thread",
    "label",
    "labels",
    "rivals",
    "version",
}
"""Fields that GitHub must find unchanged, or that pydantic does; what they hold stands on GitHub already."""
_SHORTEST = 8
"""Shorter values are words that stand in texts for other reasons."""


def is_secret(variable: str) -> bool:
    """Whether an environment variable's name says that its value is a secret."""
    return _SECRET_NAME.search(variable) is not None


class Scrubber:
    """Takes secrets out of texts; also those that only the environment gives away, by the variable's name."""

    def __init__(self, environment: Mapping[str, str] | None = None, *more: str) -> None:
        """Remember the secrets of ``environment`` (the process's own by default) and ``more`` values."""
        given = os.environ if environment is None else environment
        named = {value.strip() for name, value in given.items() if is_secret(name)}
        # A secret of several lines is also one when a tool prints a single line of it.
        values = {line.strip() for value in [*named, *more] for line in value.split("\n")}
        found = sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)
        self._own = re.compile("|".join(map(re.escape, found))) if found else None

    def text(self, text: str) -> str:
        """Return ``text`` with secrets replaced; the number of lines stays."""
        return redact(self._without_own(text))[0]

    def value(self, value: Any) -> Any:
        """Return a JSON value with its strings scrubbed, but for the names of files, commits and labels."""
        return _with_names(redact_value(self._walk(value))[0], value)

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._without_own(value)
        if isinstance(value, dict):
            return {key: self._walk(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._walk(item) for item in value]
        return value

    def _without_own(self, text: str) -> str:
        return text if self._own is None else self._own.sub("[REDACTED:environment]", text)


def _with_names(clean: Any, original: Any) -> Any:
    """Put back the fields that are names."""
    if isinstance(clean, dict):
        return {key: original[key] if key in _NAMES else _with_names(clean[key], original[key]) for key in clean}
    if isinstance(clean, list | tuple):
        return [_with_names(one, other) for one, other in zip(clean, original, strict=True)]
    return clean
