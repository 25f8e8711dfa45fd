"""A random model of 0.1 million weights behind the seedling's tokenizer: everything real, nothing learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from understudy.core.bases import load_tokenizer, resolve_base

VOCABULARY = 5120
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


_MORE: dict[str, dict[str, Any]] = {
    "lfm2": {"layer_types": ["conv", "full_attention"], "conv_L_cache": 3, "block_auto_adjust_ff_dim": False},
    "gemma3_text": {"head_dim": 8, "sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"]},
    "qwen3": {"head_dim": 8},
    "mistral": {"sliding_window": None},
}


def tiny_model(kind: str = "lfm2", seed: int = 3, **changes: Any) -> Any:
    """Return a random float32 model of an architecture (``lfm2`` as the seedling), wide enough for clear choices."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    wide = {**SIZES, "vocab_size": VOCABULARY, "initializer_range": 0.4, **_MORE.get(kind, {}), **changes}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **wide))


def tiny_base(folder: Path, kind: str = "lfm2", seed: int = 3) -> Path:
    """Write a tiny model with the seedling's tokenizer as a model folder."""
    tiny_model(kind, seed).save_pretrained(folder)
    load_tokenizer(resolve_base("seedling")).save_pretrained(folder)
    return folder
