"""(IA)³: one trained factor for each key, value and feed-forward unit (arXiv 2205.05638)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from understudy.core.settings import TrainSettings
from understudy.core.tuning._layers import FEED_FORWARD_OUT, KEYS_VALUES, named

if TYPE_CHECKING:
    from peft import IA3Config

__all__ = ["ia3_config"]


def ia3_config(settings: TrainSettings) -> IA3Config:
    """Return PEFT's configuration; its own table of layer names knows fewer architectures than ours."""
    from peft import IA3Config

    ia3 = settings.ia3
    outputs = KEYS_VALUES if ia3.target_modules == "auto" else ia3.target_modules
    inputs = FEED_FORWARD_OUT if ia3.feedforward_modules == "auto" else ia3.feedforward_modules
    # PEFT takes the layers whose input is scaled to be among the targets.
    return IA3Config(
        target_modules=named([*outputs, *inputs]), feedforward_modules=named(inputs), task_type="CAUSAL_LM"
    )
