"""Rows that share a line teach what they teach alone, and share one only where that was measured."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.packing import fill, packed, packer, refusal
from understudy.core.rows import IGNORE, Row, answer_row
from understudy.core.settings import LoraSettings, PrefixSettings, TrainSettings
from understudy.core.sft import Outcome, _config, _dataset, _trainer_class, train_sft
from understudy.core.starts import Start
from understudy.core.tuning import adapter_config

from .tiny import tiny_base, tiny_model

CPU = Hardware("cpu", False, 1, ())
SETTINGS = TrainSettings(batch_size=6, epochs=2, learning_rate=1e-3, max_length=128)


def rows(seed: int) -> list[Row]:
    rng = random.Random(seed)

    def some(length: int) -> list[int]:
        return [rng.randrange(3, 5000) for _ in range(length)]

    return [answer_row(some(length), [*some(5), 2], f"r{seed}-{length}") for length in (90, 12, 30, 41, 8, 22)]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=30), st.integers(100, 200))
def test_every_row_has_one_place_and_no_line_is_too_long(lengths: list[int], width: int) -> None:
    lines = fill(lengths, width)
    assert sorted(number for line in lines for number in line) == list(range(len(lengths)))
    assert all(0 < sum(lengths[number] for number in line) <= width for line in lines)
    total = sum(lengths)
    assert len(lines) == 1 if total <= width else len(lines) < 2 * total / width + 1, "no two half empty lines"


def test_a_batch_is_packed_only_where_something_fits() -> None:
    features = [{"input_ids": row.input_ids, "labels": row.labels} for row in rows(1)]
    batch = packer(0)(features)
    assert batch["input_ids"].shape == (3, 96)
    assert int(batch["attention_mask"].sum()) == sum(len(row.input_ids) for row in rows(1))
    assert int((batch["labels"] != IGNORE).sum()) == sum(label != IGNORE for row in rows(1) for label in row.labels)
    assert int((batch["position_ids"] == 0).sum()) == 6 + 3 * 96 - sum(len(row.input_ids) for row in rows(1))
    alike = packer(0)([features[2], features[3]])
    assert "position_ids" not in alike


@pytest.mark.parametrize("kind", ["llama", "qwen3", "mistral", "gemma3_text"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_loss_and_gradients_are_those_of_padded_rows(kind: str, method: Any, tmp_path: Path) -> None:
    import torch

    settings = SETTINGS.model_copy(update={"method": method, "lora": LoraSettings(rank=4)})
    tokenizer = load_tokenizer(resolve_base("seedling"))
    assert refusal(tiny_model(kind), adapter_config(settings), rows(1)) == ""

    def measure(collate: Any) -> tuple[float, list[Any]]:
        torch.manual_seed(2)
        trainer = _trainer_class()(
            rows=rows(1),
            model=tiny_model(kind),
            args=_config(settings, CPU, tmp_path, 6),
            data_collator=collate,
            train_dataset=_dataset(rows(1)),
            eval_dataset=_dataset(rows(2)),
            processing_class=tokenizer,
            peft_config=adapter_config(settings),
        )
        batch = trainer.data_collator([{"input_ids": r.input_ids, "labels": r.labels} for r in rows(1)])
        loss = trainer.compute_loss(trainer.model.train(), batch)
        loss.backward()
        return loss.item(), [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]

    shared, alone = measure(packer(0)), measure(None)
    assert shared[0] == pytest.approx(alone[0], rel=1e-6)
    assert len(shared[1]) == len(alone[1]) > 0
    for one, other in zip(shared[1], alone[1], strict=True):
        torch.testing.assert_close(one, other, atol=2e-6 * float(other.abs().max() + 1), rtol=1e-3)


def test_layers_that_read_across_borders_and_prefixes_are_refused() -> None:
    assert "a layer reads across the border" in refusal(tiny_model("lfm2"), None, rows(1))
    prefix = adapter_config(SETTINGS.model_copy(update={"method": "prefix", "prefix": PrefixSettings(tokens=3)}))
    assert "before the first row of a line only" in refusal(tiny_model("qwen3"), prefix, rows(1))


def test_a_leak_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions that run on, as from a collator that forgets to restart them."""
    from understudy.core import packing

    def run_on(lines: Any, pad: int) -> Any:
        import torch

        batch = packed(lines, pad)
        batch["position_ids"] = torch.arange(batch["input_ids"].shape[1])[None]
        return batch

    monkeypatch.setattr(packing, "packed", run_on)
    assert "a layer reads across the border" in refusal(tiny_model("qwen3"), None, rows(1))


def train(folder: Path, kind: str, base: Path, **changes: Any) -> Outcome:
    start = Start(resolve_base(str(tiny_base(base, kind))))
    settings = SETTINGS.model_copy(update=changes)
    return train_sft(start, load_tokenizer(start.base), rows(1), rows(2), settings, CPU, folder)


def test_a_run_is_the_same_packed_or_padded_and_says_which(tmp_path: Path) -> None:
    shared = train(tmp_path / "shared", "qwen3", tmp_path / "base")
    padded = train(tmp_path / "padded", "qwen3", tmp_path / "base", packing="off")
    assert shared.notes == ("packing: rows share lines where they fit",)
    assert padded.notes == ("packing: each row has a line of its own: train.packing is off",)
    assert [event.tokens for event in shared.events] == [event.tokens for event in padded.events]
    for one, other in zip(shared.events, padded.events, strict=True):
        mine, theirs = one.loss or one.validation_loss, other.loss or other.validation_loss
        assert mine == pytest.approx(theirs, rel=1e-5)
    refused = train(tmp_path / "lfm2", "lfm2", tmp_path / "conv")
    assert "a layer reads across the border" in refused.notes[0]


def test_the_rows_of_a_broken_line_are_named_and_no_others(tmp_path: Path) -> None:
    """A value that is no number reaches the neighbours on its line: a weight of 0 times that is none either."""
    import torch

    model = tiny_model("qwen3", tie_word_embeddings=False)
    with torch.no_grad():
        model.get_input_embeddings().weight[4999] = float("nan")
    trainer = _trainer_class()(
        rows=rows(1),
        model=model,
        args=_config(SETTINGS, CPU, tmp_path, 6),
        data_collator=packer(0),
        train_dataset=_dataset(rows(1)),
        eval_dataset=_dataset(rows(2)),
        processing_class=load_tokenizer(resolve_base("seedling")),
    )
    bad = rows(1)
    bad[3] = Row([4999, *bad[3].input_ids[1:]], bad[3].labels, "bad")
    trainer._rows = bad
    batch = trainer.data_collator([{"input_ids": r.input_ids, "labels": r.labels} for r in bad])
    with pytest.raises(BadInput, match="the loss is nan at step 1 in row bad, r1-30; lower"):
        trainer.compute_loss(trainer.model, batch)
