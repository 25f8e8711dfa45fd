"""The gate says pass, fail or inconclusive for the reasons it gives, and for no others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from understudy.core.errors import BadInput
from understudy.core.records import Prediction
from understudy.evals.arms import prediction
from understudy.evals.compare import compare
from understudy.evals.gate import GateSettings, apply_gate, decide
from understudy.evals.results import Report

from .toy import IDENTITY, PACK, examples, predictions

Right = Callable[[int], bool]


def report(
    n: int,
    tuned: Right,
    few_shot: Right,
    per_group: int = 1,
    seconds: float = 0.01,
    alpha: float = 0.05,
    corpus_resamples: int = 200,
) -> Report:
    samples = examples(n, per_group)
    arms = {
        "tuned": predictions(samples, "tuned", tuned, seconds=seconds),
        "few-shot": predictions(samples, "few-shot", few_shot),
    }
    return compare(
        PACK, samples, arms, identity=IDENTITY, resamples=800, corpus_resamples=corpus_resamples, alpha=alpha
    )


def mostly(share: float) -> Right:
    return lambda at: (at * 7919) % 100 < 100 * share


def test_a_clear_improvement_passes_with_exit_code_0() -> None:
    found = apply_gate(report(300, mostly(0.9), mostly(0.6)), GateSettings())
    assert found.verdict == "pass" and found.gate is not None and found.gate.exit_code == 0
    assert "improved on few-shot" in found.gate.reasons[0] and found.gate.samples_needed is None


def test_a_clear_loss_fails_with_exit_code_1() -> None:
    result = decide(report(300, mostly(0.6), mostly(0.9)), GateSettings())
    assert (result.verdict, result.exit_code) == ("fail", 1)
    assert "did not improve" in result.reasons[0]


def test_a_small_difference_is_inconclusive_with_exit_code_3_and_says_how_many_samples_decide() -> None:
    found = report(150, mostly(0.72), lambda at: (at * 31) % 100 < 66)
    result = decide(found, GateSettings())
    assert (result.verdict, result.exit_code) == ("inconclusive", 3)
    assert result.samples_needed is not None and result.samples_needed > 150
    assert any(f"about {result.samples_needed} samples" in reason for reason in result.reasons)


def test_the_samples_said_to_decide_do_decide() -> None:
    rng = np.random.default_rng(2)
    ours, theirs = rng.random(4_000) < 0.72, rng.random(4_000) < 0.66
    needed = decide(report(200, lambda at: bool(ours[at]), lambda at: bool(theirs[at])), GateSettings()).samples_needed
    assert needed is not None and 200 < needed < 4_000
    larger = report(min(4_000, 2 * needed), lambda at: bool(ours[at]), lambda at: bool(theirs[at]))
    assert decide(larger, GateSettings()).verdict == "pass"


def test_however_clear_fewer_samples_than_asked_for_are_inconclusive() -> None:
    result = decide(report(60, lambda at: True, lambda at: at % 2 == 0), GateSettings())
    assert result.verdict == "inconclusive"
    assert "60 samples are fewer than the 100" in result.reasons[0]
    assert decide(report(60, lambda at: True, lambda at: at % 2 == 0), GateSettings(min_samples=50)).verdict == "pass"


def test_many_samples_of_few_groups_are_inconclusive() -> None:
    result = decide(report(200, lambda at: True, lambda at: at % 2 == 0, per_group=40), GateSettings())
    assert result.verdict == "inconclusive"
    assert any("only 5 independent groups" in reason for reason in result.reasons)


def test_an_improvement_below_the_margin_fails_or_is_inconclusive_but_never_passes() -> None:
    found = report(300, mostly(0.9), mostly(0.6))
    assert decide(found, GateSettings(margin=0.30)).verdict == "inconclusive"
    assert decide(found, GateSettings(margin=0.5)).verdict == "fail"


def test_less_valid_answers_fail_whatever_they_are_worth() -> None:
    samples = examples(300)
    tuned: list[Prediction] = predictions(samples, "tuned", lambda at: True)
    for at in range(6):
        tuned[at] = prediction(PACK, samples[at], "tuned", "oh", "stop")
    arms = {"tuned": tuned, "few-shot": predictions(samples, "few-shot", lambda at: at % 2 == 0)}
    found = compare(PACK, samples, arms, identity=IDENTITY, resamples=300, corpus_resamples=100)
    result = decide(found, GateSettings())
    assert result.verdict == "fail" and "98.0% of the answers are schema-valid" in result.reasons[0]
    assert decide(found, GateSettings(validity_margin=0.02)).verdict == "inconclusive"
    assert decide(found, GateSettings(validity_margin=0.06)).verdict == "pass"


def test_a_stratum_that_gets_significantly_worse_fails_the_whole() -> None:
    result = decide(report(300, lambda at: at % 3 != 2, lambda at: at % 3 == 2), GateSettings())
    assert result.verdict == "fail"
    assert any("significantly worse on blue: 100 lost, 0 won" in reason for reason in result.reasons)


def test_the_latency_budget_is_kept() -> None:
    found = report(300, mostly(0.9), mostly(0.6), seconds=2.0)
    assert decide(found, GateSettings(max_seconds_p95=2.5)).verdict == "pass"
    result = decide(found, GateSettings(max_seconds_p95=1.0))
    assert result.verdict == "fail" and "2.00 s" in result.reasons[0]


def test_a_metric_where_less_is_better_is_turned_round() -> None:
    found = report(300, mostly(0.9), mostly(0.6))
    turned = found.model_copy(update={"higher_is_better": {**found.higher_is_better, "macro_f1": False}})
    assert decide(turned, GateSettings()).verdict == "fail"


def test_a_stronger_arm_the_gate_does_not_look_at_is_mentioned() -> None:
    samples = examples(300)
    arms = {
        "tuned": predictions(samples, "tuned", mostly(0.8)),
        "few-shot": predictions(samples, "few-shot", mostly(0.4)),
        "reference": predictions(samples, "reference", mostly(0.95)),
    }
    found = compare(PACK, samples, arms, identity=IDENTITY, resamples=300, corpus_resamples=100)
    result = decide(found, GateSettings())
    assert result.verdict == "pass" and "note: the arm reference scores higher" in result.reasons[1]
    assert decide(found, GateSettings(baseline="reference")).verdict == "fail"


def test_a_tie_with_the_reference_and_a_milder_gate_are_mentioned() -> None:
    samples = examples(300)
    shares = {"tuned": 0.8, "few-shot": 0.4, "reference": 0.8}
    arms = {name: predictions(samples, name, mostly(share)) for name, share in shares.items()}
    found = compare(PACK, samples, arms, identity=IDENTITY, resamples=300, corpus_resamples=100)
    result = decide(found, GateSettings(min_samples=20))
    assert result.verdict == "pass"
    assert any(
        "not shown to be better than reference, which needs no model: 0 won, 0 lost" in one for one in result.reasons
    )
    assert "note: the gate asked for 20 samples only, not for the usual 100" in result.reasons
    usual = decide(report(300, mostly(0.9), mostly(0.6)), GateSettings())
    assert not any("reference" in one or "the usual" in one for one in usual.reasons)


def test_a_gate_that_does_not_fit_the_report_is_refused() -> None:
    found = report(120, mostly(0.9), mostly(0.6))
    with pytest.raises(BadInput, match="'base' was not compared; there are: few-shot"):
        decide(found, GateSettings(baseline="base"))
    with pytest.raises(BadInput, match="alpha"):
        decide(found, GateSettings(alpha=0.01))
    assert decide(report(300, mostly(0.9), mostly(0.6), alpha=0.01), GateSettings(alpha=0.01)).verdict == "pass"


def test_two_equal_arms_almost_never_pass_and_a_clear_gain_mostly_does() -> None:
    rng = np.random.default_rng(12)
    passed = {0.0: 0, 0.1: 0}
    for gain in passed:
        for _ in range(40):
            # 20 % discordant pairs, so that 155 samples show a gain of 10 points with a power of about 80 %
            draw = rng.random(155)
            worse, better = draw < 0.1 - gain / 2, draw > 0.9 - gain / 2
            found = report(155, (~worse).__getitem__, (~better).__getitem__, corpus_resamples=80)
            passed[gain] += decide(found, GateSettings()).verdict == "pass"
    assert passed[0.0] <= 4
    assert passed[0.1] >= 22


def test_no_difference_at_all_is_no_improvement_and_names_the_samples_for_five_points() -> None:
    result = decide(report(150, mostly(0.7), mostly(0.7)), GateSettings())
    assert result.verdict == "fail" and "did not improve" in result.reasons[0]
    small = decide(report(60, mostly(0.7), mostly(0.7)), GateSettings())
    assert small.verdict == "inconclusive" and small.samples_needed is not None and small.samples_needed > 60
    assert any("no difference was seen" in reason for reason in small.reasons)


def test_one_sample_decides_nothing() -> None:
    result = decide(report(1, lambda at: True, lambda at: False), GateSettings(min_samples=1, min_groups=1))
    assert result.verdict == "inconclusive" and "no interval" in result.reasons[0]


def test_a_negative_margin_asks_only_that_the_candidate_is_not_much_worse() -> None:
    found = report(600, mostly(0.80), mostly(0.80))
    assert decide(found, GateSettings()).verdict == "fail"
    result = decide(found, GateSettings(margin=-0.05))
    assert result.verdict == "pass" and "is no more than 0.05 below" in result.reasons[0]
    assert decide(report(600, mostly(0.6), mostly(0.8)), GateSettings(margin=-0.05)).verdict == "fail"


def test_mid_p_decides_where_the_exact_test_just_does_not() -> None:
    found = report(200, lambda at: at >= 5, lambda at: at < 5 or at >= 19)
    one = found.comparison("few-shot")
    assert (one.wins, one.losses) == (14, 5) and one.mcnemar_mid_p < 0.05 < one.mcnemar_p
    assert any("paired test" in reason for reason in decide(found, GateSettings()).reasons)
    assert not any("paired test" in reason for reason in decide(found, GateSettings(mid_p=True)).reasons)


def test_validity_that_may_or_may_not_have_fallen_is_inconclusive() -> None:
    samples = examples(300)
    tuned = predictions(samples, "tuned", lambda at: True)
    tuned[0] = prediction(PACK, samples[0], "tuned", "oh", "stop")
    arms = {"tuned": tuned, "few-shot": predictions(samples, "few-shot", lambda at: at % 2 == 0)}
    found = compare(PACK, samples, arms, identity=IDENTITY, resamples=300, corpus_resamples=100)
    result = decide(found, GateSettings())
    assert result.verdict == "inconclusive" and "schema-valid answers" in result.reasons[0]
    assert decide(found, GateSettings(validity_margin=0.02)).verdict == "pass"


def test_budgets_of_memory_and_size_are_kept() -> None:
    found = report(300, mostly(0.9), mostly(0.6))
    ours = found.arm("tuned").model_copy(update={"peak_mib": 900.0})
    sized = found.identity.model_copy(update={"model_bytes": 80 << 20})
    found = found.model_copy(update={"arms": [ours, *found.arms[1:]], "identity": sized})
    assert decide(found, GateSettings(max_peak_mib=901, max_model_mib=81)).verdict == "pass"
    heavy = decide(found, GateSettings(max_peak_mib=800, max_model_mib=79))
    assert heavy.verdict == "fail" and sum("budget" in reason for reason in heavy.reasons) == 2
    assert "900 MiB of memory" in heavy.reasons[0] and "80 MiB" in heavy.reasons[1]


def test_a_class_that_no_sample_tests_is_named() -> None:
    samples = examples(300)
    arms = {
        "tuned": predictions(samples, "tuned", mostly(0.9)),
        "few-shot": predictions(samples, "few-shot", mostly(0.6)),
    }
    found = compare(
        PACK, samples, arms, identity=IDENTITY, resamples=300, corpus_resamples=100, known_classes=["red", "mauve"]
    )
    assert found.missing_classes == ["mauve"]
    assert decide(found, GateSettings()).reasons[-1] == "note: training knows classes that no sample tests: mauve"


def test_the_command_lines_gate_settings_are_the_gates_own() -> None:
    from understudy.core.settings import GateSettings as Written

    assert GateSettings(**Written().model_dump()) == GateSettings()
