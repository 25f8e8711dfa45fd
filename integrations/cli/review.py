"""``understudy review``: comments on a patch, every one of them on a line that can be commented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from understudy.core.errors import BadInput
from understudy.integrations.cli._console import (
    JsonOption,
    SetOption,
    SettingsOption,
    check_new,
    print_json,
    read_settings,
    stdout,
)
from understudy.integrations.cli._engine import engine_of

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.core.settings import Settings
    from understudy.templates.code_review.diff import Patch
    from understudy.templates.code_review.review import Comment, ReviewReport

__all__ = ["print_review", "review"]

_PACK = "code-review"
_CONTEXT = 2
"""Lines shown before and after the commented ones."""
_COLOURS = {"critical": "bold red", "major": "red", "minor": "yellow", "nit": "cyan"}

SeverityName = Literal["critical", "major", "minor", "nit"]


def review(
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="The same as --diff FILE")] = None,
    diff: Annotated[
        str | None, typer.Option("--diff", metavar="FILE", help="Patch, or '-' for standard input [default: -]")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model version, alias, or 'rules' [default: the champion, else rules]"),
    ] = None,
    fail_on: Annotated[
        SeverityName | None, typer.Option("--fail-on", help="End with exit code 1 on a comment at least this severe")
    ] = None,
    as_json: JsonOption = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown for a comment or step summary")
    ] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0 for code scanning")] = False,
    as_rdjson: Annotated[bool, typer.Option("--rdjson", help="Print reviewdog's rdjson")] = False,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="Also write the comments as CSV for people to rate")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Review nothing; choose the model's threshold on validation data")
    ] = False,
    settings: SettingsOption = None,
    overrides: SetOption = None,
) -> None:
    """Review a patch and say what was read of it and what was not.

    No comments is an answer, too: "No issues found". So is a patch of which nothing is for review, such as images: it
    says what was left out. One that cannot be read is an error.
    """
    from understudy.templates.code_review.diff.source import open_patch
    from understudy.templates.code_review.packing import pack_patch
    from understudy.templates.code_review.rating import write_sheet
    from understudy.templates.code_review.rdjson import rdjson
    from understudy.templates.code_review.render import markdown
    from understudy.templates.code_review.review import review as answer
    from understudy.templates.code_review.sarif import sarif
    from understudy.templates.code_review.schema import SEVERITIES

    if sheet is not None:
        check_new(sheet)
        if not sheet.parent.is_dir():
            raise BadInput(f"{sheet.parent} is no folder, so --sheet cannot be written there; make it first")
    if file is not None and diff is not None:
        raise BadInput(f"two patches are named, {file} and {diff}; give one of them")
    if sum((as_json, as_markdown, as_sarif, as_rdjson)) > 1:
        raise BadInput("choose one of --json, --markdown, --sarif and --rdjson")
    chosen = read_settings(settings, overrides)
    if calibrate:
        _calibrate(chosen, model, as_json)
        return
    patch = open_patch(file or diff or "-")
    engine, model_id = engine_of(chosen, model, _PACK)
    count = engine.count_tokens if engine else (lambda text: len(text) // 3 + 1)
    packed = pack_patch(patch, chosen.data.prompt_budget, count, skip=chosen.review.skip, limit=chosen.review.pieces)
    threshold = _threshold(chosen, model_id)
    report = answer(packed, engine.generate if engine else None, model_id, chosen.review, threshold=threshold)
    if sheet is not None:
        write_sheet({Path(file or diff or "stdin").stem: report}, sheet)
    if as_json:
        print_json(report.model_dump(mode="json"))
    elif as_sarif:
        print_json(sarif(report))
    elif as_rdjson:
        print_json(rdjson(report))
    elif as_markdown:
        typer.echo(markdown(report))
    else:
        print_review(stdout(), report, patch)
    if patch.refused and not report.reviewed:
        raise BadInput(f"nothing could be reviewed: {patch.refused[0].sentence}")
    if fail_on and any(SEVERITIES.index(one.severity) <= SEVERITIES.index(fail_on) for one in report.comments):
        raise typer.Exit(1)


def _threshold_file(settings: Settings, model_id: str) -> Path:
    return Path(settings.registry) / "thresholds" / f"{model_id}.json"


def _threshold(settings: Settings, model_id: str) -> float | None:
    path = _threshold_file(settings, model_id)
    if settings.review.threshold != "auto" or not path.exists():
        return None
    try:
        return float(json.loads(path.read_text("utf-8"))["threshold"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is damaged; run `understudy review --calibrate` again") from error


def _calibrate(settings: Settings, model: str | None, as_json: bool) -> None:
    """Choose the threshold that reaches the wanted precision on the validation split, and keep it with the model."""
    from understudy.core.files import write_json
    from understudy.integrations.cli._console import dataset_of
    from understudy.templates.code_review.calibration import calibrated

    manifest, splits = dataset_of(settings, None)
    if manifest.pack != _PACK:
        raise BadInput(f"{manifest.id} is no dataset of {_PACK}; set `pack: {_PACK}` in understudy.yaml")
    engine, model_id = engine_of(settings, model, _PACK)
    if engine is None:
        raise BadInput("rules have no threshold; name a model with --model, or promote one")
    found = calibrated(splits["validation"], engine.generate, settings.review.precision)
    result = {**found, "model": model_id, "dataset": manifest.id}
    write_json(_threshold_file(settings, model_id), result)
    if as_json:
        print_json(result)
        return
    console = stdout()
    reached = found["precision"] >= settings.review.precision
    console.print(
        f"[bold]{model_id}[/bold]  threshold {found['threshold']:.4f}: precision {found['precision']:.2f} "
        f"({'reached' if reached else 'falls short of'} {settings.review.precision:.2f}), "
        f"recall {found['recall']:.2f}, {found['comments_per_clean']:.3f} comments per clean change, "
        f"{found['examples']} examples"
    )


def print_review(console: Console, report: ReviewReport, patch: Patch) -> None:
    """Show a review in a terminal: each comment under its lines, then what was not read."""
    from rich.text import Text

    from understudy.core.outside import plain
    from understudy.templates.code_review.render import place_text

    piped = not console.is_terminal  # there nothing is wrapped: a patch's words must not be moved to a line's start
    for comment in report.comments:
        colour = _COLOURS[comment.severity]
        console.print()
        heading = Text.assemble((f"[{comment.severity.upper()}]", colour), f" {plain(place_text(comment))}  ")
        console.print(heading.append(comment.category, style="dim"), soft_wrap=True)
        _print_lines(console, comment, patch, colour)
        console.print(Text(plain(comment.message)), soft_wrap=piped)
        if comment.suggestion is not None:
            console.print(Text("Instead:", style="bold green"))
            console.print(Text(plain(comment.suggestion), style="green"), soft_wrap=True)
    console.print()
    console.print(Text(plain(report.summary), style="bold"), soft_wrap=piped)
    for one in report.skipped:
        console.print(Text(f"  not reviewed: {plain(one.path)}: {plain(one.reason)}", style="yellow"), soft_wrap=True)
    for problem in report.problems:
        console.print(Text(f"  a comment was refused: {plain(problem.message)}", style="dim"), soft_wrap=True)
    held = f"; {report.withheld} withheld" if report.withheld else ""
    console.print(Text(f"by {plain(report.model)}{held}", style="dim"), soft_wrap=True)


def _print_lines(console: Console, comment: Comment, patch: Patch, colour: str) -> None:
    """Print the commented lines among their neighbours, as the patch has them but for secrets."""
    from rich.text import Text

    from understudy.core.outside import plain
    from understudy.core.redaction import redact_lines

    file = next(file for file in patch.files if comment.path == file.path.encode("utf-8", "replace").decode())
    hunk = file.hunk_at(comment.side, comment.line)
    assert hunk is not None
    texts = redact_lines([line.text for line in hunk.lines])
    first = comment.start_line or comment.line
    hit = [
        index
        for index, line in enumerate(hunk.lines)
        if line.side == comment.side and first <= line.number <= comment.line
    ]
    for index in range(max(hit[0] - _CONTEXT, 0), min(hit[-1] + _CONTEXT + 1, len(hunk.lines))):
        line = hunk.lines[index]
        mark = ">" if index in hit else " "
        text = f"{mark}{line.number:>6} {line.mark or ' '}{plain(texts[index])}"
        console.print(Text(text[:240], style=colour if index in hit else "dim"), soft_wrap=True)
