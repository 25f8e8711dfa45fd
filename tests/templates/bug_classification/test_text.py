from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.templates.bug_classification.features import _tokens, _without_code
from understudy.templates.bug_classification.text import CUT, fit_body, needs_info, own_words, plain_body

TEMPLATE = """<!-- Thanks for filing! Please search first. -->
### Description
<!-- a clear and concise description of what the bug is -->

### Steps to reproduce
1.
2.
3. ...

**Expected behaviour**

### Environment
- Version:
- OS:
- [ ] I searched for duplicates
_No response_
"""


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("Bug", ""),
        ("", ""),
        ("[Bug]: ", TEMPLATE),
        ("help", "<div><br/><p></p></div>"),
        ("crash", "<!-- only a comment that goes on and on for many words -->"),
        ("🔥🔥🔥", "🙂 👍"),
        ("???", "!!! ..."),
        ("issue", "None"),
    ],
)
def test_tickets_that_say_nothing_need_information(title: str, body: str) -> None:
    assert needs_info(title, body, 4)


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("App crashes when saving a file", ""),
        ("Crash", TEMPLATE + "\nEverything freezes after the update to 3.4"),
        ("起動しない", "保存ボタンを押すと画面が真っ白になります"),
        ("Сбой", "Приложение падает при сохранении файла"),
        ("Crash", "<p>It dies when I press save</p>"),
        ("Error", "```\nTypeError: cannot read property length of undefined\n```"),
    ],
)
def test_tickets_that_say_something_do_not(title: str, body: str) -> None:
    assert not needs_info(title, body, 4)


def test_nothing_is_asked_for_when_the_settings_say_so() -> None:
    assert not needs_info("", "", 0)


def test_null_and_foreign_line_ends_become_plain_text() -> None:
    assert plain_body(None) == ""
    assert plain_body("a\r\nb\rc") == "a\nb\nc"


def test_a_megabyte_keeps_its_two_ends() -> None:
    body = plain_body("start " + "x" * 1_000_000 + " end")
    assert len(body) < 50_000 and body.startswith("start ") and body.endswith(" end") and CUT in body


@given(st.text(max_size=300), st.integers(0, 60))
def test_a_cut_body_fits_and_says_how_much_is_missing(body: str, budget: int) -> None:
    shown, left_out = fit_body(body, budget, len)
    assert len(shown) <= budget or (shown, left_out) == (body, 0)
    if left_out:
        assert len(body) > budget
        assert left_out + len(shown) - (len(CUT) if shown else 0) == len(body)
    else:
        assert shown == body


def test_head_and_tail_are_kept() -> None:
    words = " ".join(f"w{n}" for n in range(1000))
    shown, left_out = fit_body(words, 50, lambda text: len(text.split()))
    assert shown.startswith("w0 w1 ") and shown.endswith(" w999") and left_out > 3000
    assert len(shown.split()) > 40


def test_hostile_markup_takes_no_quadratic_time() -> None:
    for piece in ("<!--", "<a ", "**", "- [ ] ", "```", "Field:\n", "# ", "_no ", "<" * 10):
        assert own_words("t", plain_body(piece * 200_000)) >= 0


@given(st.text(st.characters(codec="ascii") | st.sampled_from("`?!é🙂\x85"), max_size=80))
def test_the_fast_ways_to_read_a_text_find_what_the_expressions_would(text: str) -> None:
    token = re.compile(r"\w+|[?!]")
    assert _tokens(text) == token.findall(text)
    folded = re.sub(r"(?s)```.*?(?:```|\Z)", " codeblock ", text)
    assert _without_code(text) == folded
