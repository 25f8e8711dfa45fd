"""From predictions to a report: every arm measured, the candidate paired with each of the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.core.errors import BadInput
from understudy.core.pack import Metric, Pack
from understudy.core.records import Example, Prediction
from understudy.evals.calibration import calibration_of
from understudy.evals.classes import class_table, decisive_field
from understudy.evals.results import (
    BUCKETS,
    Answer,
    ArmResult,
    Bucket,
    Case,
    Comparison,
    Estimate,
    General,
    Identity,
    Memorisation,
    Overlap,
    Report,
)
from understudy.evals.slices import slices_of
from understudy.evals.statistics import (
    CORPUS_RESAMPLES,
    RESAMPLES,
    Draws,
    Scores,
    holm,
    mcnemar_exact,
    minimum_detectable_effect,
    sign_flip,
    wilson,
)

__all__ = ["CORRECT", "compare"]

_TIES = 30
CORRECT = "correct"
"""The metric every pack provides beside its primary one: 1 or 0 per sample."""


def compare(
    pack: Pack,
    examples: Sequence[Example],
    predictions_by_arm: Mapping[str, Sequence[Prediction]],
    *,
    identity: Identity,
    candidate: str = "tuned",
    baseline: str = "few-shot",
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
    corpus_resamples: int = CORPUS_RESAMPLES,
    seed: int = 0,
    created: datetime | None = None,
    unconstrained: Mapping[str, Sequence[Prediction]] | None = None,
    compact: Mapping[str, bool] | None = None,
    known_classes: Iterable[str] = (),
    overlap: Overlap | None = None,
    memorisation: Memorisation | None = None,
    general: General | None = None,
) -> Report:
    """Return the report of a paired evaluation; the gate has yet to decide (:func:`understudy.evals.gate.decide`).

    Args:
        pack: scores and names the primary metric.
        examples: the samples, none of them seen in training.
        predictions_by_arm: for each arm one prediction per example, in order.
        identity: what was compared.
        candidate: the arm that wants to be promoted.
        baseline: the arm whose lost samples are listed as regressions.
        alpha: intervals have level ``1 - alpha``.
        resamples: bootstrap draws for means over samples, and random sign patterns.
        corpus_resamples: bootstrap draws for metrics that are recomputed.
        seed: of the resampling.
        created: time of the report; now by default.
        unconstrained: by arm, some samples answered without the grammar.
        compact: by arm, whether its JSON had no whitespace.
        known_classes: strata of the training examples; those without a sample here are named in the report.
        overlap: what training and test have in common.
        memorisation: whether targets are repeated by heart.
        general: forgetting and safety.

    Raises:
        BadInput: no samples, a missing arm, predictions that do not match the samples, or a pack without ``correct``.
    """
    _require(examples, predictions_by_arm, candidate, baseline)
    groups = [example.group for example in examples]
    draws = Draws(len(examples), groups, resamples=resamples, corpus_resamples=corpus_resamples, seed=seed)
    names = [candidate, *(name for name in predictions_by_arm if name != candidate)]
    measured = {name: _measure(pack, examples, predictions_by_arm[name], name, draws) for name in names}
    ours, theirs = measured[candidate], measured[baseline]

    arms = []
    for name, arm in measured.items():
        more = _without_grammar((unconstrained or {}).get(name, ()), alpha)
        more["compact"] = (compact or {}).get(name)
        arms.append(_arm(pack, examples, arm, draws, alpha).model_copy(update=more))
    comparisons = [_paired(ours, measured[name], groups, draws, alpha, seed) for name in names[1:]]
    lost, won, same = _cases(pack, examples, ours, theirs)
    return Report(
        pack=pack.name,
        model_digest=identity.model_digest,
        created=created or datetime.now(timezone.utc),
        identity=identity,
        candidate=candidate,
        baseline=baseline,
        primary=pack.primary,
        higher_is_better={key: metric.higher_is_better for key, metric in ours.metrics.items()},
        n=len(examples),
        groups=draws.groups,
        alpha=alpha,
        resamples=resamples,
        corpus_resamples=draws.corpus_resamples,
        arms=arms,
        comparisons=_with_holm(comparisons),
        slices=slices_of(pack, examples, ours.right, theirs.right),
        missing_classes=sorted(set(known_classes) - {example.stratum for example in examples}),
        overlap=overlap,
        memorisation=memorisation,
        general=general,
        regressions=lost,
        improvements=won,
        ties=same,
    )


@dataclass(frozen=True)
class _Measured:
    """An arm's predictions and what came of them: its metrics, their values in every draw, and right or not."""

    name: str
    predictions: Sequence[Prediction]
    metrics: Mapping[str, Metric]
    drawn: Mapping[str, NDArray[np.float64]]
    right: NDArray[np.float64]
    buckets: Sequence[Bucket]


def _measure(
    pack: Pack, examples: Sequence[Example], predictions: Sequence[Prediction], name: str, draws: Draws
) -> _Measured:
    metrics = _score(pack, examples, predictions, name)
    right = _correct(pack, metrics, len(examples), name)
    drawn = {key: draws.values(_scores(metric)) for key, metric in metrics.items() if _drawable(metric)}
    return _Measured(name, predictions, metrics, drawn, right, _buckets(predictions, right))


def _require(
    examples: Sequence[Example], predictions: Mapping[str, Sequence[Prediction]], candidate: str, baseline: str
) -> None:
    if not examples:
        raise BadInput("there are no samples to evaluate; the split is empty")
    ids = [example.id for example in examples]
    if repeated := [key for key, count in Counter(ids).items() if count > 1]:
        raise BadInput(f"the sample {repeated[0]!r} appears more than once; ids must be unique inside a split")
    for role, name in (("candidate", candidate), ("baseline", baseline)):
        if name not in predictions:
            raise BadInput(
                f"the {role} arm {name!r} was not run; there are: {', '.join(sorted(predictions)) or 'none'}"
            )
    if candidate == baseline:
        raise BadInput(f"the arm {candidate!r} cannot be compared with itself; name another baseline")
    for name, made in predictions.items():
        if [one.example_id for one in made] != ids:
            raise BadInput(f"the predictions of arm {name!r} are not one per sample in the samples' order")


def _score(pack: Pack, examples: Sequence[Example], predictions: Sequence[Prediction], arm: str) -> dict[str, Metric]:
    metrics = pack.score(examples, predictions)
    if pack.primary not in metrics:
        raise BadInput(f"pack {pack.name} does not score its own primary metric {pack.primary!r} (arm {arm!r})")
    for key, metric in metrics.items():
        if not math.isfinite(metric.value):
            raise BadInput(f"pack {pack.name} scores {key!r} of arm {arm!r} as {metric.value}; it must be a number")
        for example, score in zip(examples, metric.per_sample or (), strict=False):
            if not math.isfinite(score):
                raise BadInput(f"pack {pack.name} scores {key!r} of {example.id!r} (arm {arm!r}) as {score}")
    return metrics


def _correct(pack: Pack, metrics: Mapping[str, Metric], n: int, arm: str) -> NDArray[np.float64]:
    metric = metrics.get(CORRECT)
    if metric is None or metric.per_sample is None or len(metric.per_sample) != n:
        raise BadInput(f"pack {pack.name} must score {CORRECT!r} with one 0 or 1 per sample (arm {arm!r})")
    values = np.asarray(metric.per_sample, dtype=np.float64)
    if not np.isin(values, (0.0, 1.0)).all():
        raise BadInput(f"pack {pack.name} scores {CORRECT!r} with values other than 0 and 1 (arm {arm!r})")
    return values


def _drawable(metric: Metric) -> bool:
    return metric.per_sample is not None or metric.recompute is not None


def _scores(metric: Metric) -> Scores:
    if metric.per_sample is not None:
        return metric.per_sample
    assert metric.recompute is not None
    return metric.recompute


def _with_interval(value: float, drawn: NDArray[np.float64] | None, draws: Draws, alpha: float) -> Estimate:
    return Estimate(value=value) if drawn is None else Estimate.of(*draws.interval(value, drawn, alpha))


def _deltas(ours: _Measured, theirs: _Measured, draws: Draws, alpha: float) -> dict[str, Estimate]:
    """Difference of each metric both arms have; the arms' values stem from the same draws."""
    found = {}
    for key in ours.metrics:
        if key not in theirs.metrics:
            continue
        value = ours.metrics[key].value - theirs.metrics[key].value
        one, other = ours.drawn.get(key), theirs.drawn.get(key)
        paired = one - other if one is not None and other is not None and len(one) == len(other) else None
        found[key] = _with_interval(value, paired, draws, alpha)
    return found


def _paired(
    ours: _Measured, theirs: _Measured, groups: Sequence[str], draws: Draws, alpha: float, seed: int
) -> Comparison:
    difference = ours.right - theirs.right
    wins, losses = int(np.sum(difference > 0)), int(np.sum(difference < 0))
    exact = mcnemar_exact(losses, wins)
    flipped = sign_flip(difference, groups, resamples=draws.resamples, seed=seed)
    clustered = len(set(groups)) < len(groups)
    share = (wins + losses) / len(groups)
    more_valid = _valid(ours.predictions) - _valid(theirs.predictions)
    return Comparison(
        arm=theirs.name,
        deltas=_deltas(ours, theirs, draws, alpha),
        validity=Estimate.of(*draws.interval(float(more_valid.mean()), draws.values(more_valid), alpha)),
        wins=wins,
        losses=losses,
        ties=len(groups) - wins - losses,
        mcnemar_p=exact,
        mcnemar_mid_p=mcnemar_exact(losses, wins, mid_p=True),
        sign_flip_p=flipped,
        test="sign_flip_by_group" if clustered else "mcnemar_exact",
        p=flipped if clustered else exact,
        p_adjusted=1.0,
        discordant_share=share,
        minimum_detectable_effect=minimum_detectable_effect(len(groups), share, alpha=alpha),
    )


def _with_holm(comparisons: list[Comparison]) -> list[Comparison]:
    adjusted = holm([one.p for one in comparisons])
    return [one.model_copy(update={"p_adjusted": p}) for one, p in zip(comparisons, adjusted, strict=True)]


def _valid(predictions: Sequence[Prediction]) -> NDArray[np.float64]:
    return np.asarray([made.output is not None for made in predictions], dtype=np.float64)


def _buckets(predictions: Sequence[Prediction], right: NDArray[np.float64]) -> list[Bucket]:
    found: list[Bucket] = []
    for made, is_right in zip(predictions, right, strict=True):
        if made.output is None:
            found.append("truncated" if made.finish_reason == "length" else "schema_invalid")
        elif made.problems:
            found.append("problems")
        else:
            found.append("right" if is_right else "wrong")
    return found


def _arm(pack: Pack, examples: Sequence[Example], arm: _Measured, draws: Draws, alpha: float) -> ArmResult:
    made, counts = arm.predictions, Counter(arm.buckets)
    p50, p95 = np.quantile([one.seconds for one in made], [0.5, 0.95])
    tokens = sum(one.completion_tokens for one in made)
    seconds = sum(one.seconds for one in made)
    peak = max(one.peak_bytes for one in made)
    field = decisive_field(pack, examples)
    return ArmResult(
        name=arm.name,
        metrics={
            key: _with_interval(metric.value, arm.drawn.get(key), draws, alpha) for key, metric in arm.metrics.items()
        },
        schema_valid=Estimate.of(*wilson(int(_valid(made).sum()), len(made), alpha)),
        truncated=Estimate.of(*wilson(counts["truncated"], len(made), alpha)),
        buckets={bucket: counts[bucket] for bucket in BUCKETS},
        prompt_tokens_mean=float(np.mean([one.prompt_tokens for one in made])),
        completion_tokens_mean=float(np.mean([one.completion_tokens for one in made])),
        seconds_p50=float(p50),
        seconds_p95=float(p95),
        tokens_per_second=tokens / seconds if tokens and seconds else None,
        peak_mib=peak / 2**20 if peak else None,
        classes=class_table(field, examples, made) if field else None,
        calibration=calibration_of(made, arm.right.tolist()),
    )


def _without_grammar(predictions: Sequence[Prediction], alpha: float) -> dict[str, Any]:
    if not predictions:
        return {}
    valid = sum(made.output is not None for made in predictions)
    share = Estimate.of(*wilson(valid, len(predictions), alpha))
    return {"unconstrained_valid": share, "unconstrained_n": len(predictions)}


def _cases(
    pack: Pack, examples: Sequence[Example], ours: _Measured, theirs: _Measured
) -> tuple[list[Case], list[Case], list[Case]]:
    """Samples the candidate lost against the baseline, those it won, in the samples' order, and some ties."""
    lost: list[Case] = []
    won: list[Case] = []
    same: list[Case] = []
    difference = ours.right - theirs.right
    tied = sorted(np.flatnonzero(difference == 0).tolist(), key=lambda at: (ours.right[at], at))[:_TIES]
    for at in [*np.flatnonzero(difference).tolist(), *tied]:
        example = examples[at]
        turns = pack.messages(pack.Input.model_validate(example.input))
        case = Case(
            example_id=example.id,
            group=example.group,
            stratum=example.stratum,
            prompt="\n\n".join(turn.content for turn in turns if turn.role == "user"),
            expected=example.output,
            candidate=_answer(ours, at),
            baseline=_answer(theirs, at),
        )
        (lost if difference[at] < 0 else won if difference[at] > 0 else same).append(case)
    return lost, won, same


def _answer(arm: _Measured, at: int) -> Answer:
    made = arm.predictions[at]
    return Answer(
        text=made.text,
        output=made.output,
        bucket=arm.buckets[at],
        problems=made.problems,
        confidence=made.confidence,
    )
