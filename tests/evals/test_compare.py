"""A comparison counts, pairs and buckets what the predictions say, and refuses what does not fit together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from understudy.core.errors import BadInput
from understudy.core.pack import Metric
from understudy.core.records import Example, Prediction
from understudy.evals.arms import prediction
from understudy.evals.compare import compare
from understudy.evals.results import Report
from understudy.evals.statistics import holm, mcnemar_exact, sign_flip

from .toy import IDENTITY, PACK, ToyPack, answer, examples, predictions

QUICK = {"resamples": 400, "corpus_resamples": 100}


def report(samples: Sequence[Example], pack: ToyPack = PACK, **arms: list[Prediction]) -> Report:
    named = {name.replace("_", "-"): made for name, made in arms.items()}
    return compare(pack, samples, named, identity=IDENTITY, **QUICK)  # type: ignore[arg-type]


def test_wins_losses_and_ties_are_counted_sample_by_sample() -> None:
    samples = examples(200)
    found = report(
        samples,
        tuned=predictions(samples, "tuned", lambda at: at >= 6),
        few_shot=predictions(samples, "few-shot", lambda at: at < 6 or at >= 24),
    ).comparison("few-shot")
    assert (found.wins, found.losses, found.ties) == (18, 6, 176)
    assert found.p == found.mcnemar_p == pytest.approx(0.0227, abs=5e-5)
    assert found.mcnemar_mid_p == pytest.approx(0.0146, abs=5e-5)
    assert found.deltas["correct"].value == pytest.approx(0.06)
    assert found.discordant_share == pytest.approx(0.12)
    assert found.test == "mcnemar_exact"


def test_samples_in_groups_are_tested_by_group() -> None:
    samples = examples(60, per_group=10)
    tuned = predictions(samples, "tuned", lambda at: True)
    base = predictions(samples, "few-shot", lambda at: False)
    found = report(samples, tuned=tuned, few_shot=base)
    one = found.comparison("few-shot")
    assert found.groups == 6 and one.test == "sign_flip_by_group"
    assert one.p == one.sign_flip_p == sign_flip([1.0] * 60, [at // 10 for at in range(60)]) == pytest.approx(2 / 64)
    assert one.mcnemar_p < 1e-15


def test_p_values_of_several_arms_are_adjusted_by_holm() -> None:
    samples = examples(60)
    found = report(
        samples,
        tuned=predictions(samples, "tuned", lambda at: at < 50),
        few_shot=predictions(samples, "few-shot", lambda at: at < 42),
        base=predictions(samples, "base", lambda at: at < 20),
    )
    assert [one.p for one in found.comparisons] == [mcnemar_exact(0, 8), mcnemar_exact(0, 30)]
    assert [one.p_adjusted for one in found.comparisons] == holm([one.p for one in found.comparisons])


def test_every_answer_lands_in_exactly_one_bucket_and_truncation_is_not_invalidity() -> None:
    samples = examples(6)
    right = [one.output["colour"] for one in samples]
    tuned = [
        prediction(PACK, samples[0], "tuned", answer(right[0]), "stop"),
        prediction(PACK, samples[1], "tuned", answer(right[0]), "stop"),
        prediction(PACK, samples[2], "tuned", answer(right[2], why=""), "stop"),
        prediction(PACK, samples[3], "tuned", "I think it is red", "stop"),
        prediction(PACK, samples[4], "tuned", answer(right[4])[:20], "length"),
        prediction(PACK, samples[5], "tuned", answer(right[5]), "length"),
    ]
    arm = report(samples, tuned=tuned, few_shot=predictions(samples, "few-shot", lambda at: True)).arm("tuned")
    assert arm.buckets == {"truncated": 1, "schema_invalid": 1, "problems": 1, "wrong": 1, "right": 2}
    assert arm.schema_valid.value == pytest.approx(4 / 6)
    assert arm.truncated.value == pytest.approx(1 / 6)


def test_regressions_and_improvements_hold_both_answers_in_the_samples_order() -> None:
    samples = examples(12)
    found = report(
        samples,
        tuned=predictions(samples, "tuned", lambda at: at not in (2, 7)),
        few_shot=predictions(samples, "few-shot", lambda at: at != 4),
    )
    assert [case.example_id for case in found.regressions] == ["e0002", "e0007"]
    assert [case.example_id for case in found.improvements] == ["e0004"]
    case = found.regressions[0]
    assert (case.candidate.bucket, case.baseline.bucket) == ("wrong", "right")
    assert case.expected == samples[2].output and case.prompt == "sample 2 looks blue"
    assert case.candidate.output is not None and case.candidate.output["colour"] == "red"
    assert case.baseline.output is not None and case.baseline.output["colour"] == "blue"


def test_metrics_of_every_kind_get_the_interval_they_can_have() -> None:
    samples = examples(90)
    found = report(
        samples,
        tuned=predictions(samples, "tuned", lambda at: at % 10 > 0),
        few_shot=predictions(samples, "few-shot", lambda at: at % 3 > 0),
    )
    metrics = found.arm("tuned").metrics
    for name in ("macro_f1", "correct"):
        low, high = metrics[name].low, metrics[name].high
        assert low is not None and high is not None and low < metrics[name].value < high
    assert (metrics["words"].low, metrics["words"].high) == (None, None)
    assert found.higher_is_better["words"] is False
    assert (found.resamples, found.corpus_resamples) == (400, 100)


def test_an_arm_that_answers_alike_differs_by_exactly_nothing() -> None:
    samples = examples(40)
    made = predictions(samples, "tuned", lambda at: at % 4 > 0)
    same = [one.model_copy(update={"arm": "few-shot"}) for one in made]
    one = report(samples, tuned=made, few_shot=same).comparison("few-shot")
    assert [one.deltas["macro_f1"].low, one.deltas["macro_f1"].high] == [0, 0]
    assert one.p == 1 and one.minimum_detectable_effect is None


def test_the_class_table_counts_by_hand() -> None:
    samples = examples(6)
    tuned = predictions(samples, "tuned", lambda at: at not in (0, 1))
    tuned[1] = prediction(PACK, samples[1], "tuned", "no", "stop")
    table = (
        report(samples, tuned=tuned, few_shot=predictions(samples, "few-shot", lambda at: True)).arm("tuned").classes
    )
    assert table is not None and table.field == "colour"
    assert table.labels == ["blue", "green", "red"]
    assert table.confusion == [[2, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0]]
    assert table.recall == [1.0, 0.5, 0.5] and table.precision == [1.0, 0.5, 1.0]
    assert table.f1 == pytest.approx([1.0, 0.5, 2 / 3])


def test_slices_show_the_largest_loss_first() -> None:
    samples = examples(30)
    blue = [at for at, one in enumerate(samples) if one.stratum == "blue"]
    found = report(
        samples,
        tuned=predictions(samples, "tuned", lambda at: at not in blue),
        few_shot=predictions(samples, "few-shot", lambda at: at in blue),
    )
    assert [one.name for one in found.slices if one.by == "stratum"] == ["blue", "green", "red"]
    assert (found.slices[0].wins, found.slices[0].losses, found.slices[0].candidate) == (0, 10, 0.0)


def test_a_report_survives_its_own_json() -> None:
    samples = examples(20, per_group=20)
    found = report(
        samples,
        tuned=predictions(samples, "tuned", lambda at: at > 3),
        few_shot=predictions(samples, "few-shot", lambda at: at > 9),
    )
    assert found.arm("tuned").metrics["correct"].low is None, "one group has no interval"
    assert Report.model_validate_json(found.model_dump_json()) == found
    assert found.model_digest == IDENTITY.model_digest and found.verdict is None


def test_what_does_not_fit_together_is_refused_with_the_reason() -> None:
    samples = examples(5)
    good = predictions(samples, "tuned", lambda at: True)
    base = predictions(samples, "few-shot", lambda at: True)
    with pytest.raises(BadInput, match="no samples"):
        report([], tuned=[], few_shot=[])
    with pytest.raises(BadInput, match="more than once"):
        report([*samples, samples[0]], tuned=good, few_shot=base)
    with pytest.raises(BadInput, match="baseline arm 'few-shot' was not run"):
        report(samples, tuned=good)
    with pytest.raises(BadInput, match="order"):
        report(samples, tuned=list(reversed(good)), few_shot=base)
    with pytest.raises(BadInput, match="order"):
        report(samples, tuned=good[:-1], few_shot=base)
    with pytest.raises(BadInput, match="itself"):
        compare(PACK, samples, {"tuned": good}, identity=IDENTITY, baseline="tuned")


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"macro_f1": Metric(0.5)}, "must score 'correct'"),
        ({"correct": Metric(0.5, per_sample=[1.0, 0.0])}, "own primary metric"),
        ({"macro_f1": Metric(0.5), "correct": Metric(0.5, per_sample=[0.5, 0.5])}, "other than 0 and 1"),
        ({"macro_f1": Metric(float("nan")), "correct": Metric(1, per_sample=[1.0, 1.0])}, "must be a number"),
    ],
)
def test_a_pack_that_breaks_its_contract_is_named(metrics: dict[str, Metric], message: str) -> None:
    class Broken(ToyPack):
        def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
            return metrics

    samples = examples(2)
    made = predictions(samples, "tuned", lambda at: True)
    with pytest.raises(BadInput, match=message):
        report(samples, Broken(), tuned=made, few_shot=made)


def test_each_arm_states_its_speed_memory_whitespace_and_validity_without_the_grammar() -> None:
    samples = examples(20)
    tuned = [made.model_copy(update={"peak_bytes": 3 << 20}) for made in predictions(samples, "tuned", lambda at: True)]
    rules = [
        made.model_copy(update={"completion_tokens": 0}) for made in predictions(samples, "rules", lambda at: True)
    ]
    free = [
        prediction(PACK, one, "tuned", answer("red") if at < 3 else "Red!", "stop") for at, one in enumerate(samples)
    ]
    found = compare(
        PACK,
        samples,
        {"tuned": tuned, "rules": rules},
        identity=IDENTITY,
        baseline="rules",
        unconstrained={"tuned": free[:4]},
        compact={"tuned": True},
        **QUICK,  # type: ignore[arg-type]
    )
    ours, theirs = found.arm("tuned"), found.arm("rules")
    assert ours.unconstrained_valid is not None and ours.unconstrained_valid.value == 0.75
    assert (ours.unconstrained_n, ours.compact, ours.peak_mib) == (4, True, 3)
    assert ours.tokens_per_second == pytest.approx(1200)
    assert (theirs.unconstrained_valid, theirs.compact, theirs.peak_mib, theirs.tokens_per_second) == (None,) * 4
