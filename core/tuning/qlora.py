"""QLoRA: LoRA over a base held in 4 bits (arXiv 2305.14314), by bitsandbytes, on a GPU or a CPU."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from understudy.core.errors import BadInput
from understudy.core.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig, PreTrainedModel

__all__ = ["keep_layout", "quantisation"]


def quantisation(settings: TrainSettings, *, bf16: bool) -> BitsAndBytesConfig | None:
    """Return how the base is quantised while it is loaded, or None unless the method is ``qlora``.

    Args:
        settings: method and number format.
        bf16: whether the machine computes in bfloat16; float32 otherwise.

    Raises:
        BadInput: bitsandbytes is not installed.
    """
    if settings.method != "qlora":
        return None
    if find_spec("bitsandbytes") is None:
        raise BadInput("method qlora needs bitsandbytes: pip install 'bitsandbytes>=0.46', or set train.method to lora")
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=settings.qlora.quant_type,
        bnb_4bit_use_double_quant=settings.qlora.double_quantisation,
        bnb_4bit_compute_dtype=torch.bfloat16 if bf16 else torch.float32,
    )


def keep_layout(model: PreTrainedModel) -> None:
    """Forbid bitsandbytes to rearrange weights for faster answers on a CPU with AVX512-BF16.

    Version 0.50 does so in the first pass without gradients, a validation for instance, and its backward pass and its
    dequantisation then read the new order as the old one: gradients are wrong from there on, in silence.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]
