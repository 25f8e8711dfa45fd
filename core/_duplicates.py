"""Near-duplicates: inputs that say the same in nearly the same words.

A text is its set of word triples (w-shingling: Broder 1997), and two are alike when the Jaccard similarity of the sets
reaches a threshold. The search is exact: MinHash with locality-sensitive hashing would only guess, and its guesses
become quadratic on build logs, where thousands of texts share one template.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from understudy.core._cleaning import Removal
from understudy.core.records import Example

__all__ = ["remove_near_duplicates", "shingles"]

_WORD = re.compile(r"\w+|[^\w\s]")
_HEX = re.compile(r"\b(?=\w*\d)[0-9a-f]{7,}\b")
_DIGITS = re.compile(r"\d+")


def shingles(text: str) -> frozenset[str]:
    """Return the word triples of ``text`` without case, numbers and hashes, which differ between runs of one job."""
    words = _WORD.findall(_DIGITS.sub("0", _HEX.sub("0", text.lower())))
    if len(words) < 3:
        return frozenset([" ".join(words)] if words else [])
    return frozenset(map(" ".join, zip(words, words[1:], words[2:], strict=False)))


def remove_near_duplicates(
    splits: Mapping[str, Sequence[Example]], threshold: float, removals: list[Removal]
) -> dict[str, list[Example]]:
    """Return the splits without near-duplicates.

    Inside a split the earliest is kept. Between two splits the one nearer to training goes: out of ``train`` what
    resembles ``validation`` or ``test``, out of ``validation`` what resembles ``test``, so that no score is won by
    memory.

    Args:
        splits: examples by split, each in order of time; ``test`` and ``validation`` are judged before ``train``.
        threshold: Jaccard similarity, 0.5 to 1, at which two inputs count as the same.
        removals: what was taken out is appended: step ``near_duplicate`` inside a split, ``leakage`` between two.
    """
    sets = {example.id: shingles(_text(example.input)) for split in splits.values() for example in split}
    index = _Index(sets.values(), threshold)
    kept: dict[str, list[Example]] = {name: [] for name in splits}
    home: dict[str, str] = {}
    for split in sorted(splits, key=("test", "validation", "train").index):
        for example in splits[split]:
            twin = index.find(sets[example.id])
            if twin is None:
                index.add(example.id, sets[example.id])
                home[example.id] = split
                kept[split].append(example)
                continue
            other, similarity = twin
            step = "near_duplicate" if home[other] == split else "leakage"
            removals.append(Removal(example.id, step, f"{similarity:.2f} like {other} in {home[other]}"))
    return kept


def _text(value: Any) -> str:
    return "\n".join(_strings(value))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _strings(value[key])
    elif isinstance(value, Sequence):
        for item in value:
            yield from _strings(item)


class _Index:
    """Texts kept so far, found again by their rarest shingles.

    Two sets of similarity t or more share one of the first ``len - ceil(t * len) + 1`` shingles of each, when both are
    sorted alike (Chaudhuri, Ganti and Kaushik 2006). With the rarest first, those are the words that make a text its
    own, so texts that share a template do not become candidates of each other.
    """

    def __init__(self, texts: Iterable[frozenset[str]], threshold: float) -> None:
        self._threshold = threshold
        self._frequency = Counter(shingle for text in texts for shingle in text)
        self._sets: dict[str, frozenset[str]] = {}
        self._names: dict[str, list[str]] = defaultdict(list)

    def find(self, own: frozenset[str]) -> tuple[str, float] | None:
        """Return the most similar earlier text's name and the similarity, or None below the threshold."""
        names = sorted({name for shingle in self._rarest(own) for name in self._names.get(shingle, ())})
        best: tuple[str, float] | None = None
        for name in names:
            other = self._sets[name]
            if min(len(own), len(other)) < self._threshold * max(len(own), len(other)):
                continue
            common = len(own & other)
            similarity = common / (len(own) + len(other) - common)
            if similarity >= self._threshold and (best is None or similarity > best[1]):
                best = (name, similarity)
        return best

    def add(self, name: str, own: frozenset[str]) -> None:
        """Keep a text."""
        self._sets[name] = own
        for shingle in self._rarest(own):
            self._names[shingle].append(name)

    def _rarest(self, own: frozenset[str]) -> list[str]:
        # The small number keeps a product such as 0.7 * 10 = 7.000000000000001 from being rounded up.
        length = len(own) - math.ceil(self._threshold * len(own) - 1e-9) + 1
        return sorted(own, key=lambda shingle: (self._frequency[shingle], shingle))[:length]
