"""From predictions to a report: every arm measured, the candidate paired with each of the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    names = [candidate, *(name for name in predictions_by_arm if name != candidate)]
    scored = {name: _score(pack, examples, predictions_by_arm[name], name) for name in names}
    right = {name: _correct(pack, scored[name], len(examples), name) for name in names}
    groups = [example.group for example in examples]
    draws = Draws(len(examples), groups, resamples=resamples, corpus_resamples=corpus_resamples, seed=seed)
    drawn = {name: {key: draws.values(_scores(m)) for key, m in scored[name].items() if _drawable(m)} for name in names}
    buckets = {name: _buckets(predictions_by_arm[name], right[name]) for name in names}

    arms = []
    for name in names:
        estimates = {
            key: _with_interval(metric.value, drawn[name].get(key), draws, alpha)
            for key, metric in scored[name].items()
        }
        result = _arm(pack, examples, predictions_by_arm[name], name, estimates, buckets[name], alpha)
        more = _without_grammar((unconstrained or {}).get(name, ()), alpha)
        more["compact"] = (compact or {}).get(name)
        more["calibration"] = calibration_of(predictions_by_arm[name], right[name].tolist())
        arms.append(result.model_copy(update=more))
    comparisons = []
    for name in names[1:]:
        deltas = _deltas(scored[candidate], scored[name], drawn[candidate], drawn[name], draws, alpha)
        one = _paired(name, deltas, right[candidate], right[name], groups, alpha, resamples, seed)
        difference = _valid(predictions_by_arm[candidate]) - _valid(predictions_by_arm[name])
        validity = draws.interval(float(difference.mean()), draws.values(difference), alpha)
        comparisons.append(one.model_copy(update={"validity": Estimate.of(*validity)}))
    lost, won, same = _cases(pack, examples, predictions_by_arm, right, buckets, candidate, baseline)
    return Report(
        pack=pack.name,
        model_digest=identity.model_digest,
        created=created or datetime.now(timezone.utc),
        identity=identity,
        candidate=candidate,
        baseline=baseline,
        primary=pack.primary,
        higher_is_better={key: metric.higher_is_better for key, metric in scored[candidate].items()},
        n=len(examples),
        groups=draws.groups,
        alpha=alpha,
        resamples=resamples,
        corpus_resamples=draws.corpus_resamples,
        arms=arms,
        comparisons=_with_holm(comparisons),
        slices=slices_of(pack, examples, right[candidate], right[baseline]),
        missing_classes=sorted(set(known_classes) - {example.stratum for example in examples}),
        overlap=overlap,
        memorisation=memorisation,
        general=general,
        regressions=lost,
        improvements=won,
        ties=same,
    )


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


def _deltas(
    ours: Mapping[str, Metric],
    theirs: Mapping[str, Metric],
    our_draws: Mapping[str, NDArray[np.float64]],
    their_draws: Mapping[str, NDArray[np.float64]],
    draws: Draws,
    alpha: float,
) -> dict[str, Estimate]:
    """Difference of each metric both arms have; the arms' values stem from the same draws."""
    found = {}
    for key in ours:
        if key not in theirs:
            continue
        value = ours[key].value - theirs[key].value
        paired = key in our_draws and key in their_draws and len(our_draws[key]) == len(their_draws[key])
        found[key] = _with_interval(value, our_draws[key] - their_draws[key] if paired else None, draws, alpha)
    return found


def _paired(
    name: str,
    deltas: dict[str, Estimate],
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    groups: Sequence[str],
    alpha: float,
    resamples: int,
    seed: int,
) -> Comparison:
    wins, losses = int(np.sum(ours > theirs)), int(np.sum(ours < theirs))
    exact = mcnemar_exact(losses, wins)
    flipped = sign_flip(ours - theirs, groups, resamples=resamples, seed=seed)
    clustered = len(set(groups)) < len(groups)
    share = (wins + losses) / len(groups)
    return Comparison(
        arm=name,
        deltas=deltas,
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


def _arm(
    pack: Pack,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    name: str,
    metrics: dict[str, Estimate],
    buckets: Sequence[Bucket],
    alpha: float,
) -> ArmResult:
    counts = Counter(buckets)
    n = len(predictions)
    p50, p95 = np.quantile([made.seconds for made in predictions], [0.5, 0.95])
    tokens = sum(made.completion_tokens for made in predictions)
    seconds = sum(made.seconds for made in predictions)
    peak = max(made.peak_bytes for made in predictions)
    field = decisive_field(pack, examples)
    return ArmResult(
        name=name,
        metrics=metrics,
        schema_valid=Estimate.of(*wilson(sum(made.output is not None for made in predictions), n, alpha)),
        truncated=Estimate.of(*wilson(counts["truncated"], n, alpha)),
        buckets={bucket: counts[bucket] for bucket in BUCKETS},
        prompt_tokens_mean=float(np.mean([made.prompt_tokens for made in predictions])),
        completion_tokens_mean=float(np.mean([made.completion_tokens for made in predictions])),
        seconds_p50=float(p50),
        seconds_p95=float(p95),
        tokens_per_second=tokens / seconds if tokens and seconds else None,
        peak_mib=peak / 2**20 if peak else None,
        classes=class_table(field, examples, predictions) if field else None,
    )


def _without_grammar(predictions: Sequence[Prediction], alpha: float) -> dict[str, Any]:
    if not predictions:
        return {}
    valid = sum(made.output is not None for made in predictions)
    share = Estimate.of(*wilson(valid, len(predictions), alpha))
    return {"unconstrained_valid": share, "unconstrained_n": len(predictions)}


def _cases(
    pack: Pack,
    examples: Sequence[Example],
    predictions: Mapping[str, Sequence[Prediction]],
    right: Mapping[str, NDArray[np.float64]],
    buckets: Mapping[str, Sequence[Bucket]],
    candidate: str,
    baseline: str,
) -> tuple[list[Case], list[Case], list[Case]]:
    """Samples the candidate lost against the baseline, those it won, in the samples' order, and some ties."""
    lost: list[Case] = []
    won: list[Case] = []
    same: list[Case] = []
    ours, theirs = right[candidate], right[baseline]
    tied = sorted((at for at in range(len(examples)) if ours[at] == theirs[at]), key=lambda at: (ours[at], at))[:_TIES]
    for at in [*(at for at in range(len(examples)) if ours[at] != theirs[at]), *tied]:
        example = examples[at]
        turns = pack.messages(pack.Input.model_validate(example.input))
        answers = [
            Answer(
                text=predictions[name][at].text,
                output=predictions[name][at].output,
                bucket=buckets[name][at],
                problems=predictions[name][at].problems,
                confidence=predictions[name][at].confidence,
            )
            for name in (candidate, baseline)
        ]
        case = Case(
            example_id=example.id,
            group=example.group,
            stratum=example.stratum,
            prompt="\n\n".join(turn.content for turn in turns if turn.role == "user"),
            expected=example.output,
            candidate=answers[0],
            baseline=answers[1],
        )
        (lost if ours[at] < theirs[at] else won if ours[at] > theirs[at] else same).append(case)
    return lost, won, same
