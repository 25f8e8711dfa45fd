"""``understudy monitor`` and ``understudy ab``: a model in use, watched over time and against another one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.integrations.cli._console import JsonOption, print_json, stderr, stdout

if TYPE_CHECKING:
    from rich.table import Table

    from understudy.evals.log import Log
    from understudy.evals.monitor import Watch

__all__ = ["ab", "monitor"]

LogArgument = Annotated[Path, typer.Argument(help="Log of answers and feedback (JSON Lines)")]
Level = Annotated[float, typer.Option(help="Chance of a false alarm, over all checks", min=1e-6, max=0.5)]


def monitor(
    log: LogArgument,
    reference: Annotated[Path, typer.Option("--reference", help="Log of a time when all was well")],
    window: Annotated[int, typer.Option(help="Answers in a window", min=2)] = 300,
    minimum: Annotated[int, typer.Option(help="Answers below which there is no verdict", min=2)] = 50,
    alpha: Level = 0.05,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the series into this PNG or SVG")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the newest answers of LOG with a reference; exit 1 on an alarm, 3 when there are too few answers."""
    from understudy.core.errors import BadInput
    from understudy.evals.monitor import draw, watch

    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise BadInput(f"{plot} must end in .png or .svg")
    seen = _read(log)
    found = watch(seen, _read(reference), window=window, minimum=minimum, alpha=alpha)
    if plot is not None:
        draw(found, plot)
    if as_json:
        print_json({"enough": found.enough, "reference": found.reference, "window": found.window} | _plain(found))
    else:
        _show(found, alpha)
    raise typer.Exit(found.exit_code)


def ab(
    log: LogArgument,
    experiment: Annotated[str, typer.Option("--experiment", help="Name that the units were assigned by")],
    share: Annotated[float, typer.Option("--share", help="Share of units in arm b")] = 0.5,
    alpha: Level = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Say whether arm a or b of an A/B test is better; look as often as you like; exit 3 while undecided."""
    from rich.markup import escape

    from understudy.evals.ab import outcomes, run_test

    found, mixed = outcomes(_read(log), experiment, share)
    result = run_test(found, alpha=alpha, mixed=mixed)
    if as_json:
        value = asdict(result)
        value["rates"] = {arm: list(rate) if result.units[arm] else None for arm, rate in result.rates.items()}
        print_json({key: value[key] for key in ("verdict", "p", "units", "rates", "mixed")})
        raise typer.Exit(result.exit_code)
    console = stdout()
    for arm, rate in result.rates.items():
        shown = f"{rate.value:.3f} \\[{rate.low:.3f}, {rate.high:.3f}]" if result.units[arm] else "no unit yet"
        console.print(f"  {arm}  {result.units[arm]:>5} units  well received {shown}")
    tone = "yellow" if result.verdict == "undecided" else "green"
    console.print(f"[bold {tone}]{result.verdict}[/]  always-valid p = {result.p:.3g}, level {alpha:g}")
    if mixed:
        names = ", ".join(escape(unit) for unit in mixed[:3])
        console.print(f"[dim]left out, seen with both arms or in the wrong one: {len(mixed)} ({names})[/dim]")
    raise typer.Exit(result.exit_code)


def _read(path: Path) -> Log:
    from understudy.evals.log import read_log

    log = read_log(path)
    if log.torn:
        stderr().print(f"  [yellow]the last line of {path.name} is cut off and was left out[/yellow]")
    return log


def _plain(found: Watch) -> dict[str, object]:
    series = [
        {**asdict(window), "start": window.start.isoformat(), "end": window.end.isoformat()} for window in found.series
    ]
    return {"checks": [asdict(check) for check in found.checks], "series": series}


def _show(found: Watch, alpha: float) -> None:
    from rich.text import Text

    from understudy.core.outside import plain

    console = stdout()
    console.print(_table(found))
    alarms = [check.name for check in found.checks if check.alarm]
    if not found.enough:
        console.print(Text(f"{found.window} answers are too few to say anything", style="bold yellow"))
    elif alarms:
        console.print(Text(f"alarm: {plain(', '.join(alarms))}", style="bold red"))
    else:
        console.print(f"[bold green]no alarm[/bold green]  {found.window} answers against {found.reference}")
    console.print(f"[dim]p after Holm's correction; {alpha:.0%} of windows without drift raise an alarm at most[/dim]")


def _table(found: Watch) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from understudy.core.outside import plain
    from understudy.evals.text import p_value

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="dim")
    for at, column in enumerate(("", "reference", "now", "interval", "shift", "p")):
        table.add_column(column, justify="right" if at else "left", no_wrap=True)
    for check in found.checks:
        interval = "" if check.low is None or check.high is None else f"{check.low:.3f} to {check.high:.3f}"
        table.add_row(
            Text(plain(check.name), style="bold red" if check.alarm else ""),
            f"{check.reference:.3g}",
            f"{check.value:.3g}",
            interval,
            f"{check.shift.statistic} {check.shift.value:+.3f}",
            p_value(check.p_adjusted),
        )
    return table
