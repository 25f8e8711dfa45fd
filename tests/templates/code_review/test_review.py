"""From a patch and a model's answers to a report: necessity, threshold, budget, votes, and what is withheld."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.engines import Generation, Request
from understudy.core.settings import ReviewSettings
from understudy.templates.code_review.calibration import calibrated
from understudy.templates.code_review.diff import read_patch
from understudy.templates.code_review.necessity import chance_of_none, chances, threshold_for
from understudy.templates.code_review.packing import pack_patch
from understudy.templates.code_review.review import ReviewReport, review

from .made import PATCH, Scripted, count, generation, is_forced, patch_of, remark


def reviewed(answer: Any, patch: str = PATCH, threshold: float | None = None, **settings: Any) -> ReviewReport:
    packed = pack_patch(read_patch(patch.encode()), 450, count)
    return review(packed, Scripted(answer), "m-1", ReviewSettings(**settings), threshold=threshold)


def many(number: int) -> str:
    return "".join(patch_of("a\n", "b\n", f"f{n}.py") for n in range(number))


def test_a_comment_is_anchored_with_its_necessity_and_the_report_says_what_was_read() -> None:
    said = remark("5", category="security", severity="critical", message="Values of `key` reach the statement.")
    report = reviewed(lambda request: generation([said], 0.9))
    (comment,) = report.comments
    assert (comment.path, comment.side, comment.line, comment.start_line) == ("shop/cart.py", "RIGHT", 4, None)
    assert comment.necessity == 0.9 and len(comment.fingerprint) == 16
    assert report.summary == "1 comment (1 critical). Reviewed 1 of 1 file."
    assert (report.reviewed, report.skipped, report.withheld, report.model) == (["shop/cart.py"], [], 0, "m-1")


def test_silence_is_an_answer() -> None:
    report = reviewed(lambda request: generation([], 0.99))
    assert report.comments == [] and report.summary == "No issues found. Reviewed 1 of 1 file."


def test_a_comment_below_the_threshold_goes_nowhere() -> None:
    report = reviewed(lambda request: generation([remark("5")], 0.6), threshold=0.7)
    assert (report.comments, report.withheld) == ([], 1)
    assert len(reviewed(lambda request: generation([remark("5")], 0.6), threshold=0.5).comments) == 1
    own = packed_review(0.55)
    assert (len(own.comments), own.withheld) == (1, 0)


def packed_review(threshold: float) -> ReviewReport:
    """The settings' own threshold counts more than the calibrated one."""
    settings = ReviewSettings(threshold=threshold)
    packed = pack_patch(read_patch(PATCH.encode()), 450, count)
    return review(packed, Scripted(lambda request: generation([remark("5")], 0.6)), "m-1", settings, threshold=0.99)


def test_where_silence_was_not_sure_enough_the_best_candidate_is_asked_for() -> None:
    def answer(request: Request) -> Generation:
        return generation([remark("5")], 1.0) if is_forced(request) else generation([], 0.6)

    (comment,) = reviewed(answer, threshold=0.3).comments
    assert comment.necessity == pytest.approx(0.4)
    assert reviewed(answer, threshold=0.41).comments == []


def test_only_the_most_necessary_comments_stay_within_the_budget_in_the_order_of_the_patch() -> None:
    def answer(request: Request) -> Generation:
        number = int(request.messages[1].content[1])
        return generation([remark("2")], 0.6 + number / 100)

    report = reviewed(answer, many(5), budget=2)
    assert [one.path for one in report.comments] == ["f3.py", "f4.py"]
    assert report.withheld == 3


@pytest.mark.parametrize("wrong", [{"message": "Use `evil_name`."}, {"message": "Why?"}, {"lines": "99"}])
def test_a_comment_that_fails_a_check_goes_nowhere_and_is_named(wrong: dict[str, Any]) -> None:
    report = reviewed(lambda request: generation([remark(**{"lines": "5", **wrong})], 0.9))
    assert report.comments == []
    (problem,) = report.problems
    assert problem.field.startswith("comments.0.") and problem.message.startswith("shop/cart.py: ")


def test_a_useless_suggestion_is_withheld_and_its_comment_stays() -> None:
    report = reviewed(lambda request: generation([remark("5", suggestion="    rows = (")], 0.9))
    assert report.comments[0].suggestion is None
    assert report.problems[0].field == "comments.0.suggestion"


def test_no_suggestion_is_made_for_a_line_the_model_saw_only_in_part() -> None:
    text = patch_of("a\n", "x = '" + "y" * 500 + "'\n")
    report = reviewed(lambda request: generation([remark("2", suggestion="x = 'z'")], 0.9), text)
    assert report.comments[0].suggestion is None and report.problems == []


def test_an_answer_cut_at_the_token_limit_counts_as_not_reviewed() -> None:
    report = reviewed(lambda request: generation([remark("5")], 0.9, finish="length"))
    assert report.comments == [] and report.reviewed == []
    assert "cut at" in report.skipped[0].reason
    assert report.summary.startswith("Nothing was reviewed")


def test_votes_keep_what_at_least_half_of_the_samples_say_too() -> None:
    def answer(request: Request) -> Generation:
        if not request.temperature:
            return generation([remark("5"), remark("12")], 0.9)
        return generation([remark("5")] + [remark("12")] * (request.seed == 0), 0.9)

    report = reviewed(answer, votes=3)
    assert [one.line for one in report.comments] == [4]


def test_rules_answer_without_a_model() -> None:
    report = review(pack_patch(read_patch(PATCH.encode()), 450, count), None, "x")
    (comment,) = report.comments
    assert report.model == "rules" and comment.category == "security" and comment.necessity is None


def test_the_fingerprint_follows_the_code_not_the_line_number() -> None:
    def found(patch: str) -> str:
        return reviewed(lambda request: generation([remark("2")], 0.9), patch).comments[0].fingerprint

    assert found(patch_of("a\n", "b = 1\n")) == found(patch_of("a\n", "b  =  1\n"))
    assert found(patch_of("a\n", "b = 1\n")) != found(patch_of("a\n", "b = 2\n"))


def test_the_chance_of_each_comment_is_read_from_the_token_that_opens_it() -> None:
    text = '{"comments":[{"a":"]},{"},{"a":1}]}'
    pieces = ['{"comments":', "[", '{"a":"', "]},{", '"', "},", '{"', "a", '":1', "}", "]}"]
    assert "".join(pieces) == text
    rates = [0.0] * len(pieces)
    rates[2], rates[5], rates[6] = math.log(0.8), math.log(0.9), math.log(0.5)
    steps, at = [], 0
    for piece, rate in zip(pieces, rates, strict=True):
        at += len(piece)
        steps.append((at, rate))
    made = Generation(text, "stop", 1, len(pieces), 0.0, None, 0.0, steps=tuple(steps))
    assert chances(made) == [pytest.approx(0.8), pytest.approx(0.45)]
    silent = Generation('{"comments":[]}', "stop", 1, 2, 0.0, None, 0.0, steps=((13, 0.0), (15, math.log(0.7))))
    assert chances(silent) == [] and chance_of_none(silent) == pytest.approx(0.7)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.9]), st.booleans()), max_size=30), st.floats(0.05, 1))
def test_the_threshold_is_the_lowest_that_reaches_the_precision(pairs: list[tuple[float, bool]], wanted: float) -> None:
    def precision(threshold: float) -> float:
        kept = [hit for score, hit in pairs if score >= threshold]
        return sum(kept) / len(kept) if kept else -1.0

    found = threshold_for([score for score, _ in pairs], [hit for _, hit in pairs], wanted)
    reaching = [score for score, _ in pairs if precision(score) >= wanted]
    assert found == (min(reaching) if reaching else None)


def test_a_model_that_is_never_right_is_calibrated_to_silence() -> None:
    from understudy.templates.code_review.data import Case, examples_of

    from .test_review_data import context

    clean = list(examples_of([Case(patch=PATCH, comments=[], operator="o", project="p")], context(), "x"))
    found = calibrated(clean, Scripted(lambda request: generation([remark("5")], 0.9)), 0.8)
    assert found["threshold"] == 1.0 and found["comments_per_clean"] == 0.0
