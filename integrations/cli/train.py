"""``understudy train``: a dataset version to a model version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.integrations.cli._console import (
    JsonOption,
    SetOption,
    SettingsOption,
    dataset_of,
    print_json,
    read_settings,
    stderr,
    stdout,
)

if TYPE_CHECKING:
    from understudy.core.hardware import Hardware
    from understudy.core.records import DatasetVersion, Example, ModelVersion
    from understudy.core.settings import Settings
    from understudy.core.sft import Outcome

__all__ = ["run_training", "train"]


def train(
    dataset: Annotated[str | None, typer.Option("--dataset", help="Dataset version [default: the newest]")] = None,
    settings: SettingsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune the base on a dataset version and register the best checkpoint.

    Killed on the way, the same command goes on from the last finished epoch.
    """
    from understudy.integrations.cli._console import hardware_of, quiet_libraries

    chosen = read_settings(settings, overrides)
    manifest, splits = dataset_of(chosen, dataset)
    quiet_libraries()
    hardware = hardware_of(chosen)
    version, outcome = run_training(chosen, manifest, splits, hardware)
    if as_json:
        print_json(version.model_dump(mode="json"))
        return
    console = stdout()
    console.print(f"[bold]{version.id}[/bold]  validation loss {outcome.best_validation_loss:.4f}")
    console.print(f"  curve      {outcome.folder.parent / 'curve.png'}")
    console.print("  next       understudy evaluate")


def run_training(
    settings: Settings, manifest: DatasetVersion, splits: dict[str, list[Example]], hardware: Hardware
) -> tuple[ModelVersion, Outcome]:
    """Train with a progress bar, draw the loss curve, and return the registered version."""
    from understudy.core.curve import draw_curve
    from understudy.core.pack import load_pack
    from understudy.core.sft import Event
    from understudy.integrations.cli._console import progress_bar
    from understudy.integrations.pipeline import train as run

    for reason in hardware.reasons:
        stderr().print(f"  [dim]{reason}[/dim]")
    with progress_bar() as bar:
        task = bar.add_task("fine-tuning", total=None, note="")
        notes = {"loss": "", "validation": ""}

        def tell(event: Event) -> None:
            if event.loss is not None:
                notes["loss"] = f"loss {event.loss:.3f}"
            if event.validation_loss is not None:
                notes["validation"] = f"validation {event.validation_loss:.3f}"
            note = f"epoch {event.epoch:.1f}  {notes['loss']}  {notes['validation']}"
            bar.update(task, completed=event.step, total=event.steps, note=note)

        version, outcome = run(settings, load_pack(manifest.pack), manifest, splits, hardware, tell)
    draw_curve(outcome.events, Path(outcome.folder).parent / "curve.png")
    if outcome.stopped_early:
        stderr().print("  [dim]stopped early: validation loss no longer fell[/dim]")
    return version, outcome
