"""LoRA: low-rank updates of linear layers (arXiv 2106.09685), with its DoRA and rank-stabilised forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from understudy.core.settings import TrainSettings

if TYPE_CHECKING:
    from peft import LoraConfig

__all__ = ["lora_config"]


def lora_config(settings: TrainSettings) -> LoraConfig:
    """Return PEFT's configuration.

    ``all-linear`` leaves the output head alone: it is often tied to the embedding, and an adapter on it can be
    neither trained by TRL nor served.
    """
    from peft import LoraConfig

    lora = settings.lora
    alpha: Any = lora.alpha if lora.alpha % 1 else int(lora.alpha)  # PEFT says int, and scales by any number
    targets = lora.target_modules if lora.target_modules == "all-linear" else list(lora.target_modules)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
