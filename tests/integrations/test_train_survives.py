"""Training on a disk that fills up, and training that is killed."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import COMMAND, Cli, contents, environment, losses, quick

pytestmark = pytest.mark.slow

_LARGEST_FILE = 5_000_000
"""Bytes; less than the weights of the embedded base, more than everything else training writes."""


def _small_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))


def test_on_a_full_disk_training_ends_in_a_sentence_and_the_registry_is_as_it_was(with_data: Cli) -> None:
    registry = with_data.folder / ".understudy"
    before = contents(registry)
    ran = with_data("train", "--set", "train.epochs=1", before=_small_disk)
    assert (ran.code, ran.out) == (2, "")
    assert "make room and run the same command again" in ran.complaint
    after = contents(registry)
    assert {name: after[name] for name in after if not name.startswith("runs")} == before
    assert json.loads(with_data("models", "list", "--json").out) == []


def test_killed_training_goes_on_from_its_last_whole_epoch_and_ends_as_if_nothing_had_happened(
    with_data: Cli, tiny: Path, tmp_path: Path
) -> None:
    straight = Cli(tmp_path / "straight")
    shutil.copytree(with_data.folder, straight.folder)
    command = ["train", *quick(tiny, "train.epochs=20", "train.early_stopping_patience=0"), "--json"]
    process = subprocess.Popen(
        [*COMMAND, *command],
        cwd=with_data.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        checkpoint = _first_checkpoint(with_data.folder, process)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert json.loads(with_data("models", "list", "--json").out) == []
    torn = checkpoint.parent / "checkpoint-900"  # as a kill while one is written leaves it
    torn.mkdir()
    (torn / "model.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes()[:1000])

    ran = with_data(*command)
    assert ran.code == 0, ran.err
    version = json.loads(ran.out)
    assert [one["id"] for one in json.loads(with_data("models", "list", "--json").out)] == [version["id"]]
    events = [json.loads(line) for line in (checkpoint.parent / "events.jsonl").read_text().split("\n") if line]
    validated = [event["step"] for event in events if event["validation_loss"] is not None]
    steps = int(checkpoint.name.rpartition("-")[2])
    assert validated.count(steps) == 1, "the first epoch was trained twice"
    assert max(validated) == events[-1]["steps"]
    assert with_data("models", "verify").code == 0
    assert json.loads(straight(*command).out)["digest"] == version["digest"], "it ended in other weights"
    assert losses(checkpoint.parent) == losses(straight.folder / checkpoint.parent.relative_to(with_data.folder))


def _first_checkpoint(folder: Path, process: subprocess.Popen[bytes]) -> Path:
    """Wait for the first whole checkpoint of a running training."""
    while process.poll() is None:
        for state in folder.glob(".understudy/runs/*/checkpoint-*/trainer_state.json"):
            return state.parent
        time.sleep(0.01)
    raise AssertionError("training ended without a checkpoint")
