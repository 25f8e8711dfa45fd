"""The nursery, in small: drills that tell the truth, a loss that is right, a loop that resumes, a folder that loads."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.bases import load_model, load_tokenizer, resolve_base
from understudy.core.nursery import _corpus, _drills
from understudy.core.nursery._loss import chunked_cross_entropy
from understudy.core.nursery._ship import ship
from understudy.core.nursery._tokenizer import train_tokenizer
from understudy.core.nursery._training import ARCHITECTURE, Plan, _rate, new_model, train

from .tiny import tiny_model

TEXTS = [
    "def merge_total(values):\n    return sum(values) + 12345\n",
    "error: cannot open configuration file settings.yml",
] * 20
LINES = _drills.Lines(TEXTS + [f"value_{n} = load_{n}(first, second)\n" for n in range(50)], random.Random(1))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_copying_repeats_every_span_and_learns_the_repetition_only(seed: int) -> None:
    inputs, labels = _drills.copying(np.random.default_rng(seed), 2, 128, 6, 500, 1)
    assert inputs.shape == labels.shape == (2, 128)
    for row, learnt in zip(inputs.tolist(), labels.tolist(), strict=True):
        parts, known = [[]], [[]]  # type: ignore[var-annotated]
        for token, label in zip(row, learnt, strict=True):
            assert label in (token, _drills.IGNORE)
            parts[-1].append(token)
            known[-1].append(label)
            if token == 1:
                parts.append([])
                known.append([])
        for first, second in zip(parts[::2], parts[1::2], strict=False):
            assert second == first[: len(second)]
        assert all(set(part) <= {_drills.IGNORE} for part in known[::2])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_every_answer_of_a_recall_drill_stands_in_what_was_read(seed: int) -> None:
    read, answered = _drills.recall(random.Random(seed), LINES)
    body, _, question = read.rpartition("\n\n")
    assert body and answered
    shown = dict(found.groups() for line in body.split("\n") if (found := re.match(r"\[?L?(\d+)[\]:| ]+(.*)", line)))
    for line in answered.split("\n"):
        if question:
            name, number = re.fullmatch(r"`(.+)`\D*(\d+)", line).groups()  # type: ignore[union-attr]
            asked = re.split(r"[?:]? *$", question)[0].rpartition(" ")[2]
            assert name in shown[number] and re.search(rf"\b{asked}\b", shown[number])
            continue
        numbered = re.search(r"line (\d+)", line)
        if numbered and shown:
            text = shown[numbered[1]]
            for name in re.findall(r"`([^`]+)`", line):
                assert name in text
        else:
            assert all(word in read for word in re.split(r" is | belongs to | has ", line.replace("`", "")))
    assert _drills.recall(random.Random(seed), LINES) == (read, answered)


def test_the_chunked_loss_and_its_gradients_are_the_ordinary_ones() -> None:
    torch.manual_seed(1)
    hidden = torch.randn(1500, 24, requires_grad=True)
    weight = (torch.randn(60, 24) * 0.3).requires_grad_()
    target = torch.randint(0, 60, (1500,))
    ours = chunked_cross_entropy(hidden, weight, target)
    mine = torch.autograd.grad(ours, (hidden, weight))
    stock = torch.nn.functional.cross_entropy(hidden @ weight.T, target)
    theirs = torch.autograd.grad(stock, (hidden, weight))
    assert ours.item() == pytest.approx(stock.item(), rel=5e-3), "bf16 products"
    for a, b in zip(mine, theirs, strict=True):
        assert torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0) > 0.999
        assert a.norm().item() == pytest.approx(b.norm().item(), rel=1e-2)


def test_the_tokenizer_splits_digits_keeps_every_byte_and_ends_prompts_on_a_control_token() -> None:
    tokenizer = train_tokenizer(TEXTS, 400)
    assert len(tokenizer("12345")["input_ids"]) == 5
    for text in ("日本語 é\x00\t\n", " a  b ", "C:\\x\\y \"q\" 'r'", "🦉"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert text == "<|system|>s<|end|><|user|>u<|end|><|assistant|>"
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)


PLAN = Plan("toy", tokens=2 * 16 * 12, rows=2, length=16, muon_rate=1e-3, adam_rate=1e-3, warmup=4)


def _batch(step: int) -> Any:
    rng = np.random.default_rng([7, step])
    rows = rng.integers(6, 100, size=(PLAN.rows, PLAN.length))
    return rows, rows


class Killed(Exception):
    pass


def test_a_stage_that_was_cut_off_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    def stage(folder: Path, dies_at: int | None = None) -> Any:
        folder.mkdir(exist_ok=True)

        def batch(step: int) -> Any:
            if step == dies_at:
                raise Killed
            return _batch(step)

        model = tiny_model(seed=4)
        train(model, PLAN, batch, folder, lambda model: {"probe": 1.0}, every_seconds=0.0)
        return model

    whole = stage(tmp_path / "whole")
    with pytest.raises(Killed):
        stage(tmp_path / "cut", dies_at=7)
    resumed = stage(tmp_path / "cut")
    for (name, a), (_, b) in zip(whole.named_parameters(), resumed.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    rows = (tmp_path / "cut" / "toy.csv").read_text().strip().split("\n")
    assert [line.split(",")[0] for line in rows] == ["step", *map(str, range(1, 13))]
    assert json.loads((tmp_path / "cut" / "toy.json").read_text())["tokens"] == PLAN.tokens


def test_the_rate_rises_then_holds_then_falls_to_a_tenth() -> None:
    assert [_rate(PLAN, 0, step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert _rate(PLAN, int(PLAN.tokens * PLAN.decay_from), 99) == pytest.approx(1.0, abs=0.01)
    assert _rate(PLAN, PLAN.tokens, 99) <= 0.5
    rates = [_rate(PLAN, done, 99) for done in range(0, PLAN.tokens + 1, 16)]
    assert rates == sorted(rates, reverse=True) and min(rates) >= 0.1


def test_a_loss_that_is_no_number_stops_the_stage(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.embed_tokens.weight[:] = float("nan")
    with pytest.raises(FloatingPointError, match="at step 0 of stage toy"):
        train(model, PLAN, _batch, tmp_path, lambda model: {})


def test_only_permissive_distributions_are_read() -> None:
    found = _corpus.packages()
    assert "torch" in found and all("GPL" not in licence for licence in found.values())


def test_diffs_are_unified_and_seeded(tmp_path: Path) -> None:
    from unidiff import PatchSet

    texts = ["\n".join(f"line {n} of {name}" for n in range(80)) for name in ("first", "second")]
    made = [text for text in _corpus.diffs(texts, random.Random(3), 20) if text]
    assert made and made == [text for text in _corpus.diffs(texts, random.Random(3), 20) if text]
    assert all(len(PatchSet(text + "\n")) == 1 for text in made)
    (tmp_path / "big").write_bytes(b"x" * 300_000)
    (tmp_path / "latin").write_bytes(b"\xff")
    assert _corpus.read(tmp_path / "big") is None and _corpus.read(tmp_path / "latin") is None


def test_a_shipped_folder_is_a_base_like_any_other(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    (work / "corpus.json").write_text(
        json.dumps({"sizes": {"code": {"documents": 3, "tokens": 9}}, "packages": {"a": "MIT"}})
    )
    for stage in ("copying", "language"):
        (work / f"{stage}.json").write_text(json.dumps({"stage": stage, "rows": 2}))
        (work / f"{stage}.csv").write_text("step,tokens,seconds,loss,copy_accuracy\n1,9,60,1.5,0.75\n")
    tokenizer = load_tokenizer(resolve_base("seedling"))
    ship(work, tiny_model(), tokenizer, out)
    base = resolve_base(str(out))
    model = load_model(base)
    assert model.dtype == torch.bfloat16 and model.generation_config.eos_token_id == 2
    assert load_tokenizer(base).chat_template == tokenizer.chat_template
    card = (out / "README.md").read_text()
    assert "license: apache-2.0" in card and "0.750" in card and "- a: MIT" in card


def test_a_new_model_is_the_seedling_s_shape_and_seeded() -> None:
    one, other = new_model(300, 7), new_model(300, 7)
    assert torch.equal(one.lm_head.weight, other.lm_head.weight)
    assert not torch.equal(one.lm_head.weight, new_model(300, 8).lm_head.weight)
    shipped = load_model(resolve_base("seedling")).config
    assert all(getattr(shipped, key) == value for key, value in ARCHITECTURE.items() if key != "rope_theta")
