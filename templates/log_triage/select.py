"""Choosing evidence: which lines of a failed log are worth reading, without any model."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from understudy.core.errors import BadInput
from understudy.templates.log_triage.green import GreenLog
from understudy.templates.log_triage.packing import pack_lines
from understudy.templates.log_triage.scan import Scan, scan
from understudy.templates.log_triage.scoring import ScoredLine, score_lines

__all__ = ["Log", "Selection", "default_budget", "pack_lines", "select"]

_SHARE, _LEAST, _MOST = 5, 150, 400
"""Without a budget: one line in five, within these bounds. A log of 1,000 lines, the median of LogChunks, gives 200."""

_SIGN = 40.0
"""A new line of this weight is a sign of failure; runs of new lines further from one than ``_NEAR`` are routine."""
_NEAR = 8
_GAP = 2
"""Lines less than this apart are one run: a blank or known line between two new ones is kept with them."""
_RULER = re.compile(r"(?:\[?[A-Z]{4,7}\]?:?)?\W*")

_MAX_FRESH_SHARE = 0.9
"""When more of the log than this is new, the green log is of another job and says little."""


class Log(Protocol):
    """Anything that can be read from the start, once or more."""

    def chunks(self) -> Iterable[bytes]:
        """Return the bytes in pieces of any size."""
        ...


@dataclass(frozen=True)
class Selection:
    """The lines chosen from one log."""

    total_lines: int
    budget: int
    lines: list[ScoredLine]
    """In source order."""

    @property
    def selected(self) -> list[tuple[int, int]]:
        """Line ranges, inclusive, sorted and disjoint."""
        ranges: list[tuple[int, int]] = []
        for line in self.lines:
            if ranges and ranges[-1][1] == line.number - 1:
                ranges[-1] = (ranges[-1][0], line.number)
            else:
                ranges.append((line.number, line.number))
        return ranges

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Why each range was chosen, by ``first-last``."""
        by_number = {line.number: line.reasons for line in self.lines}
        return {
            f"{first}-{last}": sorted({reason for number in range(first, last + 1) for reason in by_number[number]})
            for first, last in self.selected
        }

    def to_json(self) -> dict[str, Any]:
        """Return the ``select`` shape of the command line."""
        return {
            "total_lines": self.total_lines,
            "selected": [list(pair) for pair in self.selected],
            "budget": self.budget,
            "reasons": self.reasons,
        }


def select(
    log: Log | Iterable[bytes], *, green: Log | Iterable[bytes] | None = None, budget: int | None = None
) -> Selection:
    """Choose the lines of ``log`` that are worth reading, in one pass.

    Args:
        log: the failed log.
        green: the log of the last run that passed, if there is one; then what it does not have is chosen.
        budget: number of lines; ``None`` means a fifth of the log, 150 to 400 lines, and with a green log the whole
            difference, however long it is.

    Raises:
        BadInput: the budget is not positive.
    """
    if budget is not None and budget < 1:
        raise BadInput(f"the line budget must be at least 1, not {budget}")
    baseline = GreenLog(_chunks(green)) if green is not None else None
    seen = scan(_chunks(log), baseline)
    lines = score_lines(seen)
    if baseline is not None and 0 < seen.fresh_total <= _MAX_FRESH_SHARE * seen.total_lines:
        lines = _difference(lines, seen)
        limit = budget or max(default_budget(seen.total_lines), len(lines))
    else:
        limit = budget or default_budget(seen.total_lines)
    ranked = sorted(lines, key=lambda line: (-line.score, -line.number))
    chosen = [line for line in ranked if line.score > 0][:limit]
    return Selection(seen.total_lines, limit, sorted(chosen, key=lambda line: line.number))


def default_budget(total_lines: int) -> int:
    """Return how many lines are chosen when nobody says: reading grows with the log, but not without bound."""
    return max(_LEAST, min(_MOST, total_lines // _SHARE))


def _difference(lines: list[ScoredLine], seen: Scan) -> list[ScoredLine]:
    """Return the runs of new lines that hold a sign of failure or stand near one; without any sign, all of them."""
    runs: list[list[ScoredLine]] = []
    waiting: list[ScoredLine] = []
    for line in lines:
        if line.number not in seen.fresh or _RULER.fullmatch(line.text):
            waiting.append(line)
        elif runs and line.number - runs[-1][-1].number <= _GAP:
            runs[-1] += [*waiting, line] if len(waiting) < _GAP else [line]
            waiting = []
        else:
            runs.append([line])
            waiting = []
    signs = sorted(
        [line.number for line in lines if line.number in seen.fresh and line.anchor >= _SIGN] + list(seen.ends)
    )

    def is_near(run: list[ScoredLine]) -> bool:
        place = bisect_left(signs, run[0].number - _NEAR)
        return not signs or (place < len(signs) and signs[place] <= run[-1].number + _NEAR)

    return [line for run in runs if is_near(run) for line in run]


def _chunks(log: Log | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(log, bytes):
        return [log]
    return log if isinstance(log, Iterable) else log.chunks()
