from __future__ import annotations

import random
from typing import Any

import pytest

from understudy.core.pack import load_pack
from understudy.core.records import Example, Prediction, Problem, Source
from understudy.templates.code_review.metrics import score, text_scores
from understudy.templates.code_review.schema import Review, ReviewInput

from .made import remark

PACK = load_pack("code-review")
DIFF = "@@ -1,4 +1,4 @@\n a\n-b\n+c\n d\n e\n"


def example(number: int, *remarks: dict[str, Any]) -> Example:
    output = Review.model_validate({"comments": list(remarks)}).model_dump(mode="json")
    return Example(id=str(number), pack="code-review", group=str(number), input={"path": "x", "diff": DIFF},
                   output=output, source=Source(origin="t"))  # fmt: skip


def prediction(number: int, *remarks: dict[str, Any], confidence: float | None = None, **more: Any) -> Prediction:
    output = Review.model_validate({"comments": list(remarks)}).model_dump(mode="json")
    return Prediction(example_id=str(number), arm="x", text="", output=output, finish_reason="stop",
                      confidence=confidence, **more)  # fmt: skip


def values(pairs: list[tuple[Example, Prediction]]) -> dict[str, float]:
    found = score([one for one, _ in pairs], [other for _, other in pairs])
    for metric in found.values():
        assert (metric.recompute is None) == (metric.per_sample is not None)
        if metric.recompute is not None:
            assert metric.recompute(range(len(pairs))) == pytest.approx(metric.value)
    return {name: metric.value for name, metric in found.items()}


def test_perfect_answers_score_perfectly() -> None:
    found = values(
        [
            (example(1, remark("3")), prediction(1, remark("3"), confidence=0.9)),
            (example(2), prediction(2, confidence=0.9)),
        ]
    )
    assert {name for name, value in found.items() if value != 1} == {"comments_per_clean", "suggestion_applies"}
    assert found["comments_per_clean"] == found["suggestion_applies"] == 0


def test_each_kind_of_mistake_counts_where_it_belongs() -> None:
    pairs = [
        (example(1, remark("3")), prediction(1, remark("5", category="style"), confidence=0.6)),  # two lines off
        (example(2, remark("3")), prediction(2, confidence=0.7)),  # missed
        (example(3), prediction(3, remark("1"), confidence=0.8)),  # false alarm
        (example(4), prediction(4, confidence=0.99)),
    ]
    found = values(pairs)
    assert found["correct"] == 0.25 and found["defects_found"] == 0 and found["precision"] == 0
    assert found["f1_near"] == pytest.approx(2 / 4) and found["f1"] == 0
    assert found["comments_per_clean"] == 0.5
    assert found["category_macro_f1"] == 0 and found["severity_macro_f1"] == pytest.approx(2 * 1 / (2 + 2))
    assert found["necessity_pr_auc"] == pytest.approx((1 / 2 + 2 / 3) / 2)  # 0.8 false, 0.6 true, 0.3 true, 0.01


def test_a_comment_on_the_other_side_is_another_place() -> None:
    assert values([(example(1, remark("3")), prediction(1, remark("2")))])["defects_found"] == 0


def test_invalid_anchors_and_suggestions_are_shares_of_what_was_said() -> None:
    wrong = [Problem(field="comments.0.lines", message="x"), Problem(field="comments.1.suggestion", message="y")]
    said = prediction(1, remark("9"), remark("3", suggestion="z"), problems=wrong)
    found = values([(example(1, remark("3")), said), (example(2), prediction(2, remark("3", suggestion="q")))])
    assert found["anchor_valid"] == pytest.approx(2 / 3) and found["suggestion_applies"] == 0.5


def test_an_answer_that_does_not_parse_found_nothing() -> None:
    broken = Prediction(example_id="1", arm="x", text="{", output=None, finish_reason="length")
    assert values([(example(1, remark("3")), broken)])["correct"] == 0


def test_the_pair_for_preferences_is_wrong_and_still_well_formed() -> None:
    right = example(1, remark("3"))
    seen = set()
    for seed in range(40):
        wrong = PACK.corrupt(right, random.Random(seed))
        assert wrong is not None and wrong.model_dump() != right.output
        assert PACK.check(ReviewInput.model_validate(right.input), wrong) == []
        comments = wrong.model_dump()["comments"]
        seen.add("silent" if not comments else "moved" if comments[0]["lines"] != "3" else "renamed")
    assert seen == {"silent", "moved", "renamed"}
    assert PACK.corrupt(example(2), random.Random(1)) is None


def test_bleu_and_chrf_stand_beside_what_says_nothing() -> None:
    wanted = [f"The value of `name_{n}` is never checked here." for n in range(20)]
    found = text_scores(wanted, wanted, wanted[0])
    assert set(found) == {"model", "constant", "true, shuffled"}
    assert found["model"] == (pytest.approx(100), pytest.approx(100))
    assert 50 < found["constant"][0] < 100 and 50 < found["true, shuffled"][0] < 100
