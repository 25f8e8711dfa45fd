"""From examples to token rows: one place where prompt and answer become ids, and where the loss begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from understudy.core.engines import prompt_ids
from understudy.core.errors import BadInput
from understudy.core.pack import Pack
from understudy.core.records import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["IGNORE", "Row", "answer_row", "completion_text", "make_rows"]

IGNORE = -100
"""Label of a token that is read but not learnt (PyTorch's ``ignore_index``)."""


@dataclass(frozen=True)
class Row:
    """One training row; both lists have the same length."""

    input_ids: list[int]
    labels: list[int]


def answer_row(prompt: list[int], answer: list[int]) -> Row:
    """Return the row that teaches ``answer`` and only reads ``prompt``."""
    return Row(prompt + answer, [IGNORE] * len(prompt) + answer)


def completion_text(output: BaseModel) -> str:
    """Return the training target: compact JSON in schema order."""
    return output.model_dump_json()


def make_rows(
    pack: Pack, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> list[Row]:
    """Tokenize examples with the loss on the completion and its stop token only.

    The prompt's ids are exactly those of generation (:func:`understudy.core.engines.prompt_ids`), so no token can
    merge across the border.

    Raises:
        BadInput: a row is longer than ``max_length``. Nothing is cut: a cut answer loses its stop token, a cut log its
            cause, and both would be learnt in silence.
    """
    stop = int(tokenizer.eos_token_id)
    rows = []
    for example in examples:
        prompt = prompt_ids(tokenizer, pack.messages(pack.Input.model_validate(example.input)))
        text = completion_text(pack.Output.model_validate(example.output))
        completion = [*tokenizer(text, add_special_tokens=False)["input_ids"], stop]
        if len(prompt) + len(completion) > max_length:
            raise BadInput(
                f"example {example.id} needs {len(prompt) + len(completion)} tokens and train.max_length is "
                f"{max_length}: raise it, or lower data.prompt_budget and rebuild the dataset"
            )
        rows.append(answer_row(prompt, completion))
    return rows
