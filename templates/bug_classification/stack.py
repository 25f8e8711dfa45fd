"""The stack: the reference and a language model as one mixture, fitted on tickets that neither learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from understudy.core.calibration import log_loss
from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification.answer import mixed
from understudy.templates.bug_classification.labeller import Fitted, Stack, fit_group
from understudy.templates.bug_classification.linear import Target
from understudy.templates.bug_classification.scoring import without_prior

__all__ = ["fit_stack"]

Probabilities = Mapping[str, Mapping[str, float]]


def fit_stack(
    taxonomy: Taxonomy,
    model: str,
    reference: Sequence[Probabilities],
    scored: Sequence[dict[str, dict[str, float]]],
    prior: dict[str, dict[str, float]],
    targets: Sequence[Target],
) -> Stack:
    """Return the mixture with the lowest log-loss, with its own calibration and thresholds.

    The content-free answer is taken out of the language model's probabilities only in groups where that lowers their
    log-loss on these tickets.

    Args:
        taxonomy: of the settings.
        model: id of the language model's version.
        reference: the reference's answers to tickets that it did not learn from.
        scored: the language model's to the same, likewise.
        prior: its content-free answer.
        targets: what people said of them.
    """
    modes = {group.name: group.mode for group in taxonomy.effective}
    weights: dict[str, float] = {}
    kept: dict[str, dict[str, float]] = {}
    fitted: dict[str, Fitted] = {}
    for group in taxonomy.effective:
        name = group.name
        rows = [
            at for at, target in enumerate(targets) if name in target and name in reference[at] and name in scored[at]
        ]
        if not rows:
            continue
        truths = [targets[at][name] for at in rows]
        ours = [reference[at][name] for at in rows]
        plain = [scored[at][name] for at in rows]
        divided = [without_prior({name: dict(row)}, prior, modes)[name] for row in plain]
        if _loss(divided, truths) < _loss(plain, truths):
            plain, kept[name] = divided, prior[name]
        weights[name] = _weight(ours, plain, truths)
        both = [mixed({name: a}, {name: b}, weights)[name] for a, b in zip(ours, plain, strict=True)]
        fitted[name] = fit_group(taxonomy, name, both, [targets[at] for at in rows])
    return Stack(model=model, weights=weights, content_free=kept, fitted=fitted)


def _weight(
    ours: Sequence[Mapping[str, float]], theirs: Sequence[Mapping[str, float]], truths: Sequence[object]
) -> float:
    """Return the language model's share of the mixture, 0 to 1."""
    from scipy.optimize import minimize_scalar

    def loss(weight: float) -> float:
        both = [mixed({"": a}, {"": b}, {"": weight})[""] for a, b in zip(ours, theirs, strict=True)]
        return _loss(both, truths)

    found = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 0.01})
    return round(float(found.x), 3) if found.fun < loss(0.0) else 0.0


def _loss(rows: Sequence[Mapping[str, float]], truths: Sequence[object]) -> float:
    """Return the mean log-loss; of a ``multi`` group over all its labels' yes and no."""
    pairs: list[float] = []
    for row, truth in zip(rows, truths, strict=True):
        if isinstance(truth, str):
            pairs.append(row.get(truth, 0.0))
        elif isinstance(truth, Mapping):
            pairs += [p if truth[label] else 1 - p for label, p in row.items() if label in truth]
    right = np.array([[p, 1 - p] for p in pairs]).reshape(-1, 2)
    return log_loss(right, [0] * len(right)) if len(right) else 0.0
