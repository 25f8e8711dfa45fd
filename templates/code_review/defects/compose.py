"""From an operator and a unit to a specimen: the shape of the diff, the comment, and the checks that refuse it."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from understudy.templates.code_review.defects.patch import body_lines, replaced, write_patch
from understudy.templates.code_review.defects.records import Finding, Specimen
from understudy.templates.code_review.defects.registry import Operator, Shape
from understudy.templates.code_review.defects.smells import smell
from understudy.templates.code_review.defects.source import Piece
from understudy.templates.code_review.defects.unit import Change, Splice, Unit, moved, splice, touched
from understudy.templates.code_review.diff import Side, read_patch

__all__ = ["Made", "NoSite", "Refused", "compose"]

MIN_LINES = 6
MAX_LINES = 40
_TRIES = 12
"""Harmless operators tried for the second change of a diff."""
_QUOTED = re.compile(r"`([^`]+)`")


class Refused(Exception):
    """The operator cannot make a specimen of this unit in this shape; the text says why, without details."""


class NoSite(Refused):
    """There is no place in the unit that the operator could change, in whatever shape."""


@dataclass(frozen=True)
class Made:
    """A specimen and the two sides of its diff."""

    specimen: Specimen
    piece: Piece
    old: str | None
    new: str

    @property
    def before(self) -> str:
        """The whole file before the change."""
        return replaced(self.piece, self.old)

    @property
    def after(self) -> str:
        """The whole file after it."""
        return replaced(self.piece, self.new)


@dataclass(frozen=True)
class _Draft:
    """The texts of a unit on both sides of the diff, and what became of the change in them."""

    old: str | None
    new: str
    splices: tuple[Splice, ...]
    """What turned the unit's own text into ``new``."""


def compose(operator: Operator, shape: Shape, unit: Unit, rng: Random, others: Sequence[Operator]) -> Made:
    """Return one specimen.

    Args:
        operator: what to do.
        shape: how the diff is to look; one of the operator's.
        unit: the code to do it to.
        rng: decides the place, the wording and all else that is open.
        others: harmless operators for the second change of shape ``beside``.

    Raises:
        Refused: no specimen of this shape can be made, or it would not keep its promises.
    """
    changes = list(operator.find(unit, rng))
    if not changes:
        raise NoSite("no site")
    change = rng.choice(changes)
    draft = _draft(operator, shape, unit, change, rng, others)
    for text in (draft.new, draft.old):
        _parse(text)
    if draft.old == draft.new:
        raise Refused("nothing changed")
    patch = write_patch(unit.piece, draft.old, draft.new)
    body = body_lines(patch)
    if not MIN_LINES <= len(body) <= MAX_LINES:
        raise Refused(f"not {MIN_LINES} to {MAX_LINES} lines")
    if operator.harmless:
        if smell("\n".join(line[1:] for line in body if line[0] == "+")):
            raise Refused("the clean code has a smell")
        comments: tuple[Finding, ...] = ()
    else:
        if shape in ("block", "function") and smell(unit.text):
            raise Refused("the clean code has a smell")
        comments = (_finding(operator, unit, change, draft, patch, rng),)
    piece = unit.piece
    specimen = Specimen(patch, piece.source.path, operator.name, piece.source.project, comments)
    return Made(specimen, piece, draft.old, draft.new)


def _parse(text: str | None) -> None:
    try:
        ast.parse(text or "")
    except SyntaxError:
        raise Refused("does not parse") from None


def _draft(
    operator: Operator, shape: Shape, unit: Unit, change: Change, rng: Random, others: Sequence[Operator]
) -> _Draft:
    """Return both sides of the diff."""
    right = change.good if operator.reverses else change.bad
    wrong = change.bad if operator.reverses else change.good
    if shape == "function":
        if unit.piece.alone:
            raise Refused("nothing else is in its class")
        return _Draft(None, splice(unit.text, right), right)
    if shape == "block":
        return _Draft(_without_block(unit, (*right, *wrong), rng), splice(unit.text, right), right)
    added = bool(change.good) and (rng.random() < 0.5 or (change.fresh and not operator.harmless))
    old = unit.text if added else splice(unit.text, wrong)
    extra = _extra(unit, (*right, *wrong), rng, others) if shape == "beside" else ()
    splices = (*right, *extra)
    return _Draft(old, splice(unit.text, splices), splices)


def _extra(unit: Unit, splices: Sequence[Splice], rng: Random, others: Sequence[Operator]) -> tuple[Splice, ...]:
    """Return a harmless change of other lines."""
    taken = {line + near for line in touched(unit.text, splices) for near in (-1, 0, 1)}
    fitting = [other for other in others if unit.piece.kind in other.kinds and other.wants.search(unit.text)]
    for other in rng.sample(fitting, min(_TRIES, len(fitting))):
        found = [change for change in other.find(unit, rng) if not touched(unit.text, change.bad) & taken]
        if found:
            return rng.choice(found).bad
    raise Refused("no second change")


def _without_block(unit: Unit, splices: Sequence[Splice], rng: Random) -> str:
    """Return the unit without some statements that hold all the splices, as it was before they were added.

    What they assign is not used behind them, so that the code before the change makes sense too.
    """
    found = []
    for block in unit.all("IndentedBlock"):
        statements = list(block.body)
        for first in range(len(statements)):
            for last in range(first, min(first + 4, len(statements))):
                start, end = unit.whole(statements[first])[0], unit.whole(statements[last])[1]
                if last - first + 1 == len(statements) or not all(start <= s.start and s.end <= end for s in splices):
                    continue
                if unit.is_docstring(statements[first]) or unit.used_after(statements[first : last + 1], end):
                    continue
                if 2 <= unit.text.count("\n", start, end) <= MAX_LINES // 2:
                    found.append((start, end))
    if not found:
        raise Refused("no block around it")
    start, end = rng.choice(found)
    return unit.text[:start] + unit.text[end:]


def _finding(operator: Operator, unit: Unit, change: Change, draft: _Draft, patch: str, rng: Random) -> Finding:
    read = read_patch(patch.encode("utf-8"))
    if read.refused or len(read.files) != 1:
        raise Refused("our own reader refuses the patch")
    places = {(anchor.side, anchor.line) for anchor in read.files[0].anchors()}
    side: Side = "RIGHT"
    anchor = change.anchor if change.anchor >= 0 else min(change.bad).start
    line = moved(unit.text, draft.splices, anchor) + change.down
    suggestion = _suggestion(unit, change, moved(unit.text, change.bad, anchor) + change.down)
    if (side, unit.piece.start + line + 1) not in places:
        side, line = "LEFT", _deleted(unit, change, draft)
        suggestion = None
    line += unit.piece.start + 1
    if (side, line) not in places:
        raise Refused("the line is not commentable")
    assert operator.severity and operator.category
    message = _message(operator, change, patch, rng)
    return Finding(line, side, operator.severity, operator.category, message, suggestion)


def _message(operator: Operator, change: Change, patch: str, rng: Random) -> str:
    shown = "\n".join(line[1:] for line in body_lines(patch))
    for wording in rng.sample(operator.messages, len(operator.messages)):
        message = wording.format_map(change.names)
        if all(name in shown for name in _QUOTED.findall(message)):
            return message
    raise Refused("the message names what the diff does not show")


def _opcodes(old: str, new: str) -> list[tuple[str, int, int, int, int]]:
    matcher = difflib.SequenceMatcher(None, old.split("\n"), new.split("\n"), autojunk=False)
    return [code for code in matcher.get_opcodes() if code[0] != "equal"]


def _suggestion(unit: Unit, change: Change, line: int) -> str | None:
    """Return the right lines if putting them in the place of one line mends the whole defect."""
    base = splice(unit.text, change.good)
    codes = _opcodes(base, splice(unit.text, change.bad))
    if len(codes) != 1 or codes[0][0] != "replace" or codes[0][3:] != (line, line + 1):
        return None
    return "\n".join(unit.piece.indented("\n".join(base.split("\n")[codes[0][1] : codes[0][2]])))


def _deleted(unit: Unit, change: Change, draft: _Draft) -> int:
    """Return the 0-based line of the old text at which lines are missing now."""
    base = splice(unit.text, change.good)
    codes = _opcodes(base, splice(unit.text, change.bad))
    if draft.old != base or not codes or codes[0][0] != "delete":
        raise Refused("the line is not commentable")
    return codes[0][1]
