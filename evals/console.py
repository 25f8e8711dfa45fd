"""A report's summary for a terminal: the verdict, the arms, the candidate against each, and what tuning cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from understudy.core.outside import plain
from understudy.evals.results import Estimate, General, Report, Verdict
from understudy.evals.text import p_value

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["print_report"]

_TONES = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow", None: "bold"}


def print_report(report: Report, console: Console) -> None:
    """Print the summary; text from outside is shown as text, never read as markup."""
    console.print()
    console.print(_arms(report))
    console.print(_comparisons(report))
    if report.general is not None:
        console.print(_elsewhere(report.general))
    gate, one = report.gate, report.serving
    what = f"{report.identity.model} on {report.n} samples in {report.groups} groups"
    _verdict(report.verdict, what, gate.reasons if gate else [], console)
    if one is not None:
        what = f"{one.arm} against {one.comparison.arm}: the {one.answers} answers from now on"
        _verdict(one.gate.verdict, what, one.reasons, console)
    console.print()


def _verdict(verdict: Verdict | None, what: str, reasons: list[str], console: Console) -> None:
    from rich.text import Text

    console.print(Text(f" {(verdict or 'not judged').upper()} ", f"{_TONES[verdict]} reverse"), _text(what))
    for reason in reasons:
        console.print(_text(f"  {reason}"))


def _arms(report: Report) -> Table:
    table = _table("arms", ["", report.primary, "interval", "right", "valid", "cut off", "prompt", "p95 s"])
    for arm in report.arms:
        primary = arm.metrics[report.primary]
        style = "bold" if arm.name == report.candidate else ""
        table.add_row(
            _text(arm.name),
            _text(f"{primary.value:.3f}"),
            _text(_interval(primary, ".3f"), "dim"),
            _text(f"{arm.buckets['right']}"),
            _text(f"{arm.schema_valid.value:.1%}"),
            _text(str(arm.buckets["truncated"])),
            _text(f"{arm.prompt_tokens_mean:.0f}"),
            _text(f"{arm.seconds_p95:.2f}" if arm.seconds_p95 else ""),
            style=style,
        )
    return table


def _comparisons(report: Report) -> Table:
    columns = ["", report.primary, "interval", "won", "lost", "p", "p (Holm)", "detects"]
    by = " (won, lost: samples; p: whole groups)" if report.comparison(report.baseline).test != "mcnemar_exact" else ""
    table = _table(f"{report.candidate}, difference to{by}", columns)
    for one in report.comparisons:
        delta, effect = one.deltas[report.primary], one.minimum_detectable_effect
        table.add_row(
            _text(one.arm),
            _text(f"{delta.value:+.3f}", _shade(delta, report.higher_is_better[report.primary])),
            _text(_interval(delta, "+.3f"), "dim"),
            _text(str(one.wins)),
            _text(str(one.losses)),
            _text(p_value(one.p)),
            _text(p_value(one.p_adjusted)),
            _text("none" if effect is None else f"{100 * effect:.1f} pts"),
        )
    return table


def _elsewhere(general: General) -> Table:
    """Base against tuned on everything but the task; what the gate looks at is bold."""
    table = _table("elsewhere, base to tuned", ["", "n", "base", "tuned", "change", "interval"])
    for one in [*general.forgetting, *general.safety]:
        table.add_row(
            _text(one.name),
            _text(str(one.n)),
            _text(f"{one.base.value:.3f}"),
            _text(f"{one.tuned.value:.3f}"),
            _text(f"{one.delta.value:+.3f}", _shade(one.delta, one.higher_is_better)),
            _text(_interval(one.delta, "+.3f"), "dim"),
            style="bold" if one.gated else "",
        )
    return table


def _shade(delta: Estimate, higher_is_better: bool) -> str:
    if delta.low is None or delta.high is None or delta.low <= 0 <= delta.high:
        return ""
    return "green" if (delta.value > 0) == higher_is_better else "red"


def _interval(estimate: Estimate, form: str) -> str:
    if estimate.low is None or estimate.high is None:
        return "none"
    return f"{estimate.low:{form}} to {estimate.high:{form}}"


def _table(title: str, columns: list[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=_text(title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="dim"
    )
    for at, column in enumerate(columns):
        table.add_column(_text(column), justify="right" if at else "left", no_wrap=True)
    return table


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain(text), style=style)
