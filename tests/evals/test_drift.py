"""Drift alarms when there is drift, and rarely when there is none, whatever the window's size."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.evals.drift import FLOOR, jensen_shannon, label_shift, number_shift, psi, rate_shift

counts = st.lists(st.integers(0, 50), min_size=2, max_size=8).filter(any)


def test_the_index_equals_the_sum_done_by_hand() -> None:
    p, q = (50.5 / 101, 50.5 / 101), (80.5 / 101, 20.5 / 101)
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert psi([50, 50], [80, 20]) == pytest.approx(expected)


@given(counts)
def test_the_index_is_zero_for_the_same_and_symmetric(row: list[int]) -> None:
    assert psi(row, row) == 0
    assert psi(row, row[::-1]) == pytest.approx(psi(row[::-1], row))


def test_the_divergence_is_zero_alike_and_one_bit_apart() -> None:
    assert jensen_shannon([5, 5], [50, 50]) == pytest.approx(0)
    assert jensen_shannon([5, 0], [0, 9]) == pytest.approx(1)
    # 1/2 (1 * log2(1/.75)) + 1/2 (.5 log2(.5/.75) + .5 log2(.5/.25))
    assert jensen_shannon([1, 0], [1, 1]) == pytest.approx(0.311278, abs=1e-6)
    with pytest.raises(ValueError, match="at least one"):
        jensen_shannon([0], [1])


@pytest.mark.parametrize("window", [50, 100, 300])
def test_no_drift_over_eight_classes_raises_an_alarm_in_at_most_five_percent(window: int) -> None:
    rng = np.random.default_rng(window)
    names = [f"c{at}" for at in range(8)]
    alarms = 0
    for _ in range(200):
        before = Counter(dict(zip(names, rng.multinomial(1_000, [1 / 8] * 8).tolist(), strict=True)))
        now = Counter(dict(zip(names, rng.multinomial(window, [1 / 8] * 8).tolist(), strict=True)))
        shift = label_shift(before, now, seed=window)
        alarms += shift.p <= 0.05 and shift.value > shift.threshold
    assert alarms <= 200 * 0.05 + 2.33 * math.sqrt(200 * 0.05 * 0.95)


def test_real_drift_and_a_new_class_are_found() -> None:
    before = {"a": 500, "b": 300, "c": 200}
    moved = label_shift(before, {"a": 20, "b": 60, "c": 20})
    assert moved.p < 0.01 and moved.value > moved.threshold > FLOOR - 1e-9
    assert label_shift(before, {"a": 40, "b": 30, "c": 15, "new": 15}).p < 0.01


def test_a_sure_but_tiny_shift_stays_below_the_floor() -> None:
    shift = label_shift({"a": 50_000, "b": 50_000}, {"a": 52_000, "b": 48_000})
    assert shift.p < 0.01 and shift.value < shift.threshold == FLOOR


def test_rates_alarm_only_in_their_bad_direction() -> None:
    assert rate_shift((500, 500), (90, 100), "lower").p < 1e-6
    assert rate_shift((450, 500), (100, 100), "lower").p > 0.9
    assert rate_shift((0, 500), (10, 100), "higher").value == pytest.approx(0.1)


def test_longer_inputs_are_a_shift_of_numbers() -> None:
    rng = np.random.default_rng(1)
    before, now = rng.normal(400, 50, 500), rng.normal(480, 50, 100)
    assert number_shift(before.tolist(), now.tolist()).p < 1e-6
    assert number_shift(before.tolist(), before[:100].tolist()).p > 0.05
