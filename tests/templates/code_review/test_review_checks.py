from __future__ import annotations

from typing import Any

import pytest

from understudy.templates.code_review import rules
from understudy.templates.code_review.checks import check, is_bare_question
from understudy.templates.code_review.numbered import Place
from understudy.templates.code_review.schema import Review, ReviewInput
from understudy.templates.code_review.suggestions import applied, parses

from .made import remark

PIECE = ReviewInput(
    path="shop/cart.py",
    diff="@@ -7,4 +7,4 @@ def total(prices):\n     result = 0\n-    for index in range(len(prices)):\n"
    "+    for index in range(len(prices) - 1):\n         result += prices[index]\n     return result\n",
)
FIX = "    for index in range(len(prices)):"


def problems(*remarks: dict[str, Any], piece: ReviewInput = PIECE) -> list[tuple[str, str]]:
    return [(one.field, one.message) for one in check(piece, Review.model_validate({"comments": list(remarks)}))]


def test_a_good_comment_has_no_problem() -> None:
    message = "The loop stops one short of the end of `prices`; `total` misses the last."
    assert problems(remark("3", message=message, suggestion=FIX)) == []


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"lines": "9"}, "lines", "9 is no line"),
        ({"lines": "2-3"}, "lines", "2-3 is no line"),
        ({"message": "  "}, "message", "is empty"),
        ({"message": "It is wrong. " * 60}, "message", "longer than 600"),
        ({"message": "Is this right? Why `prices`?"}, "message", "is a question"),
        ({"message": "See `prices"}, "message", "unclosed"),
        ({"message": "Use `order_total` instead."}, "message", "names 'order_total'"),
        ({"message": "Call check_stock before."}, "message", "names 'check_stock'"),
        ({"message": "Use enumerateAll() here."}, "message", "names 'enumerateAll'"),
        ({"lines": "2", "suggestion": FIX}, "suggestion", "is for a removed line"),
        ({"suggestion": "    for index in range(len(prices) - 1):"}, "suggestion", "stands there already"),
        ({"suggestion": "    for index in range(len(prices):"}, "suggestion", "does not parse"),
        ({"suggestion": ""}, "suggestion", "does not parse"),
        ({"lines": "3-4", "suggestion": FIX}, "suggestion", "does not parse"),
    ],
)
def test_each_wrong_thing_is_named(changes: dict[str, Any], field: str, says: str) -> None:
    ((found, message),) = problems(remark(**{"lines": "3", **changes}))
    assert found == f"comments.0.{field}" and says in message


def test_words_of_the_language_and_of_the_suggestion_may_be_named() -> None:
    assert problems(remark("3", message="`len` of `None` raises TypeError; use `price_list`.",
                           suggestion="    for index in price_list:")) == []  # fmt: skip


def test_two_comments_on_one_thing_are_one_too_many() -> None:
    twice = [remark("3", message="Off by one."), remark("3-4", message="Misses the last one.")]
    ((field, message),) = problems(*twice)
    assert field == "comments.1.lines" and "the same as comment 1" in message
    assert problems(twice[0], remark("3-4", message="Slow.", category="performance")) == []
    assert problems(twice[0], remark("5", message="Misses the last one.")) == []


@pytest.mark.parametrize(
    ("text", "asks"),
    [("Why?", True), ("Is `a?b` x?", True), ("Wrong. Why?", False), ("Wrong.", False), ("???", True), ("`x`", False)],
)
def test_a_bare_question_is_told_from_a_statement(text: str, asks: bool) -> None:
    assert is_bare_question(text) is asks


def test_a_suggestion_replaces_exactly_the_commented_lines() -> None:
    before, after = applied(PIECE, Place("RIGHT", 8, 9), "    pass\n    x")
    assert before[1:3] == ["    for index in range(len(prices) - 1):", "        result += prices[index]"]
    assert after == ["    result = 0", ["    pass", "    x"][0], "    x", "    return result"]
    assert applied(PIECE, Place("RIGHT", 8, 9), "")[1] == ["    result = 0", "    return result"]


@pytest.mark.parametrize(
    ("code", "whole"),
    [
        ("        x = 1\n    return x", True),
        ("    else:\n        y()", True),
        ("except ValueError:\n    pass", True),
        ("def f(a,\n      b):", True),
        ("    @property\n    def f(self):", True),
        ("    await f()", True),
        ("x = (1", False),
        ('    """open', False),
        ("a b", False),
        ("x = 1\n    y = 2", False),
        ("(" * 5000, False),
        ("\0", False),
        ("", True),
    ],
)
def test_a_part_of_a_python_file_is_completed_before_it_is_parsed(code: str, whole: bool) -> None:
    assert parses(code.split("\n")) is whole


def test_other_languages_are_not_parsed() -> None:
    piece = PIECE.model_copy(update={"path": "cart.rb"})
    assert problems(remark("3", suggestion="    ]]"), piece=piece) == []


def added(line: str, path: str = "a.py") -> ReviewInput:
    return ReviewInput(path=path, diff=f"@@ -1,0 +1,1 @@\n+{line}\n")


@pytest.mark.parametrize(
    ("line", "category"),
    [
        ("<<<<<<< HEAD", "bug"),
        ('password = "[REDACTED:password:12]"', "security"),
        ("run(cmd, shell=True)", "security"),
        ("data = yaml.load(text)", "security"),
        ("get(url, verify=False)", "security"),
        ('db.execute("SELECT %s" % key)', "security"),
        ("eval(text)", "security"),
        ("def f(a, b=[]):", "bug"),
        ("if a == None:", "style"),
        ("if a is 'x':", "bug"),
        ("assert (a, 'message')", "test"),
        ("breakpoint()", "maintainability"),
        ("r = requests.get(url)", "bug"),
    ],
)
def test_each_rule_finds_its_pattern_and_its_answer_passes_the_checks(line: str, category: str) -> None:
    (found,) = rules.answer(added(line)).comments
    assert found.category == category
    assert check(added(line), Review(comments=[found])) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = 1", "data = yaml.load(text, Loader=SafeLoader)", "if a is None:", "def f(a, b=()):", "assert (a, b) == c",
        'db.execute("SELECT ?", (key,))', "requests.get(url, timeout=5)", "# a == b", "evaluate(x)",
    ],
)  # fmt: skip
def test_the_rules_are_silent_on_what_is_right(line: str) -> None:
    assert rules.answer(added(line)).comments == []


def test_the_rules_read_only_added_lines_and_only_their_language() -> None:
    gone = ReviewInput(path="a.py", diff="@@ -1,2 +1,1 @@\n-eval(x)\n eval(y)\n".replace("+1,1", "+1,1"))
    assert rules.answer(gone).comments == []
    assert rules.answer(added("eval(x)", "a.rb")).comments == []
