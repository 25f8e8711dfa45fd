"""The training loop of both stages: Muon for matrices, AdamW for the rest, one CSV line a minute, resumable."""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.core.nursery._drills import IGNORE

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["ARCHITECTURE", "Batch", "Plan", "new_model", "train"]

Batch = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]

ARCHITECTURE: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "layer_types": ["conv", "full_attention", "conv", "full_attention"],
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "conv_L_cache": 3,
    "block_auto_adjust_ff_dim": False,
    "max_position_embeddings": 2048,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": True,
}
"""Lfm2: short convolutions alternating with attention learn to copy within minutes, a plain Llama does not."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast one stage learns."""

    stage: str
    tokens: int
    """Input tokens in all."""
    rows: int
    length: int
    muon_rate: float
    adam_rate: float
    warmup: int = 50
    """Steps."""
    seed: int = 7
    decay_from: float = 0.4
    """Share of the stage after which the rate falls, linearly, to a tenth."""


def new_model(vocabulary: int, seed: int) -> PreTrainedModel:
    """Return a randomly initialised model of :data:`ARCHITECTURE`."""
    from transformers import Lfm2Config, Lfm2ForCausalLM, set_seed

    set_seed(seed)
    config = Lfm2Config(vocab_size=vocabulary, pad_token_id=0, bos_token_id=1, eos_token_id=2, **ARCHITECTURE)
    model: PreTrainedModel = Lfm2ForCausalLM(config)
    return model


def _optimisers(model: PreTrainedModel, plan: Plan) -> list[torch.optim.Optimizer]:
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=plan.muon_rate, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=plan.adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _rate(plan: Plan, done: int, step: int) -> float:
    share = done / plan.tokens
    falling = max(0.1, 1 - 0.9 * max(0.0, share - plan.decay_from) / (1 - plan.decay_from))
    return min(1.0, (step + 1) / plan.warmup) * falling


def train(
    model: PreTrainedModel,
    plan: Plan,
    batch: Callable[[int], Batch],
    folder: Path,
    probe: Callable[[PreTrainedModel], dict[str, float]],
    every_seconds: float = 120.0,
    compiled: bool = False,
) -> None:
    """Train ``model`` in place by ``plan``; every ``every_seconds`` probe it, write a CSV line and a checkpoint.

    ``batch(step)`` must depend on the step alone: a run that was killed goes on from its last checkpoint with the
    same data. ``folder`` gets ``<stage>.csv``, ``<stage>.json`` (the plan) and ``<stage>.pt`` (weights and optimiser).
    ``compiled`` fuses both passes: a minute to start, an eighth faster afterwards; it needs a C++ compiler.
    """
    import torch

    optimisers = _optimisers(model, plan)
    state = folder / f"{plan.stage}.pt"
    (folder / f"{plan.stage}.json").write_text(json.dumps(asdict(plan), indent=2))
    step, done, spent = _resume(state, model, optimisers)
    forward = torch.compile(model.model, dynamic=False) if compiled else model.model
    started = last = time.monotonic()
    losses: list[float] = []
    while done < plan.tokens:
        rows, labels = (torch.from_numpy(part.astype(np.int64)) for part in batch(step))
        for optimiser, rate in zip(optimisers, (plan.muon_rate, plan.adam_rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * _rate(plan, done, step)
        loss = _loss(forward, model, rows, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"loss is {losses[-1]} at step {step} of stage {plan.stage}")
        step, done = step + 1, done + rows.numel()
        if time.monotonic() - last > every_seconds or done >= plan.tokens:
            last = time.monotonic()
            seconds = spent + last - started
            numbers = {
                "step": step,
                "tokens": done,
                "seconds": round(seconds),
                "loss": sum(losses) / len(losses),
                **probe(model),
            }
            _append(folder / f"{plan.stage}.csv", numbers)
            losses.clear()
            _save(state, model, optimisers, step, done, seconds)


def _loss(
    forward: Callable[..., Any], model: PreTrainedModel, rows: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return the mean loss of the tokens that are to be learnt; the head looks at no others."""
    import torch

    from understudy.core.nursery._loss import chunked_cross_entropy

    with torch.autocast("cpu", torch.bfloat16):
        hidden = forward(input_ids=rows, use_cache=False).last_hidden_state
    target = labels[:, 1:].reshape(-1)
    learn = target != IGNORE
    return chunked_cross_entropy(
        hidden[:, :-1].reshape(-1, hidden.shape[-1])[learn], model.lm_head.weight, target[learn]
    )


def _append(path: Path, numbers: dict[str, float]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(numbers))
        if fresh:
            writer.writeheader()
        writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in numbers.items()})


def _resume(path: Path, model: PreTrainedModel, optimisers: list[torch.optim.Optimizer]) -> tuple[int, int, float]:
    """Load a checkpoint if there is one; return the steps, tokens and seconds that went before."""
    import torch

    if not path.exists():
        return 0, 0, 0.0
    saved = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    for optimiser, values in zip(optimisers, saved["optimisers"], strict=True):
        optimiser.load_state_dict(values)
    return saved["step"], saved["done"], saved["spent"]


def _save(
    path: Path, model: PreTrainedModel, optimisers: list[torch.optim.Optimizer], step: int, done: int, spent: float
) -> None:
    import torch

    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "model": model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            "step": step,
            "done": done,
            "spent": spent,
        },
        temporary,
    )
    os.replace(temporary, path)
