"""Rating sheets: comments for people to judge in a spreadsheet, and what they said, with their agreement."""

from __future__ import annotations

import csv
import io
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from understudy.core.errors import BadInput
from understudy.core.files import write_text
from understudy.templates.code_review.review import ReviewReport

__all__ = ["SCALE", "Agreement", "read_sheets", "write_sheet"]

SCALE = ("1", "2", "3", "4", "5")
"""1: wrong or useless, 3: true but hardly worth saying, 5: must be fixed before merging."""

_COLUMNS = ("id", "path", "line", "side", "severity", "category", "message", "suggestion", "rating", "note")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a cell."""


class Agreement(BaseModel):
    """What people said of the comments of one sheet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ratings: dict[str, float]
    """Mean rating by comment id."""
    raters: int
    rated: int
    mean: float
    kappa: float | None
    """Mean over pairs of raters of Cohen's kappa with quadratic weights; None with one rater, or without variance."""


def write_sheet(reports: Mapping[str, ReviewReport], path: Path, *, seed: int = 7) -> int:
    """Write the comments of several reviews as CSV in random order, the model unnamed; return their number.

    Args:
        reports: by a name of the review, which becomes part of a comment's id.
        path: the sheet; people copy it and fill the column ``rating`` with 1 to 5.
        seed: of the order.
    """
    rows = [
        [
            f"{name}/{number}",
            _cell(one.path),
            str(one.line if one.start_line is None else f"{one.start_line}-{one.line}"),
            one.side,
            one.severity,
            one.category,
            _cell(one.message),
            _cell(one.suggestion or ""),
            "",
            "",
        ]
        for name, report in reports.items()
        for number, one in enumerate(report.comments, start=1)
    ]
    random.Random(seed).shuffle(rows)
    out = io.StringIO(newline="")
    csv.writer(out).writerows([_COLUMNS, *rows])
    write_text(path, out.getvalue())
    return len(rows)


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def read_sheets(paths: Sequence[Path]) -> Agreement:
    """Return what the raters of the sheets, one file each, said of the same comments.

    Raises:
        BadInput: a file is no sheet, or a rating is not 1 to 5; the file and the row are named.
    """
    sheets = [_read(path) for path in paths]
    given: dict[str, list[int]] = defaultdict(list)
    for sheet in sheets:
        for name, rating in sheet.items():
            given[name].append(rating)
    ratings = {name: sum(values) / len(values) for name, values in sorted(given.items())}
    return Agreement(
        ratings=ratings,
        raters=len(sheets),
        rated=len(ratings),
        mean=sum(ratings.values()) / len(ratings) if ratings else 0.0,
        kappa=_kappa(sheets),
    )


def _read(path: Path) -> dict[str, int]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            rows = list(csv.DictReader(source))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read as a rating sheet: {error}") from None
    found = {}
    for number, row in enumerate(rows, start=2):
        if "id" not in row or "rating" not in row:
            raise BadInput(f"{path} has no columns id and rating; write sheets with `understudy review --sheet`")
        rating = (row["rating"] or "").strip()
        if rating and rating not in SCALE:
            raise BadInput(f"{path}, row {number}: the rating {rating!r} is not one of {', '.join(SCALE)}")
        if rating:
            found[row["id"]] = int(rating)
    return found


def _kappa(sheets: Sequence[Mapping[str, int]]) -> float | None:
    from sklearn.metrics import cohen_kappa_score

    values = []
    for one, other in combinations(sheets, 2):
        both = sorted(one.keys() & other.keys())
        ours, theirs = [one[name] for name in both], [other[name] for name in both]
        if len({*ours, *theirs}) > 1:
            values.append(float(cohen_kappa_score(ours, theirs, labels=range(1, len(SCALE) + 1), weights="quadratic")))
    return sum(values) / len(values) if values else None
