"""What a run of training is made of: the same work has the same folder, so a killed run is found again.

The folder is named by a hash over everything that decides the result, and says in ``run.json`` what went into it. So
a run that somebody wants to go on with, and that is not the one that would be done now, is refused by what differs.
Once its model is registered, ``version.json`` says as what.
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

__all__ = [
    "LAST",
    "Work",
    "check_begun",
    "find_run",
    "run_of",
    "settings_of",
    "stage_settings",
    "version_of",
    "work_of",
    "write_version",
]

LAST = "last"
"""What ``--resume`` takes for the run that was worked on last."""

_FILE, _VERSION = "run.json", "version.json"
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
        if name is not None:
            check_begun(find_run(runs, name), asdict(self))

    def begin(self, runs: Path) -> Path:
        """Return the folder to work in, which says from now on what work it is of."""
        folder = runs / self.key
        write_json(folder / _FILE, asdict(self))
        return folder


def stage_settings(train: TrainSettings, section: Section) -> TrainSettings:
    """Return the settings of training with those replaced that a stage has in a section of its own."""
    own = type(section).model_fields.keys() & TrainSettings.model_fields.keys()
    return train.model_copy(update={name: getattr(section, name) for name in own})


def work_of(stage: str, train: TrainSettings, start: Start, data: str, **sections: Section) -> Work:
    """Return the work of a stage.

    Args:
        stage: its name.
        train: the settings of training.
        start: the weights.
        data: digest of what it learns from.
        **sections: further settings it reads, by their name.
    """
    template = template_digest(start_tokenizer(start))
    return Work(stage, start.revision, template, data, settings_of(train, **sections), count())


def settings_of(train: TrainSettings, **sections: Section) -> dict[str, Any]:
    """Return what decides a result among the settings of training and those of a stage's own ``sections``."""
    replaced = {name for section in sections.values() for name in type(section).model_fields}
    told = {"train": train.model_dump(mode="json", exclude=_ASIDE | replaced)}
    return told | {name: section.model_dump(mode="json") for name, section in sections.items()}


def check_begun(run: Path, known: Mapping[str, Any]) -> None:
    """Refuse ``run`` if it was begun as other work than what is ``known`` by now, some fields of :class:`Work` or all.

    Raises:
        BadInput: the message says what differs.
    """
    before = {name: value for name, value in _read(run, _FILE).items() if name in known}
    if before.get("stage") != known["stage"]:  # each has settings of its own, and all of them would differ
        before, known = ({"stage": work.get("stage")} for work in (before, known))
    differences = list(_differences(before, known))
    if differences:
        raise BadInput(
            f"run {run.name} was begun as other work: {'; '.join(differences)}. Set back what changed to go on "
            "with it, or leave out --resume to begin a run of its own"
        )


def write_version(run: Path, version: str) -> None:
    """Write down that the model of ``run`` is registered as ``version``: it has come to its end."""
    write_json(run / _VERSION, {"id": version})


def version_of(run: Path) -> str | None:
    """Return the id of the version that ``run`` has made, None while it has not come to its end."""
    return str(_read(run, _VERSION)["id"]) if (run / _VERSION).exists() else None


def run_of(runs: Path, version: str) -> Path | None:
    """Return the run among ``runs`` that made ``version``, None if it was made elsewhere."""
    return next((path.parent for path in runs.glob(f"*/{_VERSION}") if version_of(path.parent) == version), None)


def find_run(runs: Path, name: str) -> Path:
    """Return the folder of a run by its name, the beginning of that, or :data:`LAST`.

    Raises:
        BadInput: there is none, or more than one.
    """
    begun = sorted(runs.glob(f"*/{_FILE}"), key=lambda path: path.stat().st_mtime)
    if name == LAST and begun:
        return begun[-1].parent
    found = [path.parent for path in begun if path.parent.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(path.parent.name for path in reversed(begun)) or "none"
    raise BadInput(f"{len(found) or 'no'} runs in {runs} match {name!r}; begun there, the last one first: {known}")


def _read(run: Path, file: str) -> dict[str, Any]:
    try:
        return dict(json.loads((run / file).read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"{run / file} cannot be read: {error}") from error


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
