"""Loading a base for tuning, and a tuned model for answering; quantised the same way in both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.bases import Base, load_model
from understudy.core.hardware import Hardware
from understudy.core.settings import TrainSettings
from understudy.core.tuning import attach, merge
from understudy.core.tuning.qlora import keep_layout, quantisation

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["load_merged", "load_to_tune", "load_tuned"]


def load_to_tune(base: Base, settings: TrainSettings, hardware: Hardware, *, dtype: str = "float32") -> PreTrainedModel:
    """Load a base, in 4 bits if the method is ``qlora``; what is not quantised is held in ``dtype``.

    Raises:
        BadInput: the base cannot be loaded, or bitsandbytes is needed and not installed.
    """
    config = quantisation(settings, bf16=hardware.bf16)
    model = load_model(base, device=hardware.device, dtype=dtype, quantisation=config)
    if config is not None:
        keep_layout(model)
    return model


def load_tuned(
    base: Base, folder: Path, settings: TrainSettings, hardware: Hardware, *, dtype: str = "auto"
) -> PreTrainedModel:
    """Load what training saved in ``folder``: the base with the adapter on top, or a whole model (``full``).

    Raises:
        BadInput: one of the two cannot be loaded, or they do not belong together.
    """
    if settings.method == "full":
        own = Base(str(folder), str(folder), "sha256:", base.trust_remote_code)
        return load_model(own, device=hardware.device, dtype=dtype)
    adapted: PreTrainedModel = attach(load_to_tune(base, settings, hardware, dtype=dtype), folder)  # type: ignore[assignment]
    return adapted


def load_merged(
    base: Base, folder: Path, settings: TrainSettings, hardware: Hardware, *, dtype: str = "float32"
) -> PreTrainedModel:
    """Load base and adapter and return them as one ordinary model.

    A 4-bit base is dequantised first: the adapter has learnt to correct that one, not the original.

    Raises:
        BadInput: the method cannot be merged.
    """
    if settings.method == "full":
        return load_tuned(base, folder, settings, hardware, dtype=dtype)
    model = load_to_tune(base, settings, hardware, dtype=dtype)
    if getattr(model, "is_quantized", False):
        model = model.dequantize()
    return merge(attach(model, folder))
