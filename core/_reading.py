"""Prompts are read once: what may follow them is read against the keys, values and convolution states they left."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from understudy.core._prompt_cache import PromptReader
from understudy.core.tuning.prefix import learns_prompt

if TYPE_CHECKING:
    import torch

__all__ = ["ReadPrompts", "Tokens"]

Tokens: TypeAlias = tuple[int, ...]


class ReadPrompts:
    """A batch of prompts that a model has read.

    They are padded on the left, as for generation. All but each prompt's last token is kept, so that every
    continuation, an empty one too, has a token to be predicted from. A model with trained virtual tokens (prefix
    tuning) puts its own cache in the place of any other: there nothing is kept, and prompts are read again.
    """

    def __init__(self, model: Any, reader: PromptReader, prompts: Sequence[Tokens], batch_size: int) -> None:
        """Read ``prompts``, each of at least two tokens; continuations are read ``batch_size`` at a time.

        ``reader`` reads what prompts have in common once; where it does not help, the padded batch is read.
        """
        import torch

        self._model, self._batch_size = model, batch_size
        own = learns_prompt(model)
        self._begun = [0 if own else len(prompt) - 1 for prompt in prompts]
        self._rest = [prompt[begun:] for prompt, begun in zip(prompts, self._begun, strict=True)]
        self._cache: Any = None
        self._mask = torch.zeros((len(prompts), max(self._begun)), dtype=torch.long)
        for row, begun in enumerate(self._begun):
            self._mask[row, self._mask.shape[1] - begun :] = 1
        if not own:
            with torch.inference_mode():
                self._cache = reader.read(prompts) or self._padded(prompts)

    def _padded(self, prompts: Sequence[Tokens]) -> Any:
        """Read all but the last token of every prompt as one batch and return the states."""
        import torch

        ids, device = torch.zeros_like(self._mask), self._model.device
        for row, (prompt, begun) in enumerate(zip(prompts, self._begun, strict=True)):
            ids[row, ids.shape[1] - begun :] = torch.tensor(prompt[:begun])
        positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)
        return self._model(
            input_ids=ids.to(device),
            attention_mask=self._mask.to(device),
            position_ids=positions.to(device),
            use_cache=True,
            logits_to_keep=1,
        ).past_key_values

    def logits(self, asked: Collection[tuple[int, Tokens]]) -> dict[tuple[int, Tokens], torch.Tensor]:
        """Return the logits, (vocabulary,) in float32, of the token after each (prompt's number, continuation)."""
        found: dict[tuple[int, Tokens], torch.Tensor] = {}
        rows = sorted(_rows(asked), key=lambda row: len(self._rest[row[0]]) + len(row[1]))
        for at in range(0, len(rows), self._batch_size):
            found |= self._block(rows[at : at + self._batch_size])
        return found

    def _block(self, rows: Sequence[tuple[int, Tokens, Sequence[Tokens]]]) -> dict[tuple[int, Tokens], torch.Tensor]:
        """Read one batch of continuations, padded on the right, which a causal model never sees."""
        import torch

        numbers = torch.tensor([number for number, _, _ in rows])
        texts = [self._rest[number] + tokens for number, tokens, _ in rows]
        ids = torch.zeros((len(rows), max(map(len, texts))), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = 1
        device = self._model.device
        going_on: dict[str, Any] = {"use_cache": False}
        if self._cache is not None:
            begun = torch.tensor([self._begun[number] for number, _, _ in rows])
            cache = copy.deepcopy(self._cache)
            cache.reorder_cache(numbers.to(device))
            positions = (torch.arange(ids.shape[1]) + begun[:, None]).to(device)
            going_on = {"use_cache": True, "past_key_values": cache, "position_ids": positions}
        ends = [[len(self._rest[number]) + len(context) - 1 for context in contexts] for number, _, contexts in rows]
        places = sorted({end for own in ends for end in own})
        with torch.inference_mode():
            logits = self._model(
                input_ids=ids.to(device),
                attention_mask=torch.cat([self._mask[numbers], mask], dim=1).to(device),
                logits_to_keep=torch.tensor(places, device=device),
                **going_on,
            ).logits
        return {
            (number, context): logits[row, places.index(end)].float()
            for row, (number, _, contexts) in enumerate(rows)
            for context, end in zip(contexts, ends[row], strict=True)
        }


def _rows(asked: Collection[tuple[int, Tokens]]) -> list[tuple[int, Tokens, list[Tokens]]]:
    """Return the rows to read: each prompt's number, a continuation, and those it begins with, itself included."""
    rows: list[tuple[int, Tokens, list[Tokens]]] = []
    for number, tokens in sorted(asked, reverse=True):  # what begins with a continuation comes right before it
        if rows and rows[-1][0] == number and rows[-1][1][: len(tokens)] == tokens:
            rows[-1][2].append(tokens)
        else:
            rows.append((number, tokens, [tokens]))
    return rows
