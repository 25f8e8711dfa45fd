"""Watching a model in use: the newest window of its log against a reference, and every window before it as a series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from understudy.core.errors import BadInput
from understudy.core.outside import visible
from understudy.evals.drift import Shift, jensen_shannon, label_shift, number_shift, rate_shift
from understudy.evals.log import Inference, Log
from understudy.evals.statistics import holm, wilson

__all__ = ["Check", "Watch", "Window", "draw", "watch"]

_MOST_LABELS = 40
"""A field with more different values is text, not a label."""
_RATES = {"valid": "lower", "truncated": "higher", "abstained": "higher", "negative feedback": "higher"}
"""Rates, and the direction in which each is worse."""
_NUMBERS = {"input length": "prompt_tokens", "retrieval score": "retrieval_score", "confidence": "confidence"}


@dataclass(frozen=True)
class Check:
    """One thing looked at in the newest window."""

    name: str
    shift: Shift
    reference: float
    """Rate, or median of a number; for labels the share of the reference's commonest one."""
    value: float
    """The same in the window."""
    low: float | None
    high: float | None
    """Ends of Wilson's interval around the window's rate; None for labels and numbers."""
    p_adjusted: float
    """Holm's correction over all checks of the window."""
    alarm: bool
    divergence: float | None = None
    """Jensen-Shannon divergence in bits, of labels."""


@dataclass(frozen=True)
class Window:
    """One window of the series."""

    start: datetime
    end: datetime
    count: int
    rates: dict[str, tuple[float, float, float]]
    """By name: the rate with Wilson's interval."""
    psi: dict[str, tuple[float, float]]
    """By label: index and threshold."""


@dataclass(frozen=True)
class Watch:
    """What monitoring found."""

    checks: tuple[Check, ...]
    """Alarms first, then by p."""
    series: tuple[Window, ...]
    reference: int
    """Answers in the reference."""
    window: int
    """Answers in the newest window."""
    enough: bool
    """Whether the newest window has the answers that were asked for; otherwise nothing is an alarm."""

    @property
    def exit_code(self) -> int:
        """1 on an alarm, 3 when the window is too small to say, else 0."""
        return 3 if not self.enough else int(any(check.alarm for check in self.checks))


def watch(log: Log, reference: Log, *, window: int = 300, minimum: int = 50, alpha: float = 0.05) -> Watch:
    """Compare the newest ``window`` answers of ``log`` with ``reference``.

    Args:
        log: of the model in use.
        reference: answers of a time when all was well: an earlier part of the log, or answers on the test split.
        window: answers in a window.
        minimum: with fewer answers in the newest window there is no verdict.
        alpha: chance that a window without any drift raises an alarm, over all checks together.

    Raises:
        BadInput: the reference is smaller than ``minimum``.
    """
    if len(reference.answers) < minimum:
        raise BadInput(f"the reference has {len(reference.answers)} answers; it needs at least {minimum}")
    newest = log.answers[-window:]
    shifts = _shifts(log, reference, newest, alpha)
    adjusted = holm([check.shift.p for check in shifts])
    enough = len(newest) >= minimum
    checks = [
        Check(
            **{
                **vars(one),
                "p_adjusted": p,
                "alarm": enough and p <= alpha and abs(one.shift.value) > one.shift.threshold,
            }
        )
        for one, p in zip(shifts, adjusted, strict=True)
    ]
    pieces = [log.answers[max(0, end - window) : end] for end in range(len(log.answers), 0, -window)]
    series = tuple(_window(log, reference, piece, alpha) for piece in reversed(pieces))
    ranked = sorted(checks, key=lambda check: (not check.alarm, check.shift.p, check.name))
    return Watch(tuple(ranked), series, len(reference.answers), len(newest), enough)


def _shifts(log: Log, reference: Log, newest: Sequence[Inference], alpha: float) -> list[Check]:
    found = []
    for name, worse in _RATES.items():
        before, now = _rate(reference, reference.answers, name), _rate(log, newest, name)
        if before[1] and now[1]:
            value, low, high = wilson(*now)
            found.append(Check(name, rate_shift(before, now, worse), before[0] / before[1], value, low, high, 1, False))
    for name in _label_names(reference.answers):
        old, new = _labels(reference.answers, name), _labels(newest, name)
        if new:
            common = old.most_common(1)[0][0]
            classes = sorted(set(old) | set(new))
            bits = jensen_shannon([old[one] for one in classes], [new[one] for one in classes])
            shares = old[common] / old.total(), new[common] / new.total()
            found.append(Check(name, label_shift(old, new, alpha), *shares, None, None, 1, False, bits))
    for name, key in _NUMBERS.items():
        was = [value for one in reference.answers if (value := getattr(one, key)) is not None]
        now_ = [value for one in newest if (value := getattr(one, key)) is not None]
        if was and now_:
            medians = float(np.median(was)), float(np.median(now_))
            found.append(Check(name, number_shift(was, now_), *medians, None, None, 1, False))
    return found


def _window(log: Log, reference: Log, answers: Sequence[Inference], alpha: float) -> Window:
    rates = {name: _rate(log, answers, name) for name in _RATES}
    indices = {}
    for name in _label_names(reference.answers):
        if new := _labels(answers, name):
            shift = label_shift(_labels(reference.answers, name), new, alpha)
            indices[name] = (shift.value, shift.threshold)
    known = {name: tuple(wilson(*rate)) for name, rate in rates.items() if rate[1]}
    return Window(answers[0].time, answers[-1].time, len(answers), known, indices)  # type: ignore[arg-type]


def _rate(log: Log, answers: Sequence[Inference], name: str) -> tuple[int, int]:
    """Return (times, of) of a rate; negative feedback counts among the answers somebody judged."""
    if name == "negative feedback":
        votes = [vote for answer in answers if (vote := log.negative(answer)) is not None]
        return sum(votes), len(votes)
    if name == "truncated":
        return sum(answer.finish_reason == "length" for answer in answers), len(answers)
    return sum(bool(getattr(answer, name)) for answer in answers), len(answers)


def _label_names(answers: Sequence[Inference]) -> list[str]:
    """Return the fields of the output that are labels: text or flags with few different values, often repeated."""
    values: dict[str, Counter[str]] = {}
    for answer in answers:
        for key, value in (answer.output or {}).items():
            if isinstance(value, str | bool):
                values.setdefault(key, Counter())[str(value)] += 1
    return [key for key, seen in values.items() if len(seen) <= min(_MOST_LABELS, max(2, seen.total() // 5))]


def _labels(answers: Sequence[Inference], name: str) -> Counter[str]:
    return Counter(str(answer.output[name]) for answer in answers if answer.output and name in answer.output)


def draw(found: Watch, path: Path) -> None:
    """Draw the series into ``path`` (PNG or SVG by its ending): every rate with its interval, every label's index."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rates = [name for name in _RATES if any(name in window.rates for window in found.series)]
    labels = sorted({name for window in found.series for name in window.psi})
    rows = len(rates) + len(labels)
    figure = Figure(figsize=(8, 1 + 1.5 * rows), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    alarms = {check.name for check in found.checks if check.alarm}
    references = {check.name: check.reference for check in found.checks}
    for axes, name in zip(panels, [*rates, *labels], strict=True):
        colour = "#c8553d" if name in alarms else "#3f6fb0"
        known = [window for window in found.series if name in (window.rates if name in rates else window.psi)]
        times = [window.end for window in known]
        if name in rates:
            values = [window.rates[name] for window in known]
            axes.plot(times, [value for value, _, _ in values], marker="o", markersize=3, color=colour)
            lows, highs = [low for _, low, _ in values], [high for _, _, high in values]
            axes.fill_between(times, lows, highs, alpha=0.2, color=colour)
            axes.axhline(references.get(name, 0.0), color="#777777", linewidth=0.8, linestyle="--")
        else:
            axes.plot(times, [window.psi[name][0] for window in known], marker="o", markersize=3, color=colour)
            axes.plot(times, [window.psi[name][1] for window in known], color="#777777", linewidth=0.8, linestyle="--")
        title = f"{visible(name)}{' (index)' if name in labels else ''}{': alarm' if name in alarms else ''}"
        axes.set_title(title.replace("$", "\\$"), fontsize=9, loc="left")
        axes.grid(alpha=0.25, linewidth=0.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.autofmt_xdate()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
