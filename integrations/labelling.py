"""Labelling as ``understudy label`` does it: the labeller of the newest dataset, fitted when missing, and its stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.datasets import latest_version, load_version
from understudy.core.errors import BadInput
from understudy.templates.bug_classification.answer import Answer, label_ticket
from understudy.templates.bug_classification.data import ticket_of
from understudy.templates.bug_classification.labeller import Labeller, fit_labeller, labeller_folder
from understudy.templates.bug_classification.neighbours import Neighbours
from understudy.templates.bug_classification.schema import questions
from understudy.templates.bug_classification.scoring import score_tickets, without_prior

if TYPE_CHECKING:
    from understudy.core.engines import LocalEngine
    from understudy.core.settings import Settings

__all__ = ["PACK", "Incoming", "label_all", "labeller_of", "stack_engine"]

PACK = "bug-classification"


@dataclass(frozen=True)
class Incoming:
    """A ticket to label, as it came."""

    id: str
    title: str
    body: str | None
    repository: str = ""


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
    folder = labeller_folder(root, newest.id)
    if (folder / "labeller.json").exists():
        return Labeller.load(folder)
    manifest, splits = load_version(newest.id, root)
    tell(f"fitting the reference on {len(splits['train'])} tickets of {manifest.id} (once)")
    labeller = fit_labeller(settings.taxonomy, splits["train"], manifest.id, manifest.digest)
    labeller.save(folder)
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
