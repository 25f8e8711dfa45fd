"""Writing answers token by token, several at once: the loop that transformers' ``generate()`` runs for the engine.

Unlike transformers' own, it lets go of answers that are finished, which otherwise are computed to the length of the
longest one, and it keeps of each step the chosen token's log-probability instead of the scores of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from understudy.core._constraint import SchemaConstraint

__all__ = ["Written", "write"]

_DROP = 4
"""Finished rows leave the batch when they are one in this many, as to leave costs the others about one step; a model
that keeps its states in another way than transformers' ``Cache`` computes them to the end."""


@dataclass(frozen=True)
class Written:
    """One answer in tokens, its stop token included if it got that far, and the log-probability of each."""

    tokens: list[int]
    logprobs: list[float]


def write(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    generation_config: Any,
    *,
    limits: Sequence[int],
    stops: Sequence[int],
    constraint: SchemaConstraint | None,
    **inputs: Any,
) -> list[Written]:
    """Return an answer for every row of ``input_ids``; give this to ``generate()`` as ``custom_generate``.

    Args:
        model: as ``generate()`` prepared it.
        input_ids: prompts, (rows, width), padded on the left.
        logits_processor: applied to the scores of each step; holds ``constraint``.
        generation_config: says whether tokens are drawn.
        limits: most tokens of each row's answer.
        stops: tokens that end an answer.
        constraint: told which rows are left.
        inputs: what else the model's ``forward`` is given, its cache among them.
    """
    import torch
    from transformers import Cache

    answers = [Written([], []) for _ in limits]
    rows = list(range(len(limits)))  # which answer each row of the tensors belongs to
    unfinished = set(rows)
    cache = inputs.get("past_key_values")
    length = 1 if cache is not None and cache.get_seq_length() else None
    inputs.pop("stopping_criteria", None)
    while True:
        given = model.prepare_inputs_for_generation(
            input_ids, next_sequence_length=length, is_first_iteration=not answers[0].tokens, **inputs
        )
        outputs = model(**given, return_dict=True)
        inputs = model._update_model_kwargs_for_generation(outputs, inputs)
        scores = logits_processor(input_ids, outputs.logits[:, -1].float())
        known = scores.log_softmax(dim=-1)
        chosen = torch.multinomial(known.exp(), 1) if generation_config.do_sample else scores.argmax(-1, keepdim=True)
        for row, token, logprob in zip(rows, chosen.tolist(), known.gather(1, chosen).tolist(), strict=True):
            if row in unfinished:
                answers[row].tokens.extend(token)
                answers[row].logprobs.extend(logprob)
                if token[0] in stops or len(answers[row].tokens) == limits[row]:
                    unfinished.remove(row)
        if not unfinished:
            return answers
        input_ids, length = torch.cat([input_ids, chosen], dim=-1), 1
        if (len(rows) - len(unfinished)) * _DROP >= len(rows) and isinstance(inputs.get("past_key_values"), Cache):
            left = [at for at, row in enumerate(rows) if row in unfinished]
            input_ids, inputs = _select(left, input_ids, inputs)
            if constraint is not None:
                constraint.select(left)
            rows = [rows[at] for at in left]


def _select(left: list[int], input_ids: torch.Tensor, inputs: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
    """Return the tokens and inputs of the rows that are left; the cache loses the others in place."""
    import torch

    size, index = len(input_ids), torch.tensor(left, device=input_ids.device)
    inputs["past_key_values"].reorder_cache(index)
    kept = {
        name: value[index] if isinstance(value, torch.Tensor) and value.shape[:1] == (size,) else value
        for name, value in inputs.items()
    }
    return input_ids[index], kept
