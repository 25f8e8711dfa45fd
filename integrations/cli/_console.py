"""What the commands share: two consoles, settings, JSON on stdout, progress on stderr."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.core.errors import BadInput
from understudy.core.ranks import first

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from understudy.core.hardware import Hardware
    from understudy.core.records import DatasetVersion, Example
    from understudy.core.settings import Settings

__all__ = [
    "JsonOption",
    "SetOption",
    "SettingsOption",
    "check_new",
    "dataset_of",
    "hardware_of",
    "print_json",
    "progress_bar",
    "quiet_libraries",
    "read_settings",
    "stderr",
    "stdout",
    "sweep",
]

SettingsOption = Annotated[
    Path | None, typer.Option("--settings", "-s", help="Settings file [default: understudy.yaml if it is there]")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting: train.epochs=2")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON")]

_COMMAND = re.compile(r"#(?=#\w*\[)")


def stdout() -> Console:
    """Return the console for results; of several processes that train together only the first one is heard."""
    from rich.console import Console

    return Console(highlight=False, quiet=not first())


def stderr() -> Console:
    """Return the console for progress and notices; of several processes only the first one is heard."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, quiet=not first())


def print_json(value: Any) -> None:
    """Print a result as indented JSON; non-ASCII and control characters are escaped.

    So is the ``#`` of ``##[error]`` and its like, which a CI runner obeys wherever in a printed line it stands.
    """
    typer.echo(_COMMAND.sub(r"\\u0023", json.dumps(value, indent=2)))


def read_settings(path: Path | None, overrides: list[str] | None = None) -> Settings:
    """Return the settings of ``path``, or of ``understudy.yaml`` here if there is one, with overrides applied."""
    from understudy.core.settings import SETTINGS_FILE, apply_overrides, load_settings

    if path is None and Path(SETTINGS_FILE).exists():
        path = Path(SETTINGS_FILE)
    return apply_overrides(load_settings(path), overrides or [])


def dataset_of(settings: Settings, reference: str | None) -> tuple[DatasetVersion, dict[str, list[Example]]]:
    """Return the dataset version called ``reference``, or the newest of the settings' pack, verified.

    Raises:
        BadInput: there is none yet.
    """
    from understudy.core.datasets import latest_version, load_version

    root = Path(settings.registry)
    if reference is None:
        latest = latest_version(root, settings.pack)
        if latest is None:
            raise BadInput(f"there is no dataset of {settings.pack} in {root}: run `understudy data build` first")
        reference = latest.id
    return load_version(reference, root)


def check_new(path: Path, what: str = "file") -> None:
    """Refuse to write over what is there.

    Raises:
        BadInput: ``path`` exists.
    """
    if path.exists():
        raise BadInput(f"{path} exists already; name a new {what}")


def hardware_of(settings: Settings, *, gpu: bool = True) -> Hardware:
    """Return the machine as the settings want it used, without its GPU if told so; imports torch."""
    from understudy.core.hardware import resolve

    return resolve(settings.train.threads, gpu=gpu)


def quiet_libraries() -> None:
    """Silence notices of libraries that say nothing to a user; errors still come through."""
    import logging
    import os

    import datasets
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    os.environ.setdefault("TQDM_DISABLE", "1")  # TRL's bars know no other switch
    for name in ("accelerate", "bitsandbytes", "datasets", "torch", "trl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(torch|transformers|trl|accelerate|peft)\b.*")


def progress_bar() -> Progress:
    """Return a progress bar on stderr with the share done, the time spent and the time left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        TextColumn("  {task.description:<15}"),
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
        console=stderr(),
    )


@contextmanager
def sweep() -> Iterator[Callable[[str, int, int, str], None]]:
    """Yield ``tell(name, done, total, note)``, which keeps one progress bar for every name."""
    with progress_bar() as bar:
        tasks: dict[str, Any] = {}

        def tell(name: str, done: int, total: int, note: str = "") -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total, note=note)
            bar.update(tasks[name], completed=done, total=total, note=note)

        yield tell
