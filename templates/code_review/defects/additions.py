"""Where new statements can go in a function, for operators whose defect comes with code that is not there yet."""

from __future__ import annotations

from random import Random

from understudy.templates.code_review.defects.unit import Change, Splice, Unit

__all__ = ["added", "owner", "place", "values"]

_TOO_SHORT = 2


def values(unit: Unit) -> list[str]:
    """Return the function's parameters that new code can work with."""
    return [name for name in unit.params if name not in ("self", "cls") and len(name) > _TOO_SHORT and name[0] != "_"]


def owner(unit: Unit) -> str:
    """Return ``self.`` in a method, nothing elsewhere."""
    return "self." if unit.params[:1] == ["self"] else ""


def place(unit: Unit, rng: Random) -> int | None:
    """Return the offset of a line before a statement of the function's own block, behind its docstring."""
    if unit.function is None:
        return None
    found = [unit.whole(one)[0] for one in unit.body(unit.function) if not unit.is_docstring(one)]
    return rng.choice(found) if found else None


def added(unit: Unit, rng: Random, bad: str, good: str, *, down: int = 0, **names: str) -> list[Change]:
    """Return the change that adds statements: one way with the defect, one way without.

    Args:
        unit: the function.
        rng: decides where.
        bad: the lines with the defect, without indentation; ``{name}`` stands for one of ``names``.
        good: the lines without; empty where the right thing is to have none.
        down: which of the bad lines the comment belongs to, from 0.
        names: for the lines and for the messages.
    """
    offset = place(unit, rng)
    if offset is None:
        return []
    first = unit.text[offset : unit.line_end(offset)]
    margin = first[: len(first) - len(first.lstrip(" "))]
    names = {"self": owner(unit), **names}
    bad_lines = "".join(margin + line + "\n" for line in bad.format_map(names).split("\n"))
    good_lines = "".join(margin + line + "\n" for line in good.format_map(names).split("\n")) if good else ""
    return [
        Change(
            bad=(Splice(offset, offset, bad_lines),),
            good=(Splice(offset, offset, good_lines),) if good else (),
            names=names,
            down=down,
        )
    ]
