"""``understudy models``: the registry of model versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.integrations.cli._console import (
    JsonOption,
    SettingsOption,
    check_new,
    print_json,
    read_settings,
    stdout,
)

if TYPE_CHECKING:
    from understudy.core.records import ModelVersion
    from understudy.core.registry import Registry

__all__ = ["app"]

app = typer.Typer(help="List, show, promote, roll back, verify and export model versions.", no_args_is_help=True)

AliasOption = Annotated[str, typer.Option("--alias", help="Pointer that serving follows")]
Reference = Annotated[str, typer.Argument(help="Version id, a unique beginning of it, or pack@alias")]


@app.command("list")
def list_(settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """List every version and the aliases that point at it."""
    registry = _registry(settings)
    versions = registry.list()
    pointing: dict[str, list[str]] = {}
    for pack, alias in registry.aliases.names():
        state = registry.aliases.read(pack, alias)
        if state is not None:
            pointing.setdefault(state.version, []).append(f"{pack}@{alias}")
    if as_json:
        print_json([{**v.model_dump(mode="json"), "aliases": pointing.get(v.id, [])} for v in versions])
        return
    for version in versions:
        aliases = "  ".join(pointing.get(version.id, []))
        stdout().print(
            f"{version.id}  {version.kind:<7}  {version.base}  {version.created:%Y-%m-%d %H:%M}  "
            f"[green]{aliases}[/green]"
        )
    if not versions:
        typer.echo(f"no model versions in {registry.root}: run `understudy train`", err=True)


@app.command()
def show(model: Reference, settings: SettingsOption = None) -> None:
    """Print a version's manifest: files, digests and full lineage."""
    print_json(_registry(settings).get(model).model_dump(mode="json"))


@app.command()
def promote(
    model: Reference,
    alias: AliasOption = "champion",
    report: Annotated[Path | None, typer.Option("--report", help="report.json [default: the version's newest]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Promote without a passing report; needs --reason")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the promotion log")] = "",
    settings: SettingsOption = None,
) -> None:
    """Point an alias at a version whose evaluation passed the gate."""
    from understudy.core.errors import BadInput

    registry = _registry(settings)
    version = registry.get(model)
    if force and not reason.strip():
        raise BadInput("--force needs --reason: say why in one sentence")
    written = registry.root / "reports" / version.id / "report.json"
    chosen = report or (written if written.exists() else None)
    if chosen is not None and not force:
        _check_verdict(chosen, version)
    state = registry.promote(version.id, alias, None if force else chosen, force_reason=reason if force else None)
    stdout().print(f"{state.pack}@{state.alias} -> {state.version} (revision {state.rev})")


def _check_verdict(path: Path, version: ModelVersion) -> None:
    """Refuse a report that does not let this version pass, or whose verdict does not follow from its own figures.

    Raises:
        BadInput: it is one of these, or no report.
    """
    from understudy.core.errors import BadInput
    from understudy.core.registry import require_pass
    from understudy.evals.gate import GateSettings, decide
    from understudy.evals.report import read_report

    require_pass(path, version)
    report = read_report(path)
    if report.gate is None or decide(report, GateSettings(**report.gate.settings)).verdict != report.verdict:
        raise BadInput(f"{path}: the verdict does not follow from the report's own figures and gate; evaluate again")


@app.command()
def rollback(
    pack: Annotated[str, typer.Argument(help="Task pack")],
    alias: AliasOption = "champion",
    reason: Annotated[str, typer.Option("--reason", help="Why, for the promotion log")] = "",
    settings: SettingsOption = None,
) -> None:
    """Point an alias back at the version before."""
    state = _registry(settings).rollback(pack, alias, reason)
    stdout().print(f"{state.pack}@{state.alias} -> {state.version} (revision {state.rev})")


@app.command()
def verify(settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Check every file of the registry against its digest; exit 2 and name what is wrong."""
    registry = _registry(settings)
    findings = registry.verify()
    if as_json:
        print_json([finding.model_dump() for finding in findings])
    for finding in findings:
        typer.echo(f"{finding.field}: {finding.message}", err=True)
    if findings:
        raise typer.Exit(2)
    if not as_json:
        typer.echo(f"{len(registry.list())} version(s) in {registry.root}, all as registered")


@app.command()
def export(
    model: Reference,
    folder: Annotated[Path, typer.Argument(help="New folder for the model's files")],
    settings: SettingsOption = None,
) -> None:
    """Copy a version's verified files into a folder that transformers, vLLM and PEFT load as it is."""
    import shutil

    registry = _registry(settings)
    version = registry.get(model)
    check_new(folder, "folder")
    shutil.copytree(registry.materialise(version), folder)
    typer.echo(f"{version.id} written to {folder}", err=True)


def _registry(settings: Path | None) -> Registry:
    from understudy.core.registry import Registry

    return Registry(Path(read_settings(settings).registry))
