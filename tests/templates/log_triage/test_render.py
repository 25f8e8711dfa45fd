# ruff: noqa: E501
from __future__ import annotations

import re
import unicodedata
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from understudy.templates.log_triage.explain import RULES, Evidence, Explanation
from understudy.templates.log_triage.render import HEADINGS, markdown, plain
from understudy.templates.log_triage.schema import Category

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

HOSTILE = [
    "@everyone please look", "a@b.example", "#1 and owner/repo#2", "<script>alert(1)</script>", "<!-- gone", "</sub>",
    "[text](http://evil.example)", "![i](http://evil.example/x.png)", "http://evil.example", "www.evil.example",
    "```\n@octocat\n```", "`````", "~~~", "`` @a ``", "`", "&lt;b&gt;", "&#64;octocat", "# heading", "> quote", "- item", "1. one",
    "| a | b |", "***bold***", "~~gone~~", "$x^2$", "::error::pwned", "  ::add-mask::x", "##[error]pwned", "##vso[task.x]y",
    "\x1b[31mred\x1b[0m", "\u202egnp.exe", "\u2066x\u2069", "\u200b", "\x00", "\r::set-output name=a::b", "\u2028", "\\`x`", "\\", "\n\n---\n",
]  # fmt: skip
_TEXT = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=6), max_size=5).map(" ".join)


def explanation(**changes: Any) -> Explanation:
    right: dict[str, Any] = {
        "category": "test_assertion",
        "origin": "code",
        "transient": False,
        "root_cause": "Test `test_total` fails.",
        "fix": "Correct `cart.py`.",
        "confidence": 0.913,
        "abstained": False,
        "evidence": [Evidence(file="build.log", line_start=3, line_end=3, quote="FAILED test_total")],
        "model": "triage-1",
        "problems": [],
    }
    return Explanation(**{**right, **changes})


def _quote(quote: str, file: str = "build.log") -> Explanation:
    return explanation(evidence=[Evidence(file=file, line_start=3, line_end=3, quote=quote)])


def test_an_explanation_reads_as_a_heading_a_sentence_a_fix_and_a_quote() -> None:
    assert markdown(explanation()) == (
        "### A test failed\n\nTest `test_total` fails.\n\n**Fix:** Correct `cart.py`.\n\n"
        "build.log, line 3:\n```text\nFAILED test_total\n```\n\n"
        "<sub>test_assertion, code, 91% sure of the category; by triage-1.</sub>\n"
    )


def test_rules_and_abstentions_say_so_and_line_ranges_are_shown() -> None:
    several = Evidence(file="a", line_start=3, line_end=5, quote="x\ny\nz")
    text = markdown(explanation(model=RULES, confidence=None, abstained=True, evidence=[several], fix=""))
    assert "by rules, no model. It abstains" in text and "a, line 3-5:" in text and "Fix" not in text


def test_every_category_has_a_heading() -> None:
    assert set(HEADINGS) == set(get_args(Category))


def _inline(text: str) -> tuple[list[Any], list[Any]]:
    blocks = PARSER.parse(text)
    return blocks, [child for block in blocks if block.type == "inline" for child in block.children or []]


def _seen(character: str) -> bool:
    return character in "\n\t" or character.isprintable() or unicodedata.category(character) == "Zs"


def _harmless(text: str, quotes: int = 1) -> None:
    blocks, inline = _inline(text)
    kinds = [block.type for block in blocks]
    assert kinds.count("heading_open") == 1 and kinds.count("fence") == quotes
    assert not {"html_block", "blockquote_open", "table_open", "hr", "code_block"} & set(kinds)
    assert not {token.type for token in inline} & {"link_open", "image", "s_open", "em_open"}
    assert [token.content for token in inline if token.type == "html_inline"] == ["<sub>", "</sub>"]
    for token in inline:
        if token.type == "text":  # what GitHub links after Markdown is done
            assert not re.search(r"@\w|#\d|://|(?i:www)\.", token.content), token.content
    for line in text.split("\n"):
        assert not line.lstrip().startswith("::") and not re.search(r"##\w*\[", line), line
    assert all(map(_seen, text)), "nothing invisible"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_log_text_is_harmless_wherever_it_stands(text: str) -> None:
    for shown in (explanation(root_cause=text), explanation(fix=f"x {text}"), _quote(text), _quote("x", text or "-")):
        _harmless(markdown(shown))


@given(_TEXT, _TEXT, _TEXT, _TEXT)
def test_no_mixture_of_hostile_texts_breaks_out(cause: str, fix: str, quote: str, file: str) -> None:
    evidence = [Evidence(file=f"log {file}", line_start=1, line_end=1, quote=quote)]
    text = markdown(explanation(root_cause=f"It fails: {cause}", fix=f"Do {fix}", evidence=evidence))
    _harmless(text)


@given(_TEXT)
def test_a_quote_is_shown_verbatim_inside_its_fence(quote: str) -> None:
    blocks, _ = _inline(markdown(_quote(quote)))
    (fence,) = [block for block in blocks if block.type == "fence"]
    assert fence.content == plain(quote) + "\n"


def test_backquoted_names_are_code_and_are_not_escaped() -> None:
    _, inline = _inline(markdown(explanation(root_cause="Test `a_b[*]<x>` and `c` fail_s.")))
    assert [token.content for token in inline if token.type == "code_inline"][:2] == ["a_b[*]<x>", "c"]


@given(st.text())
def test_plain_text_keeps_what_is_visible_and_loses_nothing(text: str) -> None:
    shown = plain(text)
    assert len(shown) >= len(text)
    assert all(map(_seen, shown))
    assert plain(shown) == shown


def test_ordinary_text_is_left_as_it_is() -> None:
    for text in (
        "src/a.c:3:5: error: 'x' undeclared",
        "a::b::c",
        "\ttab\nline",
        "日本語 é 🦉",
        "# 3 ## x [y]",
        "std::move",
    ):
        assert plain(text) == text
