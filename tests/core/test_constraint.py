from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core._constraint import SchemaConstraint, canonical_order, compile_schema, guidance_tokenizer
from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.errors import BadInput

STOP, PAD, SIZE = 2, 0, 5120
TOKENIZER = load_tokenizer(resolve_base("seedling"))
VIEW = guidance_tokenizer(TOKENIZER, SIZE, (STOP,))


def write(schemas: list[dict[str, Any] | None], seed: int, limit: int = 400, *, compact: bool = True) -> list[str]:
    """Let random logits write one answer a row, as ``generate()`` would; None where the limit came first."""
    grammars = [None if schema is None else compile_schema(schema, VIEW, compact=compact) for schema in schemas]
    constraint = SchemaConstraint(grammars, VIEW, STOP, PAD, SIZE)
    noise = np.random.default_rng(seed)
    ids = torch.full((len(schemas), 1), 7)
    done = [False] * len(schemas)
    for _ in range(limit):
        scores = torch.from_numpy(noise.normal(size=(len(schemas), SIZE)).astype(np.float32))
        chosen = constraint(ids, scores).argmax(-1).tolist()
        chosen = [PAD if over else token for over, token in zip(done, chosen, strict=True)]
        ids = torch.cat([ids, torch.tensor(chosen)[:, None]], dim=1)
        done = [over or token == STOP for over, token in zip(done, chosen, strict=True)]
        if all(done):
            break
    texts = []
    for row in ids[:, 1:].tolist():
        texts.append(TOKENIZER.decode(row[: row.index(STOP)] if STOP in row else row))
    assert all(done), texts
    return texts


def one_of(values: list[Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"v": {"enum": values}}, "required": ["v"], "additionalProperties": False}


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', "\\", "a/b", "\\n", "</s>", "x" * 60, "é", "日本", "\u2028", "\x00", "🦉"]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_TEXT | st.integers(-999, 999) | st.booleans(), min_size=1, max_size=6), st.integers(0, 2**32))
def test_any_json_value_of_an_enumeration_can_be_written_and_nothing_else(values: list[Any], seed: int) -> None:
    (text,) = write([one_of(values)], seed)
    assert json.loads(text)["v"] in values


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text("ab.*+?()[]{}|^$\\/-#&~ \"'é", min_size=1, max_size=6), min_size=1, max_size=4), st.integers(0, 99)
)
def test_names_with_regular_expression_characters_are_taken_literally(names: list[str], seed: int) -> None:
    quoted = "|".join(re.escape(name).replace("/", "\\/") for name in names)
    sentence = {"type": "string", "pattern": f"^(`({quoted})`)$"}
    schema = {"type": "object", "properties": {"s": sentence}, "required": ["s"], "additionalProperties": False}
    (text,) = write([schema], seed)
    assert json.loads(text)["s"].strip("`") in {name.strip("`") for name in names}


def test_rows_of_one_batch_keep_their_own_grammars_and_stop_at_their_own_time() -> None:
    long = {
        "type": "object",
        "properties": {"v": {"type": "string", "pattern": "^[ab]{40}$"}},
        "required": ["v"],
        "additionalProperties": False,
    }
    short, longer, other = write([one_of(["x"]), long, one_of(["y"])], 4)
    assert (json.loads(short), json.loads(other)) == ({"v": "x"}, {"v": "y"})
    assert re.fullmatch("[ab]{40}", json.loads(longer)["v"])


def test_a_row_without_a_grammar_is_left_alone() -> None:
    constraint = SchemaConstraint([None, compile_schema(one_of(["x"]), VIEW)], VIEW, STOP, PAD, SIZE)
    scores = torch.zeros(2, SIZE)
    masked = constraint(torch.full((2, 1), 9), scores)
    assert torch.equal(masked[0], scores[0])
    assert torch.isinf(masked[1]).sum() > SIZE // 2


def test_after_the_last_brace_only_the_stop_token_is_let_through() -> None:
    constraint = SchemaConstraint([compile_schema(one_of([1]), VIEW)], VIEW, STOP, PAD, SIZE)
    ids = torch.full((1, 1), 9)
    for token in [None, *TOKENIZER('{"v":1}', add_special_tokens=False)["input_ids"]]:
        if token is not None:
            ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
        masked = constraint(ids, torch.zeros(1, SIZE))
    for _ in range(3):
        assert torch.isfinite(masked[0]).nonzero().flatten().tolist() == [STOP]
        ids = torch.cat([ids, torch.tensor([[STOP]])], dim=1)
        masked = constraint(ids, torch.zeros(1, SIZE))


def test_compact_grammars_write_no_whitespace_and_others_a_bounded_amount() -> None:
    assert write([one_of(["x"])], 1) == ['{"v":"x"}']
    for seed in range(5):
        (text,) = write([one_of(["x"])], seed, compact=False)
        assert json.loads(text) == {"v": "x"}
        assert max((len(run) for run in re.findall(r"\s+", text)), default=0) <= 8


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "(?=a)b"},
        {"type": "string", "pattern": "("},
        {"not": {"type": "string"}},
        {"type": "nonsense"},
        {"enum": []},
    ],
)
def test_what_llguidance_cannot_do_is_refused_before_generating(schema: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"the output schema cannot be used for decoding: ."):
        compile_schema({"type": "object", "properties": {"v": schema}, "required": ["v"]}, VIEW)


def test_a_schema_that_is_no_json_is_refused() -> None:
    with pytest.raises((ValueError, TypeError)):
        compile_schema({"enum": [float("nan")]}, VIEW)
    assert list(json.loads(canonical_order({"b": 1, "a": 2}))) == ["b", "a"]


def test_properties_come_in_the_schema_s_order_whatever_the_logits_want() -> None:
    names = ["zeta", "alpha", "mid"]
    schema = {
        "type": "object",
        "properties": {name: {"type": "boolean"} for name in names},
        "required": names,
        "additionalProperties": False,
    }
    for seed in range(5):
        (text,) = write([schema], seed)
        jsonschema.validate(json.loads(text), schema)
        assert list(json.loads(text)) == names
