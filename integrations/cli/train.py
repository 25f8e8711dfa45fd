"""``understudy train``: a dataset version, or preferences, to a model version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from understudy.core.records import DatasetVersion, Example, ModelVersion, Stage
    from understudy.core.settings import Settings
    from understudy.core.sft import Event, Outcome
    from understudy.core.starts import Start

__all__ = ["run_training", "train"]

_WORTH_TELLING = 20
"""Seconds left from which on an estimate is of use."""
_UNITS = {
    "sft": "loss (nats per token)",
    "dpo": "loss (dpo, 0 is best)",
    "kto": "loss (kto, 0 is best)",
    "grpo": "share of the reward missed",
}
_STAGES: dict[str, Stage] = {"sft": "sft", "dpo": "dpo", "kto": "kto", "grpo": "grpo"}


def train(
    stage: Annotated[
        str,
        typer.Option("--stage", help="sft: right answers; dpo: better and worse ones; kto: thumbs; grpo: rewards"),
    ] = "sft",
    start: Annotated[
        str | None, typer.Option("--from", help="Model version to go on from, or pack@alias [default: the base]")
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Dataset version [default: the newest]")] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="RUN", help="Go on with this run, or with the 'last' one; refuse to begin another"
        ),
    ] = None,
    launch: Annotated[
        str | None,
        typer.Option(
            "--launch", metavar="NAME|FILE", help="Train in several processes: cpu, ddp, fsdp2, zero2, zero3, or a file"
        ),
    ] = None,
    launched: Annotated[
        str | None,
        typer.Option("--launched", metavar="NAME|FILE", help="Be one of several processes that another program starts"),
    ] = None,
    settings: SettingsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune the base, or a registered version, and register the best checkpoint.

    Killed on the way, the same command goes on from the last finished epoch; --resume makes sure that it is the same.
    """
    from understudy.core.ranks import first
    from understudy.integrations.cli import _launch
    from understudy.integrations.cli._console import quiet_libraries
    from understudy.integrations.pipeline import named, resumed, start_of

    if stage not in _STAGES:
        raise BadInput(f"--stage {stage!r} is not one of {', '.join(_STAGES)}")
    chosen = read_settings(settings, overrides)
    if launch is not None:
        _launch.check(launch, stage)
    begin = named(chosen, start) if start is not None else None
    made = {"corrupt", "sampled"} & {*chosen.preference.sources}
    from_files = stage in ("dpo", "kto") and not made
    manifest, splits = (None, {}) if from_files and dataset is None else dataset_of(chosen, dataset)
    if resume is not None and launched is None:
        done = resumed(chosen, _STAGES[stage], begin, manifest, resume)
        if done is not None:
            stderr().print("  [dim]this run had come to its end before: nothing was trained[/dim]")
            _tell(*done, as_json)
            return
    if launch is not None:
        again = _again(stage, start, dataset, resume, settings, overrides, as_json)
        _launch.launch(launch, stage, chosen, again)
        return
    quiet_libraries()
    with _launch.launched(launched, stage, chosen) as hardware:
        found = start_of(chosen, begin)
        version, outcome = run_training(chosen, manifest, splits, hardware, _STAGES[stage], found, resume)
    if first():
        _tell(version, outcome, as_json)


def _tell(version: ModelVersion, outcome: Outcome, as_json: bool) -> None:
    """Print what a run has made."""
    if as_json:
        print_json(version.model_dump(mode="json"))
        return
    console = stdout()
    console.print(f"[bold]{version.id}[/bold]  validation loss {outcome.best_validation_loss:.4f}")
    rewarded = _rewarded(outcome)
    if rewarded:
        console.print(f"  rewarded   {rewarded}")
    if version.parent:
        console.print(f"  from       {version.parent} by {version.stage}")
    console.print(f"  curve      {outcome.folder.parent / 'curve.png'}")
    console.print("  next       understudy evaluate")


def _again(
    stage: str,
    start: str | None,
    dataset: str | None,
    resume: str | None,
    settings: Path | None,
    overrides: list[str] | None,
    as_json: bool,
) -> list[str]:
    """Return the options of :func:`train` as they were given."""
    values = {"--stage": stage, "--from": start, "--dataset": dataset, "--resume": resume, "--settings": settings}
    given = [text for name, value in values.items() if value is not None for text in (name, str(value))]
    given += [text for override in overrides or [] for text in ("--set", override)]
    return [*given, "--json"] if as_json else given


def run_training(
    settings: Settings,
    manifest: DatasetVersion | None,
    splits: dict[str, list[Example]],
    hardware: Hardware,
    stage: Stage = "sft",
    start: Start | None = None,
    resume: str | None = None,
) -> tuple[ModelVersion, Outcome]:
    """Train with a progress bar, draw the loss curve, and return the registered version.

    Without ``manifest`` a preference stage learns from the files of the settings only. ``resume`` names the run that
    this must be.
    """
    from rich.markup import escape

    from understudy.core.curve import draw_curve
    from understudy.core.memory import check_memory
    from understudy.core.pack import load_pack
    from understudy.core.ranks import first
    from understudy.core.reporters import check_reporter
    from understudy.integrations.pipeline import start_of
    from understudy.integrations.pipeline import train as run
    from understudy.integrations.preferring import prefer
    from understudy.integrations.rewarding import reward

    start = start or start_of(settings, None)
    check_reporter(settings.train)
    hardware = check_memory(start.base, settings.train, hardware)
    raw = (_raw(settings, stage),) if stage != "sft" and start.version is None else ()
    for reason in (*hardware.reasons, *raw):
        stderr().print(f"  [dim]{escape(reason)}[/dim]")
    pack = load_pack(manifest.pack if manifest else settings.pack)
    with _progress() as (sampled, tell):
        if stage in ("dpo", "kto"):
            version, outcome = prefer(stage, settings, pack, manifest, splits, start, hardware, tell, sampled, resume)
        else:
            assert manifest is not None, "it needs a dataset"
            tune = run if stage == "sft" else reward
            version, outcome = tune(settings, pack, manifest, splits, hardware, tell, start, resume)
    if first():
        draw_curve(outcome.events, Path(outcome.folder).parent / "curve.png", _UNITS[stage])
    for note in outcome.notes:
        stderr().print(f"  [dim]{escape(note)}[/dim]")
    if outcome.stopped_early:
        stderr().print("  [dim]stopped early: validation loss no longer fell[/dim]")
    return version, outcome


def _raw(settings: Settings, stage: Stage) -> str:
    """Return in a sentence that a stage that wants a tuned model begins without one, and which one there is."""
    from understudy.core.registry import Registry

    tuned = [one.id for one in Registry(Path(settings.registry)).list(settings.pack) if one.stage == "sft"]
    way = f"--from {tuned[-1]} is the newest that was" if tuned else "--stage sft makes a version that is, for --from"
    return f"start: the base {settings.base.name}, which is not tuned on right answers; {way}"


def _rewarded(outcome: Outcome) -> str:
    """Return what the answers of the checkpoint that grpo kept earned; empty for the other stages."""
    kept = next(event for event in outcome.events if event.validation_loss == outcome.best_validation_loss)
    if kept.reward is None:
        return ""
    moved = [event.divergence for event in outcome.events if event.divergence is not None and event.step <= kept.step]
    said = f"{kept.reward:.3f}: valid {kept.valid:.0%}, passed checks {kept.passed:.0%}, task {kept.task:.3f}"
    return f"{said}, KL {moved[-1]:.4f}" if moved else said


def _about(seconds: float) -> str:
    """Return a duration as one says it."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} s"


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int, int], None], Callable[[Event], None]]]:
    """Yield what tells the bars of sampling (done, total) and of training (an event)."""
    from understudy.integrations.cli._console import progress_bar

    with progress_bar() as bar:
        tasks: dict[str, Any] = {}
        left: list[float] = []
        notes = {"loss": "", "valid": "", "validation": "", "task": "", "accuracy": ""}

        def task(name: str) -> Any:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=None, note="")
            return tasks[name]

        def sampled(done: int, total: int) -> None:
            bar.update(task("own answers"), completed=done, total=total)

        def tell(event: Event) -> None:
            if event.loss is not None and event.reward is not None:
                notes["loss"], notes["valid"] = f"reward {event.reward:.3f}", f"valid {event.valid:.0%}"
            elif event.loss is not None:
                notes["loss"] = f"loss {event.loss:.3f}"
            if event.validation_loss is not None:
                notes["validation"] = f"validation {event.validation_loss:.3f}"
                if event.task is not None:
                    notes["task"] = f"task {event.task:.3f}"
                if event.accuracy is not None:
                    notes["accuracy"] = f"better answer preferred {event.accuracy:.0%}"
            if event.seconds_left is not None and event.seconds_left >= _WORTH_TELLING and not left:
                left.append(event.seconds_left)
                bar.console.print(f"  [dim]{_about(event.seconds_left)} left after step {event.step}[/dim]")
            note = "  ".join([f"epoch {event.epoch:.1f}", *filter(None, notes.values())])
            bar.update(task("fine-tuning"), completed=event.step, total=event.steps, note=note)

        yield sampled, tell
