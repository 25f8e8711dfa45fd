"""``understudy train``: a dataset version, or preferences, to a model version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from understudy.core.errors import BadInput
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
    from collections.abc import Callable

    from understudy.core.hardware import Hardware
    from understudy.core.records import DatasetVersion, Example, ModelVersion
    from understudy.core.settings import Settings
    from understudy.core.sft import Event, Outcome
    from understudy.core.starts import Start

__all__ = ["run_training", "train"]

Stage = Literal["sft", "dpo", "kto"]
_STAGES: dict[str, Stage] = {"sft": "sft", "dpo": "dpo", "kto": "kto"}


def train(
    stage: Annotated[
        str, typer.Option("--stage", help="sft: right answers; dpo: better and worse ones; kto: thumbs")
    ] = "sft",
    start: Annotated[
        str | None, typer.Option("--from", help="Model version to go on from, or pack@alias [default: the base]")
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Dataset version [default: the newest]")] = None,
    settings: SettingsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune the base, or a registered version, and register the best checkpoint.

    Killed on the way, the same command goes on from the last finished epoch.
    """
    from understudy.integrations.cli._console import hardware_of, quiet_libraries
    from understudy.integrations.pipeline import start_of

    if stage not in _STAGES:
        raise BadInput(f"--stage {stage!r} is not one of {', '.join(_STAGES)}")
    chosen = read_settings(settings, overrides)
    from_files = stage != "sft" and not {"corrupt", "sampled"} & {*chosen.preference.sources}
    manifest, splits = (None, {}) if from_files and dataset is None else dataset_of(chosen, dataset)
    quiet_libraries()
    begin = start_of(chosen, start)
    version, outcome = run_training(chosen, manifest, splits, hardware_of(chosen), _STAGES[stage], begin)
    if as_json:
        print_json(version.model_dump(mode="json"))
        return
    console = stdout()
    console.print(f"[bold]{version.id}[/bold]  validation loss {outcome.best_validation_loss:.4f}")
    if version.parent:
        console.print(f"  from       {version.parent} by {version.stage}")
    console.print(f"  curve      {outcome.folder.parent / 'curve.png'}")
    console.print("  next       understudy evaluate")


def run_training(
    settings: Settings,
    manifest: DatasetVersion | None,
    splits: dict[str, list[Example]],
    hardware: Hardware,
    stage: Stage = "sft",
    start: Start | None = None,
) -> tuple[ModelVersion, Outcome]:
    """Train with a progress bar, draw the loss curve, and return the registered version.

    Without ``manifest`` a preference stage learns from the files of the settings only.
    """
    from rich.markup import escape

    from understudy.core.curve import draw_curve
    from understudy.core.memory import check_memory
    from understudy.core.pack import load_pack
    from understudy.integrations.pipeline import start_of
    from understudy.integrations.pipeline import train as run
    from understudy.integrations.preferring import prefer

    start = start or start_of(settings, None)
    for reason in (*hardware.reasons, check_memory(start.base, settings.train, hardware)):
        stderr().print(f"  [dim]{reason}[/dim]")
    pack = load_pack(manifest.pack if manifest else settings.pack)
    with _progress() as (sampled, tell):
        if stage == "sft" and manifest is not None:
            version, outcome = run(settings, pack, manifest, splits, hardware, tell, start)
        else:
            assert stage != "sft", "it needs a dataset"
            version, outcome = prefer(stage, settings, pack, manifest, splits, start, hardware, tell, sampled)
    unit = "nats per token" if stage == "sft" else f"{stage}, 0 is best"
    draw_curve(outcome.events, Path(outcome.folder).parent / "curve.png", unit)
    for note in outcome.notes:
        stderr().print(f"  [dim]{escape(note)}[/dim]")
    if outcome.stopped_early:
        stderr().print("  [dim]stopped early: validation loss no longer fell[/dim]")
    return version, outcome


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int, int], None], Callable[[Event], None]]]:
    """Yield what tells the bars of sampling (done, total) and of training (an event)."""
    from understudy.integrations.cli._console import progress_bar

    with progress_bar() as bar:
        tasks: dict[str, Any] = {}
        notes = {"loss": "", "validation": "", "task": "", "accuracy": ""}

        def task(name: str) -> Any:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=None, note="")
            return tasks[name]

        def sampled(done: int, total: int) -> None:
            bar.update(task("own answers"), completed=done, total=total)

        def tell(event: Event) -> None:
            if event.loss is not None:
                notes["loss"] = f"loss {event.loss:.3f}"
            if event.validation_loss is not None:
                notes["validation"] = f"validation {event.validation_loss:.3f}"
                if event.task is not None:
                    notes["task"] = f"task {event.task:.3f}"
                if event.accuracy is not None:
                    notes["accuracy"] = f"better answer preferred {event.accuracy:.0%}"
            note = "  ".join([f"epoch {event.epoch:.1f}", *filter(None, notes.values())])
            bar.update(task("fine-tuning"), completed=event.step, total=event.steps, note=note)

        yield sampled, tell
