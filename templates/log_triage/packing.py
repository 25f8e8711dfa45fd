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


def pack_lines(selection: Selection, budget_tokens: int, count_tokens: TokenCounter) -> LogInput:
    """Return the best lines of a selection that fit into ``budget_tokens``, in source order.

    The highest scored line is taken first; blank lines are left out. A line costs its number and text as one prompt
    line, as counted by ``count_tokens``, plus its line end.
    """
    left = budget_tokens
    taken: dict[int, LogLine] = {}
    for line in sorted(selection.lines, key=lambda line: (-line.score, -line.number)):
        if not line.text.strip():
            continue
        text = _fit(line, count_tokens)
        cost = count_tokens(f"{line.number}: {text}\n") + 1
        if cost > left:
            if left < 8:
                break
            continue
        taken[line.number] = LogLine(number=line.number, text=text)
        left -= cost
    return LogInput(lines=[taken[number] for number in sorted(taken)], total_lines=selection.total_lines)


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
