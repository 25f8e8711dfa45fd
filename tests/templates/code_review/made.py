"""Small patches, and a model whose answers are known."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from understudy.core.engines import Generation, Request

BEFORE = """\
import sqlite3

def names(db, key):
    rows = db.execute("SELECT name FROM users WHERE key = ?", (key,))
    return [row[0] for row in rows]

def total(prices):
    result = 0
    for index in range(len(prices)):
        result += prices[index]
    return result
"""
AFTER = BEFORE.replace('key = ?", (key,))', "key = '%s'\" % key)").replace(
    "range(len(prices))", "range(len(prices) - 1)"
)


def patch_of(before: str, after: str, path: str = "shop/cart.py", context: int = 3) -> str:
    """The unified diff of two texts that end in LF."""
    lines = difflib.unified_diff(
        before.split("\n")[:-1], after.split("\n")[:-1], f"a/{path}", f"b/{path}", lineterm="", n=context
    )
    return "".join(line + "\n" for line in lines)


PATCH = patch_of(BEFORE, AFTER)


def count(text: str) -> int:
    return len(text) // 3 + 1


def remark(lines: str, **changes: Any) -> dict[str, Any]:
    right = {"lines": lines, "severity": "major", "category": "bug", "message": "This is wrong.", "suggestion": None}
    return {**right, **changes}


def generation(comments: list[dict[str, Any]], chance: float, finish: Any = "stop") -> Generation:
    """An answer whose decisive token, the one that opens or closes the list, had a probability."""
    text = json.dumps({"comments": comments}, separators=(",", ":"))
    place = len('{"comments":[')
    steps = ((place, 0.0), (place + 1, math.log(chance)), (len(text), 0.0))
    return Generation(text, finish, 10, 3, math.log(chance), chance, 0.0, steps=steps)


class Scripted:
    """Answers by the text of the prompt; what must be commented (minItems 1) gets the second answer."""

    def __init__(self, answer: Callable[[Request], Generation]) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    def __call__(self, requests: Sequence[Request]) -> list[Generation]:
        self.asked += requests
        return [self.answer(request) for request in requests]


def is_forced(request: Request) -> bool:
    assert request.schema is not None
    return bool(request.schema["properties"]["comments"]["minItems"])
