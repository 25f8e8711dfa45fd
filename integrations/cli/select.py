"""``understudy select``: which lines of a log are worth reading, without any model."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.integrations.cli._console import JsonOption, print_json

__all__ = ["select"]


def select(
    log: Annotated[str, typer.Argument(help="Log file, folder, run zip, gzip file, or '-' for standard input")],
    green: Annotated[str | None, typer.Option("--green", help="Log of the last run that passed")] = None,
    budget: Annotated[int, typer.Option("--budget", help="Lines to select at most")] = 200,
    as_json: JsonOption = False,
) -> None:
    """Print the lines of LOG that matter, with their numbers; secrets are redacted."""
    from understudy.templates.log_triage.explain import redacted
    from understudy.templates.log_triage.render import plain
    from understudy.templates.log_triage.select import select as choose
    from understudy.templates.log_triage.sources import open_logs, paired

    passed = open_logs(green) if green is not None else []
    logs = open_logs(log, lambda reason: typer.echo(f"left out: {reason}", err=True))
    for named, compared in zip(logs, paired(logs, passed), strict=True):
        selection = choose(named, green=compared, budget=budget)
        if as_json:
            extra = {"file": named.name} if len(logs) > 1 else {}
            print_json({**selection.to_json(), **extra})
            continue
        if len(logs) > 1:
            typer.echo(f"== {plain(named.name)}")
        texts = redacted(selection)
        last = 0
        for line in selection.lines:
            if last and line.number != last + 1:
                typer.echo("  ...")
            typer.echo(f"{line.number:>7}  {plain(texts[line.number])}")
            last = line.number
