"""``understudy rate``: let people compare two arms' answers without knowing whose they are, and rate comments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.integrations.cli._console import (
    JsonOption,
    SettingsOption,
    dataset_of,
    print_json,
    read_settings,
    stdout,
)

if TYPE_CHECKING:
    from understudy.evals.results import Report

__all__ = ["app"]

app = typer.Typer(help="Have people compare two arms' answers, blind, or rate review comments.", no_args_is_help=True)

ModelOption = Annotated[str | None, typer.Option("--model", "-m", help="Model version [default: the newest]")]


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="New folder for the sheets and the key")],
    against: Annotated[str | None, typer.Option("--against", help="The other arm [default: the baseline]")] = None,
    n: Annotated[int, typer.Option("-n", "--rows", help="Pairs at most", min=1)] = 60,
    model: ModelOption = None,
    settings: SettingsOption = None,
) -> None:
    """Write a blinded, shuffled sheet (CSV and an HTML form) of an evaluation's answers, and its key."""
    from understudy.core.errors import BadInput
    from understudy.core.pack import load_pack
    from understudy.evals.predictions import read_predictions
    from understudy.evals.rating import export_sheet, make_rows

    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty; name a new folder, so that no ratings are overwritten")
    report, place = _report(settings, model)
    other = against or report.baseline
    arms = read_predictions(place / "predictions.jsonl")
    missing = [name for name in (report.candidate, other) if name not in arms]
    if missing:
        raise BadInput(f"the evaluation has no answers of {missing[0]!r}; there are: {', '.join(arms)}")
    _, splits = dataset_of(read_settings(settings), report.identity.dataset)
    known = {example.id: example for example in splits[report.identity.split]}
    examples = [known[made.example_id] for made in arms[report.candidate]]
    rows = make_rows(load_pack(report.pack), examples, arms[report.candidate], arms[other], n=n)
    page = export_sheet(rows, folder, candidate=report.candidate, baseline=other, model_digest=report.model_digest)
    console = stdout()
    console.print(f"{len(rows)} pairs of {report.candidate} and {other}, sides and order shuffled", markup=False)
    console.print(f"  form   {page}\n  sheet  {folder / 'sheet.csv'}\n  key    {folder / 'key.json'} (not for raters)")


@app.command(name="import")
def import_(
    key: Annotated[Path, typer.Argument(help="key.json that was written with the sheet")],
    sheets: Annotated[list[Path], typer.Argument(help="One filled-in CSV per rater")],
    model: ModelOption = None,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the raters' sheets, print the comparison and their agreement, and add both to the report."""
    from understudy.evals.rating import rate, read_ratings
    from understudy.evals.report import write_report
    from understudy.evals.text import p_value

    report, place = _report(settings, model)
    found = rate(key, {str(path): read_ratings(path) for path in sheets}, report.model_digest)
    write_report(report.model_copy(update={"rating": found}), place, loss_curve=None)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    console = stdout()
    console.print(
        f"{found.candidate} preferred on {found.preferred} of {found.n}, {found.baseline} on {found.rejected}, "
        f"no preference on {found.same}; sign test p = {p_value(found.p)}",
        markup=False,
    )
    kappa = "no value" if found.kappa is None else f"{found.kappa:.2f}"
    console.print(f"{found.raters} rater(s), {found.overlap} rated by several, Cohen's kappa {kappa}")
    console.print(f"  report     {place / 'report.html'}")


@app.command()
def comments(
    sheets: Annotated[list[Path], typer.Argument(help="One filled-in sheet of `understudy review --sheet` per rater")],
    as_json: JsonOption = False,
) -> None:
    """Read what people said of review comments: the mean rating, 1 to 5, and the raters' agreement."""
    from understudy.templates.code_review.rating import read_sheets

    found = read_sheets(sheets)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    kappa = "no value" if found.kappa is None else f"{found.kappa:.2f}"
    stdout().print(
        f"{found.rated} comments, {found.raters} rater(s), mean {found.mean:.2f} of 5, weighted kappa {kappa}"
    )


def _report(settings: Path | None, model: str | None) -> tuple[Report, Path]:
    from understudy.core.errors import BadInput
    from understudy.core.registry import Registry
    from understudy.evals.report import read_report

    chosen = read_settings(settings)
    registry = Registry(Path(chosen.registry))
    versions = registry.list(chosen.pack)
    if model is None and not versions:
        raise BadInput(f"there is no model of {chosen.pack} in {chosen.registry}: run `understudy train` first")
    version = registry.get(model) if model else versions[-1]
    place = registry.root / "reports" / version.id
    if not (place / "report.json").exists():
        raise BadInput(f"{version.id} was not evaluated yet: run `understudy evaluate`")
    return read_report(place / "report.json"), place
