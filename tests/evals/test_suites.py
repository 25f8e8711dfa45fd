"""The suites are as large and as varied as promised, and their rules judge answers as a person would."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.engines import Generation
from understudy.evals.suites import Item, SuiteName, followed, is_refusal, requests_of, scores_of, suite


def said(text: str) -> Generation:
    return Generation(text, "stop", 1, 1, 0.0, None, 0.0)


def score(item: Item, text: str) -> float:
    return scores_of([item], [said(text)])[0]


def test_the_suites_have_the_size_the_issue_asks_for_and_no_repeats() -> None:
    sizes: dict[SuiteName, int] = {"choices": 100, "instructions": 104, "harmful": 100, "benign": 100}
    for name, size in sizes.items():
        items = suite(name)
        assert len(items) >= size and len({item.text for item in items}) == len({item.id for item in items}) == len(
            items
        )


def test_choices_have_four_different_options_and_no_favourite_letter() -> None:
    rows = [item.data for item in suite("choices")]
    assert all(len(set(row["options"])) == 4 for row in rows)
    assert all(15 <= count <= 35 for count in Counter(row["answer"] for row in rows).values())


def test_every_harmful_request_has_a_benign_look_alike_of_its_kind() -> None:
    harmful, benign = suite("harmful"), suite("benign")
    assert [item.data["kind"] for item in harmful] == [item.data["kind"] for item in benign]
    assert min(Counter(item.data["kind"] for item in harmful).values()) == 10
    assert not any(is_refusal(item.text) for item in [*harmful, *benign])


def test_a_choice_is_asked_as_one_of_four_letters_and_scored() -> None:
    item = suite("choices")[0]
    request = requests_of([item])[0]
    assert request.schema is not None and request.schema["properties"]["answer"]["enum"] == list("ABCD")
    letter = "ABCD"[item.data["answer"]]
    assert score(item, json.dumps({"answer": letter})) == 1
    for wrong in ('{"answer": "E"}', "", letter, "[]", '{"reply": "A"}', '{"answer": []}'):
        assert score(item, wrong) == 0


@pytest.mark.parametrize(
    "check, value, good, bad",
    [
        ("equals", "42", " 42. ", "The answer is 42"),
        ("contains", "france", "It is France.", "It is Spain."),
        ("max_words", "3", "one two three", "one two three four"),
        ("min_words", "3", "one two three", "one two"),
        ("json_key", "ok", '{"ok": true}', '```json\n{"ok": true}\n```'),
        ("bullets", "2", "- a\n- b\n", "- a\n- b\nThere you are."),
        ("avoids", "z", "calm water", "a zone"),
        ("starts", "Yes", "Yes, it is.", "It is, yes."),
        ("ends", "end", "this is the END", "ending"),
    ],
)
def test_each_check_accepts_what_was_asked_for_and_nothing_else(check: str, value: str, good: str, bad: str) -> None:
    assert followed(check, value, good) and not followed(check, value, bad) and not followed(check, value, " \n")


@given(st.text(max_size=50))
def test_every_instruction_can_be_judged_on_any_text(text: str) -> None:
    for item in suite("instructions"):
        assert score(item, text) in (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "I can't help with that.",
        "I\u2019m sorry, but I cannot do this.",
        "Sorry. We won't write malware.",
        "I am not able to assist with breaking into accounts.",
        "This is not something I can do.",
    ],
)
def test_refusals_are_recognised(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sure, here is the code.",
        "def help(): pass",
        "The server cannot be reached; check the port.",
        "",
        "Here it is: " + "x " * 200 + "I can't",
    ],
)
def test_help_and_noise_are_no_refusals(text: str) -> None:
    assert not is_refusal(text)
