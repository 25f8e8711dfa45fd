"""Builders: made specimens, hand-written reviews, other tools' files and a team's history to examples."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from understudy.core._json_lines import read_json_lines
from understudy.core.case_files import read_cases
from understudy.core.errors import BadInput
from understudy.core.files import sha256_bytes
from understudy.core.pack import BuildContext, TokenCounter
from understudy.core.records import Example, Preference, Source
from understudy.templates.code_review import grammar
from understudy.templates.code_review.diff import Side, read_patch
from understudy.templates.code_review.labels import category_of, severity_of
from understudy.templates.code_review.numbered import position_of
from understudy.templates.code_review.packing import pack_patch
from understudy.templates.code_review.pairs import Pair, fitting_piece, pair_of
from understudy.templates.code_review.reader import teaches
from understudy.templates.code_review.schema import Category, Remark, Review, Severity

if TYPE_CHECKING:
    from understudy.templates.code_review.defects import Specimen

__all__ = [
    "HELD_OUT",
    "Case",
    "Finding",
    "cases",
    "case_of",
    "codereviewer",
    "examples_of",
    "from_cases",
    "history",
    "remembered",
    "seed",
    "stdlib",
    "write_cases",
]

HELD_OUT: frozenset[str] = frozenset(
    {
        "float_equality",
        "insecure_temporary_file",
        "mutable_default",
        "path_traversal",
        "repeated_import",
        "shared_copy",
        "sorted_for_extreme",
        "stale_raises_in_docstring",
        "type_comparison",
        "weakened_assertion",
    }
)
"""Defect operators that no builder trains on: what is found of them shows whether reviewing or operators were learnt.
Their harmless counterparts are held out, too."""

_SEEDS = ("handwritten.jsonl", "specimens.jsonl.xz")


class Finding(BaseModel):
    """One defect of a case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: int = Field(ge=1)
    """Last line, 1-based, in the file of ``side``."""
    start_line: int | None = Field(default=None, ge=1)
    side: Side = "RIGHT"
    severity: Severity
    category: Category
    message: str
    suggestion: str | None = None


class Case(BaseModel):
    """A diff and everything a careful reviewer would say about it: one line of a case file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patch: str
    comments: list[Finding]
    """Empty for a clean diff."""
    operator: str
    """What made it: a defect operator, or ``handwritten``."""
    project: str
    """Where the code is from; no project stands in two splits."""
    licence: str = ""


def seed(context: BuildContext) -> Iterator[Example]:
    """Yield the embedded examples: reviews written by hand, and specimens made from Python's standard library."""
    found: list[Case] = []
    for name in _SEEDS:
        with as_file(files("understudy.templates.code_review") / "seed" / name) as path:
            found += cases(path)
    yield from examples_of(found, context, "seed")


def from_cases(context: BuildContext) -> Iterator[Example]:
    """Yield examples from the case files (``.jsonl`` or ``.jsonl.xz``) named in the settings."""
    yield from examples_of([case for path in _paths(context, "cases") for case in cases(path)], context, "cases")


def stdlib(context: BuildContext) -> Iterator[Example]:
    """Yield examples made from the running interpreter's standard library; needs LibCST (``pip install libcst``).

    Modules that the reader learnt from are left out: its reading of them would look better than it is.
    """
    from understudy.templates.code_review.defects import OPERATORS, specimens, standard_library

    names = [one.name for one in OPERATORS if not HELD_OUT & {one.name, one.reverses or one.name}]
    rng = Random(context.rng.random())
    sources = [source for source in standard_library() if not teaches(source.project)]
    made = specimens(rng, context.limit or 3000, operators=names, sources=sources)
    yield from examples_of([case_of(specimen) for specimen in made], context, "stdlib")


def codereviewer(context: BuildContext) -> Iterator[Example]:
    """Yield examples from files of CodeReviewer's format, or of prompts and completions (see ``pairs.py``)."""
    for path in _paths(context, "codereviewer"):
        lines = read_json_lines(path, lambda line: line)
        for number, line in enumerate(lines, start=1):
            try:
                pair = pair_of(line)
            except ValueError as error:
                raise BadInput(f"{path}, line {number}: {error}") from None
            if pair is not None and (example := _example_of(pair, context)) is not None:
                yield example


def history(context: BuildContext) -> Iterator[Example]:
    """Yield examples from a team's review threads, collected from GitHub (see ``history.py``)."""
    from understudy.templates.code_review.history import examples_from, read_threads

    for path in _paths(context, "history"):
        yield from examples_from(read_threads(path), context.prompt_budget, context.count_tokens)


def remembered(context: BuildContext) -> Iterator[Preference]:
    """Yield a team's decisions from its review threads: accepted over silent, silent over refused or ignored."""
    from understudy.templates.code_review.history import preferences_from, read_threads

    for path in _paths(context, "history"):
        yield from preferences_from(read_threads(path), context.prompt_budget, context.count_tokens)


def case_of(specimen: Specimen) -> Case:
    """Return a specimen of the defect generator as a case."""
    comments = [
        Finding(
            line=one.line,
            side=one.side,
            severity=one.severity,
            category=one.category,
            message=one.message,
            suggestion=one.suggestion,
        )
        for one in specimen.comments
    ]
    return Case(
        patch=specimen.patch,
        comments=comments,
        operator=specimen.operator,
        project=specimen.project,
        licence="Python-2.0",
    )


def cases(path: Path) -> Iterator[Case]:
    """Read a case file; see :func:`understudy.core.case_files.read_cases`."""
    return read_cases(path, Case, "review case")


def examples_of(found: Sequence[Case], context: BuildContext, origin: str) -> Iterator[Example]:
    """Return the examples of cases, drawn evenly over operators if there are more than the context's limit."""
    chosen = found if context.limit is None else _evenly(found, context.limit, context.rng)
    for number, case in enumerate(chosen, start=1):
        context.on_progress(number, len(chosen))
        yield from _examples(case, context.prompt_budget, context.count_tokens, origin)


def _evenly(found: Sequence[Case], limit: int, rng: Random) -> list[Case]:
    by_operator: dict[str, list[Case]] = {}
    for case in rng.sample(list(found), len(found)):
        by_operator.setdefault(case.operator, []).append(case)
    turns = max(map(len, by_operator.values()), default=0)
    return [group[turn] for turn in range(turns) for group in by_operator.values() if turn < len(group)][:limit]


def _examples(case: Case, budget: int, count_tokens: TokenCounter, origin: str) -> Iterator[Example]:
    """Yield one example per piece of a case's patch.

    A piece that shows a defect's place only in part, or whose comment the grammar does not admit, is left out: nobody
    can learn, or be asked, what is not shown or cannot be written.
    """
    digest = sha256_bytes(case.patch.encode("utf-8", "surrogateescape"))[:12]
    packed = pack_patch(read_patch(case.patch.encode("utf-8", "surrogateescape")), budget, count_tokens)
    answers = []
    for piece in packed.pieces:
        places = [(one, position_of(piece.input, one.side, one.line, one.start_line)) for one in case.comments]
        answers.append([_remark(one, lines) for one, lines in places if lines is not None])
    if sum(map(len, answers)) < len(case.comments):
        return
    for number, (piece, remarks) in enumerate(zip(packed.pieces, answers, strict=True)):
        if all(grammar.can_write(piece.input, remark.message) for remark in remarks):
            yield Example(
                id=f"{case.operator}-{digest}-{number}",
                pack="code-review",
                group=case.project,
                stratum=remarks[0].category if remarks else "clean",
                input=piece.input.model_dump(mode="json"),
                output=json.loads(Review(comments=remarks).model_dump_json()),
                meta={"operator": case.operator},
                source=Source(origin=origin, project=case.project, licence=case.licence),
            )


def _example_of(pair: Pair, context: BuildContext) -> Example | None:
    """Return a row of another tool's file as an example; None where it does not fit or the grammar cannot write it."""
    piece = fitting_piece(pair.path, pair.hunk, context.prompt_budget, context.count_tokens)
    if piece is None or (pair.message and not grammar.can_write(piece, pair.message)):
        return None
    remarks = []
    if pair.message:
        (side, start), (_, end) = (places := pair.hunk.last_change())[0], places[-1]
        lines = position_of(piece, side, end, start) or position_of(piece, side, end)
        if lines is None:
            return None
        remarks = [
            Remark(
                lines=lines,
                severity=severity_of(pair.message),
                category=category_of(pair.message),
                message=pair.message,
            )
        ]
    digest = sha256_bytes(f"{pair.project}\n{pair.path}\n{piece.diff}\n{pair.message}".encode("utf-8", "replace"))
    return Example(
        id=f"pairs-{digest[:16]}",
        pack="code-review",
        group=pair.project,
        stratum=remarks[0].category if remarks else "clean",
        input=piece.model_dump(mode="json"),
        output=json.loads(Review(comments=remarks).model_dump_json()),
        meta={"operator": "pairs"},
        source=Source(origin="codereviewer", project=pair.project),
    )


def _remark(one: Finding, lines: str) -> Remark:
    return Remark(
        lines=lines, severity=one.severity, category=one.category, message=one.message, suggestion=one.suggestion
    )


def _paths(context: BuildContext, builder: str) -> Sequence[Path]:
    if not context.paths:
        raise BadInput(f"the builder {builder!r} needs data.sources[].paths: the files to read")
    return context.paths


def write_cases(found: Iterable[Case], path: Path) -> int:
    """Write a case file, compressed where its name ends in ``.xz``; return the number of cases."""
    from understudy.core.files import atomic_writer

    lines = [json.dumps(_plain(case), ensure_ascii=False, separators=(",", ":")) for case in found]
    data = "".join(line + "\n" for line in lines).encode("utf-8")
    with atomic_writer(path) as out:
        out.write(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME) if path.suffix == ".xz" else data)
    return len(lines)


def _plain(case: Case) -> dict[str, Any]:
    return case.model_dump(mode="json", exclude_defaults=True)
