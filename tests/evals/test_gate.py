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
    n: int, tuned: Right, few_shot: Right, per_group: int = 1, seconds: float = 0.01, alpha: float = 0.05
) -> Report:
    samples = examples(n, per_group)
    arms = {
        "tuned": predictions(samples, "tuned", tuned, seconds=seconds),
        "few-shot": predictions(samples, "few-shot", few_shot),
    }
    return compare(PACK, samples, arms, identity=IDENTITY, resamples=800, corpus_resamples=300, alpha=alpha)


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
    assert decide(found, GateSettings(validity_margin=0.02)).verdict == "pass"


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
    assert result.verdict == "pass" and "note: the arm reference scores higher" in result.reasons[-1]
    assert decide(found, GateSettings(baseline="reference")).verdict == "fail"


def test_a_gate_that_does_not_fit_the_report_is_refused() -> None:
    found = report(120, mostly(0.9), mostly(0.6))
    with pytest.raises(BadInput, match="'base' was not compared; there are: few-shot"):
        decide(found, GateSettings(baseline="base"))
    with pytest.raises(BadInput, match="alpha"):
        decide(found, GateSettings(alpha=0.01))
    assert decide(report(300, mostly(0.9), mostly(0.6), alpha=0.01), GateSettings(alpha=0.01)).verdict == "pass"


def test_two_equal_arms_almost_never_pass() -> None:
    rng = np.random.default_rng(12)
    passed = 0
    for _ in range(40):
        ours, theirs = list(rng.random(120) < 0.7), list(rng.random(120) < 0.7)
        found = report(120, ours.__getitem__, theirs.__getitem__)
        passed += decide(found, GateSettings()).verdict == "pass"
    assert passed <= 4
