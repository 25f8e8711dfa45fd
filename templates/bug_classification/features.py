"""What the reference sees of a ticket: words, word pieces of the title, words of the template, and its shape.

Each block is a list of short strings; TF-IDF and a linear model make probabilities of them (``linear.py``). Nothing
here depends on a library, so a ticket is read in a fraction of a millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

__all__ = ["BLOCKS", "Features", "features"]

Features = dict[str, list[str]]
"""Block to its features, with repetitions."""

BLOCKS = ("words", "raw", "pieces", "shape")

_HEAD, _TAIL = 3000, 1000
"""Characters of a body that are read, from its two ends: half of all issues are longer than 1,000 characters."""

_COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)
_URL = re.compile(r"https?://\S+")
_ZEROS = str.maketrans("123456789", "000000000")
_TOKEN = re.compile(r"\w+|[?!]")
_PARTED = str.maketrans({chr(code): " " for code in range(128) if not re.match(r"[\w?!]", chr(code))})
"""What parts words in ASCII."""
_HEADING = re.compile(r"\n(?:#{1,6}[ \t]*|\*\*)([^\n*]{1,80})")
_ITEM = re.compile(r"\n[ \t]*(?:[-*]|\d+\.)[ \t]")
"""Both begin with a line end and not with ``^``, which would be tried at every character."""
_ASKS = re.compile(r"(?i)(how|what|why|is|can|does|do|should|where|which|when|are|any)\b")
_PREFIX = re.compile(r"\s*[\[(]?([\w /-]{2,20})[\])]?:")
_OPENING = re.compile(r"\W*(\w*)\W*(\w*)")
_BLANKS = re.compile(r"\W+")


def features(title: str, body: str) -> Features:
    """Return the blocks of one ticket.

    ``words``: single words and pairs, comments removed, code and URLs folded to one word each, numbers to 0, the
    title's words once more under a name of their own. ``raw``: all words as they stand, comments too, since the
    template somebody chose says much. ``pieces``: three and four letters inside the title's words. ``shape``: headings,
    length, question marks, lists and their like.
    """
    if len(body) > _HEAD + _TAIL:
        body = f"{body[:_HEAD]} {body[-_TAIL:]}"
    plain = _COMMENT.sub(" ", body)
    folded = _URL.sub(" urltoken ", _without_code(plain))
    heading = _tokens(title.lower().translate(_ZEROS))
    words = heading + _tokens(folded.lower().translate(_ZEROS))
    return {
        "words": [*words, *map(" ".join, pairwise(words)), *[f"t_{word}" for word in heading]],
        "raw": _tokens(f"{title}\n{body}".lower()),
        "pieces": [piece for word in heading for piece in _pieces(word)],
        "shape": _shape(title, body, plain, heading),
    }


def _tokens(text: str) -> list[str]:
    """Return the words, and each question and exclamation mark."""
    if text.isascii():  # as nine of ten are: splitting takes a third of the expression's time
        return text.replace("?", " ? ").replace("!", " ! ").translate(_PARTED).split()
    return _TOKEN.findall(text)


def _without_code(text: str) -> str:
    """Return a text with one word for each fenced block; a block nobody closed ends with the text."""
    parts = text.split("```")
    return " codeblock ".join([*parts[::2], ""] if len(parts) % 2 == 0 else parts[::2])


@lru_cache(maxsize=8192)
def _pieces(word: str) -> list[str]:
    edged = f" {word} "
    return [edged[at : at + n] for n in (3, 4) for at in range(len(edged) - n + 1)]


_COUNTS: dict[str, tuple[Callable[[str], int], int]] = {
    "question": (lambda text: text.count("?"), 4),
    "code": (lambda text: text.count("```") // 2, 4),
    "url": (lambda text: text.count("://"), 4),
    "image": (lambda text: text.count("![") + text.count("<img"), 3),
    "done": (lambda text: text.count("[x]") + text.count("[X]"), 3),
    "open": (lambda text: text.count("[ ]"), 3),
    "empty": (lambda text: text.count("_No response_"), 3),
    "item": (lambda text: len(_ITEM.findall(f"\n{text}")) // 2, 5),
}
"""What is counted in a body, and from which number on more makes no difference."""


def _shape(title: str, body: str, plain: str, heading: list[str]) -> list[str]:
    found = [f"{name}{min(most, count(plain))}" for name, (count, most) in _COUNTS.items()]
    found += [
        f"length{min(12, len(body).bit_length())}",
        f"title{len(title) // 15}",
        f"note{min(4, body.count('<!--'))}",
    ]
    found += [f"asks{'?' in title}", f"upper{title[:1].isupper()}"]
    if asks := _ASKS.match(title):
        found.append(f"first_{asks[1].lower()}")
    if heading:
        found += [f"first={heading[0]}", f"last={heading[-1]}"]
    if prefix := _PREFIX.match(title):
        found.append(f"prefix_{prefix[1].lower()}")
    found += map(_heading, _HEADING.findall(f"\n{body}")[:30])
    opening = "_".join(filter(None, _OPENING.match(plain, 0, 200).groups())).lower()  # type: ignore[union-attr]
    return [*found, f"opening_{opening}", f"traceback{'traceback' in body.lower()}"]


@lru_cache(maxsize=8192)
def _heading(name: str) -> str:
    return f"heading_{_BLANKS.sub('_', name.lower())[:40]}"
