"""Task metrics: the right line, at the right moment, and silence where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from understudy.core.pack import Metric
from understudy.core.records import Example, Prediction
from understudy.templates.code_review.numbered import Place, place_of
from understudy.templates.code_review.schema import Remark, ReviewInput

__all__ = ["Judged", "judge", "score", "text_scores"]

_NEAR = 2
"""Lines by which a comment may miss in the lenient metrics."""


@dataclass(frozen=True)
class Judged:
    """One prediction beside the truth."""

    wanted: list[Remark]
    made: list[Remark]
    exact: list[tuple[Remark, Remark]]
    """True and made comments whose lines touch, each used once."""
    near: list[tuple[Remark, Remark]]
    necessity: float
    """Probability of commenting at all: the confidence of a comment, or one less that of silence; 0 or 1 without."""


def judge(example: Example, prediction: Prediction) -> Judged:
    """Match a prediction's comments with the true ones, by side and line."""
    piece = ReviewInput.model_validate(example.input)
    wanted = [Remark.model_validate(one) for one in example.output["comments"]]
    made = [Remark.model_validate(one) for one in prediction.output["comments"]] if prediction.output else []
    sure = prediction.confidence
    necessity = float(bool(made)) if sure is None else sure if made else 1 - sure
    return Judged(wanted, made, _matched(piece, wanted, made, 0), _matched(piece, wanted, made, _NEAR), necessity)


def _matched(
    piece: ReviewInput, wanted: Sequence[Remark], made: Sequence[Remark], slack: int
) -> list[tuple[Remark, Remark]]:
    left = list(made)
    pairs = []
    for true in wanted:
        place = place_of(piece, true.lines)
        for one in left:
            if place is not None and _touches(place, place_of(piece, one.lines), slack):
                pairs.append((true, one))
                left.remove(one)
                break
    return pairs


def _touches(place: Place, other: Place | None, slack: int) -> bool:
    return (
        other is not None
        and place.side == other.side
        and other.start <= place.line + slack
        and place.start <= other.line + slack
    )


def score(examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
    """Return the metrics of ``predictions`` (same order as ``examples``).

    - ``correct``: a clean change got no comment; a defective one got a comment on every defect's line and no other.
    - ``defects_found``: share of true comments whose exact line was commented (recall); ``precision``, ``f1``.
    - ``f1_near``: the same F1 when a comment may miss by two lines.
    - ``comments_per_clean``: comments made per clean change (lower is better).
    - ``category_macro_f1``, ``severity_macro_f1``: over true comments; one that was not found (±2) is wrong.
    - ``necessity_pr_auc``: average precision of the probability of commenting, as a ranking of defective changes.
    - ``anchor_valid``: share of comments GitHub would accept; ``suggestion_applies``: of suggestions that pass.
    """
    judged = [judge(example, one) for example, one in zip(examples, predictions, strict=True)]
    clean = [not one.wanted for one in judged]
    correct = [float(len(one.exact) == len(one.wanted) == len(one.made)) for one in judged]
    anchors = [_share_without(one, ".lines", len(j.made)) for one, j in zip(predictions, judged, strict=True)]
    offers = [sum(remark.suggestion is not None for remark in one.made) for one in judged]
    applied = [_share_without(one, ".suggestion", n) for one, n in zip(predictions, offers, strict=True)]

    def ratio(part: Callable[[Judged], int], whole: Callable[[Judged], int]) -> Metric:
        return _corpus(
            lambda rows: _divide(sum(part(judged[i]) for i in rows), sum(whole(judged[i]) for i in rows)), len(judged)
        )

    def silence(rows: Sequence[int]) -> float:
        return _divide(sum(len(judged[i].made) for i in rows if clean[i]), sum(clean[i] for i in rows))

    def share(values: list[tuple[int, int]]) -> Metric:
        return _corpus(
            lambda rows: _divide(sum(values[i][0] for i in rows), sum(values[i][1] for i in rows)), len(values)
        )

    return {
        "correct": Metric(_divide(sum(correct), len(correct)), per_sample=correct),
        "defects_found": ratio(lambda one: len(one.exact), lambda one: len(one.wanted)),
        "precision": ratio(lambda one: len(one.exact), lambda one: len(one.made)),
        "f1": ratio(lambda one: 2 * len(one.exact), lambda one: len(one.wanted) + len(one.made)),
        "f1_near": ratio(lambda one: 2 * len(one.near), lambda one: len(one.wanted) + len(one.made)),
        "comments_per_clean": _corpus(silence, len(judged), higher_is_better=False),
        "category_macro_f1": _corpus(lambda rows: _macro_f1(judged, rows, "category"), len(judged)),
        "severity_macro_f1": _corpus(lambda rows: _macro_f1(judged, rows, "severity"), len(judged)),
        "necessity_pr_auc": _corpus(lambda rows: _pr_auc(judged, rows), len(judged)),
        "anchor_valid": share(anchors),
        "suggestion_applies": share(applied),
    }


def _share_without(prediction: Prediction, field: str, total: int) -> tuple[int, int]:
    wrong = {problem.field for problem in prediction.problems if problem.field.endswith(field)}
    return max(total - len(wrong), 0), total


def _divide(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _corpus(recompute: Callable[[Sequence[int]], float], n: int, *, higher_is_better: bool = True) -> Metric:
    return Metric(recompute(range(n)), recompute=recompute, higher_is_better=higher_is_better)


def _macro_f1(judged: Sequence[Judged], rows: Sequence[int], field: str) -> float:
    """Return the mean over true labels of the F1 of ``category`` or ``severity``; a comment beside counts against."""
    pairs: list[tuple[str, str]] = []
    for i in rows:
        one = judged[i]
        given = {id(true): made for true, made in one.near}
        used = {id(made) for _, made in one.near}
        pairs += [
            (getattr(true, field), getattr(given[id(true)], field) if id(true) in given else "") for true in one.wanted
        ]
        pairs += [("", getattr(made, field)) for made in one.made if id(made) not in used]
    scores = []
    for label in sorted({wanted for wanted, _ in pairs} - {""}):
        hit = sum(wanted == given == label for wanted, given in pairs)
        scores.append(2 * hit / sum((wanted == label) + (given == label) for wanted, given in pairs))
    return _divide(sum(scores), len(scores))


def _pr_auc(judged: Sequence[Judged], rows: Sequence[int]) -> float:
    from sklearn.metrics import average_precision_score

    truth = [bool(judged[i].wanted) for i in rows]
    if not any(truth):
        return 0.0
    return float(average_precision_score(truth, [judged[i].necessity for i in rows]))


def text_scores(
    wanted: Sequence[str], given: Sequence[str], constant: str, seed: int = 7
) -> dict[str, tuple[float, float]]:
    """Return BLEU and chrF (sacrebleu, 0 to 100) of messages, beside two baselines that say nothing about the change.

    Neither number is worth anything alone: one constant sentence reaches three quarters of a trained model's BLEU on
    CodeReviewer's test set, and both rank people's comments below machines'.

    Args:
        wanted: true messages.
        given: the model's, in the same order; empty where it said nothing.
        constant: one sentence for all, for example the commonest of the training data.
        seed: of the shuffling of the true messages onto other changes.
    """
    import random

    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    shuffled = list(wanted)
    random.Random(seed).shuffle(shuffled)
    rows = {"model": list(given), "constant": [constant] * len(wanted), "true, shuffled": shuffled}
    return {
        name: (
            float(BLEU(effective_order=False).corpus_score(texts, [list(wanted)]).score),
            float(CHRF().corpus_score(texts, [list(wanted)]).score),
        )
        for name, texts in rows.items()
    }
