"""Fitting a selection into a token budget: strongest lines first, then what explains them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from understudy.core.pack import TokenCounter
from understudy.templates.log_triage import signals
from understudy.templates.log_triage.lines import cut_middle
from understudy.templates.log_triage.schema import LogInput, LogLine

if TYPE_CHECKING:
    from understudy.templates.log_triage.scoring import ScoredLine
    from understudy.templates.log_triage.select import Selection

__all__ = ["LINE_TOKENS", "pack_lines"]

LINE_TOKENS = 60
"""A longer line is cut in the middle."""

_LINE_CHARACTERS = 2000
_SHORTEST = 24
_CHEAPEST = 8
"""Tokens; with fewer left no line is tried any more."""
_BELOW, _ABOVE = 3, 2
_CONTEXT_COST, _STEP_COST, _FILLING, _FRESH, _LAST = 12.0, 6.0, 0.7, 10.0, 5.0
"""Chosen on the foundry's logs and LogChunks together; see ``benchmarks/select_logs.py``."""


def pack_lines(selection: Selection, budget_tokens: int, count_tokens: TokenCounter) -> LogInput:
    """Return the best lines of a selection that fit into ``budget_tokens``, in source order.

    Lines that say something of the failure go first, each with a little of what stands around it, the rest follows by
    score; exit codes and wrappers' farewells come last and blank lines never. A line costs its number and text as one
    prompt line, as counted by ``count_tokens``, plus its line end.
    """
    left = budget_tokens
    taken: dict[int, LogLine] = {}
    priority = _priorities(selection.lines)
    for line in sorted(selection.lines, key=lambda line: (-priority[line.number], -line.number)):
        if not line.text.strip():
            continue
        text = _fit(line, count_tokens)
        cost = count_tokens(f"{line.number}: {text}\n") + 1
        if cost > left:
            if left < _CHEAPEST:
                break
            continue
        taken[line.number] = LogLine(number=line.number, text=text)
        left -= cost
    return LogInput(lines=[taken[number] for number in sorted(taken)], total_lines=selection.total_lines)


def _priorities(lines: list[ScoredLine]) -> dict[int, float]:
    """Order lines for a budget so small that a line's own words matter more than its place."""
    anchors = {line.number: line.anchor for line in lines}
    fresh = {line.number for line in lines if "green-diff" in line.reasons}
    priority = {}
    for line in lines:
        best = max(line.anchor, _FILLING * line.score)
        for distance in range(1, _BELOW + 1):
            best = max(best, anchors.get(line.number - distance, 0.0) - _CONTEXT_COST - _STEP_COST * (distance - 1))
        for distance in range(1, _ABOVE + 1):
            best = max(best, anchors.get(line.number + distance, 0.0) - _CONTEXT_COST - _STEP_COST * distance)
        if line.number in fresh:
            best += _FRESH
        priority[line.number] = _LAST if signals.is_boilerplate(line.text) else best
    return priority


def _fit(line: ScoredLine, count_tokens: TokenCounter) -> str:
    """Cut a line until it costs no more than ``LINE_TOKENS``; both ends and what it says of the failure stay."""
    text = line.text if len(line.text) <= _LINE_CHARACTERS else cut_middle(line.text, _LINE_CHARACTERS)
    tokens = count_tokens(text)
    limit = len(text)
    while tokens > LINE_TOKENS and limit > _SHORTEST:
        limit = max(_SHORTEST, min(limit - 4, limit * LINE_TOKENS // tokens))
        text = _cut_around(line.text, limit)
        tokens = count_tokens(text)
    return text


def _cut_around(text: str, limit: int) -> str:
    place = signals.focus(text[:_LINE_CHARACTERS])
    head, tail = limit // 4, limit // 4
    if limit < 80 or place < limit // 2 or place > len(text) - tail:
        return cut_middle(text, limit)
    middle = limit - head - tail - 14
    start = max(head, place - middle // 4)
    if start + middle >= len(text) - tail:
        return f"{text[:head]} [...] {text[len(text) - (limit - head - 7) :]}"
    return f"{text[:head]} [...] {text[start : start + middle]} [...] {text[len(text) - tail :]}"
