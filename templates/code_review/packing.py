"""From a patch to pieces that fit into a prompt, hunk by hunk; what is left out is listed with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from understudy.core.pack import TokenCounter
from understudy.core.redaction import redact_lines
from understudy.templates.code_review.diff import FileDiff, Hunk, Line, Patch
from understudy.templates.code_review.numbered import section_of
from understudy.templates.code_review.prompt import messages
from understudy.templates.code_review.schema import ReviewInput

__all__ = ["GENERATED", "LINE_CHARACTERS", "Packed", "Piece", "hunk_text", "pack_patch", "path_text"]

GENERATED: tuple[str, ...] = (
    "*.lock",
    "*-lock.json",
    "*-lock.yaml",
    "*.lockb",
    "go.sum",
    "*.min.js",
    "*.min.css",
    "*.map",
    "*.snap",
    "*.svg",
    "*.pb.go",
    "*_pb2.py",
    "*_pb2.pyi",
    "*_pb2_grpc.py",
    "*.g.dart",
    "*.generated.*",
    "*/generated/*",
    "*/vendor/*",
    "*/vendored/*",
    "*/third_party/*",
    "*/node_modules/*",
    "*/dist/*",
    "*/__snapshots__/*",
)
"""Names of files that tools write or that come from elsewhere; ``*`` also matches slashes."""

LINE_CHARACTERS = 300
"""A longer line is cut in the middle: it is data or minified code."""

_CUT = " [...] "
_TAIL = 80
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\ud800-\udfff]")
"""What a JSON text or a terminal would trip over; shown as U+FFFD. A byte that is not UTF-8 is a lone surrogate."""
_NOTHING = "@@ -1,0 +1,1 @@\n+\n"
_LINE_COST, _POSITION_COST = 2, 4
_MARGIN = 8
"""Tokens by which the sum over lines may fall short of the whole text."""


@dataclass(frozen=True)
class Piece:
    """Some hunks of one file, as the model reads them."""

    input: ReviewInput
    file: FileDiff
    altered: frozenset[tuple[str, int]] = frozenset()
    """Side and number of the lines that the model does not see as they are: cut, redacted, or not UTF-8."""


@dataclass
class Packed:
    """A patch in pieces."""

    pieces: list[Piece] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Path and reason of every file that no piece is made of, or only some of whose hunks."""


def pack_patch(
    patch: Patch, budget: int, count_tokens: TokenCounter, *, skip: Sequence[str] = (), limit: int | None = None
) -> Packed:
    """Divide a patch into pieces of at most ``budget`` tokens of prompt.

    Hunks of one file share a piece while they fit; a hunk that is too long is divided between its lines. Nothing is
    shown beyond the hunks.

    Args:
        patch: as read.
        budget: tokens of the whole prompt, as ``count_tokens`` counts them.
        count_tokens: the model's own tokenizer.
        skip: patterns of names to leave out besides :data:`GENERATED`.
        limit: pieces in all; files beyond it are listed as skipped.
    """
    packed = Packed()
    packed.skipped += [
        ("?" if refusal.path is None else path_text(refusal.path), f"not understood: {refusal.reason}")
        for refusal in patch.refused
    ]
    for file in patch.files:
        name = path_text(file.path)
        if reason := _reason_to_skip(file, skip):
            packed.skipped.append((name, reason))
            continue
        room = None if limit is None else limit - len(packed.pieces)
        for count, piece in enumerate(_pieces(file, budget, count_tokens)):
            if room is not None and count >= room:
                whole = "" if count == 0 else "the rest of it: "
                packed.skipped.append((name, f"{whole}the review is limited to {limit} pieces"))
                break
            packed.pieces.append(piece)
    return packed


def path_text(path: str) -> str:
    """Return a path as JSON takes it: a byte that is not UTF-8 becomes a question mark."""
    return path.encode("utf-8", "replace").decode("utf-8")


def _reason_to_skip(file: FileDiff, skip: Sequence[str]) -> str:
    if file.binary:
        return "binary"
    if not file.hunks:
        return "no line is changed"
    if file.status == "deleted":
        return "deleted"
    for patterns, reason in ((skip, "left out by the settings"), (GENERATED, "generated or vendored")):
        for pattern in patterns:
            if fnmatchcase(file.path, pattern) or fnmatchcase(f"/{file.path}", pattern):
                return f"{reason} ({pattern})"
    return ""


def _pieces(file: FileDiff, budget: int, count_tokens: TokenCounter) -> Iterator[Piece]:
    path = _CONTROL.sub("\ufffd", file.path)
    bare = sum(count_tokens(message.content) for message in messages(ReviewInput(path=path, diff=_NOTHING)))
    room = max(budget - bare - _MARGIN, 1)
    clean = _as_shown(file)
    held: list[_Run] = []
    used = 0
    for hunk in file.hunks:
        section = _CONTROL.sub("\ufffd", section_of(hunk.header))
        head = count_tokens(f"@@ {section}\n") + _LINE_COST
        costs = [count_tokens(f"{line.mark}{clean[line]}\n") + _LINE_COST + _POSITION_COST for line in hunk.lines]
        whole = head + sum(costs)
        for run in _runs(hunk, section, costs, room - head):
            cost = head + run.cost
            if held and used + (whole if run.first and whole <= room else cost) > room:
                yield _piece(path, file, held, clean)
                held, used = [], 0
            held.append(run)
            used += cost
    if held:
        yield _piece(path, file, held, clean)


@dataclass(frozen=True)
class _Run:
    """Consecutive lines of one hunk."""

    section: str
    lines: list[Line]
    old: int
    """Number that the next line of the old file has where the run begins."""
    new: int
    cost: int
    first: bool


def _runs(hunk: Hunk, section: str, costs: list[int], room: int) -> Iterator[_Run]:
    """Yield a hunk's lines in runs that fit; a run in which nothing changes is left out."""
    old, new = hunk.old_start + (hunk.old_length == 0), hunk.new_start + (hunk.new_length == 0)
    run = _Run(section, [], old, new, 0, True)
    for line, cost in zip(hunk.lines, costs, strict=True):
        if run.lines and run.cost + cost > room:
            if any(other.kind != "context" for other in run.lines):
                yield run
            run = _Run(section, [], old, new, 0, False)
        run = replace(run, cost=run.cost + cost)
        run.lines.append(line)
        old += line.old is not None
        new += line.new is not None
    if any(other.kind != "context" for other in run.lines):
        yield run


def _as_shown(file: FileDiff) -> dict[Line, str]:
    """Return each line's text as the model sees it: redacted as one text, control characters visible, long ones cut."""
    lines = list(file.lines)
    texts = redact_lines([line.text for line in lines])
    return {
        line: _cut(_CONTROL.sub("\ufffd", text.removesuffix("\r"))) for line, text in zip(lines, texts, strict=True)
    }


def _cut(text: str) -> str:
    if len(text) <= LINE_CHARACTERS:
        return text
    return text[: LINE_CHARACTERS - _TAIL - len(_CUT)] + _CUT + text[-_TAIL:]


def _piece(path: str, file: FileDiff, held: list[_Run], clean: dict[Line, str]) -> Piece:
    diff = "".join(
        hunk_text(run.section, [(line.mark, clean[line]) for line in run.lines], run.old, run.new) for run in held
    )
    altered = frozenset(
        (line.side, line.number) for run in held for line in run.lines if clean[line] != line.text.removesuffix("\r")
    )
    return Piece(ReviewInput(path=path, diff=diff), file, altered)


def hunk_text(section: str, lines: Sequence[tuple[str, str]], old: int, new: int) -> str:
    """Return marked lines as a hunk of its own, its header counted from them.

    Args:
        section: what stands behind the numbers of the ``@@`` line.
        lines: mark and text of each line; an empty mark stands for a space.
        old: number of the next line of the old file where the hunk begins.
        new: the same in the new file.
    """
    old_length = sum(mark != "+" for mark, _ in lines)
    new_length = sum(mark != "-" for mark, _ in lines)
    numbers = f"-{old - (old_length == 0)},{old_length} +{new - (new_length == 0)},{new_length}"
    return "\n".join([f"@@ {numbers} @@ {section}".rstrip(), *((mark or " ") + text for mark, text in lines)]) + "\n"
