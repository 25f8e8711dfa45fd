from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.templates.log_triage.checks import check
from understudy.templates.log_triage.schema import CATEGORIES, LogInput, LogLine, RootCause

LOG = LogInput(
    lines=[LogLine(number=7, text="fetching left-pad"), LogLine(number=9, text="FAILED tests/a.py::test_b")],
    total_lines=12,
)


def answer(**changes: Any) -> RootCause:
    right: dict[str, Any] = {
        "category": "test_assertion",
        "origin": "code",
        "transient": False,
        "evidence": [2],
        "root_cause": "Test `test_b` fails.",
        "fix": "Correct `tests/a.py`.",
    }
    return RootCause(**{**right, **changes})


def said(**changes: Any) -> list[tuple[str, str]]:
    return [(problem.field, problem.message) for problem in check(LOG, answer(**changes))]


def test_a_right_answer_has_no_problem() -> None:
    assert said() == []
    assert said(category="unknown", evidence=[]) == []


@pytest.mark.parametrize("position", [0, 3, -1, 9])
def test_a_line_that_was_not_shown_cannot_be_cited(position: int) -> None:
    """9 is a line of the log but no position in the prompt."""
    assert said(evidence=[2, position]) == [("evidence", f"line {position} is not among the 2 shown")]


def test_a_cause_needs_evidence_and_an_unknown_one_has_none() -> None:
    assert said(evidence=[]) == [("evidence", "test_assertion is claimed without a line that shows it")]
    assert said(category="unknown") == [("evidence", "an unknown cause cannot have evidence")]


@pytest.mark.parametrize("field", ["root_cause", "fix"])
@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("Test `test_b fails.", "has an unclosed backquote"),
        ("Test `test_c` fails.", "names 'test_c', which is not in the log"),
        ("`test_b` and `TEST_B`.", "names 'TEST_B', which is not in the log"),
    ],
)
def test_a_sentence_says_something_and_names_only_what_was_shown(field: str, sentence: str, message: str) -> None:
    assert (field, message) in said(**{field: sentence})


def test_a_name_cannot_be_put_together_from_two_lines() -> None:
    assert said(fix="`left-pad FAILED`") != []


@given(st.sampled_from(CATEGORIES), st.lists(st.integers(), max_size=4), st.text(max_size=60), st.text(max_size=60))
def test_checks_never_raise_and_never_change_the_answer(category: Any, evidence: Any, cause: str, fix: str) -> None:
    given_answer = answer(category=category, evidence=evidence, root_cause=cause, fix=fix)
    before = given_answer.model_dump_json()
    for problem in check(LOG, given_answer):
        assert problem.field in {"evidence", "root_cause", "fix"} and problem.message
    assert given_answer.model_dump_json() == before
    check(LogInput(lines=[], total_lines=0), given_answer)
