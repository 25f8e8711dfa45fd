"""Log-probabilities of answers, with the head on answer tokens only and each prompt read once for its two answers.

TRL 1.16 scores a pair as two rows, ``[prompt | chosen]`` and ``[prompt | rejected]``, and on a CPU runs the head on
every position. Where prompts are long and answers short, most of that is spent on reading the same prompt twice and on
predicting it. :class:`Scorer` stands in for the model inside TRL's ``compute_loss`` and answers in TRL's own form, so
the loss stays TRL's.

A shared row is ``[prompt | chosen | rejected]``: the positions of the rejected answer begin again where the prompt
ends, and a 4-D mask hides the chosen answer from it (arXiv 2410.20305). That is exact for attention, and wrong for
layers that read their neighbours whatever the mask says, such as convolutions: :func:`refusal` finds out by trying.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from understudy.core.rows import IGNORE

if TYPE_CHECKING:
    import torch

__all__ = ["Scorer", "refusal"]

_TOLERANCE = 1e-4
"""Largest difference of one token's log-probability, in float32, between a shared row and two rows. Rounding stays
under 1e-5; a layer that reads across the border is off by 0.01 to 10."""


class Scorer:
    """Answers as a model with TRL's fused head does: per-token figures of the labelled tokens, zero elsewhere."""

    def __init__(self, model: Any, *, shared: bool = False, temperature: float = 1.0) -> None:
        """Score with ``model``; ``shared`` wants batches whose second half has the same prompts as the first.

        ``temperature`` is the one that answers were drawn with.
        """
        self._model = model
        self._shared = shared
        self._temperature = temperature
        self.sums: torch.Tensor | None = None
        """Log-probability of each row's answer in the latest batch."""

    def __call__(
        self, *, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, **_: Any
    ) -> SimpleNamespace:
        """Return ``log_probs``, ``entropy``, ``mean_logits`` and ``is_top1``, each of shape (rows, length - 1)."""
        target = labels[:, 1:]
        wanted = target != IGNORE
        if self._shared:
            logits, source = _shared_logits(self._model, input_ids, wanted)
        else:
            logits, source = _row_logits(self._model, input_ids, attention_mask, wanted)
        found = _figures(logits.float() / self._temperature, source, target, wanted)
        self.sums = found.log_probs.detach().sum(dim=1)
        return found


def _row_logits(
    model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, wanted: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits at the positions that predict a wanted token, and which of them predicts which token.

    Padding is moved to the end of a row: in front it would shift a learnt prefix away from the text, and run through
    convolutions.
    """
    import torch
    from torch.nn import functional

    keep = functional.pad(wanted, (0, 1), value=False)
    if not attention_mask[:, 0].all():
        order = attention_mask.argsort(dim=1, descending=True, stable=True)
        width = int(attention_mask.sum(dim=1).max())
        input_ids, attention_mask, keep = (
            values.gather(1, order)[:, :width] for values in (input_ids, attention_mask, keep)
        )
    out = model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False, logits_to_keep=keep)
    return out.logits, torch.arange(int(wanted.sum()), device=input_ids.device)


def _shared_logits(model: Any, input_ids: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same from one row a pair; the last prompt position predicts the first token of both answers."""
    import torch

    pairs = len(input_ids) // 2
    begin = (wanted.int().argmax(dim=1) + 1).tolist()  # of the answers; ``wanted`` is one token ahead
    length = wanted.sum(dim=1).tolist()
    width = max(begin[n] + length[n] + length[pairs + n] for n in range(pairs))
    device = input_ids.device
    ids = input_ids.new_zeros((pairs, width))
    positions = torch.zeros_like(ids)
    part = torch.full_like(ids, 3)  # 0 prompt, 1 chosen, 2 rejected, 3 padding
    keep = torch.zeros((pairs, width), dtype=torch.bool, device=device)
    source: list[list[int]] = [[] for _ in input_ids]
    for n in range(pairs):
        prompt, chosen, rejected = begin[n], length[n], length[pairs + n]
        border, end = prompt + chosen, prompt + chosen + rejected
        ids[n, :border] = input_ids[n, :border]
        ids[n, border:end] = input_ids[pairs + n, prompt : prompt + rejected]
        positions[n, :border] = torch.arange(border, device=device)
        positions[n, border:end] = torch.arange(prompt, prompt + rejected, device=device)
        part[n, :prompt], part[n, prompt:border], part[n, border:end] = 0, 1, 2
        at = n * width
        source[n] = [at + prompt - 1, *range(at + prompt, at + border - 1)]
        source[pairs + n] = [at + prompt - 1, *range(at + border, at + end - 1)]
        keep.view(-1)[torch.tensor(source[n] + source[pairs + n], device=device)] = True
    out = model(
        input_ids=ids,
        attention_mask=_mask(part, model),
        position_ids=positions,
        use_cache=False,
        logits_to_keep=keep,
    )
    number = keep.view(-1).cumsum(0) - 1  # of each kept position among the kept ones
    return out.logits, number[torch.tensor([place for row in source for place in row], device=device)]


def _mask(part: torch.Tensor, model: Any) -> torch.Tensor:
    """Return who may look at whom, (pairs, 1, width, width): earlier tokens of the prompt and of one's own answer."""
    import torch

    width = part.shape[1]
    query, key = part[:, :, None], part[:, None, :]
    causal = torch.ones((width, width), dtype=torch.bool, device=part.device).tril()
    seen = causal & (query != 3) & ((key == 0) | (key == query))
    seen = (seen | torch.eye(width, dtype=torch.bool, device=part.device))[:, None]
    config = getattr(model, "module", model).config  # several processes: wrapped for averaging gradients
    if getattr(config, "_attn_implementation", "sdpa") != "eager":
        return seen
    return torch.zeros(seen.shape, device=part.device).masked_fill(~seen, torch.finfo(torch.float32).min)


def _figures(logits: torch.Tensor, source: torch.Tensor, target: torch.Tensor, wanted: torch.Tensor) -> SimpleNamespace:
    """Spread the figures of the wanted tokens over (rows, length - 1), in the order of ``target[wanted]``."""
    import torch

    tokens = target[wanted]
    total = logits.logsumexp(dim=-1)
    with torch.no_grad():
        entropy = total - (logits.softmax(dim=-1) * logits).sum(dim=-1)
        mean, top = logits.mean(dim=-1), logits.argmax(dim=-1)

    def spread(values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros(wanted.shape).masked_scatter(wanted, values)

    return SimpleNamespace(
        log_probs=spread(logits[source, tokens] - total[source]),
        entropy=spread(entropy[source]),
        mean_logits=spread(mean[source]),
        is_top1=spread(top[source] == tokens),
    )


def refusal(model: Any, prompt: Sequence[int], chosen: Sequence[int], rejected: Sequence[int]) -> str:
    """Return why prefixes must not be shared on ``model``, empty when they may: measured on one pair, both ways.

    Give the longest pair, so that a limited attention window shows too. ``model`` must be in float32.
    """
    import torch

    implementation = getattr(model.config, "_attn_implementation", "sdpa")
    if implementation not in {"sdpa", "eager"}:
        return f"attention {implementation} takes no 4-D mask"
    answers = [list(chosen), list(rejected)]
    rows = [torch.tensor([*prompt, *answer], device=model.device) for answer in answers]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    labels = torch.full_like(ids, IGNORE)
    mask = torch.zeros_like(ids)
    for n, row in enumerate(rows):
        labels[n, len(prompt) : len(row)] = row[len(prompt) :]
        mask[n, : len(row)] = 1
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
            apart = Scorer(model)(**batch).log_probs
            together = Scorer(model, shared=True)(**batch).log_probs
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        return f"the model takes no 4-D mask ({str(error).split(chr(10))[0]})"
    finally:
        model.train(training)
    off = float((apart - together).abs().max())
    return "" if off <= _TOLERANCE else f"log-probabilities differ by {off:.2g}: a layer reads across the border"
