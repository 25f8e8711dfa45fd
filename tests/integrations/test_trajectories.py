"""Trainings that should not differ do not, from ``understudy train`` to ``events.jsonl`` and the registered weights.

They run here in float32: rounding is then that of sums in another order, and everything above it is a mistake. The
same in several processes is in ``test_launch.py``, after a kill in ``test_train_survives.py``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from understudy.core import hardware
from understudy.core.registry import Registry
from understudy.integrations.cli.main import app

from .conftest import losses, quick

Trained = Callable[..., Path]
_LOSS = 1e-5
"""Largest difference of a loss or a gradient norm, relative: float32 keeps seven digits."""
_WEIGHT = 1e-4
"""Largest difference of a weight: Adam divides by a gradient's size, so that rounding of a tiny one shows."""


@pytest.fixture
def trained(small_registry: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """Train by the command line in a folder of its own, and return its registry."""
    monkeypatch.setattr(hardware, "_cpu_flags", set)

    def run(*options: str, stage: str = "sft") -> Path:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        shutil.copytree(small_registry, folder / ".understudy")
        monkeypatch.chdir(folder)
        ran = CliRunner().invoke(app, ["train", "--json", "--stage", stage, *quick(tiny, *options)])
        assert ran.exit_code == 0, ran.output
        assert "fp32" in ran.stderr
        return folder / ".understudy"

    return run


def weights(registry: Path) -> dict[str, torch.Tensor]:
    (version,) = Registry(registry).list()
    return dict(load_file(Registry(registry).materialise(version) / "model.safetensors"))


def notes(registry: Path) -> str:
    (outcome,) = (registry / "runs").glob("*/outcome.json")
    return outcome.read_text()


def same(one: Path, other: Path) -> None:
    first, second = (losses(next((registry / "runs").iterdir())) for registry in (one, other))
    assert len(first) > 4 and first.keys() == second.keys()
    for moment, figures in first.items():
        assert figures == pytest.approx(second[moment], rel=_LOSS, nan_ok=True), moment
    others = weights(other)
    for name, weight in weights(one).items():
        torch.testing.assert_close(weight, others[name], rtol=0, atol=_WEIGHT)


def test_eight_rows_at_once_sharing_lines_are_eight_rows_added_up_and_eight_rows_apart(trained: Trained) -> None:
    at_once = trained("train.batch_size=8")
    apart = trained("train.batch_size=8", "train.packing=off")
    assert "packing: rows share lines" in notes(at_once) and "train.packing is off" in notes(apart)
    same(at_once, apart)
    same(at_once, trained("train.batch_size=1", "train.gradient_accumulation=8"))


def test_a_prompt_read_once_for_two_answers_is_a_prompt_read_twice(trained: Trained) -> None:
    pairs = ("preference.max_examples=12", "train.batch_size=2", "preference.learning_rate=1e-3")
    same(trained(*pairs, stage="dpo"), trained(*pairs, "preference.share_prefixes=false", stage="dpo"))
