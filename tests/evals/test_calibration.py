"""Confidence is compared with what came true, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.records import Prediction
from understudy.evals.calibration import calibration_of

from .toy import examples, predictions


def sure(values: list[float | None]) -> list[Prediction]:
    made = predictions(examples(len(values)), "tuned", bool)
    return [one.model_copy(update={"confidence": value}) for one, value in zip(made, values, strict=True)]


def test_the_error_and_the_curve_equal_those_by_hand() -> None:
    found = calibration_of(sure([0.95, 0.95, 0.55, 0.15]), [1, 0, 1, 0])
    assert found is not None
    assert [(one.low, one.n, one.right) for one in found.bins] == [(0.1, 1, 0.0), (0.5, 1, 1.0), (0.9, 2, 0.5)]
    assert found.error == pytest.approx((0.15 + 0.45 + 2 * 0.45) / 4)
    # the two answers of .95 come in together
    assert found.coverage == [0.5, 0.75, 1.0] and found.risk == pytest.approx([0.5, 1 / 3, 0.5])
    assert found.area == pytest.approx(0.5 * 0.5 + 0.25 * (0.5 + 1 / 3) / 2 + 0.25 * (1 / 3 + 0.5) / 2)


def test_full_confidence_falls_into_the_last_bin_and_none_is_left_out() -> None:
    found = calibration_of(sure([1.0, 0.0, None]), [1, 0, 1])
    assert found is not None and found.n == 2 and found.error == 0
    assert calibration_of(sure([None, 0.5]), [1, 1]) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=2, max_size=120))
def test_every_value_is_a_share_and_all_answers_are_covered_at_last(pairs: list[tuple[float, float]]) -> None:
    found = calibration_of(sure([value for value, _ in pairs]), [right for _, right in pairs])
    assert found is not None and 0 <= found.error <= 1 and 0 <= found.area <= 1 + 1e-9
    assert sum(one.n for one in found.bins) == len(pairs)
    assert found.coverage[-1] == 1 and found.coverage == sorted(found.coverage) and len(found.coverage) <= 40
    wrong = sum(1 - right for _, right in pairs) / len(pairs)
    assert found.risk[-1] == pytest.approx(wrong)
