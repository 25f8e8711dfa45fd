"""The errors understudy raises on purpose.

Each is one sentence for a person: what is wrong, where (file, line or field) and what to do about it.
The command line prints that sentence and ends with the class's ``exit_code``; any other exception is a bug.
"""

from __future__ import annotations

__all__ = ["BadInput", "GateFailed", "Inconclusive", "Unavailable", "UnderstudyError"]


class UnderstudyError(Exception):
    """Base of all deliberate errors; ``str(error)`` is the sentence shown to the user."""

    exit_code = 2


class BadInput(UnderstudyError):
    """A file, option or setting from outside cannot be used; nothing on disk was changed."""

    exit_code = 2


class GateFailed(UnderstudyError):
    """A comparison was made and the model did not pass it."""

    exit_code = 1


class Inconclusive(UnderstudyError):
    """A comparison was made and the samples do not decide it."""

    exit_code = 3


class Unavailable(UnderstudyError):
    """A model or a service that is needed cannot be reached."""

    exit_code = 4
