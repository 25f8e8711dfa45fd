"""``understudy label``: the labels of a ticket with calibrated confidence, or an abstention, and why."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.integrations.cli._console import (
    JsonOption,
    SetOption,
    SettingsOption,
    print_json,
    read_settings,
    stderr,
    stdout,
)

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.core.settings import Settings
    from understudy.integrations.labelling import Incoming
    from understudy.templates.bug_classification.answer import Answer

__all__ = ["label", "print_answer"]

_OUTCOMES = {
    "applied": "[green]applied[/green]",
    "suggested": "[yellow]only suggested[/yellow]",
    "needs-info": "[magenta]needs more information[/magenta]",
    "untrained": "[dim]nothing learnt for it yet[/dim]",
}


def label(
    title: Annotated[str | None, typer.Option("--title", help="The ticket's title")] = None,
    body: Annotated[str, typer.Option("--body", help="Its text")] = "",
    repository: Annotated[str, typer.Option("--repository", help="owner/name it was filed in")] = "",
    file: Annotated[
        str | None, typer.Option("--file", help="Tickets as JSON Lines, CSV or Parquet; '-' reads JSON Lines")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Model version or alias that answers together with the reference (see above), or 'rules' for the "
            "reference alone [default: both if their gate passed, else the reference]",
        ),
    ] = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
    overrides: SetOption = None,
) -> None:
    """Label a ticket, or every ticket of FILE.

    A label is applied only where it was right often enough before (the settings' min_precision); what is less sure is
    only suggested. With --json and FILE each ticket is one line.

    The reference, a linear model fitted on your labelled tickets, answers at once. Its stack with a tuned language
    model mixes the probabilities of both, and answers once `understudy evaluate` has shown that it is better.
    """
    from understudy.core.errors import BadInput

    if (title is None) == (file is None):
        raise BadInput("give either --title (and --body) of one ticket, or --file with tickets")
    chosen = read_settings(settings, overrides)
    tickets = _tickets(title, body, repository, file)
    answers = _answers(chosen, tickets, model)
    for answer in answers:
        if not as_json:
            print_answer(stdout(), answer)
        elif file is None:
            print_json(answer.model_dump(mode="json"))
        else:
            typer.echo(json.dumps(answer.model_dump(mode="json")))


def _answers(settings: Settings, tickets: list[Incoming], model: str | None) -> list[Answer]:
    from understudy.core.pack import RULES
    from understudy.core.registry import Registry
    from understudy.integrations.labelling import label_all, labeller_of, stack_engine

    if model not in (None, RULES, "reference", "stack"):
        Registry(Path(settings.registry)).get(model)  # before anything is fitted for a model that is not there
    labeller = labeller_of(settings, lambda text: stderr().print(f"[dim]{text}[/dim]"))
    stack = labeller.card.stack
    if model in (RULES, "reference") or (model is None and not (stack and stack.served)):
        return label_all(settings, labeller, tickets)
    from understudy.integrations.cli._console import quiet_libraries, sweep

    quiet_libraries()
    engine = stack_engine(settings, labeller, model)
    if len(tickets) == 1:
        return label_all(settings, labeller, tickets, engine=engine)
    with sweep() as tell:
        done = 0

        def progress(count: int) -> None:
            nonlocal done
            done += count
            tell("scoring", done, total, "")

        total = len(tickets)
        return label_all(settings, labeller, tickets, engine=engine, progress=progress)


def _tickets(title: str | None, body: str, repository: str, file: str | None) -> list[Incoming]:
    from understudy.core.errors import BadInput
    from understudy.integrations.labelling import Incoming
    from understudy.templates.bug_classification.tables import read_json_rows, read_rows

    if title is not None:
        return [Incoming(id="-", title=title, body=body, repository=repository)]
    assert file is not None
    rows = list(read_json_rows(sys.stdin.buffer, "standard input") if file == "-" else read_rows(Path(file)))
    if not rows:
        raise BadInput(f"{'standard input' if file == '-' else file} holds no ticket")
    empty = next((row for row in rows if not row.values.keys() & {"title", "body", "description"}), None)
    if empty is not None:
        there = ", ".join(sorted(empty.values)) or "nothing"
        raise BadInput(f"{empty.file}, line {empty.number}: there is neither title nor body, only {there}")
    return [
        Incoming(
            id=row.text("id", "number") or str(row.number),
            title=row.text("title"),
            body=row.text("body", "description"),
            repository=row.text("project", "repo", "repository") or repository,
        )
        for row in rows
    ]


def print_answer(console: Console, answer: Answer) -> None:
    """Show an answer in a terminal: by group the probabilities, what was applied or only suggested, and why."""
    from rich.markup import escape
    from rich.text import Text

    from understudy.core.outside import plain

    if answer.id != "-":
        console.print(f"\n[bold]{escape(plain(answer.id))}[/bold]")
    for group in answer.groups:
        console.print(f"\n[bold]{escape(plain(group.group))}[/bold]  {_OUTCOMES[group.outcome]}")
        chosen = {choice.label: choice for choice in group.choices}
        for name, probability in group.table.items():
            choice = chosen.get(name)
            mark = "+" if choice and choice.applied else "?" if choice else " "
            line = Text(f"  {mark} {plain(name):<24} {probability:6.1%} ", style="bold" if choice else "dim")
            line.append(
                "#" * round(probability * 24), style="green" if mark == "+" else "yellow" if mark == "?" else "dim"
            )
            console.print(line, soft_wrap=True)
        for choice in group.choices:
            verb = "applied" if choice.applied else "suggested"
            told = f"{choice.label} is {verb} ({choice.probability:.1%}): {choice.why}"
            console.print(Text(f"    {plain(told)}", style="dim"))
        for name in group.untrained:
            console.print(Text(f"    {plain(name)} was not learnt: no ticket has it", style="dim"))
        if words := answer.features.get(group.group):
            console.print(Text(f"    because of {plain(', '.join(words))}", style="dim"))
    if answer.nearest:
        console.print("\n[dim]nearest labelled tickets[/dim]")
    for near in answer.nearest:
        told = f"  {near.id} [{', '.join(near.labels.values())}] {near.title}"
        piped = not console.is_terminal  # there a title is shown as a whole
        shown = Text(plain(told), style="dim")
        console.print(shown, no_wrap=True, overflow=None if piped else "ellipsis", soft_wrap=piped)
    if answer.needs_info:
        console.print("\n[magenta]The ticket says too little to label it: ask for more.[/magenta]")
    if answer.left_out:
        console.print(f"[dim]{answer.left_out} characters of the body were not shown to the language model[/dim]")
    if answer.retired:
        told = f"learnt but no longer in the taxonomy, so never answered: {', '.join(answer.retired)}"
        console.print(Text(plain(told), style="dim"))
    console.print(f"[dim]by {escape(answer.model)}[/dim]")
