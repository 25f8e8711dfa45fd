"""A patch and, where there is one, a model: the review that people and tools read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from understudy.core.engines import Generation, Request
from understudy.core.files import sha256_bytes
from understudy.core.pack import RULES
from understudy.core.records import Problem
from understudy.core.settings import ReviewSettings
from understudy.templates.code_review import checks, grammar, prompt, rules
from understudy.templates.code_review.diff import Side
from understudy.templates.code_review.necessity import chance_of_none, chances
from understudy.templates.code_review.numbered import Place, place_of
from understudy.templates.code_review.packing import Packed, Piece, path_text
from understudy.templates.code_review.schema import SEVERITIES, Category, Remark, Review, ReviewInput, Severity
from understudy.templates.code_review.suggestions import commented_lines

__all__ = ["RULES", "Candidate", "Comment", "Model", "ReviewReport", "Skipped", "candidates", "review"]

Model = Callable[[Sequence[Request]], list[Generation]]

_ANSWER_TOKENS = 512
_DEFAULT_THRESHOLD = 0.5
_VOTE_TEMPERATURE = 0.7


class Comment(BaseModel):
    """One comment, anchored as GitHub takes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    line: int
    """Last commented line, 1-based, in the file of ``side``."""
    start_line: int | None
    """First one; None for a single line."""
    side: Side
    severity: Severity
    category: Category
    message: str
    suggestion: str | None
    """What the commented lines should be instead, without a final line end."""
    necessity: float | None
    """Probability that the model gave to commenting rather than not; None for rules."""
    fingerprint: str
    """Hash of path, commented code without its blanks, and category: the same in the next push, on whatever line."""


class Skipped(BaseModel):
    """A file that was not reviewed, or not all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    reason: str


class ReviewReport(BaseModel):
    """The ``review`` shape of the command line. No comments means that nothing was found in what was reviewed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    comments: list[Comment]
    """In the order of the patch."""
    summary: str
    reviewed: list[str]
    skipped: list[Skipped]
    withheld: int
    """Comments left out because they were not necessary enough, or beyond the budget."""
    model: str
    """Id of the model version, or ``rules``."""
    problems: list[Problem]
    """What the checks found wrong with the model's comments; those are not among ``comments``."""


class Candidate(NamedTuple):
    """A comment that passed the checks."""

    piece: int
    """0-based number of its piece."""
    place: Place
    remark: Remark
    necessity: float | None


@dataclass
class _Found:
    candidates: list[Candidate] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    cut: set[int] = field(default_factory=set)
    """Pieces whose answer was cut at the token limit."""


def review(
    packed: Packed,
    model: Model | None,
    model_id: str,
    settings: ReviewSettings | None = None,
    *,
    threshold: float | None = None,
) -> ReviewReport:
    """Review a patch in pieces.

    Without a model the rules answer. A comment that fails a check goes nowhere, and ``problems`` says so; so does one
    below the threshold, and ``withheld`` counts it. Nothing is moved to a line near by.

    Args:
        packed: from :func:`understudy.templates.code_review.packing.pack_patch`.
        model: answers requests, in order; None for rules only.
        model_id: the model's version id.
        settings: budget, threshold and votes.
        threshold: the calibrated one of the model, used while the settings say ``auto``.
    """
    settings = settings or ReviewSettings()
    chosen = settings.threshold
    if chosen == "auto":
        chosen = _DEFAULT_THRESHOLD if threshold is None else threshold
    if model is None:
        found = _by_rules(packed.pieces)
    else:
        found = _asked(packed.pieces, model, chosen)
        if settings.votes:
            found.candidates = _agreed(packed.pieces, model, found.candidates, settings.votes)
    sure = [one for one in found.candidates if one.necessity is None or one.necessity >= chosen]
    best = sorted(sure, key=lambda one: (-(one.necessity or 0), SEVERITIES.index(one.remark.severity)))
    kept = sorted(best[: settings.budget], key=lambda one: (one.piece, one.place.side != "LEFT", one.place.line))
    return _report(packed, found, kept, RULES if model is None else model_id)


def candidates(pieces: Sequence[Piece], model: Model, floor: float) -> list[Candidate]:
    """Return every comment a model would make that passes the checks, with its necessity, ``floor`` or higher.

    A low floor also asks for the best comment on pieces on which the model would rather be silent: what a threshold is
    chosen from.
    """
    found = _asked(pieces, model, floor).candidates
    return [one for one in found if one.necessity is not None and one.necessity >= floor]


def _request(piece: ReviewInput, *, least: int = 0, temperature: float = 0.0, seed: int = 0) -> Request:
    schema = grammar.narrowed_schema(piece, least=least)
    return Request(prompt.messages(piece), schema, _ANSWER_TOKENS, temperature=temperature, seed=seed)


def _asked(pieces: Sequence[Piece], model: Model, threshold: float) -> _Found:
    """Ask for every piece; where the model makes no comment but may well have, ask for its best candidate."""
    found = _Found()
    unsure: dict[int, float] = {}
    for index, answer in enumerate(model([_request(piece.input) for piece in pieces]) if pieces else []):
        made = list(_read(found, pieces, index, answer))
        found.candidates += made
        if answer.finish_reason == "stop" and answer.text == '{"comments":[]}':
            chance = 1 - chance_of_none(answer)
            if chance >= threshold:
                unsure[index] = chance
    if unsure:
        answers = model([_request(pieces[index].input, least=1) for index in unsure])
        for (index, chance), answer in zip(unsure.items(), answers, strict=True):
            first = list(_read(found, pieces, index, answer))[:1]
            found.candidates += [one._replace(necessity=chance) for one in first]
    return found


def _read(found: _Found, pieces: Sequence[Piece], index: int, answer: Generation) -> Iterator[Candidate]:
    """Yield the comments of one answer that pass the checks; note what is wrong with the others."""
    piece = pieces[index]
    if answer.finish_reason == "length":
        found.cut.add(index)
        return
    said = Review.model_validate_json(answer.text)
    wrong = {problem.field.split(".")[1]: problem for problem in reversed(checks.check(piece.input, said))}
    for number, (remark, necessity) in enumerate(zip(said.comments, chances(answer), strict=True)):
        place = place_of(piece.input, remark.lines)
        problem = wrong.get(str(number))
        if problem is not None and problem.field.endswith(".suggestion") and place is not None:
            found.problems.append(_of(piece, problem))  # the comment stands without it
            remark = remark.model_copy(update={"suggestion": None})
        elif problem is not None or place is None:
            found.problems.append(_of(piece, problem or Problem(field="comments", message="has no place")))
            continue
        yield Candidate(index, place, _seen_whole(piece, place, remark), necessity)


def _seen_whole(piece: Piece, place: Place, remark: Remark) -> Remark:
    """Take the suggestion off a comment on lines that the model did not see as they are."""
    numbers = range(place.start, place.line + 1)
    if any((place.side, number) in piece.altered for number in numbers):
        return remark.model_copy(update={"suggestion": None})
    return remark


def _of(piece: Piece, problem: Problem) -> Problem:
    return Problem(field=problem.field, message=f"{path_text(piece.file.path)}: {problem.message}")


def _by_rules(pieces: Sequence[Piece]) -> _Found:
    found = _Found()
    for index, piece in enumerate(pieces):
        for remark in rules.answer(piece.input).comments:
            place = place_of(piece.input, remark.lines)
            assert place is not None, remark
            found.candidates.append(Candidate(index, place, _seen_whole(piece, place, remark), None))
    return found


def _agreed(pieces: Sequence[Piece], model: Model, candidates: list[Candidate], votes: int) -> list[Candidate]:
    """Keep the candidates that at least half of the samples make, too: overlapping lines, the same category."""
    asked = sorted({one.piece for one in candidates})
    requests = [
        _request(pieces[index].input, temperature=_VOTE_TEMPERATURE, seed=vote)
        for vote in range(votes)
        for index in asked
    ]
    ballot = Counter[int]()
    answers = model(requests) if requests else []
    for number, answer in enumerate(answers):
        index = asked[number % len(asked)]
        made = [] if answer.finish_reason == "length" else Review.model_validate_json(answer.text).comments
        for position, one in enumerate(candidates):
            ballot[position] += one.piece == index and any(_same(pieces[index].input, one, other) for other in made)
    return [one for position, one in enumerate(candidates) if 2 * ballot[position] >= votes]


def _same(piece: ReviewInput, one: Candidate, other: Remark) -> bool:
    place = place_of(piece, other.lines)
    return (
        place is not None
        and other.category == one.remark.category
        and place.side == one.place.side
        and place.start <= one.place.line
        and one.place.start <= place.line
    )


def _report(packed: Packed, found: _Found, kept: list[Candidate], model_id: str) -> ReviewReport:
    comments = [_comment(packed.pieces[one.piece], one) for one in kept]
    skipped = [Skipped(path=path, reason=reason) for path, reason in packed.skipped]
    skipped += [
        Skipped(
            path=path_text(packed.pieces[index].file.path),
            reason=f"a piece of it: the model's answer was cut at {_ANSWER_TOKENS} tokens",
        )
        for index in sorted(found.cut)
    ]
    read = [path_text(piece.file.path) for index, piece in enumerate(packed.pieces) if index not in found.cut]
    reviewed = list(dict.fromkeys(read))
    return ReviewReport(
        comments=comments,
        summary=_summary(comments, reviewed, skipped),
        reviewed=reviewed,
        skipped=skipped,
        withheld=len(found.candidates) - len(kept),
        model=model_id,
        problems=found.problems,
    )


def _comment(piece: Piece, one: Candidate) -> Comment:
    return Comment(
        path=path_text(piece.file.path),
        line=one.place.line,
        start_line=one.place.start if one.place.start < one.place.line else None,
        side=one.place.side,
        severity=one.remark.severity,
        category=one.remark.category,
        message=one.remark.message.strip(),
        suggestion=one.remark.suggestion,
        necessity=None if one.necessity is None else round(one.necessity, 4),
        fingerprint=_fingerprint(piece, one),
    )


def _fingerprint(piece: Piece, one: Candidate) -> str:
    code = "\n".join("".join(line.split()) for line in commented_lines(piece.input, one.place))
    key = "\0".join((piece.file.path, one.place.side, code, one.remark.category))
    return sha256_bytes(key.encode("utf-8", "surrogateescape"))[:16]


def _summary(comments: Sequence[Comment], reviewed: Sequence[str], skipped: Sequence[Skipped]) -> str:
    """Say in a sentence what was found and in how much of the patch."""
    counts = Counter(comment.severity for comment in comments)
    found = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity])
    what = f"{len(comments)} comment{'s' * (len(comments) != 1)} ({found})" if comments else "No issues found"
    total = len({*reviewed, *(one.path for one in skipped)})
    if not reviewed:
        return f"Nothing was reviewed of {total} file{'s' * (total != 1)}; the reasons are listed."
    rest = f"; {len(skipped)} skipped, with reasons" if skipped else ""
    return f"{what}. Reviewed {len(reviewed)} of {total} file{'s' * (total != 1)}{rest}."
