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


def tiny_model(kind: str = "lfm2", seed: int = 3) -> Any:
    """Return a random float32 ``lfm2`` (as the seedling) or ``llama``, its weights wide enough for clear choices."""
    import torch
    from transformers import Lfm2Config, Lfm2ForCausalLM, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    wide = {**SIZES, "vocab_size": VOCABULARY, "initializer_range": 0.4}
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**wide))
    layers = ["conv", "full_attention"]
    return Lfm2ForCausalLM(Lfm2Config(**wide, layer_types=layers, conv_L_cache=3, block_auto_adjust_ff_dim=False))


def tiny_attention_model(kind: str = "qwen3", seed: int = 3) -> Any:
    """Return a random float32 ``qwen3``, ``llama``, or ``windowed`` (a Mistral that sees 32 tokens back)."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM, Qwen3Config, Qwen3ForCausalLM

    if kind == "llama":
        return tiny_model("llama", seed)
    torch.manual_seed(seed)
    wide = {**SIZES, "vocab_size": VOCABULARY, "initializer_range": 0.4}
    if kind == "windowed":
        return MistralForCausalLM(MistralConfig(**wide, sliding_window=32))
    return Qwen3ForCausalLM(Qwen3Config(**wide, head_dim=8))


def tiny_base(folder: Path, kind: str = "lfm2", seed: int = 3) -> Path:
    """Write a tiny model with the seedling's tokenizer as a model folder."""
    model = tiny_model(kind, seed) if kind in ("lfm2", "llama") else tiny_attention_model(kind, seed)
    model.save_pretrained(folder)
    load_tokenizer(resolve_base("seedling")).save_pretrained(folder)
    return folder
