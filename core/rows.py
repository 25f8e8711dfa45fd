"""From examples to token rows: one place where prompt and answer become ids, and where the loss begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from understudy.core.engines import prompt_ids
from understudy.core.errors import BadInput
from understudy.core.pack import Pack, Trims
from understudy.core.records import Example
from understudy.core.settings import Overflow

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["IGNORE", "Row", "TooLong", "answer_row", "completion_text", "fit_examples", "fit_rows", "make_rows"]

T = TypeVar("T")

IGNORE = -100
"""Label of a token that is read but not learnt (PyTorch's ``ignore_index``)."""


@dataclass(frozen=True)
class Row:
    """One training row; the two lists have the same length."""

    input_ids: list[int]
    labels: list[int]
    id: str = ""
    """Of the example it was made from."""


def answer_row(prompt: list[int], answer: list[int], id: str = "") -> Row:
    """Return the row that teaches ``answer`` and only reads ``prompt``."""
    return Row(prompt + answer, [IGNORE] * len(prompt) + answer, id)


def completion_text(output: BaseModel) -> str:
    """Return the training target: compact JSON in schema order."""
    return output.model_dump_json()


class TooLong(ValueError):
    """A row has more tokens than it may have; the text says how many."""


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
    return fit_rows(pack, examples, tokenizer, max_length, "error")[0]


def fit_rows(
    pack: Pack, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length: int, on_overflow: Overflow
) -> tuple[list[Row], tuple[str, ...]]:
    """Return (rows as of :func:`make_rows`, a sentence for each kind of change made to fit ``max_length``).

    ``drop`` leaves too long examples out; ``trim`` lets the pack leave out parts of their input, never of the answer.

    Raises:
        BadInput: a row is too long and must not be, or cannot be trimmed.
    """

    def make(example: Example) -> Row:
        return _row(pack, example, tokenizer, max_length)

    return fit_examples(pack, examples, make, max_length, on_overflow)


def fit_examples(
    pack: Pack, examples: Sequence[Example], make: Callable[[Example], T], max_length: int, on_overflow: Overflow
) -> tuple[list[T], tuple[str, ...]]:
    """Return (what ``make`` makes of the examples, a sentence for each kind of change made so that it could).

    ``make`` raises :class:`TooLong` where an example does not fit.

    Raises:
        BadInput: an example is too long and must not be, or cannot be trimmed.
    """
    rows: list[T] = []
    dropped, trimmed = [], []
    for example in examples:
        try:
            rows.append(make(example))
        except TooLong as error:
            if on_overflow == "drop":
                dropped.append(example.id)
            elif on_overflow == "trim":
                rows.append(_trimmed(pack, example, make, max_length))
                trimmed.append(example.id)
            else:
                raise BadInput(
                    f"example {example.id} {error}: raise it, lower data.prompt_budget and rebuild the dataset, or set "
                    "train.on_overflow to trim or drop"
                ) from error
    found = (("left out", dropped), ("trimmed", trimmed))
    return rows, tuple(
        f"{len(ids)} of {len(examples)} examples {what}, they are longer than train.max_length {max_length}: "
        f"{', '.join(ids[:3])}{' ...' if len(ids) > 3 else ''}"
        for what, ids in found
        if ids
    )


def _row(pack: Pack, example: Example, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Row:
    prompt = prompt_ids(tokenizer, pack.messages(pack.Input.model_validate(example.input)))
    text = completion_text(pack.Output.model_validate(example.output))
    completion = [*tokenizer(text, add_special_tokens=False)["input_ids"], int(tokenizer.eos_token_id)]
    total = len(prompt) + len(completion)
    if total > max_length:
        raise TooLong(f"needs {total} tokens and train.max_length is {max_length}")
    return answer_row(prompt, completion, example.id)


def _trimmed(pack: Pack, example: Example, make: Callable[[Example], T], max_length: int) -> T:
    if not isinstance(pack, Trims):
        raise BadInput(f"the pack {pack.name} cannot trim its inputs: set train.on_overflow to drop or error")
    shorter = pack.trim(example)
    while shorter is not None:
        try:
            return make(shorter)
        except TooLong:
            shorter = pack.trim(shorter)
    raise BadInput(
        f"example {example.id} does not fit train.max_length {max_length} however much of its input is left out: raise "
        "it, or set train.on_overflow to drop"
    )
