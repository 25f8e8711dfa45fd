"""The statistics agree with hand-computed values, with their own definitions, and hold their level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from understudy.evals.statistics import (
    Draws,
    Interval,
    holm,
    mcnemar_exact,
    minimum_detectable_effect,
    non_inferior,
    paired_bootstrap,
    samples_needed,
    sign_flip,
    tango,
    wilson,
)

counts = st.integers(0, 400)


def test_the_worked_vector_of_200_samples_with_6_losses_and_18_wins() -> None:
    assert mcnemar_exact(6, 18) == pytest.approx(0.0227, abs=5e-5)
    assert mcnemar_exact(6, 18, mid_p=True) == pytest.approx(0.0146, abs=5e-5)


@pytest.mark.parametrize(
    ("b", "c", "expected"), [(0, 1, 1.0), (0, 2, 0.5), (0, 5, 2 / 32), (1, 4, 12 / 32), (2, 10, 2 * 79 / 4096)]
)
def test_mcnemar_equals_the_binomial_tail_counted_by_hand(b: int, c: int, expected: float) -> None:
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-12)


@given(counts, counts, st.booleans())
def test_mcnemar_is_symmetric_a_probability_and_one_without_a_difference(b: int, c: int, mid_p: bool) -> None:
    p = mcnemar_exact(b, c, mid_p)
    assert p == mcnemar_exact(c, b, mid_p)
    assert 0 < p <= 1
    assert mcnemar_exact(b, b, mid_p) == 1
    assert mcnemar_exact(b, c, mid_p=True) <= mcnemar_exact(b, c)


def test_mcnemar_agrees_with_scipy_and_does_not_overflow() -> None:
    from scipy.stats import binomtest

    for b, c in ((3, 17), (40, 61), (900, 1000), (20_000, 20_300)):
        assert mcnemar_exact(b, c) == pytest.approx(binomtest(b, b + c).pvalue, rel=1e-9)


def test_mcnemar_holds_its_level() -> None:
    rng = np.random.default_rng(1)
    wins = rng.binomial(40, 0.5, size=4_000)
    rejected = np.mean([mcnemar_exact(int(w), 40 - int(w)) <= 0.05 for w in wins])
    assert rejected <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4_000)
    assert rejected > 0.01


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (2, [1960, 3923, 5885]),
        (3, [870, 1742, 2614]),
        (5, [312, 626, 940]),
        (10, [None, 155, 234]),
        (15, [None, 68, 103]),
    ],
)
def test_samples_for_80_percent_power_are_those_of_the_table(points: int, expected: list[int | None]) -> None:
    assert [samples_needed(points / 100, share) for share in (0.1, 0.2, 0.3)] == expected


@given(st.integers(20, 20_000), st.floats(0.02, 1.0))
def test_the_detectable_effect_is_the_inverse_of_the_samples_needed(n: int, share: float) -> None:
    effect = minimum_detectable_effect(n, share)
    if effect is not None:
        assert 0 < effect < share
        needed = samples_needed(effect, share)
        assert needed is not None and abs(needed - n) <= 1


def test_nothing_is_detectable_without_discordant_samples() -> None:
    assert minimum_detectable_effect(500, 0.0) is None
    assert minimum_detectable_effect(5, 0.1) is None
    assert samples_needed(0.0, 0.2) is None


def test_the_power_promised_is_the_power_found() -> None:
    n, share, effect = 626, 0.2, 0.05
    rng = np.random.default_rng(5)
    better, worse = (share + effect) / 2, (share - effect) / 2
    outcomes = rng.multinomial(n, [better, worse, 1 - share], size=2_000)
    power = np.mean([mcnemar_exact(int(c), int(b), mid_p=True) <= 0.05 for b, c, _ in outcomes])
    assert 0.76 < power < 0.84


def test_holm_equals_the_steps_done_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(ps: list[float]) -> None:
    adjusted = holm(ps)
    for p, q in zip(ps, adjusted, strict=True):
        assert p <= q <= min(1.0, p * len(ps)) + 1e-12
    ranked = [q for _, q in sorted(zip(ps, adjusted, strict=True))]
    assert ranked == sorted(ranked)


def test_wilson_equals_published_values() -> None:
    assert tuple(wilson(81, 263)) == pytest.approx((0.30798, 0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert tuple(wilson(0, 20)) == pytest.approx((0.0, 0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20).low == pytest.approx(1 - 0.1611, abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_inside_the_unit_interval(pair: tuple[int, int]) -> None:
    share, low, high = wilson(*pair)
    assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1


def test_tangos_interval_equals_the_cases_solved_by_hand() -> None:
    """Hand, z = 1.959964, z*z = 3.841459.

    No discordant pair of 100: the score ``n d*d / (d (1-d)) = z*z`` gives ``d = z*z / (n + z*z) = .036993``.
    One win, no loss, of 1: ``(1-d)**2 / (1-d*d) = (1-d) / (1+d) = z*z`` gives ``d = (1-z*z) / (1+z*z) = -.586901``.
    50 wins, no loss, of 50: by the same quotient 50 times, ``d = (50-z*z) / (50+z*z) = .857305``.
    """
    assert tuple(tango(0, 0, 100)) == pytest.approx((0, -0.036993, 0.036993), abs=1e-6)
    assert tuple(tango(1, 0, 1)) == pytest.approx((1, -0.586901, 1), abs=1e-6)
    assert tuple(tango(50, 0, 50)) == pytest.approx((1, 0.857305, 1), abs=1e-6)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_tangos_ends_are_where_the_score_test_with_the_likeliest_nuisance_rejects(b: int, c: int, rest: int) -> None:
    n = b + c + rest
    found = tango(b, c, n)
    assert -1 <= found.low <= found.value <= found.high <= 1
    mirrored = tango(c, b, n)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
    for end in (found.low, found.high):
        lowest, highest = max(0.0, -end), (1 - end) / 2

        def unlikelihood(losses: float, end: float = end) -> float:
            shares = np.clip([losses + end, losses, 1 - 2 * losses - end], 1e-300, 1)
            return -float(np.dot([b, c, rest], np.log(shares)))

        likeliest = minimize_scalar(unlikelihood, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-12})
        variance = n * (2 * likeliest.x + end - end**2)
        assert (b - c - n * end) ** 2 / variance == pytest.approx(1.959964**2, rel=1e-3)


def test_tangos_interval_covers_the_truth_about_as_often_as_it_says_also_with_few_changes() -> None:
    random = np.random.default_rng(4)
    for wins, losses, n in ((0.02, 0.02, 60), (0.1, 0.02, 100), (0.3, 0.1, 40)):
        drawn = random.multinomial(n, [wins, losses, 1 - wins - losses], size=600)
        intervals = [tango(int(b), int(c), n) for b, c, _ in drawn]
        covered = np.mean([one.low <= wins - losses <= one.high for one in intervals])
        assert covered > 0.93


@pytest.mark.parametrize("table", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_counts_that_are_no_pairs_are_refused(table: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="are no pairs"):
        tango(*table)


def test_the_exact_sign_flip_equals_counting_every_pattern() -> None:
    values = [3.0, -1.0, 2.0, 2.0, -0.5]
    observed = abs(sum(values))
    patterns = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in product((1, -1), repeat=5)]
    assert sign_flip(values) == pytest.approx(sum(total >= observed for total in patterns) / 32)


def test_the_sign_flip_of_single_right_and_wrong_answers_is_mcnemar() -> None:
    assert sign_flip([1.0] * 18 + [-1.0] * 6, resamples=40_000) == pytest.approx(mcnemar_exact(6, 18), abs=0.004)
    assert sign_flip([1.0] * 9 + [-1.0] * 2 + [0.0] * 50) == pytest.approx(mcnemar_exact(2, 9))


@settings(max_examples=50)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), max_size=30), st.integers(0, 3))
def test_the_sign_flip_is_symmetric_and_a_probability(values: list[float], seed: int) -> None:
    p = sign_flip(values, resamples=500, seed=seed)
    assert 0 < p <= 1
    assert p == sign_flip([-value for value in values], resamples=500, seed=seed)
    assert sign_flip([*values, *[-value for value in values]], resamples=500) == 1


def test_the_sign_flip_by_group_is_not_fooled_by_repeated_samples() -> None:
    differences = [1.0] * 40 + [-1.0] * 10
    groups = [at // 10 for at in range(50)]
    assert sign_flip(differences, groups) == pytest.approx(12 / 32)
    assert sign_flip(differences) < 0.001


def test_a_bootstrap_of_means_equals_the_one_that_recomputes_them() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(60), rng.random(60)
    groups = [int(at) for at in rng.integers(0, 20, 60)]

    def mean_of(values: np.ndarray) -> object:
        return lambda positions: float(np.mean(values[list(positions)]))

    fast = paired_bootstrap(a, b, 60, groups, resamples=500)
    slow = paired_bootstrap(mean_of(a), mean_of(b), 60, groups, resamples=500)  # type: ignore[arg-type]
    assert tuple(fast) == pytest.approx(tuple(slow))
    assert fast.value == pytest.approx(float(np.mean(a) - np.mean(b)))


def test_blocks_of_draws_do_not_change_with_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(np.random.default_rng(2).random(30))
    whole = Draws(30, resamples=200).values(values)
    monkeypatch.setattr("understudy.evals.statistics._CELLS", 30 * 7)
    assert np.array_equal(Draws(30, resamples=200).values(values), whole)


def test_the_bootstrap_interval_of_a_mean_is_near_the_textbook_one() -> None:
    values = np.random.default_rng(4).normal(0.3, 1.0, 400)
    _, low, high = paired_bootstrap(values, np.zeros(400), 400)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.01)
    assert high == pytest.approx(values.mean() + half, abs=0.01)


def test_a_bootstrap_by_group_is_wider_when_samples_of_a_group_agree() -> None:
    values = np.repeat(np.random.default_rng(6).random(20), 10)
    groups = [at // 10 for at in range(200)]
    _, low, high = paired_bootstrap(values, np.zeros(200), 200)
    _, wide_low, wide_high = paired_bootstrap(values, np.zeros(200), 200, groups)
    assert wide_high - wide_low > 2 * (high - low)


def test_a_single_group_tells_nothing_about_the_spread() -> None:
    assert tuple(paired_bootstrap([1.0, 1.0], [0.0, 0.0], 2, ["a", "a"]))[1:] == (-math.inf, math.inf)


def test_draws_without_a_value_are_left_out() -> None:
    def undefined_without_the_first(positions: Sequence[int]) -> float:
        return 0.5 if 0 in positions else math.nan

    draws = Draws(4, corpus_resamples=200)
    assert tuple(draws.interval(0.5, draws.values(undefined_without_the_first))) == (0.5, 0.5, 0.5)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    covered = 0
    for seed in range(300):
        values = rng.binomial(1, 0.7, 120).astype(float) - rng.binomial(1, 0.6, 120)
        _, low, high = paired_bootstrap(values, np.zeros(120), 120, resamples=400, seed=seed)
        covered += low <= 0.1 <= high
    assert 0.90 <= covered / 300 <= 0.99


def test_the_same_seed_gives_the_same_answer_and_another_seed_another() -> None:
    values = list(np.random.default_rng(3).random(50))
    once, again, other = (paired_bootstrap(values, [0.4] * 50, 50, resamples=300, seed=s) for s in (1, 1, 2))
    assert once == again
    assert (once.low, once.high) != (other.low, other.high)


@pytest.mark.parametrize(
    "low, high, expected",
    [(-0.019, 0.03, True), (-0.021, 0.03, None), (-0.05, -0.021, False), (-0.05, -0.019, None), (0.0, 0.0, True)],
)
def test_non_inferiority_is_shown_refuted_or_left_open(low: float, high: float, expected: bool | None) -> None:
    assert non_inferior(Interval((low + high) / 2, low, high), 0.02) is expected


def test_non_inferiority_keeps_its_level_at_the_margin() -> None:
    rng = np.random.default_rng(5)
    shown = 0
    for _ in range(400):
        ours, theirs = rng.random(200) < 0.68, rng.random(200) < 0.70
        draws = Draws(200, resamples=400)
        difference = ours.astype(float) - theirs
        shown += non_inferior(draws.interval(float(difference.mean()), draws.values(difference)), 0.02) is True
    assert shown <= 400 * 0.05
