"""How much memory a run needs, told before anything is loaded, and refused where it cannot work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core.bases import Base
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.settings import Method, TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Need", "check_memory", "need_of"]

_GIB = 1 << 30
_TRAINED = 16
"""Bytes of a trained weight: itself, its gradient and Adam's two moments, all float32."""
_FROZEN = 4
"""Bytes of a weight that is only read, held in float32."""
_FOUR_BIT = 0.6
"""Bytes of a weight in 4 bits, scales included (arXiv 2305.14314, section 3)."""
_HIDDEN, _INNER = 54, 8
"""Bytes kept for the backward pass for each layer and position at 2 bytes a number: for each hidden unit (norms in
float32, projections, residuals), and for each unit inside a gated MLP. Fitted to what autograd keeps of Qwen3, LFM2 and
Llama blocks, within a fifth; the attention matrix is never held whole."""
_FLOAT32 = 1.45
"""As many times the bytes when nothing is rounded to 2 bytes."""


class Need:
    """Bytes that a run takes, in two parts: what it takes for certain, and about what a step adds."""

    def __init__(self, weights: float, step: float) -> None:
        """Take ``weights`` with gradients and optimiser, and ``step`` for the activations of one step."""
        self.weights, self.step = weights, step

    @property
    def total(self) -> float:
        """Both together, in bytes."""
        return self.weights + self.step


def need_of(base: Base, settings: TrainSettings, hardware: Hardware) -> Need:
    """Return what tuning ``base`` takes, from its configuration alone; no weights are read.

    Small adapters are counted as a twentieth of the model, a bound that holds for usual widths.
    """
    model = _outline(base)
    every = sum(parameter.numel() for parameter in model.parameters())
    embedding = model.get_input_embeddings().weight.numel()  # type: ignore[operator]
    if settings.method == "full":
        weights: float = every * _TRAINED
    elif settings.method == "qlora":
        weights = embedding * _FROZEN + (every - embedding) * _FOUR_BIT + every / 20 * _TRAINED
    else:
        weights = every * _FROZEN + every / 20 * _TRAINED
    config: Any = model.config
    length = min(settings.max_length, int(getattr(config, "max_position_embeddings", settings.max_length)))
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    kept = (_HIDDEN * config.hidden_size + _INNER * inner) * config.num_hidden_layers
    return Need(weights, settings.batch_size * length * kept * (1 if hardware.bf16 else _FLOAT32))


def _outline(base: Base) -> PreTrainedModel:
    """Return the model without weights (torch's ``meta`` device)."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    revision = None if base.revision.startswith("sha256:") else base.revision
    trusted = base.trust_remote_code
    config = AutoConfig.from_pretrained(base.location, revision=revision, trust_remote_code=trusted)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=trusted)
    return model


def check_memory(base: Base, settings: TrainSettings, hardware: Hardware) -> Hardware:
    """Return ``hardware`` with what memory decides, and a sentence on what is needed and there.

    Where the weights fit and a step does not, activations are computed twice; nowhere else, since that costs a third
    of the time. It changes no result.

    Raises:
        BadInput: the weights alone need more than there is; the message names the method that would fit.
    """
    free = _free(hardware)
    need = need_of(base, settings, hardware)
    told = f"memory: needs about {_gib(need.total)} ({_gib(need.weights)} of it for certain) beside libraries and data"
    if free is None:
        return replace(hardware, reasons=(*hardware.reasons, told))
    here = "this GPU" if hardware.device == "cuda" else "this machine"
    if need.weights <= free:
        told = f"{told}, {here} has {_gib(free)} free"
        recompute = need.total > free and settings.method != "prefix"  # a learnt prefix cannot be computed twice
        if recompute:
            told += ": activations are computed twice to save memory; lower train.batch_size to save the time instead"
        return replace(hardware, reasons=(*hardware.reasons, told), recompute=recompute)
    fits = (
        method
        for method in _SMALLER
        if need_of(base, settings.model_copy(update={"method": method}), hardware).weights <= free
    )
    way = next((f"set train.method to {method}" for method in fits), "take a smaller base")
    raise BadInput(
        f"tuning {base.name} by {settings.method} needs {_gib(need.weights)} before the first step, {here} has "
        f"{_gib(free)} free: {way}"
    )


_SMALLER: tuple[Method, ...] = ("lora", "qlora")


def _free(hardware: Hardware) -> float | None:
    """Return the free memory in bytes, None where the system does not tell."""
    if hardware.device == "cuda":
        import torch

        return float(torch.cuda.mem_get_info()[0])
    told = Path("/proc/meminfo")
    if not told.exists():
        return None
    line = next(line for line in told.read_text("utf-8").split("\n") if line.startswith("MemAvailable:"))
    return float(line.split()[1]) * 1024


def _gib(count: float) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB / 10 else f"{count / (1 << 20):.0f} MiB"
