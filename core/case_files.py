"""Raw cases of a pack, one JSON object a line, compressed or not: what generators write and builders read."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from understudy.core.errors import BadInput

__all__ = ["read_cases"]

_Case = TypeVar("_Case", bound=BaseModel)


def read_cases(path: Path, model: type[_Case], what: str) -> Iterator[_Case]:
    """Yield the cases of a ``.jsonl`` or ``.jsonl.xz`` file, which is read line by line.

    Args:
        path: the file.
        model: what a line holds.
        what: what a case is called in a complaint, for example "foundry case".

    Raises:
        BadInput: it is missing, is no xz file, or a line is no case; the line is named.
    """
    try:
        with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield model.model_validate_json(line)
                except ValidationError as error:
                    raise BadInput(f"{path}, line {number} is no {what}: {error.errors()[0]['msg']}") from None
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from None
