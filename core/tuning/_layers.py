"""Which layers a method touches: by the names that architectures give them, checked against the model at hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from understudy.core.errors import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["FEED_FORWARD_OUT", "KEYS_VALUES", "MIXER_OUT", "check_targets", "named"]

KEYS_VALUES = ("k_proj", "v_proj", "qkv_proj")
"""Layers that make keys and values; ``qkv_proj`` (Phi 3 and 4) makes the queries too."""
MIXER_OUT = ("o_proj", "out_proj", "dense")
"""Last layer of the part that mixes positions: attention, or the short convolution of LFM2."""
FEED_FORWARD_OUT = ("down_proj", "w2", "fc2")
"""Last layer of the feed-forward part."""


def named(names: Sequence[str]) -> str:
    """Return the regular expression PEFT takes for all layers called one of ``names``, at any depth."""
    return rf"(?:.*\.)?(?:{'|'.join(map(re.escape, names))})"


def check_targets(model: PreTrainedModel, config: Any, method: str) -> None:
    """Refuse target layers that the model does not have or that cannot be tuned.

    PEFT passes over a name that is nowhere while another one is somewhere, and TRL cannot train an adapter on the
    output head: its loss reads the head's weight, not its output. Where the head shares that weight with the embedding,
    a merge would change the embedding as well.

    Raises:
        BadInput: names the layer and what to write instead.
    """
    from torch.nn import Linear

    targets = getattr(config, "target_modules", None)
    if targets is None or targets == "all-linear":
        return
    section = "lora" if method == "qlora" else method
    linear = {name: layer for name, layer in model.named_modules() if isinstance(layer, Linear)}
    head = model.get_output_embeddings()
    head_name = next((name for name, layer in model.named_modules() if layer is head), "")
    tied = bool(getattr(model.config, "tie_word_embeddings", False))
    for target in [targets] if isinstance(targets, str) else sorted(targets):
        found = [name for name in linear if _hits(target, name, is_pattern=isinstance(targets, str))]
        if head_name in found:
            why = "shares its weights with the embedding" if tied else "is read by the loss as weights, not as a layer"
            raise BadInput(
                f"train.{section}.target_modules names the output head {head_name}, which {why}, so an adapter on it "
                "would not be trained; leave it out"
            )
        if not found:
            known = ", ".join(sorted({name.rpartition(".")[2] for name in linear if linear[name] is not head}))
            sought = f"none called as method {method} expects" if isinstance(targets, str) else f"no layer {target!r}"
            raise BadInput(
                f"train.{section}.target_modules: this {model.config.model_type} model has {sought}; "
                f"its linear layers are called {known}"
            )


def _hits(target: str, name: str, *, is_pattern: bool) -> bool:
    """Whether PEFT would take the layer ``name`` for ``target``."""
    if is_pattern:
        return re.fullmatch(target, name) is not None
    return name == target or name.endswith(f".{target}")
