"""Labelling as the commands do it: the labeller of the newest dataset, fitted when missing, its stack, who answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.core.datasets import latest_version, load_version
from understudy.core.errors import BadInput
from understudy.core.files import write_json
from understudy.core.pack import load_pack
from understudy.evals.arms import prediction
from understudy.evals.compare import compare
from understudy.evals.gate import GateSettings, apply_gate
from understudy.templates.bug_classification.answer import Answer, label_ticket, mixed
from understudy.templates.bug_classification.data import ticket_of
from understudy.templates.bug_classification.labeller import Labeller, fit_labeller, samples_of
from understudy.templates.bug_classification.neighbours import Neighbours
from understudy.templates.bug_classification.pack import most_probable
from understudy.templates.bug_classification.quality import draw, quality
from understudy.templates.bug_classification.schema import Ticket, in_answer_order, questions
from understudy.templates.bug_classification.scoring import Scorer, content_free, score_tickets, without_prior
from understudy.templates.bug_classification.stack import fit_stack

if TYPE_CHECKING:
    from understudy.core.engines import LocalEngine
    from understudy.core.records import DatasetVersion, Example, Prediction
    from understudy.core.settings import Settings
    from understudy.core.taxonomy import Taxonomy
    from understudy.evals.results import Identity, Report

__all__ = ["PACK", "Incoming", "fit", "judge_stack", "label_all", "labeller_folder", "labeller_of", "stack_engine"]

PACK = "bug-classification"


@dataclass(frozen=True)
class Incoming:
    """A ticket to label, as it came."""

    id: str
    title: str
    body: str | None
    repository: str = ""


def labeller_folder(settings: Settings, dataset: str) -> Path:
    """Return where the labeller of a dataset version is kept."""
    return Path(settings.registry) / "labellers" / dataset


def labeller_of(settings: Settings, tell: Callable[[str], None]) -> Labeller:
    """Return the labeller of the newest dataset; the first time it is fitted, which takes seconds.

    Raises:
        BadInput: there is no dataset yet, or the labeller's files are damaged.
    """
    root = Path(settings.registry)
    newest = latest_version(root, PACK)
    if newest is None:
        raise BadInput(
            f"there are no labelled tickets of {PACK} in {root} to learn from: run `understudy demo {PACK}`, "
            "or `understudy data build` with your own"
        )
    folder = labeller_folder(settings, newest.id)
    if (folder / "labeller.json").exists():
        return Labeller.load(folder)
    manifest, splits = load_version(newest.id, root)
    tell(f"fitting the reference on {len(splits['train'])} tickets of {manifest.id} (once)")
    return fit(settings, manifest, splits["train"])


def fit(settings: Settings, manifest: DatasetVersion, training: Sequence[Example]) -> Labeller:
    """Fit the labeller on a dataset's training split and keep it."""
    labeller = fit_labeller(settings.taxonomy, training, manifest.id, manifest.digest)
    labeller.save(labeller_folder(settings, manifest.id))
    return labeller


def label_all(
    settings: Settings,
    labeller: Labeller,
    tickets: Sequence[Incoming],
    *,
    engine: LocalEngine | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Answer]:
    """Label tickets: with the reference, which reads them whole, or with the stack when ``engine`` is its model."""
    taxonomy = settings.taxonomy if settings.taxonomy.groups else labeller.card.taxonomy
    asked = questions(taxonomy)
    neighbours = Neighbours(labeller.tickets)
    read = []
    for one in tickets:
        budget = settings.data.prompt_budget if engine else len(one.title) + len(one.body or "") + 1
        read.append(
            ticket_of(one.repository, one.title, one.body, asked, budget, engine.count_tokens if engine else len)
        )
    stack = labeller.card.stack
    scored: list[dict[str, dict[str, float]] | None] = [None] * len(read)
    if engine is not None and stack is not None:
        modes = {group.name: group.mode for group in taxonomy.effective}
        found = score_tickets(engine, read, progress)
        scored = [without_prior(row, stack.content_free, modes) for row in found]
    return [
        label_ticket(one.id, ticket, taxonomy, labeller, model=row, neighbours=neighbours)
        for one, ticket, row in zip(tickets, read, scored, strict=True)
    ]


def stack_engine(settings: Settings, labeller: Labeller, model: str | None = None) -> LocalEngine:
    """Load the language model of the stack; imports torch.

    Args:
        settings: where the registry is.
        labeller: has the stack.
        model: id or alias of the version it must be; None or "stack" for whichever it is.

    Raises:
        BadInput: no stack was fitted, it is of another version, or its model is no longer registered.
    """
    from understudy.core.hardware import resolve
    from understudy.core.models import version_engine
    from understudy.core.registry import Registry

    registry = Registry(Path(settings.registry))
    wanted = None if model is None or model == "stack" else registry.get(model)
    stack = labeller.card.stack
    if stack is None:
        raise BadInput("no stack was fitted for this dataset: run `understudy train` and `understudy evaluate` first")
    if wanted is not None and wanted.id != stack.model:
        raise BadInput(
            f"the stack of {labeller.card.dataset} was fitted with {stack.model}; "
            f"`understudy evaluate --model {wanted.id}` fits one with {wanted.id}"
        )
    hardware = resolve(settings.train.threads)
    return version_engine(registry, registry.get(stack.model), hardware, batch_size=settings.evaluate.batch_size)


def judge_stack(
    settings: Settings,
    manifest: DatasetVersion,
    splits: Mapping[str, Sequence[Example]],
    identity: Identity,
    engine: Scorer,
    folder: Path,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Fit the labeller and its stack, compare both on the test split, and keep whether the stack may answer.

    The reference learns from ``train``; the mixture, its calibration and its thresholds come from ``validation``, which
    the language model did not learn from either. Reports go to ``folder``: the comparison, and by group and arm how far
    the probabilities can be trusted.

    Raises:
        BadInput: a split is empty.
    """
    labeller = fit(settings, manifest, splits["train"])
    asked = questions(settings.taxonomy)
    reference, scored = {}, {}
    for name in ("validation", "test"):
        texts, _ = samples_of(splits[name])
        reference[name] = [labeller.reference.predict(text) for text in texts]
        scored[name] = score_tickets(
            engine, [Ticket.model_validate(example.input) for example in splits[name]], progress
        )
    prior = content_free(engine, "", asked)
    _, targets = samples_of(splits["validation"])
    stack = fit_stack(settings.taxonomy, identity.model, reference["validation"], scored["validation"], prior, targets)
    modes = {group.name: group.mode for group in settings.taxonomy.effective}
    both = [
        mixed(ours, without_prior(theirs, stack.content_free, modes), stack.weights)
        for ours, theirs in zip(reference["test"], scored["test"], strict=True)
    ]
    predictions = {
        "stack": _predictions(splits["test"], both, "stack"),
        "scored": _predictions(splits["test"], scored["test"], "scored"),
        "reference": _predictions(splits["test"], reference["test"], "reference"),
    }
    for arm, answers in (("reference", reference["test"]), ("stack", both)):
        write_quality(folder, settings.taxonomy, splits["test"], answers, arm)
    gate = settings.gate
    report = compare(
        load_pack(PACK),
        list(splits["test"]),
        predictions,
        identity=identity,
        candidate="stack",
        baseline="reference",
        alpha=gate.alpha,
        seed=settings.evaluate.seed,
    )
    report = apply_gate(report, GateSettings(**gate.model_dump() | {"baseline": "reference"}))
    assert report.gate is not None
    kept = stack.model_copy(update={"served": report.gate.verdict == "pass", "verdict": "; ".join(report.gate.reasons)})
    Labeller(labeller.card.model_copy(update={"stack": kept}), labeller.reference, labeller.tickets).save(
        labeller_folder(settings, manifest.id)
    )
    return report


def write_quality(
    folder: Path,
    taxonomy: Taxonomy,
    examples: Sequence[Example],
    answers: Sequence[Mapping[str, Mapping[str, float]]],
    arm: str,
) -> None:
    """Write ``ARM-GROUP.json`` and ``.png``: F1 by label, confusion, calibration and the risk-coverage curve."""
    targets = samples_of(examples)[1]
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


def _predictions(
    examples: Sequence[Example], answers: Sequence[Mapping[str, Mapping[str, float]]], arm: str
) -> list[Prediction]:
    pack = load_pack(PACK)
    made = []
    for example, answer in zip(examples, answers, strict=True):
        ticket = Ticket.model_validate(example.input)
        text = most_probable(ticket, answer).model_dump_json()
        first = answer.get(in_answer_order(ticket.questions)[0].group, {})
        made.append(prediction(pack, example, arm, text, "none", confidence=max(first.values(), default=None)))
    return made
