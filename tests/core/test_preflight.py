"""Rows that would teach something else than they seem to, and prompts that are no longer those of training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.errors import BadInput
from understudy.core.golden import check_golden, write_golden
from understudy.core.preflight import check_rows
from understudy.core.rows import IGNORE, Row, answer_row

from .tiny import tiny_model

GOOD = answer_row([5, 6, 7], [8, 9, 2], "good")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (answer_row([5] * 30, [8, 2], "long"), "row long has 32 tokens and train.max_length is 31: raise it"),
        (Row([5, 6, 2], [IGNORE] * 3, "mute"), "row mute teaches no token, all of its labels are masked"),
        (Row([5, 6, 2], [5, IGNORE, IGNORE], "first"), "row first teaches no token"),  # nothing predicts the first one
        (answer_row([5], [8, 9], "open"), "row open ends in .*, where generation does not stop: end its answer in"),
    ],
    ids=lambda value: value.id if isinstance(value, Row) else "",
)
def test_a_row_that_would_train_in_silence_is_refused_by_name(row: Row, words: str) -> None:
    model, tokenizer = tiny_model(), load_tokenizer(resolve_base("seedling"))
    check_rows([GOOD], model, tokenizer, 31)
    with pytest.raises(BadInput, match=words):
        check_rows([GOOD, row], model, tokenizer, 31)


def test_a_row_beyond_the_model_s_context_is_refused_whatever_the_settings_allow() -> None:
    model, tokenizer = tiny_model(max_position_embeddings=16), load_tokenizer(resolve_base("seedling"))
    with pytest.raises(BadInput, match=r"row deep has 20 tokens and the model reads 16: lower train.max_length"):
        check_rows([answer_row([5] * 18, [8, 2], "deep")], model, tokenizer, 1024)


def test_a_tokenizer_that_gives_other_ids_than_in_training_is_refused(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(resolve_base("seedling"))
    check_golden(tmp_path, tokenizer, "old")  # from before there were golden prompts
    write_golden(tmp_path, tokenizer)
    check_golden(tmp_path, tokenizer, "m")
    tokenizer.chat_template = str(tokenizer.chat_template) + " "
    with pytest.raises(BadInput, match=r"model m was trained on other token ids .*from token [0-9]+ of the golden"):
        check_golden(tmp_path, tokenizer, "m")
    (path,) = tmp_path.iterdir()
    path.write_text(json.dumps({"ids": 1}))
    with pytest.raises(BadInput, match="cannot be read; restore it: understudy models verify"):
        check_golden(tmp_path, tokenizer, "m")
