"""Builders: embedded tickets, and files of tickets with the labels people gave them, to examples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import as_file, files

from understudy.core.errors import BadInput
from understudy.core.files import sha256_bytes
from understudy.core.pack import BuildContext, TokenCounter
from understudy.core.records import Example, Source
from understudy.core.redaction import redact
from understudy.core.taxonomy import Group, Taxonomy
from understudy.templates.bug_classification.schema import Question, Ticket, questions
from understudy.templates.bug_classification.tables import Row, read_rows
from understudy.templates.bug_classification.text import fit_body, plain_body

__all__ = ["example_of", "from_tickets", "judged", "seed", "ticket_of", "truth_of"]

_TITLE_MOST = 500
_LETTERS = re.compile(r"\W+")


def seed(context: BuildContext) -> Iterator[Example]:
    """Yield the embedded tickets, written for this project about a product that does not exist."""
    with as_file(files("understudy.templates.bug_classification") / "seed" / "tickets.jsonl") as path:
        yield from _examples(list(read_rows(path)), context, "seed", "Apache-2.0")


def from_tickets(context: BuildContext) -> Iterator[Example]:
    """Yield the tickets of the files named in the settings: JSON Lines, CSV or Parquet, packed with gzip or not.

    A row has ``title`` and ``body``, and its labels in a column per group (``type``, ``severity`` ...) or as a list in
    ``labels``; ``id``, ``project`` (or ``repo``) and ``time`` (or ``created_at``) are used where they are.

    Raises:
        BadInput: no file is named, one cannot be read, or a row is broken or labelled with what the taxonomy lacks.
    """
    if not context.paths:
        raise BadInput("the builder 'tickets' needs data.sources[].paths: JSON Lines, CSV or Parquet files")
    for path in context.paths:
        yield from _examples(list(read_rows(path)), context, "tickets", context.licence)


def _examples(rows: list[Row], context: BuildContext, origin: str, licence: str) -> Iterator[Example]:
    if context.limit is not None and len(rows) > context.limit:
        rows = sorted(context.rng.sample(rows, context.limit), key=lambda row: (row.file, row.number))
    for number, row in enumerate(rows, start=1):
        example = _example(row, context, origin, licence)
        if number % 50 == 0 or number == len(rows):
            context.on_progress(number, len(rows))
        if example is not None:
            yield example


def _example(row: Row, context: BuildContext, origin: str, licence: str) -> Example | None:
    truth = truth_of(row, context.taxonomy)
    title, body = row.text("title"), row.text("body", "description")
    project = row.text("project", "repo", "repository")
    source = Source(origin=origin, project=project, time=row.time("time", "created_at", "created"), licence=licence)
    identity = row.text("id", "number") or None
    return example_of(project, title, body, truth, source, context, identity=identity)


def example_of(
    project: str,
    title: str,
    body: str | None,
    truth: Mapping[str, str | Mapping[str, bool]],
    source: Source,
    context: BuildContext,
    *,
    identity: str | None = None,
) -> Example | None:
    """Return a ticket with what people said of it, or None when nobody labelled it in any group.

    Only the groups somebody judged are asked. Equal texts share a group, so that a duplicate never stands on both
    sides of a split; with ``split_by: project`` a whole project does.
    """
    asked = [
        judged(question, truth[question.group]) for question in questions(context.taxonomy) if truth.get(question.group)
    ]
    if not asked:
        return None
    ticket = ticket_of(project, title, body, asked, context.prompt_budget, context.count_tokens)
    text = _LETTERS.sub(" ", f"{ticket.title} {ticket.body}").strip().casefold()
    digest = sha256_bytes(f"{project}\n{text}".encode("utf-8", "replace"))[:16]
    first = truth[asked[0].group]
    return Example(
        id=f"{source.origin}-{project}-{identity}" if identity else f"{source.origin}-{digest}",
        pack="bug-classification",
        group=project if context.split_by == "project" and project else f"text-{digest}",
        stratum=first if isinstance(first, str) else ",".join(label for label, yes in first.items() if yes) or "none",
        input=ticket.model_dump(mode="json"),
        output={"labels": {question.group: _plain(truth[question.group]) for question in asked}},
        source=source,
    )


def judged(question: Question, said: str | Mapping[str, bool]) -> Question:
    """Return the question about those labels that somebody judged."""
    if isinstance(said, str):
        return question
    return question.model_copy(update={"labels": [label for label in question.labels if label in said]})


def _plain(value: str | Mapping[str, bool]) -> str | dict[str, bool]:
    return value if isinstance(value, str) else dict(value)


def ticket_of(
    project: str, title: str, body: str | None, asked: list[Question], budget: int, count_tokens: TokenCounter
) -> Ticket:
    """Return a ticket as the models read it: secrets redacted, the body cut where it does not fit the prompt."""
    clean_title = redact(" ".join(title.split())[:_TITLE_MOST])[0]
    clean_body = redact(plain_body(body))[0]
    shown, left_out = fit_body(clean_body, max(0, budget - count_tokens(clean_title)), count_tokens)
    return Ticket(
        repository=project,
        title=clean_title,
        body=clean_body,
        shown=shown if left_out else None,
        left_out=left_out,
        questions=asked,
    )


def truth_of(row: Row, taxonomy: Taxonomy) -> dict[str, str | dict[str, bool]]:
    """Return what a row says, by group: from the group's own column, else from the list of labels."""
    listed = row.names("labels", "label")
    truth: dict[str, str | dict[str, bool]] = {}
    for group in taxonomy.effective:
        own = row.names(group.name)
        if own is not None:
            found = [_label(word, group, row) for word in own]
        elif listed is not None:
            found = [label.name for word in listed if (label := group.find(word))]
        else:
            continue
        found = list(dict.fromkeys(found))
        if group.mode == "multi":
            truth[group.name] = {name: name in found for name in group.names}
        elif len(found) == 1:  # none or several: nobody said which, so the group is not learnt from here
            truth[group.name] = found[0]
    return truth


def _label(word: str, group: Group, row: Row) -> str:
    label = group.find(word)
    if label is None:
        raise BadInput(
            f"{row.file}, line {row.number}: {word[:60]!r} is no label of the group {group.name!r} "
            f"({', '.join(group.names)}); add it to the taxonomy, or as an alias"
        )
    return label.name
