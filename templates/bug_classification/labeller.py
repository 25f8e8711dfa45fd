"""A labeller: the reference fitted on a dataset, how far its probabilities can be trusted, and the tickets behind it.

It is a folder of plain files below the registry, ``labellers/<dataset id>/``::

    reference.npz     the linear model
    labeller.json     calibration and thresholds by group, and the stack with a language model where there is one
    tickets.jsonl     the labelled tickets, to show the nearest ones

Answering with the reference imports neither torch nor scikit-learn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from understudy.core.calibration import Calibration, fit_calibration
from understudy.core.errors import BadInput
from understudy.core.files import write_json, write_text
from understudy.core.records import Example
from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification.linear import LinearModel, Target, Text, fit_linear
from understudy.templates.bug_classification.schema import Question, Ticket, questions, taxonomy_of
from understudy.templates.bug_classification.thresholds import Threshold, fit_thresholds

__all__ = [
    "Card",
    "Fitted",
    "Labeller",
    "Stack",
    "asked_in",
    "calibrated",
    "fit_group",
    "fit_labeller",
    "labeller_folder",
    "out_of_fold",
    "samples_of",
    "text_of",
]

_FOLDS = 5
_SEED = 42


class Fitted(BaseModel):
    """What makes one group's probabilities trustworthy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calibrations: dict[str, Calibration]
    """Of a ``single`` group one under ``""``, of a ``multi`` group one per label."""
    thresholds: dict[str, Threshold]


class Stack(BaseModel):
    """The reference and a language model together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    """Model version it was fitted with."""
    weights: dict[str, float]
    """By group, the language model's share of the mixture; the reference has the rest."""
    content_free: dict[str, dict[str, float]]
    """By group, what the language model answers to a ticket without content, where taking that out was better."""
    fitted: dict[str, Fitted]
    served: bool = False
    """Whether its gate passed, so that it answers instead of the reference."""
    verdict: str = ""
    """The gate's reason."""


class Card(BaseModel):
    """``labeller.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    dataset: str
    dataset_digest: str
    tickets: int
    taxonomy: Taxonomy
    """What it was fitted for; used where the settings list no groups."""
    fitted: dict[str, Fitted]
    stack: Stack | None = None


@dataclass(frozen=True)
class Labeller:
    """The parts, loaded."""

    card: Card
    reference: LinearModel
    tickets: tuple[dict[str, Any], ...] = ()

    def save(self, folder: Path) -> None:
        """Write the three files, each atomically; ``labeller.json`` comes last, so that what it stands for is there."""
        self.reference.save(folder / "reference.npz")
        write_text(folder / "tickets.jsonl", "".join(json.dumps(ticket) + "\n" for ticket in self.tickets))
        write_json(folder / "labeller.json", self.card.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Labeller:
        """Read a labeller.

        Raises:
            BadInput: a file is missing or damaged.
        """
        path = folder / "labeller.json"
        try:
            card = Card.model_validate_json(path.read_bytes())
            lines = (folder / "tickets.jsonl").read_bytes().decode("utf-8").split("\n")
            tickets = tuple(json.loads(line) for line in lines if line)
        except OSError as error:
            raise BadInput(
                f"{error.filename} cannot be read ({error.strerror}); run `understudy train` again"
            ) from None
        except ValidationError as error:
            raise BadInput(f"{path} is damaged ({error.errors()[0]['msg']}); delete {folder} and fit again") from None
        except ValueError as error:
            raise BadInput(f"{folder / 'tickets.jsonl'} is damaged ({error}); delete {folder} and fit again") from None
        return cls(card, LinearModel.load(folder / "reference.npz"), tickets)


def labeller_folder(registry: Path, dataset: str) -> Path:
    """Return where the labeller of a dataset version is kept."""
    return registry / "labellers" / dataset


def text_of(ticket: Ticket) -> Text:
    """Return what the reference reads: the whole body, not what fits a prompt."""
    return ticket.repository, ticket.title, ticket.body


def samples_of(examples: Sequence[Example]) -> tuple[list[Text], list[Target]]:
    """Return the texts of examples and what people said of them."""
    texts = [text_of(Ticket.model_validate(example.input)) for example in examples]
    return texts, [example.output["labels"] for example in examples]


def asked_in(examples: Sequence[Example]) -> list[Question]:
    """Return the questions that are put to any of these tickets, one for each group."""
    found: dict[str, Question] = {}
    for example in examples:
        for question in Ticket.model_validate(example.input).questions:
            found.setdefault(question.group, question)
    return list(found.values())


def fit_labeller(taxonomy: Taxonomy, examples: Sequence[Example], dataset: str, digest: str) -> Labeller:
    """Fit the reference on examples, and calibration and thresholds on its out-of-fold answers to them.

    A taxonomy without groups is filled with those of the examples.

    Raises:
        BadInput: no example is labelled in a group of the taxonomy.
    """
    taxonomy = taxonomy_of(taxonomy, asked_in(examples))
    asked = questions(taxonomy)
    texts, targets = samples_of(examples)
    if not any(question.group in target for question in asked for target in targets):
        raise BadInput(f"no ticket of {dataset} is labelled in {', '.join(q.group for q in asked)}; check the taxonomy")
    model = fit_linear(texts, targets, asked)
    answers = out_of_fold(texts, targets, asked, [example.group for example in examples])
    fitted = {
        group.name: fit_group(taxonomy, group.name, [answer.get(group.name) for answer in answers], targets)
        for group in taxonomy.effective
        if group.name in model.heads
    }
    tickets = tuple(
        {"id": example.id, "title": text[1], "text": text[2][:1000], "labels": target}
        for example, text, target in zip(examples, texts, targets, strict=True)
    )
    card = Card(dataset=dataset, dataset_digest=digest, tickets=len(texts), taxonomy=taxonomy, fitted=fitted)
    return Labeller(card, model, tickets)


def out_of_fold(
    texts: Sequence[Text], targets: Sequence[Target], asked: Sequence[Question], groups: Sequence[str]
) -> list[dict[str, dict[str, float]]]:
    """Return for each ticket the answer of a model that was fitted on other tickets (5 folds, seed 42).

    Folds are stratified by the first group's label; equal tickets are in one fold.
    """
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    strata = [str(target.get(asked[0].group, "")) for target in targets]
    folds = min(_FOLDS, len(set(groups)))
    found: list[dict[str, dict[str, float]]] = [{} for _ in texts]
    if folds < 2:
        return found
    with warnings.catch_warnings():  # a label with fewer tickets than folds is not in every fold, and need not be
        warnings.filterwarnings("ignore", message="The least populated class")
        splits = list(StratifiedGroupKFold(folds, shuffle=True, random_state=_SEED).split(texts, strata, groups))
    for inside, outside in splits:
        model = fit_linear([texts[at] for at in inside], [targets[at] for at in inside], asked)
        for at in outside:
            found[at] = model.predict(texts[at])
    return found


def fit_group(
    taxonomy: Taxonomy, name: str, answers: Sequence[Mapping[str, float] | None], targets: Sequence[Target]
) -> Fitted:
    """Fit calibration, then thresholds on the calibrated probabilities.

    Args:
        taxonomy: has the group, with the precision and support wanted.
        name: the group.
        answers: probabilities by label, of tickets not learnt from; None where there is no answer.
        targets: what people said, in the same order.
    """
    group = taxonomy.group(name)
    assert group is not None
    pairs = [
        (answer, target[name]) for answer, target in zip(answers, targets, strict=True) if answer and name in target
    ]
    truths = [truth for _, truth in pairs]
    calibrations = {}
    if group.mode == "single":
        labels = list(dict.fromkeys(label for answer, _ in pairs for label in answer))
        usable = [(answer, labels.index(str(truth))) for answer, truth in pairs if truth in answer]
        raw = np.array([[answer.get(label, 0.0) for label in labels] for answer, _ in usable]).reshape(-1, len(labels))
        complete = all(set(answer) == set(labels) for answer, _ in usable)
        calibrations[""] = fit_calibration(raw, [truth for _, truth in usable]) if complete else Calibration()
    else:
        for label in group.names:
            usable = [
                (answer, int(bool(truth[label])))
                for answer, truth in pairs
                if label in answer and not isinstance(truth, str) and label in truth
            ]
            raw = np.array([[1 - answer[label], answer[label]] for answer, _ in usable]).reshape(-1, 2)
            calibrations[label] = fit_calibration(raw, [truth for _, truth in usable])
    fitted = Fitted(calibrations=calibrations, thresholds={})
    trusted = [calibrated(fitted, answer) for answer, _ in pairs]
    return fitted.model_copy(update={"thresholds": fit_thresholds(group, trusted, truths)})


def calibrated(fitted: Fitted, answer: Mapping[str, float]) -> dict[str, float]:
    """Return one answer's probabilities, calibrated."""
    if "" in fitted.calibrations:
        row = fitted.calibrations[""].apply(np.array([list(answer.values())], dtype=np.float64))[0]
        return dict(zip(answer, row.tolist(), strict=True))
    return {
        label: float(fitted.calibrations[label].apply(np.array([[1 - p, p]], dtype=np.float64))[0, 1])
        if label in fitted.calibrations
        else p
        for label, p in answer.items()
    }
