"""What a run of training is made of: the same work has the same folder, so a killed run is found again.

The folder is named by a hash over everything that decides the result, and says in ``run.json`` what went into it. So
a run that somebody wants to go on with, and that is not the one that would be done now, is refused by what differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from understudy.core._section import Section
from understudy.core.bases import template_digest
from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes, write_json
from understudy.core.ranks import count
from understudy.core.settings import TrainSettings
from understudy.core.starts import Start, start_tokenizer

__all__ = ["LAST", "Work", "stage_settings", "work_of"]

LAST = "last"
"""What ``--resume`` takes for the run that was worked on last."""

_FILE = "run.json"
_ASIDE = {"threads", "report_to"}
"""Settings that change nothing of a run's result."""


@dataclass(frozen=True)
class Work:
    """Everything that decides what a run ends in."""

    stage: str
    start: str
    """Digest of the weights it starts from."""
    template: str
    """Digest of the chat template."""
    data: str
    """Digest of the dataset version, or of the preferences."""
    settings: Mapping[str, Any]
    processes: int
    """That train together: rows of a step are theirs, all taken together."""

    @property
    def key(self) -> str:
        """Name of the run's folder."""
        return sha256_bytes(canonical_json(asdict(self)).encode())[:16]

    def must_be(self, runs: Path, name: str | None) -> None:
        """Refuse to be another run than the one among ``runs`` that somebody wants to go on with, None for any.

        ``name`` is its folder's, the beginning of that, or :data:`LAST`.

        Raises:
            BadInput: there is no such run, or it was begun as other work; the message says what differs.
        """
        if name is None:
            return
        begun = _find(runs, name)
        before, now = _read(begun), asdict(self)
        if before.get("stage") != self.stage:  # each has settings of its own, and all of them would differ
            before, now = ({"stage": work.get("stage")} for work in (before, now))
        differences = list(_differences(before, now))
        if differences:
            raise BadInput(
                f"run {begun.name} was begun as other work: {'; '.join(differences)}. Set back what changed to go on "
                "with it, or leave out --resume to begin a run of its own"
            )

    def begin(self, runs: Path) -> Path:
        """Return the folder to work in, which says from now on what work it is of."""
        folder = runs / self.key
        write_json(folder / _FILE, asdict(self))
        return folder


def stage_settings(train: TrainSettings, section: Section) -> TrainSettings:
    """Return the settings of training with those replaced that a stage has in a section of its own."""
    own = type(section).model_fields.keys() & TrainSettings.model_fields.keys()
    return train.model_copy(update={name: getattr(section, name) for name in own})


def work_of(
    stage: str,
    train: TrainSettings,
    start: Start,
    data: str,
    template: str = "",
    processes: int | None = None,
    **sections: Section,
) -> Work:
    """Return the work of a stage.

    Args:
        stage: its name.
        train: the settings of training.
        start: the weights.
        data: digest of what it learns from.
        template: digest of the chat template; empty to take that of ``start``.
        processes: how many train together; None for as many as there are.
        **sections: further settings it reads, by their name.
    """
    replaced = {name for section in sections.values() for name in type(section).model_fields}
    told = {"train": train.model_dump(mode="json", exclude=_ASIDE | replaced)}
    told |= {name: section.model_dump(mode="json") for name, section in sections.items()}
    template = template or template_digest(start_tokenizer(start))
    return Work(stage, start.revision, template, data, told, processes or count())


def _find(runs: Path, name: str) -> Path:
    begun = sorted(runs.glob(f"*/{_FILE}"), key=lambda path: path.stat().st_mtime)
    if name == LAST and begun:
        return begun[-1].parent
    found = [path.parent for path in begun if path.parent.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(path.parent.name for path in reversed(begun)) or "none"
    raise BadInput(f"{len(found) or 'no'} runs in {runs} match {name!r}; begun there, the last one first: {known}")


def _read(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / _FILE).read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder / _FILE} cannot be read: {error}") from error


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Yield what differs, a phrase each; settings are named as in ``understudy.yaml``."""
    for name in [*before, *(name for name in now if name not in before)]:
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, "" if name == "settings" else f"{place}{name}.")
        elif old != new:
            yield f"{place}{name} was {_short(old)} and is {_short(new)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:19]}..."
