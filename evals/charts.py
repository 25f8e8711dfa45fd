"""Axes for the report's small charts: a value to a horizontal position, and round numbers to label it with."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from understudy.evals.results import Estimate

__all__ = ["Axis", "Plot", "axis_for"]

_PAD = 10.0


@dataclass(frozen=True)
class Axis:
    """A linear axis from ``low`` to ``high`` over ``width`` pixels, with a small margin on both sides."""

    low: float
    high: float
    step: float
    width: float = 320.0

    def x(self, value: float) -> float:
        """Return the position of ``value`` in pixels, kept inside the drawing."""
        share = (value - self.low) / (self.high - self.low)
        return round(_PAD + min(1.0, max(0.0, share)) * (self.width - 2 * _PAD), 2)

    @property
    def ticks(self) -> list[float]:
        """Round numbers along the axis, ends included."""
        count = round((self.high - self.low) / self.step)
        return [round(self.low + at * self.step, 10) for at in range(count + 1)]

    def label(self, tick: float) -> str:
        """Return the tick as text with as many decimals as the step needs."""
        return f"{tick:.{max(0, -math.floor(math.log10(self.step) + 1e-9))}f}"


@dataclass(frozen=True)
class Plot:
    """A square of 0..1 by 0..``top``, drawn with its origin at the lower left."""

    top: float = 1.0
    size: float = 200.0
    margin: float = 34.0

    def x(self, value: float) -> float:
        """Return the horizontal position of a share in pixels."""
        return round(self.margin + value * self.size, 1)

    def y(self, value: float) -> float:
        """Return the vertical position of a value in pixels, from the top."""
        return round(_PAD + (1 - min(1.0, value / self.top)) * self.size, 1)

    def points(self, xs: Iterable[float], ys: Iterable[float]) -> str:
        """Return the ``points`` of an SVG polyline."""
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in zip(xs, ys, strict=True))

    @property
    def ticks(self) -> list[float]:
        """Five round shares along either axis."""
        return [0.0, 0.25, 0.5, 0.75, 1.0]


def axis_for(estimates: Iterable[Estimate], include: Iterable[float] = (), width: float = 320.0) -> Axis:
    """Return an axis with round ends that holds all estimates with their intervals, and the values of ``include``."""
    values = [end for one in estimates for end in (one.value, one.low, one.high) if end is not None]
    values = [value for value in [*values, *include] if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    step = _round_step((high - low) / 4)
    return Axis(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step, width)


def _round_step(raw: float) -> float:
    """Return the next step of 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
