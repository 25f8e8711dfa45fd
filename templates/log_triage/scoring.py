"""From what the pass kept to one score per line: how much a reader loses when the line is left out."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from math import log2

from understudy.templates.log_triage.lines import Line, clean
from understudy.templates.log_triage.scan import Anchor, Scan

__all__ = ["ScoredLine", "score_lines"]

_TAIL_SCORE = 52.0
_TAIL_SLOPE = 0.16
_BLOCK_LINES = 60
_BRIDGE_LINES, _BRIDGE_COST, _BRIDGE_WEIGHT = 20, 3.0, 45.0
_FAMILY_LETTERS, _FAMILY_HEAD, _FAMILY_TAIL = 12, 1, 2


@dataclass(frozen=True, slots=True)
class ScoredLine:
    """One line that may be shown."""

    number: int
    text: str
    score: float
    """0 to 130; the higher, the earlier it is taken."""
    anchor: float
    """The line's own weight, 0 when only its neighbours count."""
    reasons: tuple[str, ...]


class _Sheet:
    """Scores and reasons by line number, each line holding the highest score given."""

    def __init__(self, lines: dict[int, Line]) -> None:
        self.lines = lines
        self.scores: dict[int, float] = dict.fromkeys(lines, 0.0)
        self.reasons: dict[int, set[str]] = {}

    def give(self, number: int, score: float, reason: str) -> None:
        if score > self.scores[number]:
            self.scores[number] = score
        self.reasons.setdefault(number, set()).add(reason)

    def why(self, number: int) -> tuple[str, ...]:
        return tuple(sorted(self.reasons.get(number, ())))


def score_lines(scan: Scan) -> list[ScoredLine]:
    """Return every kept line with its score, in source order."""
    lines = {number: clean(raw, number) for number, raw in sorted(scan.kept.items())}
    sheet = _Sheet(lines)
    end = _end_of_interest(scan)
    own: dict[int, float] = {}
    crowd = _crowding(scan.anchors)
    for anchor in scan.anchors:
        if anchor.number not in lines:
            continue
        weight = anchor.weight * _place(scan, anchor.number, end) * _repeated(scan.templates[anchor.template])
        weight *= crowd.get(anchor.number, 1.0)
        own[anchor.number] = weight
    for number, weight in own.items():
        sheet.give(number, weight, "keyword")
        _spread(sheet, number, weight)
    _bridge(sheet, own)
    for number in list(scan.ends)[-4:]:
        if number in lines:
            sheet.give(number, 84.0, "step-end")
    for number in lines:
        _tail(sheet, number, end)
        if number in scan.fresh:
            sheet.give(number, 100.0 + own.get(number, 0.0) * 0.3, "green-diff")
    return [
        ScoredLine(number, line.text, sheet.scores[number], own.get(number, 0.0), sheet.why(number))
        for number, line in lines.items()
    ]


def _end_of_interest(scan: Scan) -> int:
    """Where the last failing step ends: what follows is cleaning up."""
    return scan.ends[-1] if scan.ends else scan.total_lines


def _place(scan: Scan, number: int, end: int) -> float:
    """Weigh where a line stands: the last failing step first, then other failing steps, then the rest."""
    if number > end:
        return 0.6
    starts = list(scan.starts)
    position = bisect_right(starts, end)
    start = starts[position - 1] if position else 0
    if number >= start:
        return 1.0 - 0.10 * (end - number) / max(1, end - start)
    for other in scan.ends:
        if number <= other:
            begin = bisect_right(starts, other)
            if begin and starts[begin - 1] <= number:
                return 0.9
    return 0.75 if scan.starts else 0.9


def _repeated(count: int) -> float:
    return 1.0 / (1.0 + 0.05 * log2(max(1, count)))


def _crowding(anchors: list[Anchor]) -> dict[int, float]:
    """Weigh down the middle of a long row of anchors that begin alike; its first and last ones tell the story."""
    families: dict[str, list[int]] = {}
    for anchor in anchors:
        families.setdefault(anchor.template.lstrip()[:_FAMILY_LETTERS], []).append(anchor.number)
    crowd = {}
    for numbers in families.values():
        factor = 1.0 - 0.04 * log2(len(numbers))
        for number in numbers[_FAMILY_HEAD:-_FAMILY_TAIL]:
            crowd[number] = factor
    return crowd


def _spread(sheet: _Sheet, number: int, weight: float) -> None:
    """Pass an anchor's weight on to what belongs to it: a paragraph below, a few lines above."""
    steep = 1.0 + max(0.0, 88.0 - weight) / 12.0
    score = weight - 4.0
    for below in range(number + 1, number + _BLOCK_LINES):
        line = sheet.lines.get(below)
        if line is None or score <= 0:
            break
        sheet.give(below, score, "context")
        score -= steep * (0.9 if line.text[:1] in (" ", "\t", "|", "+", "-", "E", ">") else 1.2 if line.text else 1.8)
    score = weight - 8.0
    for above in range(number - 1, number - 15, -1):
        line = sheet.lines.get(above)
        if line is None or score <= 0:
            break
        sheet.give(above, score, "context")
        score -= steep * 2.0


def _bridge(sheet: _Sheet, own: dict[int, float]) -> None:
    """Raise what lies between two anchors that stand close together: they are one message."""
    anchors = sorted(number for number, weight in own.items() if weight >= _BRIDGE_WEIGHT)
    for first, last in pairwise(anchors):
        if 1 < last - first <= _BRIDGE_LINES:
            score = min(own[first], own[last]) - _BRIDGE_COST
            for number in range(first + 1, last):
                if number in sheet.lines:
                    sheet.give(number, score, "context")


def _tail(sheet: _Sheet, number: int, end: int) -> None:
    distance = end - number if number <= end else 2 * (number - end)
    score = 80.0 - distance if distance < 25 else _TAIL_SCORE - _TAIL_SLOPE * (distance - 25)
    if score > 0:
        sheet.give(number, score, "tail")
