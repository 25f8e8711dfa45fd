"""What of a base is trained: everything (``full``) or something small beside it, one file for each method.

Everything small is a PEFT artefact, a folder with ``adapter_config.json`` and ``adapter_model.safetensors``. The
methods meet in three functions: :func:`prepare` makes a loaded base ready for TRL's trainer, :func:`attach` puts a
saved adapter back on its base, and :func:`merge` folds it into the base's weights where that is possible.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core.errors import BadInput
from understudy.core.settings import TrainSettings
from understudy.core.tuning._layers import check_targets
from understudy.core.tuning.bottleneck import bottleneck_config, register_bottleneck
from understudy.core.tuning.ia3 import ia3_config
from understudy.core.tuning.lora import lora_config
from understudy.core.tuning.prefix import accept_prefix, check_prefix, learn_on, prefix_config

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from transformers import PreTrainedModel

__all__ = ["adapter_config", "attach", "merge", "mergeable", "prepare", "trainable_share", "widen"]

_CONFIGS = {
    "lora": lora_config,
    "qlora": lora_config,
    "prefix": prefix_config,
    "adapter": bottleneck_config,
    "ia3": ia3_config,
}
_MERGEABLE = ("LORA", "IA3")
"""PEFT's names of the methods whose effect a base's own weights can express."""


def adapter_config(settings: TrainSettings) -> Any:
    """Return the PEFT configuration of the chosen method, or None for ``full``."""
    return None if settings.method == "full" else _CONFIGS[settings.method](settings)


def prepare(model: PreTrainedModel, settings: TrainSettings) -> PeftConfig | None:
    """Return the configuration to tune ``model`` with, as :func:`adapter_config` does, checked against its layers.

    Raises:
        BadInput: a named layer is not there, is not linear or is the output head, or the method does not fit the model.
    """
    config: PeftConfig | None = adapter_config(settings)
    if config is not None:
        check_targets(model, config, settings.method)
        if settings.method == "prefix":
            check_prefix(model)
            accept_prefix(model)
    return config


def attach(model: PreTrainedModel, folder: Path, *, trainable: bool = False) -> PeftModel:
    """Return ``model`` with the adapter in ``folder`` on top, for answering, or to learn on if ``trainable``.

    Raises:
        BadInput: the folder holds no adapter, or one for a model of another shape.
    """
    from peft import PeftConfig, PeftModel
    from safetensors import SafetensorError

    register_bottleneck()
    accept_prefix(model)
    try:
        prefix = PeftConfig.from_pretrained(str(folder)).is_prompt_learning
        tuned = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable and not prefix)
        if trainable and prefix:
            learn_on(tuned)
        return tuned
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise BadInput(
            f"{folder} holds no adapter for this {model.config.model_type} model: {str(error).split(chr(10))[0]}"
        ) from error


def mergeable(model: PeftModel) -> bool:
    """Whether the base's own weights can express what the adapter on ``model`` does.

    Low-rank updates and factors are linear, so they can. A bottleneck bends and a prefix is state, so they cannot.
    """
    return str(model.active_peft_config.peft_type).rpartition(".")[2] in _MERGEABLE


def merge(model: PeftModel) -> PreTrainedModel:
    """Fold the adapter into the base, whose weights change, and return the base.

    Raises:
        BadInput: the method does not allow it, or the base is quantised, so that merging would round every weight.
    """
    if not mergeable(model):
        raise BadInput(
            "a prefix or a bottleneck adapter cannot be merged, since no weights of the base do the same; "
            "serve it beside its base, or tune with lora"
        )
    if getattr(model.get_base_model(), "is_quantized", False):
        raise BadInput("the base below the adapter is quantised; dequantise it first, or every weight is rounded again")
    merged: PreTrainedModel = model.merge_and_unload(safe_merge=True)
    return merged


def widen(model: PreTrainedModel) -> None:
    """Hold what is trained in float32.

    TRL makes the adapter over a 4-bit base bfloat16, in which a step smaller than 1/256 of a weight is lost.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def trainable_share(model: PreTrainedModel) -> tuple[int, int]:
    """Return (trainable parameters, all parameters); a 4-bit weight counts as one parameter, not as half a byte."""
    every = [(parameter.requires_grad, _count(parameter)) for parameter in model.parameters()]
    return sum(count for trains, count in every if trains), sum(count for _, count in every)


def _count(parameter: Any) -> int:
    state = getattr(parameter, "quant_state", None)
    return int(parameter.numel() if state is None else state.shape.numel())
