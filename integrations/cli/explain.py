"""``understudy explain``: the root cause of a failed CI log, every quote taken from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from understudy.core.errors import BadInput
from understudy.integrations.cli._console import (
    JsonOption,
    SetOption,
    SettingsOption,
    print_json,
    read_settings,
    stdout,
)
from understudy.integrations.cli._engine import engine_of

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.templates.log_triage.explain import Explanation
    from understudy.templates.log_triage.select import Selection

__all__ = ["explain", "print_explanation"]

_CONTEXT = 2
"""Lines shown before and after evidence."""


def explain(
    log: Annotated[str, typer.Argument(help="Log file, folder, run zip, gzip file, or '-' for standard input")],
    green: Annotated[
        str | None, typer.Option("--green", help="Log of the last run that passed, or a folder with a log for each")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model version, alias, or 'rules' [default: the champion, else rules]"),
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Abstain below this probability of the category")
    ] = 0.5,
    as_json: JsonOption = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown for a comment or step summary")
    ] = False,
    settings: SettingsOption = None,
    overrides: SetOption = None,
) -> None:
    """Say why the run that wrote LOG failed, where the log shows it, and what to do.

    Several logs (a folder, a run zip) give one explanation each. A log without a failure is no error: the answer
    abstains and says so.
    """
    from understudy.templates.log_triage.explain import explain as answer
    from understudy.templates.log_triage.explain import log_input
    from understudy.templates.log_triage.render import markdown
    from understudy.templates.log_triage.select import select
    from understudy.templates.log_triage.sources import open_logs, paired

    if as_json and as_markdown:
        raise BadInput("choose one of --json and --markdown")
    chosen = read_settings(settings, overrides)
    logs = open_logs(log, lambda reason: typer.echo(f"left out: {reason}", err=True))
    passed = open_logs(green) if green is not None else []
    engine, model_id = engine_of(chosen, model, "log-triage")
    count = engine.count_tokens if engine else (lambda text: len(text) // 3 + 1)
    for named, compared in zip(logs, paired(logs, passed), strict=True):
        selection = select(named, green=compared)
        seen = log_input(selection, chosen.data.prompt_budget, count)
        ask = (lambda request: engine.generate([request])[0]) if engine else None
        explanation = answer(named.name, selection, seen, ask, model_id, min_confidence=min_confidence)
        if as_json:
            print_json(explanation.model_dump(mode="json", exclude={"finish"}))
        elif as_markdown:
            typer.echo(markdown(explanation))
        else:
            print_explanation(stdout(), explanation, selection)


def print_explanation(console: Console, explanation: Explanation, selection: Selection) -> None:
    """Show an explanation in a terminal: heading, sentence, the evidence in red among its neighbours, the fix."""
    from rich.markup import escape
    from rich.text import Text

    from understudy.templates.log_triage.explain import redacted
    from understudy.templates.log_triage.render import HEADINGS, SUSPICIOUS, plain

    unknown = explanation.category == "unknown"
    sure = "" if explanation.confidence is None or unknown else f"  {explanation.confidence:.0%}"
    colour = "yellow" if explanation.abstained else "red"
    console.print(
        f"\n[bold {colour}]{HEADINGS[explanation.category]}[/]  [dim]{explanation.category}, {explanation.origin}"
        f"{', may pass when run again' if explanation.transient else ''}{sure}[/dim]"
    )
    piped = not console.is_terminal  # there nothing is wrapped: a log's words must not be moved to the start of a line
    console.print(Text(plain(explanation.root_cause)), soft_wrap=piped)
    lines = redacted(selection)
    cited = {n for quote in explanation.evidence for n in range(quote.line_start, quote.line_end + 1)}
    near = sorted({n for c in cited for n in range(c - _CONTEXT, c + _CONTEXT + 1)} & set(lines))
    if cited:
        console.print(f"\n[dim]{escape(plain(explanation.evidence[0].file))}[/dim]")
        if unknown:
            console.print(SUSPICIOUS)
    for before, number in zip([0, *near], near, strict=False):
        if before and number != before + 1:
            console.print("[dim]      ...[/dim]")
        style = f"bold {colour}" if number in cited else "dim"
        mark = ">" if number in cited else " "
        console.print(Text(f"{mark}{number:>6}  {plain(lines[number])}", style=style), soft_wrap=True)
    if explanation.fix:
        console.print(Text.assemble("\n", ("Fix: ", "bold green"), plain(explanation.fix)), soft_wrap=piped)
    for problem in explanation.problems:
        console.print(
            Text(f"The model's answer was refused: {problem.field}: {plain(problem.message)}", style="yellow"),
            soft_wrap=piped,
        )
    if explanation.abstained:
        console.print("[yellow]Not sure: this is an abstention, not a diagnosis.[/yellow]")
    console.print(f"[dim]by {escape(explanation.model)}[/dim]")
