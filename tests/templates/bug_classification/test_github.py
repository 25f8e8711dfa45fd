from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import BadInput
from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification.github import (
    corrections,
    example_from_issue,
    from_corrections,
    is_bot,
    read_events,
    text_then,
)
from understudy.templates.bug_classification.pack import PACK
from understudy.templates.bug_classification.schema import Labels, Ticket

from .tickets import TAXONOMY, context

PERSON, BOT, HIDDEN = (
    {"login": "ada", "type": "User"},
    {"login": "x[bot]", "type": "Bot"},
    {"login": "web-bot", "type": "User"},
)
NAMED = TAXONOMY.model_copy(update={"bots": ("Web-Bot",)})


def event(kind: str, label: str, actor: dict[str, Any] | None, minute: int, **more: Any) -> dict[str, Any]:
    when = f"2026-01-01T00:{minute:02}:00Z"
    return {"id": minute, "event": kind, "actor": actor, "label": {"name": label}, "created_at": when, **more}


def issue(**changes: Any) -> dict[str, Any]:
    return {
        "number": 7,
        "title": "Crash on save",
        "body": "It crashes whenever I save",
        "created_at": "2026-01-01T00:00:00Z",
        "repository_url": "https://api.github.com/repos/a/b",
        **changes,
    }


def test_bots_are_known_by_type_name_and_the_settings_list() -> None:
    assert is_bot(BOT, ()) and is_bot({"login": "dependabot[bot]", "type": "User"}, ()) and is_bot(None, ())
    assert is_bot(HIDDEN, ("WEB-BOT",)) and not is_bot(HIDDEN, ()) and not is_bot(PERSON, ("web-bot",))


def test_only_labels_that_people_put_there_count() -> None:
    events = [
        event("labeled", "bug", BOT, 1),
        event("labeled", "ui", PERSON, 2),
        event("labeled", "Feature", PERSON, 3),
        event("unlabeled", "feature", PERSON, 4),
        event("unlabeled", "bug", PERSON, 5),
        event("milestoned", "x", PERSON, 6),
    ]
    said = read_events(list(reversed(events)), ())
    assert (list(said.held), list(said.removed), said.bots) == (["ui"], ["bug"], ())
    confirmed = read_events([*events, event("labeled", "bug", PERSON, 9)], ())
    assert set(confirmed.held) == {"ui", "bug"} and not confirmed.removed


def test_a_bot_that_looks_like_a_user_teaches_nothing_once_it_is_named() -> None:
    events = [event("labeled", "bug", HIDDEN, 1)]
    assert example_from_issue(issue(), events, context()) is not None
    assert example_from_issue(issue(), events, context(taxonomy=NAMED)) is None


def test_an_example_has_the_text_that_people_saw() -> None:
    events = [
        event("labeled", "bug", PERSON, 5),
        event("renamed", "", PERSON, 9, rename={"from": "Crash on save", "to": "[solved] no bug"}),
    ]
    edits = [
        {"created_at": "2026-01-01T00:00:00Z", "body": "It crashes whenever I save"},
        {"created_at": "2026-01-01T00:08:00Z", "body": "never mind"},
    ]
    now = issue(title="[solved] no bug", body="never mind", body_edits=edits)
    made = example_from_issue(now, events, context())
    assert made is not None
    assert (made.input["title"], made.input["body"]) == ("Crash on save", "It crashes whenever I save")
    assert made.output["labels"] == {"type": "bug"} and made.source.project == "a/b"
    assert text_then(now, events, "2026-01-01T00:10:00Z") == ("[solved] no bug", "never mind")


@pytest.mark.parametrize("changes", [{"body": None}, {"title": None}, {"body": None, "title": ""}])
def test_null_fields_are_empty(changes: dict[str, Any]) -> None:
    assert example_from_issue(issue(**changes), [event("labeled", "bug", PERSON, 1)], context()) is not None


def test_pull_requests_and_unlabelled_issues_are_left_out() -> None:
    events = [event("labeled", "bug", PERSON, 1)]
    assert example_from_issue(issue(pull_request={"url": "x"}), events, context()) is None
    assert corrections(issue(pull_request={"url": "x"}), events, context()) == []
    assert example_from_issue(issue(), [], context()) is None
    assert example_from_issue(issue(), [event("labeled", "wontfix", PERSON, 1)], context()) is None


def test_a_replaced_bot_label_is_a_preference() -> None:
    events = [
        event("labeled", "bug", BOT, 1),
        event("unlabeled", "bug", PERSON, 2),
        event("labeled", "question", PERSON, 3),
    ]
    (made,) = corrections(issue(), events, context())
    assert (made.chosen, made.rejected) == ({"labels": {"type": "question"}}, {"labels": {"type": "bug"}})
    assert made.reason == "feedback:correction"
    ticket = Ticket.model_validate(made.input)
    assert [question.group for question in ticket.questions] == ["type"]
    for side in (made.chosen, made.rejected):
        assert PACK.check(ticket, Labels.model_validate(side)) == []


def test_a_label_that_was_only_taken_away_says_nothing_in_a_single_group_and_no_in_a_multi_one() -> None:
    alone = [event("labeled", "bug", BOT, 1), event("unlabeled", "bug", PERSON, 2)]
    assert corrections(issue(), alone, context()) == []
    events = [event("labeled", "ui", BOT, 1), event("unlabeled", "ui", PERSON, 2)]
    (made,) = corrections(issue(), events, context())
    assert made.chosen["labels"]["area"]["ui"] is False and made.rejected["labels"]["area"]["ui"] is True


def row(**changes: Any) -> dict[str, Any]:
    """A line of the history's corrections.jsonl."""
    known = {"id": "7", "project": "a/b", "created_at": "2026-01-01T00:00:00Z", "title": "Crash on save"}
    return {**known, "body": "It crashes whenever I save", "labels": ["Question"], "removed": ["bug"], **changes}


def test_a_file_of_corrections_says_the_same_as_the_events_do(tmp_path: Path) -> None:
    events = [
        event("labeled", "bug", BOT, 1),
        event("unlabeled", "bug", PERSON, 2),
        event("labeled", "question", PERSON, 3),
    ]
    path = tmp_path / "corrections.jsonl"
    lines = [issue(events=events), row(), row(removed=["wontfix"]), row(labels=[]), row(labels=[], removed=["ui"])]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, second, third = from_corrections(context(paths=[path]))
    assert first == second
    assert third.rejected["labels"]["area"]["ui"] is True and third.chosen["labels"]["area"]["ui"] is False
    path.write_text(json.dumps(row()) + "\n" + json.dumps({"title": "x", "labels": ["bug"]}) + "\n")
    with pytest.raises(BadInput, match="line 2: has neither events nor the labels that people removed"):
        list(from_corrections(context(paths=[path])))
    with pytest.raises(BadInput, match="name a JSON Lines file"):
        list(from_corrections(context()))


def test_a_bot_that_changes_its_own_mind_is_no_correction() -> None:
    events = [
        event("labeled", "bug", BOT, 1),
        event("unlabeled", "bug", BOT, 2),
        event("labeled", "feature", PERSON, 3),
    ]
    assert corrections(issue(), events, context()) == []


def test_labels_only_a_bot_set_are_neither_yes_nor_no() -> None:
    events = [event("labeled", "ui", PERSON, 1), event("labeled", "docs / help", BOT, 2)]
    made = example_from_issue(issue(), events, context())
    assert made is not None and made.output["labels"]["area"] == {"ui": True, "🚀 speed": False}
    assert PACK.check(Ticket.model_validate(made.input), Labels.model_validate(made.output)) == []


def test_objects_of_pygithub_are_taken_by_their_raw_data() -> None:
    from github import Github
    from github.Issue import Issue
    from github.IssueEvent import IssueEvent

    offline = Github()
    real = offline.create_from_raw_data(Issue, issue())
    events = [offline.create_from_raw_data(IssueEvent, event("labeled", "bug", PERSON, 1))]
    made = example_from_issue(real, events, context())
    assert made is not None and made.output["labels"] == {"type": "bug"}


def test_the_builder_reads_issues_with_their_events_and_refuses_those_without(tmp_path: Path) -> None:
    path = tmp_path / "issues.jsonl"
    good = issue(events=[event("labeled", "bug", PERSON, 1)])
    path.write_text(json.dumps(good) + "\n")
    (made,) = PACK.builders["github-issues"](context(paths=[path]))
    assert made.id == "github-a/b-7"
    path.write_text(json.dumps(good) + "\n" + json.dumps(issue()) + "\n")
    with pytest.raises(BadInput, match="line 2: has no list of events"):
        list(PACK.builders["github-issues"](context(paths=[path])))


def test_the_settings_name_bots() -> None:
    assert Taxonomy.model_validate({"bots": ["webcompat-bot"]}).bots == ("webcompat-bot",)
