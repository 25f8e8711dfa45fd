"""``understudy data``: from raw material to a dataset version, and back out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.integrations.cli._console import (
    JsonOption,
    SetOption,
    SettingsOption,
    check_new,
    dataset_of,
    print_json,
    read_settings,
    stdout,
    sweep,
)

if TYPE_CHECKING:
    from understudy.core.records import DatasetVersion

__all__ = ["app", "show_version"]

app = typer.Typer(help="Build, show, import and export dataset versions.", no_args_is_help=True)


@app.command()
def build(settings: SettingsOption = None, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Run the builders of the settings, clean, split and freeze the examples as a dataset version."""
    from understudy.core.pack import load_pack
    from understudy.integrations.cli._console import quiet_libraries
    from understudy.integrations.pipeline import build_dataset

    chosen = read_settings(settings, overrides)
    pack = load_pack(chosen.pack)
    quiet_libraries()
    with sweep() as tell:
        built = build_dataset(chosen, pack, lambda done, total: tell("building", done, total, ""))
    show_version(built, Path(chosen.registry), as_json)


@app.command()
def show(
    version: Annotated[str | None, typer.Argument(help="Dataset version [default: the newest]")] = None,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a dataset version and print its counts, token lengths and warnings."""
    chosen = read_settings(settings)
    manifest, _ = dataset_of(chosen, version)
    show_version(manifest, Path(chosen.registry), as_json)


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="JSON Lines: examples, (instruction/)input/output, prompt/completion, messages")
    ],
    settings: SettingsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze the examples of FILE as a dataset version; a broken line stops it and nothing is written."""
    from understudy.core.bases import load_tokenizer, token_counter
    from understudy.core.datasets import build_version
    from understudy.core.jsonl import read_examples
    from understudy.core.pack import load_pack
    from understudy.integrations.cli._console import quiet_libraries
    from understudy.integrations.pipeline import base_of, renderer

    chosen = read_settings(settings, overrides)
    pack = load_pack(chosen.pack)
    examples = list(read_examples(file, pack))
    quiet_libraries()
    count = token_counter(load_tokenizer(base_of(chosen)))
    manifest = build_version(pack, examples, chosen.data, Path(chosen.registry), count, renderer(pack))
    show_version(manifest, Path(chosen.registry), as_json)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="New file to write")],
    version: Annotated[str | None, typer.Option("--version", help="Dataset version [default: the newest]")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test")] = "train",
    form: Annotated[
        str, typer.Option("--form", help="records, input-output, prompt-completion, messages or hosted")
    ] = "messages",
    settings: SettingsOption = None,
) -> None:
    """Write one split as JSON Lines, for other trainers and hosted fine-tuning."""
    from understudy.core.errors import BadInput
    from understudy.core.jsonl import EXPORT_FORMS, export_examples
    from understudy.core.pack import load_pack

    chosen = read_settings(settings)
    manifest, splits = dataset_of(chosen, version)
    if split not in splits:
        raise BadInput(f"{manifest.id} has no split {split!r}; it has: {', '.join(splits)}")
    forms = {known: known for known in EXPORT_FORMS if known != "preferences"}  # a version holds examples only
    if form not in forms:
        raise BadInput(f"there is no form {form!r}; choose one of: {', '.join(forms)}")
    check_new(file)
    export_examples(splits[split], load_pack(manifest.pack), file, forms[form])
    typer.echo(f"{len(splits[split])} examples of {manifest.id} ({split}) written to {file}", err=True)


@app.command()
def corrections(
    file: Annotated[Path, typer.Argument(help="JSON Lines of tickets with the labels that people removed")],
    out: Annotated[Path, typer.Argument(help="New file to write, for preference.paths")],
    settings: SettingsOption = None,
    overrides: SetOption = None,
) -> None:
    """Write where people overruled a bot as pairs of a chosen and a rejected answer, for `train --stage dpo`.

    FILE is corrections.jsonl of `understudy github history`, or issues as GitHub's API gives them, with their events.
    """
    from understudy.core.bases import load_tokenizer, token_counter
    from understudy.core.errors import BadInput
    from understudy.core.jsonl import export_examples
    from understudy.core.pack import BuildContext, FindsCorrections, load_pack
    from understudy.integrations.cli._console import quiet_libraries
    from understudy.integrations.pipeline import base_of

    chosen = read_settings(settings, overrides)
    pack = load_pack(chosen.pack)
    if not isinstance(pack, FindsCorrections):
        raise BadInput(f"{pack.name} finds no corrections in its material; pack bug-classification does")
    check_new(out)
    quiet_libraries()
    count = token_counter(load_tokenizer(base_of(chosen)))
    context = BuildContext(count, chosen.data.prompt_budget, paths=[file], taxonomy=chosen.taxonomy)
    pairs = list(pack.corrections(context))
    if not pairs:
        raise BadInput(f"{file} holds no correction: nowhere a person replaced a bot's label of the taxonomy")
    export_examples(pairs, pack, out, "records")
    typer.echo(f"{len(pairs)} pairs written to {out}: name it in preference.paths", err=True)


def show_version(manifest: DatasetVersion, root: Path, as_json: bool) -> None:
    """Print a dataset version's counts, or its manifest as JSON."""
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    from rich.text import Text

    from understudy.core.outside import plain

    console = stdout()
    console.print(f"[bold]{manifest.id}[/bold]  {root / 'datasets' / manifest.id}")
    for name, info in manifest.splits.items():
        console.print(f"  {name:<11}{info.count:>6} examples in {info.groups} groups")
    taken = ", ".join(f"{count} {step}" for step, count in manifest.removed.items() if count)
    console.print(f"  removed    {taken or 'nothing'}")
    tokens = manifest.tokens
    console.print(
        f"  tokens     prompt {tokens.get('prompt_p50', 0):.0f} (95 % below {tokens.get('prompt_p95', 0):.0f}), "
        f"completion {tokens.get('completion_p50', 0):.0f}"
    )
    for warning in manifest.warnings:
        console.print(
            Text.assemble("  ", ("warning", "yellow"), "    ", plain(warning)), soft_wrap=not console.is_terminal
        )
