"""Labelled tickets most like a new one, by BM25 (bm25s)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["Neighbours"]

_WORD = re.compile(r"[^\W_]{2,}")
_MOST_WORDS = 400
_MOST_TICKETS = 5_000
"""Only the last ones are searched; beyond, building the index would be felt."""


class Neighbours:
    """An index over labelled tickets."""

    def __init__(self, tickets: Sequence[dict[str, Any]]) -> None:
        """Index tickets of ``title``, ``text`` and ``labels``."""
        import bm25s  # type: ignore[import-untyped]

        self._tickets = list(tickets[-_MOST_TICKETS:])
        self._index = bm25s.BM25()
        corpus = [_words(f"{one['title']}\n{one['text']}") or [""] for one in self._tickets]
        if corpus:
            self._index.index(corpus, show_progress=False)

    def nearest(self, text: str, most: int = 3) -> list[dict[str, Any]]:
        """Return the tickets that share most with ``text``, best first; none that shares nothing."""
        words = _words(text)
        if not words or not self._tickets:
            return []
        scores = self._index.get_scores(words)
        order = sorted(range(len(self._tickets)), key=lambda at: -float(scores[at]))
        return [self._tickets[at] for at in order[:most] if scores[at] > 0]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)[:_MOST_WORDS]]
