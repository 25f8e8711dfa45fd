"""Cross-entropy over a tied head without ever holding all logits: about a third of the step's time on a CPU."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["chunked_cross_entropy"]

_ROWS = 1024
"""Positions per piece: 512 x 6,144 float32 logits are 12 MB, which stays in the last-level cache."""


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of cross-entropies; gradients are made in the forward pass, piece by piece, while the logits are hot."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32)
        low = weight.to(torch.bfloat16)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        for at in range(0, hidden.shape[0], _ROWS):
            piece, wanted = hidden[at : at + _ROWS].to(torch.bfloat16), target[at : at + _ROWS]
            probabilities = (piece @ low.T).float()
            probabilities -= probabilities.amax(1, keepdim=True)
            picked = probabilities.gather(1, wanted[:, None]).squeeze(1)
            probabilities.exp_()
            normaliser = probabilities.sum(1)
            total += (normaliser.log() - picked).sum()
            probabilities /= normaliser[:, None]
            probabilities[torch.arange(len(wanted)), wanted] -= 1
            gradient = probabilities.to(torch.bfloat16)
            grad_hidden[at : at + _ROWS] = (gradient @ low).to(hidden.dtype)
            grad_weight += (gradient.T @ piece).float()
        ctx.save_for_backward(grad_hidden, grad_weight)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[torch.Tensor, torch.Tensor, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], grad_weight * grads[0], None


def chunked_cross_entropy(hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of ``hidden`` (n, width) times ``weight`` (vocabulary, width)."""
    total: torch.Tensor = _ChunkedCrossEntropy.apply(hidden, weight, target)  # type: ignore[no-untyped-call]
    return total / max(1, target.numel())
