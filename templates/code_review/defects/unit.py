"""A piece of code as LibCST sees it, with the few questions and edits that operators need.

Operators never build trees: they find nodes and say which span of text becomes what (``Splice``). So all that they do
not mean to touch stays byte for byte, and every line number is known exactly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, cast

from understudy.templates.code_review.defects.source import Piece

__all__ = ["Change", "Splice", "Unit", "splice", "touched"]


@dataclass(frozen=True, order=True)
class Splice:
    """A span of the text, in characters, and what stands there afterwards."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Change:
    """One way to change one unit."""

    bad: tuple[Splice, ...]
    """What introduces the defect; of a harmless operator simply what it does."""
    names: dict[str, str] = field(default_factory=dict)
    """What the messages' placeholders stand for."""
    good: tuple[Splice, ...] = ()
    """How the same thing is done right; none where the source itself is the right form."""
    anchor: int = -1
    """Offset in the unit's text whose line the comment belongs to afterwards; -1: where the first splice begins."""
    down: int = 0
    """Lines below the anchor's."""
    fresh: bool = False
    """Whether the change is a defect only beside code as it was, so that ``good`` may not stand before it."""


def splice(text: str, splices: Iterable[Splice]) -> str:
    """Return the text with all splices done; they must not overlap."""
    done = 0
    out = []
    for one in sorted(splices):
        assert one.start >= done
        out += [text[done : one.start], one.text]
        done = one.end
    return "".join([*out, text[done:]])


def moved(text: str, splices: Iterable[Splice], offset: int) -> int:
    """Return the 0-based line on which what stood at an offset stands after the splices."""
    shift = sum(len(one.text) - (one.end - one.start) for one in splices if one.end <= offset and one.start < offset)
    return splice(text, splices).count("\n", 0, offset + shift)


def touched(text: str, splices: Iterable[Splice]) -> set[int]:
    """Return the 0-based lines of the text that the splices change, and those right beside an insertion."""
    lines: set[int] = set()
    for one in splices:
        first = text.count("\n", 0, one.start)
        last = first + text.count("\n", one.start, one.end)
        lines |= set(range(first, last + 1))
    return lines


class Unit:
    """One parsed piece."""

    def __init__(self, piece: Piece) -> None:
        """Parse the piece; LibCST raises ``ParserSyntaxError`` where the interpreter is newer than its grammar."""
        import libcst
        from libcst.metadata import MetadataWrapper, PositionProvider

        self.piece = piece
        self.text = piece.text
        wrapper = MetadataWrapper(libcst.parse_module(piece.text), unsafe_skip_copy=True)
        self._positions = wrapper.resolve(PositionProvider)
        self._starts = [0]
        for line in self.text.split("\n")[:-1]:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._parents: dict[Any, Any] = {}
        self._by_kind: dict[str, list[Any]] = {}
        self.root: Any = wrapper.module
        self._index(self.root)
        functions = self.all("FunctionDef")
        self.function: Any = functions[0] if functions else None
        self.params: list[str] = [one.name.value for one in _params(self.function)] if self.function else []

    def _index(self, node: Any) -> None:
        self._by_kind.setdefault(type(node).__name__, []).append(node)
        for child in _children(node):
            self._parents[child] = node
            self._index(child)

    # What is there

    def all(self, *kinds: str) -> list[Any]:
        """Return the nodes of some LibCST classes, always in the same order."""
        return [node for kind in kinds for node in self._by_kind.get(kind, [])]

    def start(self, node: Any) -> int:
        """Return the offset of a node's first character."""
        place = self._positions[node].start
        return self._starts[place.line - 1] + int(place.column)

    def end(self, node: Any) -> int:
        """Return the offset after a node's last character."""
        place = self._positions[node].end
        return self._starts[place.line - 1] + int(place.column)

    def code(self, node: Any) -> str:
        """Return a node's own text."""
        return self.text[self.start(node) : self.end(node)]

    def one_line(self, node: Any) -> bool:
        """Return whether a node stands on one line."""
        return "\n" not in self.code(node)

    def parent(self, node: Any) -> Any:
        """Return the node above; None above the module."""
        return self._parents.get(node)

    def up(self, node: Any, *kinds: str) -> Any:
        """Return the nearest node above that is of one of the classes, or None."""
        node = self.parent(node)
        while node is not None and type(node).__name__ not in kinds:
            node = self.parent(node)
        return node

    def inside(self, node: Any, *kinds: str) -> list[Any]:
        """Return the nodes of some classes below a node."""
        first, last = self.start(node), self.end(node)
        return [
            one for one in self.all(*kinds) if one is not node and first <= self.start(one) and self.end(one) <= last
        ]

    def statement(self, node: Any) -> Any:
        """Return the statement that a node belongs to: a line of simple ones, or a compound one."""
        while node is not None and type(self.parent(node)).__name__ not in ("IndentedBlock", "Module"):
            node = self.parent(node)
        return node

    def body(self, node: Any) -> list[Any]:
        """Return the statements of a compound statement's block; none where they stand behind its colon."""
        block: Any = getattr(node, "body", None)
        return list(block.body) if type(block).__name__ == "IndentedBlock" else []

    def block(self, node: Any) -> tuple[int, int] | None:
        """Return the span of the whole lines from the first statement of a block to its last."""
        body = self.body(node)
        if not body:
            return None
        return self.whole(body[0])[0], self.whole(body[-1])[1]

    def siblings(self, statement: Any) -> list[Any]:
        """Return the statements of the block that one belongs to."""
        above: Any = self.parent(statement)
        return list(above.body)

    def following(self, statement: Any) -> list[Any]:
        """Return the statements behind one in its own block."""
        block = self.siblings(statement)
        return block[block.index(statement) + 1 :]

    def is_docstring(self, statement: Any) -> bool:
        """Return whether a statement is nothing but a string."""
        line = getattr(statement, "body", None)
        if type(statement).__name__ != "SimpleStatementLine" or line is None or len(line) != 1:
            return False
        value = getattr(line[0], "value", None)
        return type(line[0]).__name__ == "Expr" and type(value).__name__.endswith("String")

    def used_after(self, statements: list[Any], offset: int) -> bool:
        """Return whether a name that the statements assign stands behind an offset too."""
        made = {
            target.value
            for statement in statements
            for holder in self.inside(statement, "AssignTarget", "AugAssign", "AnnAssign", "For", "AsName", "NamedExpr")
            for target in self._targets(holder)
        }
        return any(name.value in made and self.start(name) >= offset for name in self.all("Name"))

    def names(self, node: Any) -> set[str]:
        """Return the names in a node, attributes and keywords among them."""
        found = {name.value for name in self.inside(node, "Name")}
        return found | {node.value} if type(node).__name__ == "Name" else found

    def locals(self) -> list[str]:
        """Return the names that the function assigns and that are neither parameters nor global, in order."""
        outer = {item.name.value for one in self.all("Global", "Nonlocal") for item in one.names}
        found = dict.fromkeys(
            target.value
            for holder in self.all("AssignTarget", "AnnAssign", "For", "AsName", "NamedExpr")
            for target in self._targets(holder)
        )
        return [name for name in found if name not in outer and name not in self.params]

    def _targets(self, holder: Any) -> list[Any]:
        target = holder.name if type(holder).__name__ == "AsName" else holder.target
        if type(target).__name__ in ("Tuple", "List"):
            return [item.value for item in target.elements if type(item.value).__name__ == "Name"]
        return [target] if type(target).__name__ == "Name" else []

    # What can be done

    def line_start(self, offset: int) -> int:
        """Return the offset at which the line of an offset begins."""
        return self._starts[bisect_right(self._starts, offset) - 1]

    def line_end(self, offset: int) -> int:
        """Return the offset after the LF of the line of an offset."""
        return self.text.index("\n", offset) + 1

    def margin(self, node: Any) -> str:
        """Return the indentation of the line a node begins on."""
        line = self.text[self.line_start(self.start(node)) : self.start(node)]
        return line[: len(line) - len(line.lstrip(" "))]

    def replace(self, node: Any, text: str) -> Splice:
        """Return the splice that puts text in a node's place."""
        return Splice(self.start(node), self.end(node), text)

    def whole(self, statement: Any) -> tuple[int, int]:
        """Return the span of a statement's whole lines; a comment behind it belongs to it."""
        return self.line_start(self.start(statement)), self.line_end(max(self.end(statement) - 1, 0))

    def lines(self, statement: Any, text: str) -> Splice:
        """Return the splice that puts whole lines, given without indentation, in a statement's place."""
        return Splice(*self.whole(statement), _with_margin(self.margin(statement), text))

    def cut(self, statement: Any) -> Splice:
        """Return the splice that takes a statement's lines away."""
        return Splice(*self.whole(statement), "")

    def before(self, statement: Any, text: str) -> Splice:
        """Return the splice that puts lines, given without indentation, before a statement."""
        start = self.whole(statement)[0]
        return Splice(start, start, _with_margin(self.margin(statement), text))

    def after(self, statement: Any, text: str) -> Splice:
        """Return the splice that puts lines, given without indentation, behind a statement."""
        end = self.whole(statement)[1]
        return Splice(end, end, _with_margin(self.margin(statement), text))

    def unwrapped(self, node: Any, head: str) -> Splice | None:
        """Return the splice that puts a line and a with statement's own block, one level out, in its place."""
        body = self.body(node)
        if not body or "\n" in self.text[self.start(node) : self.start(node.items[0])]:
            return None
        (start, end), inner = self.whole(node), self.whole(body[0])[0]
        end = max(end, self.whole(body[-1])[1])
        extra = len(self.margin(body[0])) - len(self.margin(node))
        lines = self.text[inner:end].split("\n")
        if any(line[:extra].strip() for line in lines) or '"""' in self.text[inner:end]:
            return None
        text = "\n".join(line[extra:] for line in lines)
        return Splice(start, end, f"{self.margin(node)}{head}\n{text}")

    def rename(self, old: str, new: str, *, within: Any = None) -> tuple[Splice, ...]:
        """Return the splices that rename a local variable; attributes and keywords of that name stay."""
        found = []
        for name in self.all("Name") if within is None else self.inside(within, "Name"):
            above = self.parent(name)
            kind = type(above).__name__
            if name.value != old or (kind == "Attribute" and above.attr is name):
                continue
            if kind == "Arg" and above.keyword is name:
                continue
            found.append(self.replace(name, new))
        return tuple(sorted(set(found)))


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _children(node: Any) -> Iterator[Any]:
    """Yield the nodes right below one; three times as fast as LibCST's own ``children``, which walks with a visitor."""
    from libcst import CSTNode

    for name in _fields(cast(Hashable, type(node))):
        value = getattr(node, name)
        for child in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(child, CSTNode):
                yield child


def _with_margin(margin: str, text: str) -> str:
    return "".join(margin + line + "\n" if line else "\n" for line in text.removesuffix("\n").split("\n"))


def _params(function: Any) -> list[Any]:
    given = function.params
    stars = [star for star in (given.star_arg, given.star_kwarg) if type(star).__name__ == "Param"]
    return [*given.posonly_params, *given.params, *given.kwonly_params, *stars]
