"""A ticket's text: what of it is somebody's own words, and how it is cut to fit a prompt."""

from __future__ import annotations

import re

from understudy.core.pack import TokenCounter

__all__ = ["CUT", "fit_body", "needs_info", "own_words", "plain_body"]

CUT = "\n[...]\n"
"""Stands in a body where its middle was left out."""

_COMMENT = re.compile(r"<!--(?:(?!<!--).)*?-->", re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,500}>")
_FENCE = re.compile(r"^ {0,3}```.*$", re.MULTILINE)
_TEMPLATE_LINE = re.compile(
    r"""^\s*(?:
      \#{1,6}\s.*                        # a heading asks, it does not answer
    | \*\*[^*]+\*\*:?\s*                 # nor does a line that is bold as a whole
    | _no\ response_ | n/?a | none | [-*]\s*\[[ xX]\].* | [-*_=]{3,} | [-*]
    )\s*$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_FIELD = re.compile(r"^[ \t]*(?:[-*][ \t]+)?(?:\*\*)?[A-Z][\w /()]{0,30}:(?:\*\*)?[ \t]*$", re.MULTILINE)
"""A label with a colon and nothing behind it: ``Version:``."""
_PLACEHOLDER = re.compile(r"^\s*(?:\d+\.|\.\.\.|\d+\.\s*\.\.\.|\[.{0,80}\]|e\.g\..*)\s*$", re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
"""Letters of languages written without blanks; about two of them make a word."""
_MOST = 20_000
"""Characters from both ends of a body that are looked at; beyond, nobody reads either."""


def plain_body(body: str | None) -> str:
    """Return a body as text with LF line ends, from both ends only where it is huge; null is empty."""
    text = (body or "").replace("\r\n", "\n").replace("\r", "\n")
    return text if len(text) <= 2 * _MOST else text[:_MOST] + CUT + text[-_MOST:]


def own_words(title: str, body: str) -> int:
    """Return how many words a person wrote: without comments, HTML, headings and blanks of a template."""
    text = _TAG.sub(" ", _COMMENT.sub(" ", body))
    for pattern in (_FENCE, _TEMPLATE_LINE, _FIELD, _PLACEHOLDER):
        text = pattern.sub(" ", text)
    both = f"{title}\n{text}"
    return len(_WORD.findall(_WIDE.sub(" ", both))) + len(_WIDE.findall(both)) // 2


def needs_info(title: str, body: str, min_words: int) -> bool:
    """Return whether a ticket says too little for anybody to label it."""
    return own_words(title, body) < min_words


def fit_body(body: str, budget: int, count_tokens: TokenCounter) -> tuple[str, int]:
    """Return the body cut to ``budget`` tokens and how many characters were left out of its middle.

    Two thirds of what is kept are the head: templates begin with the description and end with versions, pasted logs
    have their errors at the end.
    """
    if count_tokens(body) <= budget:
        return body, 0
    low, high = 0, len(body)
    while low < high:  # the most characters that fit; tokens grow with them but for a few at the seams
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count_tokens(_cut(body, middle)) <= budget else (low, middle - 1)
    return (_cut(body, low), len(body) - low) if low else ("", len(body))


def _cut(body: str, keep: int) -> str:
    head = keep - keep // 3
    return body[:head] + CUT + body[len(body) - keep // 3 :]
