"""What a run needs is known before it begins."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from understudy.core import memory
from understudy.core.bases import load_model, resolve_base
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.memory import check_memory, need_of
from understudy.core.settings import TrainSettings

from .tiny import tiny_model

CPU = Hardware("cpu", False, 1, ())
SEEDLING = resolve_base("seedling")


def need(**options: Any) -> memory.Need:
    return need_of(SEEDLING, TrainSettings(**options), CPU)


def test_all_weights_take_sixteen_bytes_each_and_frozen_ones_less() -> None:
    count = load_model(SEEDLING).num_parameters()
    assert need(method="full").weights == 16 * count
    assert 4 * count < need(method="lora").weights < 8 * count
    assert need(method="qlora").weights < need(method="lora").weights


def test_a_step_takes_more_with_more_rows_and_longer_ones() -> None:
    one = need(batch_size=1, max_length=256).step
    assert need(batch_size=4, max_length=256).step == pytest.approx(4 * one)
    assert need(batch_size=1, max_length=512).step == pytest.approx(2 * one)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("kind", ["seedling", "qwen3", "llama"])
def test_a_step_takes_about_what_is_kept_for_the_backward_pass(
    kind: str, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = {"hidden_size": 256, "intermediate_size": 768, "num_attention_heads": 4, "head_dim": 64}
    model = load_model(SEEDLING).float() if kind == "seedling" else tiny_model(kind, **shape)
    monkeypatch.setattr(memory, "_outline", lambda base: model)
    told = need_of(SEEDLING, TrainSettings(batch_size=2, max_length=128), Hardware("cpu", bf16, 1, ())).step
    assert told / 1.5 < _kept(model, bf16) < 1.5 * told


def _kept(model: Any, bf16: bool) -> int:
    """Return the bytes that autograd keeps of a forward pass over 2 rows of 128 tokens, weights not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    found: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    rows = torch.arange(5, 5 + 256).view(2, 128)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = model.base_model(input_ids=rows, use_cache=False)
        size = sum(count for place, count in found.items() if place not in weights)
    del out
    return size


@pytest.mark.parametrize(
    ("free", "way"),
    [(40 << 20, "set train.method to lora"), (15 << 20, "set train.method to qlora"), (1 << 20, "take a smaller base")],
)
def test_what_cannot_fit_is_refused_before_loading_with_what_would(
    free: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_free", lambda hardware: float(free))
    with pytest.raises(BadInput, match=rf"tuning seedling by full needs \d+ MiB before the first step, .*: {way}"):
        check_memory(SEEDLING, TrainSettings(), CPU)


def test_what_fits_is_told_in_a_sentence() -> None:
    found = check_memory(SEEDLING, TrainSettings(max_length=128), CPU)
    assert "needs about" in found.reasons[-1] and not found.recompute


def test_activations_are_computed_twice_only_where_a_step_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_free", lambda hardware: need(method="full").weights + (1 << 20))
    found = check_memory(SEEDLING, TrainSettings(), CPU)
    assert found.recompute and "activations are computed twice" in found.reasons[-1]
    assert not check_memory(SEEDLING, TrainSettings(method="prefix"), CPU).recompute
