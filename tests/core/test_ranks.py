"""Several processes that train together do what one process does, and are refused when they are not what was asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from understudy.core.ranks import by_length

from .ranks_worker import STAGES, main
from .tiny import tiny_base

_WORKER = str(Path(__file__).with_name("ranks_worker.py"))
_TOGETHER = 1e-5
"""Largest difference of a loss or a weight: float32 sums in another order, over eight steps."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of one process in ``alone``, those of two with the same rows a step in ``two``; all else is shared."""
    folder = tmp_path_factory.mktemp("ranks")
    base = str(tiny_base(folder / "base", "llama"))
    main(base, "8", str(folder / "alone"))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*launcher, _WORKER, base, "4", folder / "two"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().split("\n") if line]


def same(one: Path, other: Path) -> None:
    """Compare every logged loss and gradient norm, the validation losses, and the weights kept."""
    first, second = events(one), events(other)
    assert [event["step"] for event in first] == [event["step"] for event in second]
    for mine, theirs in zip(first, second, strict=True):
        for name in ("loss", "gradient_norm", "validation_loss"):
            assert (mine[name] or 0) == pytest.approx(theirs[name] or 0, rel=_TOGETHER, abs=_TOGETHER), (mine, theirs)
    ours, others = (load_file(run / "best" / "adapter_model.safetensors") for run in (one, other))
    assert ours.keys() == others.keys() and any(weight.abs().max() > 0.01 for weight in ours.values())
    for name, weight in ours.items():
        torch.testing.assert_close(weight, others[name], rtol=0, atol=_TOGETHER * 10)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_learn_what_one_learns_from_the_same_rows_a_step(stage: str, folder: Path) -> None:
    same(folder / "alone" / stage, folder / "two" / stage)


@pytest.mark.slow
def test_an_adapter_saved_from_shards_is_the_adapter_and_nothing_else(folder: Path) -> None:
    ours, others = (load_file(folder / name / "save" / "adapter_model.safetensors") for name in ("two", "alone"))
    assert ours.keys() == others.keys() and all("lora_" in name for name in ours)
    assert all(torch.equal(weight, others[name]) for name, weight in ours.items())
    assert not list((folder / "two" / "save").glob("model*"))


def test_the_order_of_rows_depends_on_seed_and_epoch_alone_and_neighbours_are_alike() -> None:
    lengths = [(37 * n) % 101 for n in range(400)]
    one, other = by_length(lengths, 8, 7), by_length(lengths, 8, 7)
    torch.rand(3)  # as dropout does, in one process more than in another
    order = list(one)
    assert order == list(other) and sorted(order) == list(range(400))
    one.set_epoch(1)
    assert list(one) != order
    assert list(by_length(lengths, 8, 8)) != order
    steps = [[lengths[n] for n in order[at : at + 8]] for at in range(0, 400, 8)]
    assert sum(max(step) - min(step) for step in steps) < 0.2 * 50 * 100
