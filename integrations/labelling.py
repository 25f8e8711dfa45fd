"""Labelling as the commands do it: the labeller of the newest dataset, fitted when it is missing, and who answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.datasets import latest_version, load_version
from understudy.core.errors import BadInput
from understudy.templates.bug_classification.answer import Answer, label_ticket
from understudy.templates.bug_classification.data import ticket_of
from understudy.templates.bug_classification.labeller import Labeller, fit_labeller
from understudy.templates.bug_classification.neighbours import Neighbours
from understudy.templates.bug_classification.schema import questions

if TYPE_CHECKING:
    from understudy.core.records import DatasetVersion, Example
    from understudy.core.settings import Settings

__all__ = ["PACK", "Incoming", "fit", "label_all", "labeller_folder", "labeller_of"]

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
    settings: Settings, labeller: Labeller, tickets: Sequence[Incoming], *, evidence: bool = True
) -> list[Answer]:
    """Label tickets with the reference alone; every one is read whole."""
    asked = questions(settings.taxonomy)
    neighbours = Neighbours(labeller.tickets) if evidence else None
    answers = []
    for one in tickets:
        whole = len(one.title) + len(one.body or "") + 1
        ticket = ticket_of(one.repository, one.title, one.body, asked, whole, len)
        answers.append(label_ticket(one.id, ticket, settings.taxonomy, labeller, neighbours=neighbours))
    return answers
