"""GitHub issues with their label events: what people said of a ticket, and where they corrected a bot.

Everything here is a pure function of the API's JSON (or of PyGithub's objects, which carry it as ``raw_data``); asking
GitHub for it is the business of ``integrations/github``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes
from understudy.core.pack import BuildContext
from understudy.core.records import Example, Preference, Source
from understudy.core.taxonomy import Group, Taxonomy
from understudy.templates.bug_classification.data import example_of, judged, ticket_of
from understudy.templates.bug_classification.schema import questions
from understudy.templates.bug_classification.tables import Row, read_rows

__all__ = [
    "Said",
    "corrections",
    "example_from_issue",
    "from_corrections",
    "from_issues",
    "is_bot",
    "plain",
    "read_events",
    "text_then",
]


@dataclass(frozen=True)
class Said:
    """What an issue's events tell, label names as the repository spells them."""

    held: dict[str, str]
    """Labels on the issue that people put there, with the time."""
    removed: dict[str, str]
    """Labels that a bot put there and a person took away, with the time."""
    bots: tuple[str, ...]
    """Labels on the issue that only a bot put there; nobody confirmed them."""


def plain(value: Any) -> dict[str, Any]:
    """Return the JSON of a PyGithub object, or of what is JSON already."""
    found: dict[str, Any] = value if isinstance(value, dict) else value.raw_data
    return found


def is_bot(actor: Mapping[str, Any] | None, bots: Sequence[str]) -> bool:
    """Return whether an account is no person; one that was deleted (null) cannot be told, and counts as none.

    ``type`` alone is not enough: many bots are ordinary users, so the settings name them.
    """
    if not actor:
        return True
    login = str(actor.get("login", "")).casefold()
    return actor.get("type") == "Bot" or login.endswith("[bot]") or login in {name.casefold() for name in bots}


def read_events(events: Sequence[Any], bots: Sequence[str]) -> Said:
    """Return who put on and took off which label, in the order of time; events of other kinds are passed over."""
    held: dict[str, tuple[bool, str]] = {}
    removed: dict[str, str] = {}
    spelt: dict[str, str] = {}
    known = [plain(event) for event in events]
    for event in sorted(known, key=lambda one: (str(one.get("created_at") or ""), one.get("id") or 0)):
        if event.get("event") not in ("labeled", "unlabeled"):
            continue
        name = str((event.get("label") or {}).get("name") or "")
        key, by_bot, when = name.casefold(), is_bot(event.get("actor"), bots), str(event.get("created_at") or "")
        if not name:
            continue
        spelt[key] = name
        if event["event"] == "labeled":
            held[key] = (by_bot, when)
            if not by_bot:
                removed.pop(key, None)
        else:
            before = held.pop(key, None)
            if before is not None and before[0] and not by_bot:
                removed[key] = when
    return Said(
        held={spelt[key]: when for key, (by_bot, when) in held.items() if not by_bot},
        removed={spelt[key]: when for key, when in removed.items()},
        bots=tuple(spelt[key] for key, (by_bot, _) in held.items() if by_bot),
    )


def text_then(issue: Mapping[str, Any], events: Sequence[Any], when: str) -> tuple[str, str]:
    """Return title and body as they were at a moment (ISO 8601, UTC).

    Titles are found from ``renamed`` events. Earlier bodies are not in the REST API: where the caller has them (GraphQL
    ``userContentEdits``), the issue carries them as ``body_edits``, a list of ``{"created_at", "body"}`` from the
    original on; otherwise the body is the one of now.
    """
    title = str(issue.get("title") or "")
    renamed = [event for event in map(plain, events) if event.get("event") == "renamed" and event.get("rename")]
    for event in sorted(renamed, key=lambda one: str(one.get("created_at") or ""), reverse=True):
        if str(event.get("created_at") or "") > when:
            title = str(event["rename"].get("from") or title)
    body = str(issue.get("body") or "")
    edits = [edit for edit in issue.get("body_edits") or () if str(edit.get("created_at") or "") <= when]
    if edits:
        body = str(max(edits, key=lambda edit: str(edit["created_at"])).get("body") or "")
    return title, body


def from_issues(context: BuildContext) -> Iterator[Example]:
    """Yield the issues of JSON Lines files: the REST API's object with its ``events``, one a line.

    Raises:
        BadInput: no file is named, or a line is broken or has no events.
    """
    if not context.paths:
        raise BadInput("the builder 'github-issues' needs data.sources[].paths: JSON Lines of issues with their events")
    for path in context.paths:
        for row in read_rows(path):
            if not isinstance(row.values.get("events"), list):
                raise BadInput(
                    f"{row.file}, line {row.number}: has no list of events; without them nobody knows who labelled"
                )
            example = example_from_issue(dict(row.values), row.values["events"], context)
            if example is not None:
                yield example


def example_from_issue(issue: Any, events: Sequence[Any], context: BuildContext) -> Example | None:
    """Return an issue as people labelled it, with the text they saw; None when nobody did, and for a pull request."""
    known = plain(issue)
    if known.get("pull_request"):
        return None
    said = read_events(events, context.taxonomy.bots)
    truth = _truth(said, context.taxonomy)
    if not truth:
        return None
    title, body = text_then(known, events, max(said.held.values(), default=str(known.get("created_at") or "")))
    return example_of(
        _project(known), title, body, truth, _source(known, context), context, identity=str(known.get("number") or "")
    )


def from_corrections(context: BuildContext) -> Iterator[Preference]:
    """Yield what people chose over a bot's labels, from JSON Lines files.

    A line is an issue with its ``events`` as for :func:`from_issues`, or a ticket with the ``labels`` that people gave
    and those of a bot that they ``removed``, as ``understudy github history`` writes it.

    Raises:
        BadInput: no file is named, or a line is broken or is neither.
    """
    if not context.paths:
        raise BadInput("name a JSON Lines file of issues with their events, or of tickets with the labels removed")
    for path in context.paths:
        for row in read_rows(path):
            if isinstance(row.values.get("events"), list):
                yield from corrections(dict(row.values), row.values["events"], context)
                continue
            removed = row.names("removed")
            if removed is None:
                raise BadInput(f"{row.file}, line {row.number}: has neither events nor the labels that people removed")
            said = Said(dict.fromkeys(row.names("labels") or (), ""), dict.fromkeys(removed, ""), ())
            text = row.text("project"), row.text("title"), row.text("body")
            source = Source(origin="github", project=text[0], time=row.time("created_at"), licence=context.licence)
            yield from _overruled(said, text, f"issue-{text[0]}-{row.text('id')}", source, context)


def corrections(issue: Any, events: Sequence[Any], context: BuildContext) -> list[Preference]:
    """Return one preference per group in which a person overruled a bot: theirs is chosen, the bot's rejected."""
    known = plain(issue)
    said = read_events(events, context.taxonomy.bots)
    if not said.removed or known.get("pull_request"):
        return []
    title, body = text_then(known, events, max(said.removed.values()))
    text = _project(known), title, body
    return _overruled(said, text, f"issue-{text[0]}-{known.get('number')}", _source(known, context), context)


def _overruled(
    said: Said, text: tuple[str, str, str], identity: str, source: Source, context: BuildContext
) -> list[Preference]:
    """Return the preferences of one ticket, of which ``text`` is project, title and body.

    Of a ``single`` group the label must have been replaced; one that was only taken away says what is wrong, not what
    is right. Of a ``multi`` group taking it away is an answer.
    """
    truth = _truth(said, context.taxonomy)
    found = []
    for group in context.taxonomy.effective:
        wrong = [label.name for name in said.removed if (label := group.find(name))]
        if not wrong:
            continue
        chosen = truth.get(group.name)
        if group.mode == "multi":
            chosen = _judged(group, said)
            rejected: str | dict[str, bool] = chosen | dict.fromkeys(wrong, True)
        else:
            rejected = wrong[-1]
        if chosen is None or chosen == rejected:
            continue
        asked = [judged(question, chosen) for question in questions(context.taxonomy) if question.group == group.name]
        ticket = ticket_of(*text, asked, context.prompt_budget, context.count_tokens)
        value = ticket.model_dump(mode="json")
        digest = sha256_bytes(canonical_json([value, chosen, rejected]).encode("utf-8", "replace"))[:16]
        found.append(
            Preference(
                id=f"correction-{digest}",
                pack="bug-classification",
                group=identity,
                input=value,
                chosen={"labels": {group.name: chosen}},
                rejected={"labels": {group.name: rejected}},
                reason="feedback:correction",
                source=source,
            )
        )
    return found


def _truth(said: Said, taxonomy: Taxonomy) -> dict[str, str | dict[str, bool]]:
    """Return what people said, by group; several labels of a ``single`` group say nothing."""
    truth: dict[str, str | dict[str, bool]] = {}
    for group in taxonomy.effective:
        names = list(dict.fromkeys(label.name for name in said.held if (label := group.find(name))))
        if group.mode == "multi" and (names or any(group.find(name) for name in said.removed)):
            truth[group.name] = _judged(group, said)
        elif group.mode == "single" and len(names) == 1:
            truth[group.name] = names[0]
    return truth


def _judged(group: Group, said: Said) -> dict[str, bool]:
    """Return yes and no for each label but those that only a bot put there."""
    yes = {label.name for name in said.held if (label := group.find(name))}
    unsure = {label.name for name in said.bots if (label := group.find(name))}
    return {name: name in yes for name in group.names if name not in unsure}


def _project(issue: Mapping[str, Any]) -> str:
    return str(issue.get("repository_url") or "").partition("/repos/")[2]


def _source(issue: Mapping[str, Any], context: BuildContext) -> Source:
    time = Row("issue", int(issue.get("number") or 0), issue).time("created_at")
    return Source(origin="github", project=_project(issue), time=time, licence=context.licence)
