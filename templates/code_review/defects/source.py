"""Functions of installed Python code, cut out of their files so that each can be changed alone."""

from __future__ import annotations

import ast
import re
import sysconfig
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

__all__ = ["Piece", "PieceKind", "Source", "installed_packages", "pieces", "standard_library"]

PieceKind = Literal["function", "test", "imports"]

_MAX_LINES = 80
_MIN_LINES = 3
_MAX_WIDTH = 110
_MAX_FILE = 400_000
_LEFT_OUT = ("site-packages/", "lib2to3/tests/data/", "test/encoded_modules/", "turtledemo/")
_ODD = re.compile(r"[\r\f\v\x1c-\x1e\x85\u2028\u2029\t\x00]")
"""Characters that tools disagree about; the diff engine's own tests have them."""


@dataclass(frozen=True)
class Source:
    """One file of Python code."""

    project: str
    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their LF; a line ends at LF alone."""
        return self.text.split("\n")


@dataclass(frozen=True)
class Piece:
    """One function, or the imports at the top of a file: what one change may touch."""

    source: Source
    kind: PieceKind
    name: str
    start: int
    """0-based index of its first line."""
    end: int
    """0-based index of the line after its last."""
    text: str
    """Its lines without the indentation of the first, each with its LF."""
    indent: int
    """Number of spaces taken off every line."""
    alone: bool = False
    """Whether its class is empty without it."""

    def indented(self, text: str) -> list[str]:
        """Return changed text of this piece as lines of the file, without LFs."""
        margin = " " * self.indent
        return [margin + line if line else line for line in text.removesuffix("\n").split("\n")] if text else []


def standard_library(projects: Container[str] | None = None) -> Iterator[Source]:
    """Yield the usable files of the running interpreter's standard library, in the order of their names.

    With ``projects``, only files of these modules and packages, their tests included.
    """
    root = Path(sysconfig.get_path("stdlib"))
    files = sorted(root.rglob("*.py"))
    return _files(root, [one for one in files if projects is None or _project(_path(root, one)) in projects])


def installed_packages(names: Iterable[str]) -> Iterator[Source]:
    """Yield the files of packages that are installed beside understudy, by the name of their folder."""
    root = Path(sysconfig.get_path("purelib"))
    for name in names:
        yield from _files(root, sorted((root / name).rglob("*.py")))


def _files(root: Path, files: Iterable[Path]) -> Iterator[Source]:
    for file in files:
        path = _path(root, file)
        if path.startswith(_LEFT_OUT) or file.stat().st_size > _MAX_FILE:
            continue
        try:
            text = file.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue
        if text.endswith("\n") and not _ODD.search(text):
            yield Source(_project(path), path, text)


def _path(root: Path, file: Path) -> str:
    return file.relative_to(root).as_posix()


def _project(path: str) -> str:
    """Return the module or package a file belongs to; the tests of a module belong to it."""
    parts = path.removesuffix(".py").split("/")
    if parts[0] == "test" and len(parts) > 1:
        parts = parts[1:]
    return parts[0].lstrip("_").removeprefix("test_") or parts[0]


def pieces(source: Source) -> Iterator[Piece]:
    """Yield the pieces of a file: its imports, then its functions and methods that stand in no other function.

    A file that is not valid for the running interpreter has none.
    """
    try:
        tree = ast.parse(source.text)
    except SyntaxError:
        return
    imports = _imports(source, tree)
    if imports:
        yield imports
    yield from _functions(source, tree.body)


def _imports(source: Source, tree: ast.Module) -> Piece | None:
    """Return the longest run of import statements on consecutive lines at the top level."""
    best: list[ast.stmt] = []
    run: list[ast.stmt] = []
    for node in tree.body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)) or node.col_offset:
            run = []
            continue
        run = [*run, node] if run and node.lineno == (run[-1].end_lineno or 0) + 1 else [node]
        if len(run) > len(best):
            best = run
    if len(best) < 3:
        return None
    return _piece(source, "imports", "", best[0].lineno - 1, best[-1].end_lineno or 0)


def _functions(source: Source, body: list[ast.stmt]) -> Iterator[Piece]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(source, node.body)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
            kind: PieceKind = "test" if node.name.startswith("test") else "function"
            piece = _piece(source, kind, node.name, start, node.end_lineno or 0)
            if piece:
                yield replace(piece, alone=len(body) == 1)


def _piece(source: Source, kind: PieceKind, name: str, start: int, end: int) -> Piece | None:
    """Return the lines as a piece, or None where they cannot be taken out and put back without a change."""
    lines = source.lines[start:end]
    indent = len(lines[0]) - len(lines[0].lstrip(" "))
    if not _MIN_LINES <= len(lines) <= _MAX_LINES or max(map(len, lines)) > _MAX_WIDTH:
        return None
    if any(line[:indent].strip(" ") or (line and not line.strip()) for line in lines):
        return None
    text = "".join(line[indent:] + "\n" for line in lines)
    piece = Piece(source, kind, name, start, end, text, indent)
    return piece if piece.indented(text) == lines else None
