"""What a run needs is known before it begins."""

from __future__ import annotations

from typing import Any

import pytest

from understudy.core import memory
from understudy.core.bases import load_model, resolve_base
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.memory import check_memory, need_of
from understudy.core.settings import TrainSettings

CPU = Hardware("cpu", False, 1, ())
SEEDLING = resolve_base("seedling")


def need(**options: Any) -> memory.Need:
    return need_of(SEEDLING, TrainSettings(**options), CPU)


def test_all_weights_take_sixteen_bytes_each_and_frozen_ones_less() -> None:
    count = load_model(SEEDLING).num_parameters()
    assert need(method="full").weights == 16 * count
    assert 4 * count < need(method="lora").weights < 8 * count
    assert need(method="qlora").weights < need(method="lora").weights


def test_a_step_takes_more_with_more_rows_and_longer_ones_and_less_in_bf16() -> None:
    one = need(batch_size=1, max_length=256).step
    assert need(batch_size=4, max_length=256).step == 4 * one
    assert need(batch_size=1, max_length=512).step == 2 * one
    assert need_of(SEEDLING, TrainSettings(batch_size=1, max_length=256), Hardware("cpu", True, 1, ())).step == one / 2


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
