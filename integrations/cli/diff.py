"""``understudy diff``: how a patch was understood, without any model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from understudy.core.errors import BadInput
from understudy.integrations.cli._console import JsonOption, print_json, stdout

if TYPE_CHECKING:
    from rich.text import Text

    from understudy.templates.code_review.diff import FileDiff, Patch, Refusal

__all__ = ["diff"]

_HEADINGS = ("status", "hunks", "added", "removed", "commentable")
_COLOURS = {"added": "green", "deleted": "red", "renamed": "cyan", "copied": "cyan", "refused": "bold red"}


def diff(
    patch: Annotated[str, typer.Argument(metavar="FILE", help="Patch, or '-' for standard input")] = "-",
    as_json: JsonOption = False,
) -> None:
    """Print the files of a patch and where comments can stand; what cannot be used exactly is refused by name."""
    from understudy.templates.code_review.diff.source import open_patch

    understood = open_patch(patch)
    if as_json:
        print_json(understood.to_json())
    else:
        _print_overview(understood)
    if understood.refused:
        name = "standard input" if patch == "-" else patch
        raise BadInput("\n".join(f"{name}, {refusal.sentence}" for refusal in understood.refused))


def _print_overview(patch: Patch) -> None:
    """Print one row a part of the patch, and the sums."""
    from rich.text import Text

    console = stdout()
    rows = [_row(part) for part in patch.parts]
    files = patch.files
    total = (
        f"{len(files)} of {len(rows)} understood",
        "",
        *(str(sum(int(row[column]) for row in rows if row[column].isdecimal())) for column in (2, 3, 4, 5)),
    )
    table = [("file", *_HEADINGS), *rows, total]
    widths = [max(Text(row[column]).cell_len for row in table) for column in range(len(table[0]))]
    rule = Text("-" * (sum(widths) + 2 * (len(widths) - 1)), style="dim")
    for line in [_line(table[0], widths), rule, *(_line(row, widths) for row in rows), rule, _line(total, widths)]:
        console.print(line, soft_wrap=True)


def _row(part: FileDiff | Refusal) -> tuple[str, ...]:
    from understudy.templates.code_review.diff import Refusal
    from understudy.templates.code_review.diff.names import shown

    if isinstance(part, Refusal):
        return ("?" if part.path is None else shown(part.path), "refused", "", "", "", "")
    is_moved = part.status in ("renamed", "copied")
    name = f"{shown(part.old_path or '')} => {shown(part.path)}" if is_moved else shown(part.path)
    hunks = "binary" if part.binary else str(len(part.hunks))
    return (name, part.status, hunks, str(part.added), str(part.removed), str(sum(1 for _ in part.lines)))


def _line(row: tuple[str, ...], widths: list[int]) -> Text:
    from rich.text import Text

    line = Text()
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        gap = " " * (width - Text(cell).cell_len)
        line.append(cell + gap if column < 2 else gap + cell, style=_COLOURS.get(row[1], "") if column < 2 else "")
        line.append("  " if column < len(row) - 1 else "")
    line.rstrip()
    return line
