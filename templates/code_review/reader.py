"""A linear reader: which line of a change of Python looks most like a defect, by the words in it and around it.

Minutes of logistic regression see a hundred thousand lines; a small model would need hours for as many. So the reader
reads first, and the prompt ends with what it makes of the change, next to the rules. It knows no meaning and nothing
beyond the hunk: the model may believe it or not, and finds the words.

``defects/seed.py`` fits it, on modules of the standard library that no embedded example is from (:func:`teaches`): its
reading of training data is no better than that of new code, and the model learns how far to trust it.
"""

from __future__ import annotations

import lzma
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from understudy.templates.code_review.diff import Hunk, Line
from understudy.templates.code_review.numbered import numbered, read_hunks_of
from understudy.templates.code_review.schema import Category, ReviewInput, Severity

__all__ = ["Reading", "Weights", "features", "read", "teaches"]

_TAUGHT = 6
"""Of ten projects, those that the reader learns from; the others are for the model."""
_SUFFIXES = (".py", ".pyi")
_LONGEST = 300
"""Characters of a line that are read."""
_MOST_WORDS = 60
"""Runs of words that came or went with a line and are told apart."""
_SHOWN = 2
_FAINT = 0.05
"""Chance below which a line is not worth a word."""
_WORD = re.compile(r'"""|[A-Za-z_]\w*|\d+|[^\w\s]+')


class Reading(NamedTuple):
    """One suspicious line."""

    position: int
    """Its number in the prompt."""
    kind: str
    """The defect operator whose lines it resembles most."""
    severity: str
    category: str
    """What that operator's defects are."""
    chance: float
    """That a comment belongs there, 0 to 1."""


def teaches(project: str) -> bool:
    """Return whether the reader learns from a project of the standard library; nothing else may then be made of it."""
    return zlib.crc32(project.encode("utf-8")) % 10 < _TAUGHT


def read(piece: ReviewInput) -> tuple[Reading, ...]:
    """Return the most suspicious lines of a piece, worst first; none for other languages than Python."""
    return _read(piece.path, piece.diff)


@lru_cache(maxsize=256)
def _read(path: str, diff: str) -> tuple[Reading, ...]:
    if not path.endswith(_SUFFIXES):
        return ()
    piece = ReviewInput(path=path, diff=diff)
    places = {(one.line.side, one.line.number): one.position for one in numbered(piece)}
    found = []
    for line, words in features(read_hunks_of(diff)):
        chance = _weights().chance(words)
        if chance >= _FAINT:
            kind = _weights().kind(words)
            found.append(Reading(places[line.side, line.number], kind, *_weights().verdicts[kind], chance))
    return tuple(sorted(found, key=lambda one: -one.chance)[:_SHOWN])


def features(hunks: Sequence[Hunk]) -> Iterator[tuple[Line, list[str]]]:
    """Yield every line that is not blank, changed or not, with what the reader goes by: each feature once.

    Runs of one to three words of the line under its mark, runs of up to two of the hunk's lines of other marks (``o``),
    what the line has and they have not (``came``) and the other way round (``went``), the words of the lines before and
    behind it (``p``, ``n``), and how the line behind begins (``b``).
    """
    for hunk in hunks:
        others = {
            mark: {run for one in hunk.lines if one.mark not in ("", mark) for run in _runs(one.text, 2)}
            for mark in {line.mark for line in hunk.lines}
        }
        for index, line in enumerate(hunk.lines):
            if not line.text.strip():
                continue
            own, other = _runs(line.text, 3), others[line.mark]
            found = [line.mark + run for run in own] + ["o" + run for run in other]
            if other:
                found += ["came " + run for run in own if run not in other][:_MOST_WORDS]
                found += ["went " + run for run in sorted(other.difference(own))][:_MOST_WORDS]
            else:
                found.append("alone" + line.mark)
            found += _beside(hunk.lines, index)
            yield line, list(dict.fromkeys(found))


def _beside(lines: Sequence[Line], index: int) -> list[str]:
    found = []
    for place, name in ((index - 1, "p"), (index + 1, "n")):
        if 0 <= place < len(lines):
            mark = lines[place].mark or " "
            found += [name + mark + run for run in _runs(lines[place].text, 1)]
    if index + 1 < len(lines):
        mark, words = lines[index + 1].mark or " ", _words(lines[index + 1].text)[:5]
        found += ["b" + mark + " ".join(words[:count]) for count in range(1, len(words) + 1)]
    return found


def _words(text: str) -> list[str]:
    """Return a line's names, numbers and runs of other characters between its two ends; longer numbers are all one."""
    words = ["0" if word.isdigit() and len(word) > 1 else word for word in _WORD.findall(text[:_LONGEST])]
    return ["^", *words, "$"]


def _runs(text: str, longest: int) -> list[str]:
    words = _words(text)
    return [
        " ".join(words[start : start + count])
        for count in range(1, longest + 1)
        for start in range(len(words) - count + 1)
    ]


class Weights(BaseModel):
    """What was learnt: two linear models over the same features, whole numbers to be divided by ``scale``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float
    bias: float
    smell: dict[str, int]
    """Weight of a feature for there being a defect at all."""
    kinds: list[str]
    biases: list[float]
    verdicts: dict[str, tuple[Severity, Category]]
    """Severity and category of each kind."""
    likeness: dict[str, dict[int, int]]
    """Weights of a feature for the kinds, by their number."""

    def chance(self, words: Sequence[str]) -> float:
        """Return the probability that a line with these features is a defect's."""
        score = self.bias + sum(self.smell.get(word, 0) for word in words) / self.scale
        return 1 / (1 + math.exp(-score))

    def kind(self, words: Sequence[str]) -> str:
        """Return the kind of defect whose lines have the most of these features."""
        scores = list(self.biases)
        for word in words:
            for kind, weight in self.likeness.get(word, {}).items():
                scores[kind] += weight / self.scale
        return self.kinds[max(range(len(scores)), key=scores.__getitem__)]


@cache
def _weights() -> Weights:
    packed = (files("understudy.templates.code_review") / "seed" / "reader.json.xz").read_bytes()
    return Weights.model_validate_json(lzma.decompress(packed))
