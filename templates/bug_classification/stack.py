"""The stack: the reference and a language model as one mixture, fitted on tickets that neither learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from understudy.core.answers import prediction
from understudy.core.calibration import log_loss
from understudy.core.files import write_json
from understudy.core.pack import Pack
from understudy.core.records import DatasetVersion, Example, Prediction
from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification.answer import REFERENCE, mixed
from understudy.templates.bug_classification.labeller import (
    Fitted,
    Labeller,
    Stack,
    fit_group,
    fit_labeller,
    labeller_folder,
    samples_of,
)
from understudy.templates.bug_classification.linear import Target
from understudy.templates.bug_classification.quality import draw, quality
from understudy.templates.bug_classification.schema import Ticket, in_answer_order, most_probable, questions
from understudy.templates.bug_classification.scoring import Scorer, content_free, score_tickets, without_prior

__all__ = ["TicketStack", "fit_stack", "stacked_tickets"]

Probabilities = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class TicketStack:
    """The :class:`understudy.core.pack.Stacked` of tickets."""

    pack: Pack
    labeller: Labeller
    """With the stack, not yet served."""
    samples: Sequence[Example]
    answers: Mapping[str, Sequence[Probabilities]]
    """By arm, to each sample: ``reference``, the language model's ``scored`` labels, and ``stack``."""

    @property
    def arms(self) -> dict[str, list[Prediction]]:
        """The most probable labels: of the language model alone (``scored``) and of both (``stack``)."""
        return {
            arm: [self._prediction(example, arm, said) for example, said in zip(self.samples, answers, strict=True)]
            for arm, answers in self.answers.items()
            if arm != REFERENCE
        }

    def keep(self, registry: Path, *, served: bool, verdict: str) -> None:
        """Write the labeller with this stack."""
        card = self.labeller.card
        assert card.stack is not None
        stack = card.stack.model_copy(update={"served": served, "verdict": verdict})
        labeller = replace(self.labeller, card=card.model_copy(update={"stack": stack}))
        labeller.save(labeller_folder(registry, card.dataset))

    def draw(self, folder: Path) -> None:
        """Write ``ARM-NUMBER.json`` and ``.png`` for each group: F1 by label, confusion, calibration, risk-coverage."""
        for arm in (REFERENCE, "stack"):
            _draw(folder, arm, self.labeller.card.taxonomy, samples_of(self.samples)[1], self.answers[arm])

    def _prediction(self, example: Example, arm: str, answer: Probabilities) -> Prediction:
        ticket = Ticket.model_validate(example.input)
        first = answer.get(in_answer_order(ticket.questions)[0].group, {})
        text = most_probable(ticket, answer).model_dump_json()
        return prediction(self.pack, example, arm, text, "none", confidence=max(first.values(), default=None))


def stacked_tickets(
    pack: Pack,
    dataset: DatasetVersion,
    splits: Mapping[str, Sequence[Example]],
    samples: Sequence[Example],
    taxonomy: Taxonomy,
    model: str,
    engine: Scorer,
) -> TicketStack:
    """Fit the labeller and its stack, and answer the samples with the reference, the language model and both.

    The reference learns from ``train``; the mixture, its calibration and its thresholds come from ``validation``, which
    the language model did not learn from either. Arguments are those of :class:`understudy.core.pack.Stacks`.

    Raises:
        BadInput: no training ticket is labelled in a group of the taxonomy.
    """
    labeller = fit_labeller(taxonomy, splits["train"], dataset.id, dataset.digest)
    taxonomy = labeller.card.taxonomy

    def asked(examples: Sequence[Example]) -> tuple[list[Probabilities], list[dict[str, dict[str, float]]]]:
        ours: list[Probabilities] = [labeller.reference.predict(text) for text in samples_of(examples)[0]]
        return ours, score_tickets(engine, [Ticket.model_validate(example.input) for example in examples])

    held_out = splits["validation"]
    prior = content_free(engine, "", questions(taxonomy))
    stack = fit_stack(taxonomy, model, *asked(held_out), prior, samples_of(held_out)[1])
    ours, theirs = asked(samples)
    modes = {group.name: group.mode for group in taxonomy.effective}
    both = [
        mixed(one, without_prior(other, stack.content_free, modes), stack.weights)
        for one, other in zip(ours, theirs, strict=True)
    ]
    fitted = replace(labeller, card=labeller.card.model_copy(update={"stack": stack}))
    return TicketStack(pack, fitted, samples, {REFERENCE: ours, "scored": theirs, "stack": both})


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


def _draw(
    folder: Path, arm: str, taxonomy: Taxonomy, targets: Sequence[Target], answers: Sequence[Probabilities]
) -> None:
    for number, group in enumerate(taxonomy.effective):
        known = [
            (answer[group.name], target[group.name])
            for answer, target in zip(answers, targets, strict=True)
            if group.name in answer and group.name in target
        ]
        labels = list(dict.fromkeys(label for answer, _ in known for label in answer))
        # Of a ``multi`` group a label that only a bot set is neither yes nor no.
        known = [
            (a, said) for a, said in known if (said in labels if isinstance(said, str) else said.keys() >= set(labels))
        ]
        if len(known) < 2:
            continue
        table = np.array([[answer.get(label, 0.0) for label in labels] for answer, _ in known])
        found = quality(labels, [said for _, said in known], table, group.min_precision)  # type: ignore[arg-type]
        name = f"{arm}-{number + 1}"  # a group's name may hold what no file name may
        write_json(folder / f"{name}.json", {"group": group.name, **found.model_dump(mode="json")})
        draw(found, folder / f"{name}.png")
