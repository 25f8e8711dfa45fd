"""Drills: exercises made by code that teach a small model to look back.

``copying`` is stage (i): random tokens, repeated once, loss on the repetition only. ``recall`` goes into stage (ii):
real lines under numbers or keys, then questions whose answers stand above. Both are text, never a task's format.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["IGNORE", "Lines", "copying", "recall"]

IGNORE = -100
Encode = Callable[[str], list[int]]
Rows = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{3,}")


def copying(rng: np.random.Generator, rows: int, length: int, low: int, vocabulary: int, border: int) -> Rows:
    """Return inputs and labels, each (rows, length): spans of 5-40 random tokens, a border, the span again."""
    inputs = np.zeros((rows, length), dtype=np.int64)
    labels = np.full((rows, length), IGNORE, dtype=np.int64)
    for row in range(rows):
        at = 0
        while at < length:
            span = rng.integers(low, vocabulary, size=int(rng.integers(5, 41)))
            piece = np.concatenate([span, [border], span, [border]])[: length - at]
            inputs[row, at : at + len(piece)] = piece
            learn = slice(at + len(span) + 1, at + len(piece))
            labels[row, learn] = inputs[row, learn]
            at += len(piece)
    return inputs, labels


class Lines:
    """A pool of real lines, and identifiers to plant in them so that no answer can be known by heart."""

    def __init__(self, texts: list[str], rng: random.Random, size: int = 200_000) -> None:
        """Keep up to ``size`` lines of 12 to 110 characters."""
        pool = [line.strip() for text in texts for line in text.split("\n")]
        pool = [line for line in pool if 12 <= len(line) <= 110]
        rng.shuffle(pool)
        self.pool = pool[:size]
        self.words = sorted({word for line in self.pool[:40_000] for word in re.findall(r"\b[a-z]{3,9}\b", line)})

    def identifier(self, rng: random.Random) -> str:
        """Return a random name in one of the shapes code uses."""
        words = rng.sample(self.words, rng.randint(1, 3))
        shape = rng.randrange(6)
        if shape == 0:
            return "".join(word.capitalize() for word in words)
        if shape == 1:
            return "-".join(words)
        if shape == 2:
            return "/".join(words) + rng.choice((".py", ".c", ".ts", ".yml", ".rs"))
        if shape == 3:
            return "_".join(words).upper()
        return "_".join(words) + (str(rng.randrange(100)) if rng.random() < 0.2 else "")

    def line(self, rng: random.Random) -> tuple[str, str | None]:
        """Return a line and the random identifier planted in it (None when nothing was planted)."""
        line = rng.choice(self.pool)
        places = list(_IDENTIFIER.finditer(line))
        if not places or rng.random() < 0.25:
            return line, None
        place, name = rng.choice(places), self.identifier(rng)
        return line[: place.start()] + name + line[place.end() :], name


def recall(rng: random.Random, lines: Lines) -> tuple[str, str]:
    """Return one drill as (what is read, what is asked and answered)."""
    return rng.choice((_numbered, _numbered, _odd, _odd, _keyed))(rng, lines)


def _numbered(rng: random.Random, lines: Lines) -> tuple[str, str]:
    count = rng.randint(3, 22)
    style = rng.choice(("{}: {}", "{}: {}", "{}| {}", "L{} {}", "[{}] {}"))
    start = 1 if rng.random() < 0.6 else rng.randrange(1, 3000)
    numbers = (
        sorted(rng.sample(range(start, start + count * 3), count))
        if rng.random() < 0.3
        else range(start, start + count)
    )
    shown = {number: lines.line(rng) for number in numbers}
    body = "\n".join(style.format(number, text) for number, (text, _) in shown.items())
    answers = []
    for number in rng.sample(list(shown), min(count, rng.randint(3, 7))):
        text, name = shown[number]
        form = rng.randrange(5)
        if name is None or form == 0:
            answers.append(rng.choice(("line {n} says: {t}", "line {n}: {t}")).format(n=number, t=text))
        elif form == 1:
            answers.append(f"`{name}` is in line {number}")
        elif form == 2:
            answers.append(f"line {number} names `{name}`")
        elif form == 3:
            answers.append(f"{text} is line {number}")
        else:
            piece = text[: rng.randint(8, 30)].rsplit(" ", 1)[0] or text
            answers.append(f"line {number}, which begins with {piece}, names `{name}`")
    return body + "\n\n", "\n".join(answers)


def _keyed(rng: random.Random, lines: Lines) -> tuple[str, str]:
    pairs = {lines.identifier(rng): lines.identifier(rng) for _ in range(rng.randint(4, 16))}
    mark = rng.choice((" = ", ": ", " -> ", "\t"))
    asked = rng.sample(sorted(pairs), min(len(pairs), rng.randint(3, 8)))
    answers = [
        rng.choice(("{k} is {v}", "{v} belongs to {k}", "`{k}` has `{v}`")).format(k=k, v=pairs[k]) for k in asked
    ]
    return "\n".join(key + mark + value for key, value in pairs.items()) + "\n\n", "\n".join(answers)


def _odd(rng: random.Random, lines: Lines) -> tuple[str, str]:
    """Lines that all name something and say how it went; asked for the name and the number in one of them."""
    count = rng.randint(4, 16)
    odd, *usual = rng.sample(lines.words, rng.randint(2, 6))
    quote = rng.choice(("{}", "{}", "`{}`", "'{}'"))
    order = rng.choice(("{t} {q} {w}", "{w} {q} {t}", "{q}: {w}", "{w}: {q}", "{t}: {q} ({w})", "{q} {t} {w}"))
    style = rng.choice(("{}: {}", "{}: {}", "{}| {}", "[{}] {}"))
    wanted = rng.randrange(count)
    names = [lines.identifier(rng) for _ in range(count)]
    shown = []
    for at, name in enumerate(names):
        word = odd if at == wanted else rng.choice(usual)
        text = rng.choice(lines.pool)[: rng.randint(10, 50)].strip()
        shown.append(style.format(at + 1, order.format(t=text, q=quote.format(name), w=word)))
    question = rng.choice((f"Which is {odd}?", f"{odd}:", f"What is {odd}?", f"The line that says {odd}:"))
    answer = rng.choice(("`{}` in line {}", "`{}` {}", "`{}`, line {}")).format(names[wanted], wanted + 1)
    return "\n".join(shown) + f"\n\n{question} ", answer
