from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.taxonomy import Group
from understudy.templates.bug_classification.decide import decide
from understudy.templates.bug_classification.thresholds import Threshold, fit_thresholds, lowest_threshold

TYPE = Group.model_validate({"template": "type"})
SURE = {label: Threshold(value=0.6, precision=0.95, support=40) for label in TYPE.names}


def group(*labels: Any, **changes: Any) -> Group:
    return Group.model_validate({"name": "g", "labels": list(labels), **changes})


def test_a_label_is_applied_from_its_threshold_on_and_suggested_below() -> None:
    sure = decide(TYPE, {"bug": 0.6, "feature": 0.3, "question": 0.1}, SURE)
    assert (sure.outcome, [(one.label, one.applied) for one in sure.choices]) == ("applied", [("bug", True)])
    unsure = decide(TYPE, {"bug": 0.59, "feature": 0.31, "question": 0.1}, SURE)
    assert (unsure.outcome, [(one.label, one.applied) for one in unsure.choices]) == ("suggested", [("bug", False)])
    assert "below 0.60" in unsure.choices[0].why
    assert list(sure.table) == ["bug", "feature", "question"]


def test_a_label_without_a_threshold_is_only_suggested_and_says_why() -> None:
    thin = SURE | {"bug": Threshold(value=None, support=3, why="3 tickets have it, 10 are needed")}
    found = decide(TYPE, {"bug": 0.99, "feature": 0.01}, thin)
    assert (found.outcome, found.choices[0].why) == ("suggested", "3 tickets have it, 10 are needed")
    assert decide(TYPE, {"bug": 0.99}, {}).outcome == "suggested"


def test_a_protected_label_is_never_applied() -> None:
    closed = group({"name": "security", "protected": True}, "ui")
    sure = {name: Threshold(value=0.1, precision=1.0, support=99) for name in closed.names}
    for mode in ("single", "multi"):
        found = decide(closed.model_copy(update={"mode": mode}), {"security": 1.0, "ui": 0.0}, sure)
        assert found.choices and not any(one.applied for one in found.choices)
        assert "protected" in found.choices[0].why


def test_too_little_text_is_an_outcome_of_its_own() -> None:
    found = decide(TYPE, {"bug": 1.0, "feature": 0.0}, SURE, needs_info=True)
    assert found.outcome == "needs-info" and not found.choices[0].applied
    assert found.choices[0].why == "the ticket says too little"


def test_a_retired_label_is_never_applied_and_raises_no_other() -> None:
    found = decide(TYPE, {"chore": 0.7, "bug": 0.3}, SURE)
    assert found.outcome == "suggested" and set(found.table) == {"bug"} and found.table["bug"] == 0.3


def test_a_new_label_is_listed_as_untrained() -> None:
    found = decide(TYPE, {"bug": 0.9, "feature": 0.1}, SURE)
    assert found.untrained == ["question"] and "question" not in found.table
    nothing = decide(TYPE, {}, SURE)
    assert (nothing.outcome, nothing.choices, len(nothing.untrained)) == ("untrained", [], 3)


PARTS = group("sync", {"name": "sync/offline", "parent": "sync"}, {"name": "sync/merge", "parent": "sync"}, "ui")
FAMILY = {name: Threshold(value=0.7, precision=0.95, support=30) for name in PARTS.names}


def test_a_ticket_torn_between_parts_gets_the_parent() -> None:
    torn = decide(PARTS, {"sync/offline": 0.45, "sync/merge": 0.4, "ui": 0.1, "sync": 0.05}, FAMILY)
    assert [(one.label, one.applied, one.probability) for one in torn.choices] == [("sync", True, 0.9)]
    assert "not sure which part" in torn.choices[0].why
    sure = decide(PARTS, {"sync/offline": 0.8, "sync/merge": 0.1, "ui": 0.1, "sync": 0.0}, FAMILY)
    assert [(one.label, one.applied) for one in sure.choices] == [("sync/offline", True)]
    other = decide(PARTS, {"ui": 0.5, "sync/offline": 0.3, "sync/merge": 0.2, "sync": 0.0}, FAMILY)
    assert [(one.label, one.applied) for one in other.choices] == [("ui", False)]


def test_labels_of_a_multi_group_are_judged_alone() -> None:
    several = group("ui", "docs", "speed", mode="multi")
    sure = {name: Threshold(value=0.8, precision=0.95, support=30) for name in several.names}
    found = decide(several, {"ui": 0.95, "docs": 0.9, "speed": 0.6}, sure)
    assert [(one.label, one.applied) for one in found.choices] == [("ui", True), ("docs", True), ("speed", False)]
    none = decide(several, {"ui": 0.1, "docs": 0.2, "speed": 0.3}, sure)
    assert (none.outcome, none.choices) == ("suggested", [])


def test_the_lowest_score_that_is_right_often_enough_is_the_threshold() -> None:
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    right = [True, True, True, False, True, False]
    assert lowest_threshold(scores, right, 0.8, 3).value == 0.5
    assert lowest_threshold(scores, right, 0.9, 3).value == 0.7
    assert lowest_threshold(scores, right, 0.9, 4).value is None
    assert lowest_threshold([], [], 0.9, 1).value is None


def test_equal_scores_stand_or_fall_together() -> None:
    assert lowest_threshold([0.9, 0.9, 0.9], [True, True, False], 0.9, 1).value is None


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60),
    st.sampled_from([0.5, 0.8, 0.9]),
    st.integers(1, 10),
)
def test_above_a_threshold_precision_and_support_hold(
    pairs: list[tuple[int, bool]], precision: float, support: int
) -> None:
    scores = [score / 20 for score, _ in pairs]
    found = lowest_threshold(scores, [hit for _, hit in pairs], precision, support)
    if found.value is None:
        assert found.why
        return
    above = [hit for score, (_, hit) in zip(scores, pairs, strict=True) if score >= found.value]
    assert len(above) == found.support >= support
    assert sum(above) / len(above) == found.precision
    assert found.precision is not None and found.precision >= precision


def test_thresholds_reach_their_precision_on_fresh_tickets_and_thin_labels_have_none() -> None:
    draw = random.Random(5)

    def world(count: int) -> tuple[list[dict[str, float]], list[str]]:
        answers, truths = [], []
        for _ in range(count):
            p = draw.uniform(0.34, 1.0)
            top, other = draw.sample(["bug", "feature"], 2)
            answers.append({top: p, other: 1 - p, "question": 0.0})
            truths.append(top if draw.random() < p else other)
        return answers, truths

    answers, truths = world(2000)
    found = fit_thresholds(TYPE, answers, truths)
    assert found["question"].value is None and "0 tickets have it" in found["question"].why
    fresh, wanted = world(2000)
    picked = [
        (max(answer, key=answer.__getitem__), truth)
        for answer, truth in zip(fresh, wanted, strict=True)
        if max(answer.values()) >= (found[max(answer, key=answer.__getitem__)].value or 2)
    ]
    assert len(picked) > 200
    assert sum(a == b for a, b in picked) / len(picked) == pytest.approx(0.9, abs=0.04)


def test_a_parent_is_judged_by_its_family() -> None:
    answers = [{"sync/offline": 0.5, "sync/merge": 0.45, "ui": 0.05, "sync": 0.0}] * 40
    truths = ["sync/offline", "sync/merge"] * 20
    found = fit_thresholds(PARTS, answers, truths)
    assert found["sync/offline"].value is None and found["sync"].value == pytest.approx(0.95)
