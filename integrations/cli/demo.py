"""``understudy demo``: the whole life cycle on one machine, offline: build, tune, prove, promote, use."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.integrations.cli._console import SetOption, stderr, stdout

if TYPE_CHECKING:
    from understudy.core.records import DatasetVersion, Example, ModelVersion
    from understudy.core.registry import Registry
    from understudy.core.settings import Settings
    from understudy.evals.results import Report

__all__ = ["demo"]


def demo(
    pack: Annotated[str, typer.Argument(help="Task pack")] = "log-triage",
    overrides: SetOption = None,
) -> None:
    """Fine-tune the embedded base on a pack's embedded examples, prove it on held-out ones, promote it and use it.

    Everything stays in the registry folder (.understudy), so the pack's command works afterwards; run again, it
    resumes or reuses what is there.
    """
    from importlib.resources import files

    from understudy.core.pack import load_pack
    from understudy.core.registry import Registry
    from understudy.core.settings import apply_overrides, load_settings
    from understudy.evals.console import print_report
    from understudy.integrations.cli._console import hardware_of, quiet_libraries
    from understudy.integrations.cli.evaluate import run_evaluation
    from understudy.integrations.cli.train import run_training

    started = time.monotonic()
    home = files(type(load_pack(pack)).__module__.rpartition(".")[0])
    settings = apply_overrides(load_settings(Path(str(home / "understudy.yaml"))), overrides or [])
    registry = Registry(Path(settings.registry))
    quiet_libraries()

    story = _STORIES.get(
        pack, _Story("the pack's embedded examples", "held-out examples", "", lambda home, model: None)
    )
    _chapter(1, f"Dataset: {story.material}")
    manifest, splits = _dataset(settings)
    _chapter(2, f"Fine-tune the base '{settings.base.name}' ({settings.train.method})")
    hardware = hardware_of(settings)
    version, _ = run_training(settings, manifest, splits, hardware)
    _chapter(3, f"Prove it: {', '.join(settings.evaluate.arms)} on the same {story.held_out}")
    report, folder = run_evaluation(settings, version, manifest, splits, hardware)
    print_report(report, stdout())
    _chapter(4, "Register and promote")
    _promote(registry, version, report, folder)
    if story.use:
        _chapter(5, f"Use it: {story.use}")
        story.show(str(home), version.id)
    console = stdout()
    console.print(f"\n[bold]Done in {(time.monotonic() - started) / 60:.1f} minutes.[/bold]")
    console.print(f"  report     {folder / 'report.html'}")
    if story.yours:
        console.print(f"  yours      {story.yours}", markup=False)
    assert report.gate is not None
    raise typer.Exit(report.gate.exit_code)


def _chapter(number: int, title: str) -> None:
    stderr().print(f"\n[bold cyan]{number}[/bold cyan] [bold]{title}[/bold]")


def _dataset(settings: Settings) -> tuple[DatasetVersion, dict[str, list[Example]]]:
    from understudy.core.datasets import load_version
    from understudy.core.pack import load_pack
    from understudy.integrations.cli._console import sweep
    from understudy.integrations.cli.data import show_version
    from understudy.integrations.pipeline import build_dataset

    with sweep() as tell:
        built = build_dataset(settings, load_pack(settings.pack), lambda done, total: tell("building", done, total, ""))
    show_version(built, Path(settings.registry), as_json=False)
    return load_version(built.id, Path(settings.registry))


def _promote(registry: Registry, version: ModelVersion, report: Report, folder: Path) -> None:
    assert report.gate is not None
    console = stdout()
    if report.gate.verdict != "pass":
        console.print(
            f"[yellow]{version.id} is registered and not promoted: the gate says {report.gate.verdict}.[/yellow]"
        )
        return
    state = registry.promote(version.id, report=folder / "report.json")
    console.print(f"[green]{state.pack}@{state.alias} -> {state.version}[/green] (revision {state.rev})")


def _explain(home: str, model: str) -> None:
    from understudy.integrations.cli.explain import explain

    explain(str(Path(home) / "seed" / "failed.log"), model=model)


def _review(home: str, model: str) -> None:
    from understudy.integrations.cli.review import review

    settings = Path(home) / "understudy.yaml"
    review(model=model, calibrate=True, settings=settings)
    review(diff=str(Path(home) / "seed" / "example.diff"), model=model, settings=settings)


_TICKET = (
    "Offline edits are lost when two devices reconnect",
    "I wrote three messages on the train without coverage. When phone and laptop came back online at the same time the "
    "messages from the phone were gone, no error shown. Server 3.4.1, expected: both are kept.",
)


def _label(home: str, model: str) -> None:
    from understudy.integrations.cli.label import label

    title, body = _TICKET
    stdout().print(f"\n[bold]{title}[/bold]\n{body}")
    label(title=title, body=body, settings=Path(home) / "understudy.yaml")


@dataclass(frozen=True)
class _Story:
    """What the demo of a pack is about, in its own words."""

    material: str
    held_out: str
    use: str
    show: Callable[[str, str], None]
    """Called with the pack's folder and the model version."""
    yours: str = ""


_STORIES = {
    "log-triage": _Story(
        "faults made on purpose, run through the real tools",
        "held-out faults",
        "a real failed build that no recipe made",
        _explain,
        "understudy explain YOUR-FAILED-BUILD.log",
    ),
    "code-review": _Story(
        "defects and harmless changes introduced into Python's own standard library, and reviews written by hand",
        "held-out modules",
        "its threshold for comments, then a patch that is in no split",
        _review,
        "git diff main | understudy review",
    ),
    "bug-classification": _Story(
        "tickets about a product that does not exist, written for this project",
        "newest tickets",
        "a ticket that was in no split",
        _label,
        "understudy label --title '...' --body '...'",
    ),
}
