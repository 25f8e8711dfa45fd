"""The answers behind a report, one JSON line each, so that they can be rated, compared again or looked into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from understudy.core.errors import BadInput, first_fault
from understudy.core.files import write_text
from understudy.core.records import Prediction

__all__ = ["read_predictions", "write_predictions"]


def write_predictions(predictions: Mapping[str, Sequence[Prediction]], path: Path) -> None:
    """Replace ``path`` with all arms' answers."""
    write_text(path, "".join(f"{one.model_dump_json()}\n" for made in predictions.values() for one in made))


def read_predictions(path: Path) -> dict[str, list[Prediction]]:
    """Return answers by arm, in the file's order.

    Raises:
        BadInput: the file is missing, or a line is no prediction.
    """
    found: dict[str, list[Prediction]] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); run `understudy evaluate` again") from None
    for number, line in enumerate(lines, start=1):
        if line:
            try:
                one = Prediction.model_validate_json(line)
            except ValidationError as error:
                raise BadInput(f"{path}, line {number} is no prediction: {first_fault(error)}") from None
            found.setdefault(one.arm, []).append(one)
    return found
