"""What of a base is trained: everything (``full``) or a low-rank adapter (``lora``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from understudy.core.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["adapter_config", "trainable_share"]


def adapter_config(settings: TrainSettings) -> Any:
    """Return the PEFT configuration of the chosen method, or None for ``full``.

    ``all-linear`` leaves the output head alone: it is often tied to the embedding, and an adapter on it can be
    neither trained by TRL nor served.
    """
    if settings.method == "full":
        return None
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


def trainable_share(model: PreTrainedModel) -> tuple[int, int]:
    """Return (trainable parameters, all parameters)."""
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return trainable, sum(p.numel() for p in model.parameters())
