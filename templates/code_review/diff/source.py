"""Opening the patch a user names: a file, or ``-`` for standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from understudy.core.errors import BadInput
from understudy.templates.code_review.diff.reader import read_patch
from understudy.templates.code_review.diff.records import Patch

__all__ = ["open_patch"]

_MOST = 64 << 20
"""Bytes; as records a patch takes some ten times its size in memory."""


def open_patch(path: str) -> Patch:
    """Read the patch in a file, or on standard input if ``path`` is ``-``.

    Raises:
        BadInput: it cannot be read, is too big, or holds no unified diff.
    """
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            data = sys.stdin.buffer.read(_MOST + 1)
        else:
            with Path(path).open("rb") as source:
                data = source.read(_MOST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its name is no path"
        raise BadInput(f"{name} cannot be read: {why}") from error
    if len(data) > _MOST:
        raise BadInput(f"{name} is bigger than {_MOST >> 20} MiB; give the diff of fewer files")
    return read_patch(data, name)
