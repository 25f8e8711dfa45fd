"""The grammar constraint: a logits processor around llguidance that lets through only tokens the schema allows.

llguidance's own torch mask function is compiled on first use (15 s, and it needs a C++ compiler), so the mask is
unpacked with numpy instead (0.1 ms a row).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.core.errors import BadInput
from understudy.core.files import canonical_json

if TYPE_CHECKING:
    import torch
    from llguidance import LLTokenizer

__all__ = ["SchemaConstraint", "compile_schema", "guidance_tokenizer"]


@lru_cache(maxsize=4)
def guidance_tokenizer(tokenizer: Any, vocabulary: int, stops: tuple[int, ...]) -> LLTokenizer:
    """Return llguidance's view of a fast tokenizer; costs up to 1.5 s for a large vocabulary, so it is cached.

    ``vocabulary`` is the model's padded size (``config.vocab_size``), not the tokenizer's.
    """
    import llguidance.hf

    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=list(stops))


def compile_schema(schema: dict[str, Any], view: LLTokenizer, *, compact: bool = True) -> str:
    """Return the grammar of ``schema``; about 1 ms.

    Args:
        schema: JSON schema of the answer.
        view: from :func:`guidance_tokenizer`.
        compact: no whitespace between JSON tokens, as in the training targets; otherwise up to eight characters of it
            (unbounded whitespace lets a model loop to the token limit).

    Raises:
        BadInput: llguidance cannot express the schema; the message is its own.
    """
    from llguidance import LLMatcher

    overrides: Any = {"whitespace_flexible": False} if compact else {"whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,8}"}
    grammar = LLMatcher.grammar_from_json_schema(canonical_order(schema), overrides=overrides)
    complaint = LLMatcher.validate_grammar(grammar, view)
    if complaint:
        raise BadInput(f"the output schema cannot be used for decoding: {complaint}")
    return grammar


def canonical_order(schema: dict[str, Any]) -> str:
    """Return the schema as JSON text in its own key order: property order is generation order."""
    import json

    canonical_json(schema)  # refuses NaN and non-JSON values with a clear error
    return json.dumps(schema)


class SchemaConstraint:
    """Masks the logits of one ``generate()`` call, one grammar a row; make a new one for every call.

    A row without a grammar is left alone. When a row's grammar has stopped, only its stop token is let through: an
    open mask there was measured to make every answer invalid.
    """

    def __init__(self, grammars: list[str | None], view: LLTokenizer, stop: int, pad: int, vocabulary: int) -> None:
        """Prepare matchers for a batch whose rows have ``grammars``."""
        from llguidance import LLMatcher
        from llguidance.numpy import allocate_token_bitmask

        self._matchers = [LLMatcher(view, grammar) if grammar is not None else None for grammar in grammars]
        for matcher in self._matchers:
            if matcher is not None and matcher.is_error():
                raise BadInput(f"the output schema cannot be used for decoding: {matcher.get_error()}")
        self._mask = allocate_token_bitmask(len(grammars), vocabulary)
        self._stop, self._pad, self._vocabulary = stop, pad, vocabulary
        self._done = [False] * len(grammars)
        self._started = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return ``scores`` (batch, vocabulary) with every forbidden token at minus infinity."""
        import torch
        from llguidance.numpy import fill_next_token_bitmask

        if self._started:
            for row, token in enumerate(input_ids[:, -1].tolist()):
                self._consume(row, token)
        self._started = True
        allowed = np.ones((len(self._matchers), self._vocabulary), dtype=bool)
        for row, matcher in enumerate(self._matchers):
            if matcher is None:
                continue
            if self._done[row] or matcher.is_stopped():
                allowed[row] = False
                allowed[row, self._stop] = True
                continue
            fill_next_token_bitmask(matcher, self._mask, row)
            if matcher.is_error():
                raise RuntimeError(f"the grammar failed while generating: {matcher.get_error()}")
            allowed[row] = np.unpackbits(self._mask[row].view(np.uint8), bitorder="little")[: self._vocabulary]
        return scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), float("-inf"))

    def select(self, rows: Sequence[int]) -> None:
        """Go on with some rows of the batch: from the next step on, ``scores`` holds only these, in this order."""
        self._matchers = [self._matchers[row] for row in rows]
        self._done = [self._done[row] for row in rows]
        self._mask = self._mask[list(rows)]

    def _consume(self, row: int, token: int) -> None:
        matcher = self._matchers[row]
        if matcher is None or self._done[row]:
            return
        if token in (self._stop, self._pad):
            self._done[row] = True
        elif not matcher.is_stopped():
            matcher.consume_token(token)
