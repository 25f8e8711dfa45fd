"""Reading prompts: one at a time, without padding, each from where it differs from what was read before.

Prompts of one evaluation begin alike: the instruction, and with fixed shots nearly everything. What a batch has in
common is read once and kept for the next batch. Reading a row alone costs a CPU no more than reading it beside others
(a core is busy with the 400 tokens of one), needs no mask, which doubles the price of attention on a long prompt, and
leaves a convolution's state exactly as it is without padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from understudy.core.tuning.prefix import learns_prompt

if TYPE_CHECKING:
    from transformers import Cache

__all__ = ["PromptReader"]

_WORTH = 32
"""Tokens by which a batch must have more in common than what is kept, before that is read and kept instead."""


class PromptReader:
    """Reads the prompts of a batch with one model; keeps the states of the beginning they share."""

    def __init__(self, model: Any) -> None:
        """Read with ``model``; not thread-safe."""
        self._model = model
        self._shared: tuple[int, ...] = ()
        self._kept: Cache | None = None
        self._able = not learns_prompt(model)

    def read(self, prompts: Sequence[Sequence[int]]) -> Cache | None:
        """Return the states after all but the last token of every prompt, padded on the left to equal length.

        None when there is nothing to gain (a single prompt) or the model keeps states that cannot be put side by side:
        its caller then lets the model read the padded batch.
        """
        if not self._able or len(prompts) < 2 or min(map(len, prompts)) < 2:
            return None
        with _unpadded_attention(self._model):
            self._share(prompts)
            rows = [self._row(prompt[:-1]) for prompt in prompts]
        self._able = all(map(_stackable, rows[0].layers))
        return _stacked(rows) if self._able else None

    def _share(self, prompts: Sequence[Sequence[int]]) -> None:
        """Keep what all prompts begin with, where it is not what is kept already or about as much."""
        common = prompts[0][: _alike([prompt[:-1] for prompt in prompts])]
        if _alike([common, self._shared]) < len(self._shared) or len(common) >= len(self._shared) + _WORTH:
            self._kept = self._forward(common) if common else None
            self._shared = tuple(common)

    def _row(self, ids: Sequence[int]) -> Cache:
        rest = ids[len(self._shared) :]
        kept = deepcopy(self._kept)
        return kept if kept is not None and not rest else self._forward(rest, kept)

    def _forward(self, ids: Sequence[int], cache: Cache | None = None) -> Cache:
        import torch
        from transformers import DynamicCache

        if cache is None:
            cache = DynamicCache(config=self._model.config)
        row = torch.tensor([list(ids)], device=self._model.device)
        self._model(input_ids=row, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return cache


def _alike(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all of them begin with."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*prompts, strict=False)))


@contextmanager
def _unpadded_attention(model: Any) -> Iterator[None]:
    """Use torch's fused attention, which is the fastest where nothing is masked out."""
    usual = model.config._attn_implementation
    if usual != "eager":
        yield
        return
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


def _stackable(layer: Any) -> bool:
    from transformers.cache_utils import DynamicLayer, LinearAttentionLayer

    return type(layer) in (DynamicLayer, LinearAttentionLayer)


def _stacked(rows: Sequence[Cache]) -> Cache:
    """Put rows of unequal length into one cache, the first one's, as if they had been padded on the left."""
    import torch
    from torch.nn.functional import pad
    from transformers.cache_utils import DynamicLayer

    width = max(row.get_seq_length() for row in rows)
    for number, layer in enumerate(rows[0].layers):
        alike: list[Any] = [row.layers[number] for row in rows]
        if isinstance(layer, DynamicLayer):
            for name in ("keys", "values"):
                states = [getattr(one, name) for one in alike]
                filled = [pad(state, (0, 0, width - state.shape[-2], 0)) for state in states]
                setattr(layer, name, torch.cat(filled))
            continue
        for name in ("conv_states", "recurrent_states"):
            kinds = [getattr(one, name) for one in alike]
            found = {key: [kind[key] for kind in kinds] for key in kinds[0] if kinds[0][key] is not None}
            getattr(layer, name).update({key: torch.cat(states) for key, states in found.items()})
    return rows[0]
