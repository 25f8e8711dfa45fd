"""Prefix tuning: trained keys and values that every layer attends to before the prompt (arXiv 2101.00190)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from understudy.core.errors import BadInput
from understudy.core.settings import TrainSettings

if TYPE_CHECKING:
    from peft import PeftModel, PrefixTuningConfig
    from transformers import PreTrainedModel

__all__ = ["accept_prefix", "check_prefix", "learn_on", "learns_prompt", "prefix_config"]


def prefix_config(settings: TrainSettings) -> PrefixTuningConfig:
    """Return PEFT's configuration."""
    from peft import PrefixTuningConfig

    return PrefixTuningConfig(num_virtual_tokens=settings.prefix.tokens, task_type="CAUSAL_LM")


def learn_on(model: PeftModel) -> None:
    """Let a loaded prefix learn on, which PEFT refuses to do while loading it."""
    model.active_peft_config.inference_mode = False
    model.prompt_encoder.requires_grad_(True)


def learns_prompt(model: Any, adapter: Any = None) -> bool:
    """Whether trained tokens stand before what ``model`` reads, or will once it gets ``adapter``, a PEFT config."""
    configs = [adapter, *getattr(model, "peft_config", {}).values()]
    return any(getattr(config, "is_prompt_learning", False) for config in configs)


def check_prefix(model: PreTrainedModel) -> None:
    """Refuse a model whose layers see a sliding window only (Gemma 3).

    The prefix falls out of the window as the text grows, and padding counts as text: an answer would depend on the
    other rows of its batch.

    Raises:
        BadInput: there is such a layer, and its window is shorter than the context.
    """
    config: Any = model.config
    window = getattr(config, "sliding_window", None)
    slides = any("sliding" in kind for kind in getattr(config, "layer_types", None) or ["sliding" if window else ""])
    if slides and window is not None and window < config.max_position_embeddings:
        raise BadInput(
            f"method prefix does not fit this {config.model_type} model: some of its layers see only the last {window} "
            "tokens and lose the prefix; set train.method to lora or adapter"
        )


def accept_prefix(model: PreTrainedModel) -> None:
    """Let a model that has layers without attention (LFM2) take a prefix.

    PEFT hands the prefix over as a cache of attention layers only, in which a convolution finds no place for its state
    and raises. Before each forward pass such a cache is exchanged for one made for this model; the prefix of layers
    that do not attend has no effect.
    """
    kinds = getattr(model.config, "layer_types", None) or []
    if any("attention" not in kind for kind in kinds):
        model.register_forward_pre_hook(_own_cache, with_kwargs=True)


def _own_cache(model: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    from transformers import DynamicCache

    given = kwargs.get("past_key_values")
    if not isinstance(given, DynamicCache):
        return None
    own: Any = DynamicCache(config=model.config)
    old: list[Any] = given.layers
    if [type(layer) for layer in own.layers] == [type(layer) for layer in old]:
        return None
    for index, kind in enumerate(model.config.layer_types):
        if "attention" in kind and old[index].get_seq_length():
            own.update(old[index].keys, old[index].values, index)
    return args, {**kwargs, "past_key_values": own}
