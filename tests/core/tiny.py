"""A random model of 0.1 million weights behind the seedling's tokenizer: everything real, nothing learnt.

Beside it what the tests of every stage ask of a run on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.pack import Pack
from understudy.core.rewards import Verdict
from understudy.core.settings import Method
from understudy.core.sft import Outcome

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
needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="bitsandbytes (extra qlora) is not installed"
)
EACH_METHOD = [pytest.param(name, marks=needs_bitsandbytes if name == "qlora" else ()) for name in get_args(Method)]


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


def weights(outcome: Outcome) -> dict[str, Any]:
    """Return the tensors a run has written, the adapter's or the whole model's."""
    from safetensors.torch import load_file

    (path,) = outcome.folder.glob("*.safetensors")
    return load_file(path)


def same_weights(one: Outcome, other: Outcome) -> bool:
    """Whether two runs ended with the same weights, bit for bit."""
    import torch

    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def losses(outcome: Outcome) -> list[tuple[int, float | None, float | None]]:
    """Return step, loss and validation loss of every event."""
    return [(event.step, event.loss, event.validation_loss) for event in outcome.events]


def vowels(pack: Pack, examples: Any, texts: Sequence[str], stopped: Any) -> list[Verdict]:
    """Reward what random models can reach; no answer of theirs parses."""
    return [Verdict(1, 0.5, sum(letter in "aeiou" for letter in text) / max(1, len(text))) for text in texts]
