"""The loss curve as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from understudy.core._watching import Event

__all__ = ["draw_curve"]


def draw_curve(events: Sequence[Event], path: Path, unit: str = "loss (nats per token)") -> None:
    """Draw training and validation loss over steps, the best validation marked, into ``path`` (PNG).

    ``unit`` names the axis, which is logarithmic unless a loss reaches 0, as the reward missed by grpo may.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.4), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    training = [(event.step, event.loss) for event in events if event.loss is not None]
    validation = [(event.step, event.validation_loss) for event in events if event.validation_loss is not None]
    axes.plot(*zip(*training, strict=True), color="#8aa4c8", linewidth=1.4, label="training")
    axes.plot(
        *zip(*validation, strict=True), color="#c8553d", marker="o", markersize=4, linewidth=1.6, label="validation"
    )
    step, value = min(validation, key=lambda point: point[1])
    axes.annotate(
        f"best {value:.3f}", (step, value), xytext=(-4, 12), textcoords="offset points", ha="right", color="#c8553d"
    )
    if min(value for _, value in (*training, *validation)) > 0:
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel(unit)
    axes.grid(alpha=0.25, which="both", linewidth=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)
