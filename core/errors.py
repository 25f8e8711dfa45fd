"""The errors understudy raises on purpose.

Each is one sentence for a person: what is wrong, where (file, line or field) and what to do about it.
The command line prints that sentence and ends with the class's ``exit_code``; any other exception is a bug.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["BadInput", "NothingLearnt", "Unavailable", "UnderstudyError", "first_fault"]


class UnderstudyError(Exception):
    """Base of all deliberate errors; ``str(error)`` is the sentence shown to the user."""

    exit_code = 2


class BadInput(UnderstudyError):
    """A file, option or setting from outside cannot be used; nothing on disk was changed."""

    exit_code = 2


class NothingLearnt(UnderstudyError):
    """A training came to its end and gave the model nothing to learn from; there is no new version."""

    exit_code = 1


class Unavailable(UnderstudyError):
    """A model or a service that is needed cannot be reached."""

    exit_code = 4


def first_fault(error: ValidationError) -> str:
    """Return what pydantic objects to first, after the name of the field it is about, if it is about one."""
    fault = error.errors(include_url=False, include_context=False)[0]
    return ": ".join(part for part in (".".join(map(str, fault["loc"])), fault["msg"]) if part)
