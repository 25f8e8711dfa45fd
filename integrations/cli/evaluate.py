"""``understudy evaluate``: whether the tuned model is better, by how much, and may be promoted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.integrations.cli._console import (
    JsonOption,
    SetOption,
    SettingsOption,
    dataset_of,
    read_settings,
    stderr,
    stdout,
    sweep,
)

if TYPE_CHECKING:
    from understudy.core.hardware import Hardware
    from understudy.core.records import DatasetVersion, Example, ModelVersion
    from understudy.core.settings import Settings
    from understudy.evals.results import Report

__all__ = ["evaluate", "run_evaluation"]


def evaluate(
    model: Annotated[str | None, typer.Option("--model", "-m", help="Model version [default: the newest]")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Dataset version [default: the model's]")] = None,
    settings: SettingsOption = None,
    overrides: SetOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Measure forgetting and safety too; minutes for a small model")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Evaluate although test and training overlap")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the arms of the settings on the test split; write report.html and report.json; exit 0, 1 or 3."""
    from understudy.core.errors import BadInput
    from understudy.core.registry import Registry
    from understudy.evals.console import print_report

    chosen = read_settings(settings, overrides)
    registry = Registry(Path(chosen.registry))
    versions = registry.list(chosen.pack)
    if model is None and not versions:
        others = sorted({one.pack for one in registry.list()})
        hint = f"; of {', '.join(others)} there is: --set pack={others[0]}" if others else ""
        raise BadInput(f"there is no model of {chosen.pack} in {chosen.registry}: run `understudy train` first{hint}")
    version = registry.get(model) if model else versions[-1]
    manifest, splits = dataset_of(chosen, dataset or version.dataset or None)
    report, folder = run_evaluation(chosen, version, manifest, splits, full=full, force=force)
    if as_json:
        typer.echo((folder / "report.json").read_text("utf-8"))
    else:
        print_report(report, stdout())
        stdout().print(f"\n  report     {folder / 'report.html'}")
    assert report.gate is not None
    raise typer.Exit(report.gate.exit_code)


def run_evaluation(
    settings: Settings,
    version: ModelVersion,
    manifest: DatasetVersion,
    splits: dict[str, list[Example]],
    hardware: Hardware | None = None,
    *,
    full: bool = False,
    force: bool = False,
) -> tuple[Report, Path]:
    """Evaluate with a progress bar per arm; return the report and the folder with its files.

    Answers of an earlier or killed evaluation are used again; without ``hardware`` it is looked up when a model has to
    be loaded.
    """
    from understudy.core.pack import load_pack
    from understudy.evals.predictions import write_predictions
    from understudy.evals.report import write_report
    from understudy.integrations.cli._console import hardware_of, quiet_libraries
    from understudy.integrations.evaluation import evaluate as run
    from understudy.integrations.pipeline import curve_of

    if version.dataset_digest != manifest.digest:
        stderr().print(f"  [yellow]{version.id} was trained on {version.dataset}, not on {manifest.id}[/yellow]")

    def machine() -> Hardware:
        quiet_libraries()
        return hardware or hardware_of(settings)

    with sweep() as tell:
        done = run(
            settings,
            load_pack(manifest.pack),
            version,
            manifest,
            splits,
            machine,
            lambda name, done, total: tell(name, done, total, ""),
            full=full,
            force=force,
        )
    if done.dropped:
        stderr().print(f"  [yellow]{done.dropped} damaged line(s) of the cache were dropped and asked again[/yellow]")
    if not done.asked:
        stderr().print("  [dim]every answer was known from an earlier evaluation[/dim]")
    folder = Path(settings.registry) / "reports" / version.id
    if done.stack is not None:
        write_report(done.stack.report, folder / "stack")
        done.stack.stacked.draw(folder / "stack")
    write_predictions(done.predictions, folder / "predictions.jsonl")
    write_report(done.report, folder, loss_curve=curve_of(settings, version))
    return done.report, folder
