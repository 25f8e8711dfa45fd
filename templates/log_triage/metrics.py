"""Task metrics: the right category, the right lines, the right name in the sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from understudy.core.pack import Metric
from understudy.core.records import Example, Prediction

__all__ = ["score"]

_CONFIDENT = 0.8
"""From this probability on a wrong category counts as a confident error."""


def score(examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
    """Return the metrics of ``predictions`` (same order as ``examples``).

    - ``correct``: category right and at least one true line cited (for an unknown cause: no line cited).
    - ``category_macro_f1``: unweighted mean of the F1 of the true categories; an answer that does not parse is wrong.
    - ``evidence_f1``: mean over samples of the F1 of cited against true source lines, all true lines counted, also
      those that did not fit the prompt.
    - ``names_entity``: the sentence names the entity, as a whole word; samples without one are left out of the mean.
    - ``confident_error``: category wrong with a probability of 0.8 or more (lower is better); only where any answer
      states a probability, so that rules do not look best at it.
    """
    wanted = [str(example.output["category"]) for example in examples]
    given = [str(p.output["category"]) if p.output else "" for p in predictions]
    evidence = [_evidence_f1(example, p) for example, p in zip(examples, predictions, strict=True)]
    correct = [float(a == b and f1 > 0) for a, b, f1 in zip(wanted, given, evidence, strict=True)]
    named = [_names_entity(example, p) for example, p in zip(examples, predictions, strict=True)]
    confident = [
        float(a != b and p.confidence is not None and p.confidence >= _CONFIDENT)
        for a, b, p in zip(wanted, given, predictions, strict=True)
    ]
    stated = any(p.confidence is not None for p in predictions)

    def macro_f1(positions: Sequence[int]) -> float:
        return _macro_f1([(wanted[i], given[i]) for i in positions])

    def entity(positions: Sequence[int]) -> float:
        known = [value for i in positions if (value := named[i]) is not None]
        return sum(known) / len(known) if known else 0.0

    return {
        "correct": _mean(correct),
        "category_macro_f1": _corpus(macro_f1, len(examples)),
        "evidence_f1": _mean(evidence),
        "names_entity": _corpus(entity, len(examples)),
        **({"confident_error": _mean(confident, higher_is_better=False)} if stated else {}),
    }


def _mean(values: list[float], *, higher_is_better: bool = True) -> Metric:
    mean = sum(values) / len(values) if values else 0.0
    return Metric(mean, per_sample=values, higher_is_better=higher_is_better)


def _corpus(recompute: Callable[[Sequence[int]], float], n: int) -> Metric:
    return Metric(recompute(range(n)), recompute=recompute)


def _macro_f1(pairs: list[tuple[str, str]]) -> float:
    true, claimed = Counter(wanted for wanted, _ in pairs), Counter(given for _, given in pairs)
    hit = Counter(wanted for wanted, given in pairs if wanted == given)
    # a set's order differs from run to run, and so would the sum
    scores = [2 * hit[label] / (claimed[label] + true[label]) for label in sorted(true)]
    return sum(scores) / len(scores) if scores else 0.0


def _evidence_f1(example: Example, prediction: Prediction) -> float:
    true = set(example.meta["evidence"])
    lines = example.input["lines"]
    positions = prediction.output["evidence"] if prediction.output else None
    if positions is None or any(not 1 <= position <= len(lines) for position in positions):
        return 0.0
    cited = {lines[position - 1]["number"] for position in positions}
    if not true and not cited:
        return 1.0
    return 2 * len(true & cited) / (len(true) + len(cited))


def _names_entity(example: Example, prediction: Prediction) -> float | None:
    subject = example.meta.get("subject")
    if not subject:
        return None
    sentence = prediction.output["root_cause"] if prediction.output else ""
    return float(re.search(rf"(?<![\w-]){re.escape(subject)}(?![\w-])", sentence) is not None)
