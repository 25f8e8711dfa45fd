"""Format validators: what the JSON schema cannot say. They never raise and never repair."""

from __future__ import annotations

import builtins
import keyword
import re

from understudy.core.records import Problem
from understudy.templates.code_review.numbered import Place, numbered, place_of, section_of
from understudy.templates.code_review.schema import Remark, Review, ReviewInput
from understudy.templates.code_review.suggestions import breaks_python, commented_lines

__all__ = ["MAX_MESSAGE", "check", "check_remark", "is_bare_question", "unknown_names"]

MAX_MESSAGE = 600
"""Characters that people still read under a line."""

_CODE_WORD = re.compile(r"\b[A-Za-z]\w*(?:_\w+)+\b|\b[a-z]+[A-Z]\w*\b|\b[A-Za-z_]\w*(?=\(\))")
"""A word outside backquotes that can only be an identifier: snake_case, camelCase, or called."""
_WORD = re.compile(r"[A-Za-z_]\w*")
_SENTENCE = re.compile(r"[^.!?]*[.!?]+|[^.!?]+")
_LANGUAGE = frozenset([*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "self", "cls", "snake_case", "camelCase"])
"""Words of Python and its conventions; a message may use them without their being in the change."""


def check(piece: ReviewInput, review: Review) -> list[Problem]:
    """Return what is wrong with ``review`` for ``piece``, in field order; ``field`` is ``comments.0.lines`` and so on.

    An anchor must exist and stay in one hunk; a suggestion must replace exactly the commented lines, change them, and
    leave Python that parses; a message must say something of its own, about names that are in the change; and no two
    comments may be about one thing.
    """
    problems: list[Problem] = []
    for index, remark in enumerate(review.comments):
        found = check_remark(piece, remark)
        if not found and (twin := _twin(piece, review.comments[:index], remark)) is not None:
            found = [("lines", f"says the same as comment {twin + 1}")]
        problems += [Problem(field=f"comments.{index}.{field}", message=message) for field, message in found]
    return problems


def check_remark(piece: ReviewInput, remark: Remark) -> list[tuple[str, str]]:
    """Return the problems of one comment on its own, as pairs of field and message."""
    place = place_of(piece, remark.lines)
    if place is None:
        return [("lines", f"{remark.lines} is no line, and no run of lines of one hunk and side, of this change")]
    problems = []
    message = remark.message.strip()
    if not message:
        problems.append(("message", "is empty"))
    elif len(message) > MAX_MESSAGE:
        problems.append(("message", f"is longer than {MAX_MESSAGE} characters"))
    elif is_bare_question(message):
        problems.append(("message", "is a question and nothing else"))
    if message.count("`") % 2:
        problems.append(("message", "has an unclosed backquote"))
    elif unknown := unknown_names(piece, message, remark.suggestion or ""):
        problems.append(("message", f"names {unknown[0]!r}, which is not in the change"))
    if remark.suggestion is not None and (reason := _useless(piece, place, remark.suggestion)):
        problems.append(("suggestion", reason))
    return problems


def is_bare_question(message: str) -> bool:
    """Return whether every sentence asks."""
    sentences = [text.strip() for text in _SENTENCE.findall(re.sub(r"`[^`]*`", "x", message)) if text.strip()]
    return bool(sentences) and all(text.endswith("?") for text in sentences)


def unknown_names(piece: ReviewInput, message: str, suggestion: str = "") -> list[str]:
    """Return the identifiers a message mentions that stand nowhere: not in the change, its path, or the suggestion."""
    shown = [line.line.text for line in numbered(piece)]
    sections = [section_of(line) for line in piece.diff.split("\n") if line.startswith("@@ ")]
    known = set(_WORD.findall("\n".join([*shown, *sections, piece.path, suggestion]))) | _LANGUAGE
    parts = message.split("`")
    mentioned = [word for part in parts[1::2] for word in _WORD.findall(part)]
    mentioned += [word for part in parts[::2] for word in _CODE_WORD.findall(part)]
    return [word for word in mentioned if word not in known]


def _useless(piece: ReviewInput, place: Place, suggestion: str) -> str:
    """Return why a suggestion cannot be taken, or nothing."""
    if place.side == "LEFT":
        return "is for a removed line, which cannot be changed"
    if suggestion.split("\n") == commented_lines(piece, place):
        return "is what stands there already"
    if breaks_python(piece, place, suggestion):
        return "leaves Python that does not parse"
    return ""


def _twin(piece: ReviewInput, earlier: list[Remark], remark: Remark) -> int | None:
    place = place_of(piece, remark.lines)
    for index, other in enumerate(earlier):
        there = place_of(piece, other.lines)
        if place is None or there is None or place.side != there.side:
            continue
        overlap = place.start <= there.line and there.start <= place.line
        if overlap and (remark.category == other.category or remark.message == other.message):
            return index
    return None
