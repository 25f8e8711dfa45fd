"""Answers for people to compare, blind: a sheet out, ratings in, and how far the raters agree."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from understudy.core.errors import BadInput
from understudy.core.files import sha256_bytes, write_json, write_text
from understudy.core.outside import visible
from understudy.core.pack import Pack
from understudy.core.records import Example, Prediction
from understudy.evals.results import Rating
from understudy.evals.statistics import mcnemar_exact

__all__ = ["Row", "export_sheet", "make_rows", "rate", "read_ratings"]

Choice = Literal["A", "B", "same"]
_CHOICES = ("A", "B", "same")
_COLUMNS = ("row", "prompt", "answer A", "answer B", "better", "comment")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet would run a cell."""
_CELL = 30_000
"""Characters of one cell; spreadsheets cut at 32,767."""


@dataclass(frozen=True)
class Row:
    """One pair of answers, side by side in an order nobody can guess."""

    name: str
    example_id: str
    prompt: str
    a: str
    b: str
    candidate_is: Literal["A", "B"]


def make_rows(
    pack: Pack,
    examples: Sequence[Example],
    candidate: Sequence[Prediction],
    baseline: Sequence[Prediction],
    *,
    n: int | None = None,
    seed: int = 7,
) -> list[Row]:
    """Return pairs of different answers, shuffled, each on a random side; equal answers have nothing to rate.

    Args:
        pack: renders the prompt.
        examples: the samples.
        candidate: one answer a sample.
        baseline: the other.
        n: at most this many rows; None for all.
        seed: of the order and the sides. Keep it from the raters.

    Raises:
        BadInput: every pair is equal.
    """
    pairs = [one for one in zip(examples, candidate, baseline, strict=True) if one[1].text != one[2].text]
    if not pairs:
        raise BadInput("both arms gave the same answer to every sample; there is nothing to rate")
    rng = random.Random(seed)
    rng.shuffle(pairs)
    rows = []
    for number, (example, ours, theirs) in enumerate(pairs[:n], start=1):
        first = rng.random() < 0.5
        turns = pack.messages(pack.Input.model_validate(example.input))
        prompt = "\n\n".join(turn.content for turn in turns if turn.role == "user")
        a, b = (ours, theirs) if first else (theirs, ours)
        rows.append(Row(f"r{number:03d}", example.id, prompt, a.text, b.text, "A" if first else "B"))
    return rows


def export_sheet(rows: Sequence[Row], folder: Path, *, candidate: str, baseline: str, model_digest: str) -> Path:
    """Write ``sheet.csv``, ``sheet.html`` (a form that needs no server) and ``key.json`` into ``folder``.

    Give people one of the sheets and keep the key: it says which answer is whose. Return the form's path.
    """
    import jinja2

    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([row.name, *(_cell(text) for text in (row.prompt, row.a, row.b)), "", ""])
    write_text(folder / "sheet.csv", "\ufeff" + out.getvalue())  # the mark lets spreadsheets read UTF-8
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(visible=visible, pretty=_pretty)
    template = environment.from_string(Path(__file__).with_name("rating.html.j2").read_text("utf-8"))
    write_text(folder / "sheet.html", template.render(rows=rows))
    sides = {row.name: {"example_id": row.example_id, "candidate_is": row.candidate_is} for row in rows}
    key = {"candidate": candidate, "baseline": baseline, "model_digest": model_digest, "sheet": _sheet(rows)}
    write_json(folder / "key.json", {**key, "rows": sides})
    return folder / "sheet.html"


def read_ratings(path: Path) -> dict[str, Choice]:
    """Return what one person filled in: by row ``A``, ``B`` or ``same``; rows left empty are left out.

    Raises:
        BadInput: the file is no such sheet, a row is there twice, or a rating is something else.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}") from None
    try:
        dialect = ";" if text.split("\n", 1)[0].count(";") > text.split("\n", 1)[0].count(",") else ","
        lines = list(csv.DictReader(io.StringIO(text), delimiter=dialect))
    except csv.Error as error:
        raise BadInput(f"{path} is no CSV: {error}") from None
    found: dict[str, Choice] = {}
    for number, line in enumerate(lines, start=2):
        name, better = (line.get("row") or "").strip(), (line.get("better") or "").strip()
        if "row" not in line or "better" not in line:
            raise BadInput(f"{path} has no columns 'row' and 'better'; give the sheet that was filled in")
        if not better:
            continue
        chosen = next((choice for choice in _CHOICES if choice.lower() == better.lower()), None)
        if chosen is None:
            raise BadInput(f"{path}, row {name or number}: {better[:40]!r} is no rating; write A, B or same")
        if name in found:
            raise BadInput(f"{path} rates row {name} twice; keep one")
        found[name] = chosen  # type: ignore[assignment]
    if not found:
        raise BadInput(f"{path} holds no rating; fill in the column 'better'")
    return found


def rate(key: Path, ratings: Mapping[str, Mapping[str, Choice]], model_digest: str) -> Rating:
    """Return the comparison that the raters' sheets make, and how far they agree.

    Args:
        key: ``key.json`` of the sheet.
        ratings: by rater, what :func:`read_ratings` returned.
        model_digest: of the report that the rating is for.

    Raises:
        BadInput: the key is none, belongs to another model, or a sheet has rows that the key lacks.
    """
    known = _read_key(key, model_digest)
    sides = {name: str(row["candidate_is"]) for name, row in known["rows"].items()}
    votes: dict[str, list[str]] = defaultdict(list)
    for rater, given in ratings.items():
        for name, choice in given.items():
            if name not in sides:
                raise BadInput(f"{rater} rates row {name!r}, which is not in {key}; it is another sheet")
            votes[name].append("same" if choice == "same" else "ours" if choice == sides[name] else "theirs")
    majority = Counter(_majority(row) for row in votes.values())
    return Rating(
        candidate=str(known["candidate"]),
        baseline=str(known["baseline"]),
        raters=len(ratings),
        n=len(votes),
        preferred=majority["ours"],
        rejected=majority["theirs"],
        same=majority["same"],
        p=mcnemar_exact(majority["theirs"], majority["ours"]),
        kappa=_kappa(list(ratings.values())),
        overlap=sum(len(row) > 1 for row in votes.values()),
    )


def _majority(votes: Sequence[str]) -> str:
    count = Counter(votes)
    if count["ours"] == count["theirs"]:
        return "same"
    leader = "ours" if count["ours"] > count["theirs"] else "theirs"
    return leader if count[leader] > count["same"] else "same"


def _kappa(raters: Sequence[Mapping[str, Choice]]) -> float | None:
    """Return the mean of Cohen's kappa over pairs of raters with rows in common."""
    from sklearn.metrics import cohen_kappa_score

    found = []
    for one, other in itertools.combinations(raters, 2):
        common = sorted(set(one) & set(other))
        if not common or len({*(one[name] for name in common), *(other[name] for name in common)}) < 2:
            continue  # without a second answer chance explains everything, and kappa has no value
        value = float(cohen_kappa_score([one[name] for name in common], [other[name] for name in common]))
        if math.isfinite(value):
            found.append(value)
    return sum(found) / len(found) if found else None


def _read_key(path: Path, model_digest: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
        sides = {row["candidate_is"] for row in value["rows"].values()}
        names = value["candidate"], value["baseline"]
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadInput(f"{path} is no key of a rating sheet; give the key.json written beside it") from None
    if not sides <= {"A", "B"} or not all(isinstance(name, str) for name in names):
        raise BadInput(f"{path} is no key of a rating sheet; give the key.json written beside it")
    if value.get("model_digest") != model_digest:
        raise BadInput(f"{path} belongs to a sheet of another model than this report's")
    return dict(value)


def _sheet(rows: Sequence[Row]) -> str:
    return sha256_bytes("\0".join(row.example_id for row in rows).encode())[:12]


def _cell(text: str) -> str:
    shown = visible(text)[:_CELL]
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _pretty(text: str) -> str:
    """Return a JSON answer one field a line, anything else as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return visible(text)
    return visible(json.dumps(value, indent=1, ensure_ascii=False) if isinstance(value, dict | list) else text)
