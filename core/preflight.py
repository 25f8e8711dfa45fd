"""Before the first step: rows that would teach something else than they seem to, found by name.

Each of these trains without a word in the usual tools, and is noticed when the model never ends an answer, or has
learnt nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from understudy.core.engines import stop_ids
from understudy.core.errors import BadInput
from understudy.core.rows import IGNORE, Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["check_rows"]


def check_rows(
    rows: Iterable[Row], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> None:
    """Refuse the first row that a check does not pass.

    Raises:
        BadInput: the row is longer than ``max_length`` or than the model's context, teaches no token, or does not end
            in a token that generation stops at; the message names the row and the way out.
    """
    context = int(getattr(model.config, "max_position_embeddings", max_length))
    stops = stop_ids(model, tokenizer)
    checks: tuple[Callable[[Row], str], ...] = (
        lambda row: _too_long(row, max_length, context),
        _teaches_nothing,
        lambda row: _does_not_stop(row, stops, tokenizer),
    )
    for row in rows:
        for check in checks:
            problem = check(row)
            if problem:
                raise BadInput(f"row {row.id or '(without id)'} {problem}")


def _too_long(row: Row, max_length: int, context: int) -> str:
    length = len(row.input_ids)
    if length > max_length:
        return f"has {length} tokens and train.max_length is {max_length}: raise it, or set train.on_overflow"
    if length > context:
        return f"has {length} tokens and the model reads {context}: lower train.max_length and data.prompt_budget"
    return ""


def _teaches_nothing(row: Row) -> str:
    if any(label != IGNORE for label in row.labels[1:]):
        return ""
    return "teaches no token, all of its labels are masked: give it an answer, or remove it"


def _does_not_stop(row: Row, stops: tuple[int, ...], tokenizer: PreTrainedTokenizerBase) -> str:
    if row.labels[-1] in stops:
        return ""
    ends = repr(tokenizer.decode([row.input_ids[-1]]))
    wanted = " or ".join(repr(tokenizer.decode([stop])) for stop in stops)
    return f"ends in {ends}, where generation does not stop: end its answer in {wanted}"
