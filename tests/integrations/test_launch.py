"""``understudy train --launch``: several processes behave as one command, or are refused in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from understudy.core.errors import BadInput
from understudy.core.ranks import Asked, confirm, join
from understudy.integrations.launch.plan import PRESETS, command, plan, read, write

from .conftest import COMMAND, Cli, contents, environment, losses, quick

_BF16 = 0.02
"""Largest difference of a loss or a gradient norm, relative: in bf16 a batch of another width rounds otherwise."""


@pytest.mark.parametrize("name", PRESETS)
def test_every_launch_file_is_understood_and_asks_for_what_its_name_says(name: str) -> None:
    asked = read(name).asked
    assert asked.strategy == ("ddp" if name == "cpu" else name)
    assert asked.cpu == (name == "cpu")


def test_a_launch_file_is_completed_from_gpus_and_variables(tmp_path: Path) -> None:
    config = plan("ddp", 8, {}).config
    assert (config.num_machines, config.num_processes, config.main_process_port) == (1, 8, 0)
    variables = {
        "PET_NNODES": "4",
        "PET_NPROC_PER_NODE": "auto",
        "PET_NODE_RANK": "3",
        "PET_MASTER_ADDR": "node-0",
    }
    launch = plan("fsdp2", 8, variables)
    assert launch.asked.ranks == 32
    assert (launch.config.main_process_ip, launch.config.main_process_port) == ("node-0", 29500)
    written = write(launch, tmp_path)
    assert written.name == "fsdp2-3.yaml"
    assert read(str(written)).asked == Asked(str(written), "fsdp2", 32, cpu=False)
    line = command(written, ["train", "--set", "data.note=$(rm -rf /)"])
    assert line[1:4] == ["-m", "accelerate.commands.launch", "--config_file"]
    assert line[-3:] == ["train", "--set", "data.note=$(rm -rf /)"]


@pytest.mark.parametrize(
    ("name", "gpus", "variables", "words"),
    [
        ("ddp", 0, {}, "this machine has none"),
        ("fsdp2", 0, {}, "processes that know nothing of each other"),
        ("ddp", 1, {}, "comes to 1 process"),
        ("ddp", 2, {"PET_NPROC_PER_NODE": "4"}, "wants 4 GPUs on each machine and this one has 2"),
        ("ddp", 2, {"PET_NNODES": "two"}, "PET_NNODES must be a number, not 'two'"),
        ("ddp", 2, {"PET_NNODES": "2"}, "in PET_MASTER_ADDR"),
        ("ddp", 2, {"PET_NODE_RANK": "1"}, "machine 1 of 1"),
        ("ddp2", 2, {}, "is no file and not one of cpu, ddp"),
    ],
)
def test_a_launch_that_cannot_be_is_refused(name: str, gpus: int, variables: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        plan(name, gpus, variables)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("distributed_type: MULTI_CPU\nnum_processes: 2\n", "starts one process and no more; .* as --launch cpu"),
        ("distributed_type: 'NO'\n", "starts one process and no more"),
        ("distributed_type: FSDP\nuse_cpu: true\nnum_processes: 2\n", "would be plain data parallelism"),
        ("distributed_type: FSDP\nfsdp_config: {fsdp_verison: 2}\n", "did you mean fsdp_version"),
        ("distributed_type: MULTI_GPU\nnum_procesess: 2\n", "num_procesess"),
        ("distributed_type: DEEPSPEED\nnum_processes: 2\n", "zero_stage must be 1, 2 or 3"),
        ("distributed_type: [\n", "accelerate cannot read it"),
        ("", "accelerate cannot read it"),
    ],
)
def test_a_file_that_would_do_something_else_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(BadInput, match=words):
        plan(str(tmp_path / "mine.yaml"), 2, {})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked("mine", "fsdp2", 2, cpu=False), "asks for fsdp2 and this machine has no GPU"),
        (Asked("mine", "zero3", 2, cpu=True), "asks for zero3 and use_cpu"),
        (Asked("mine", "ddp", 2, cpu=True), "asks for 2 processes and this one found 1"),
    ],
)
def test_a_process_that_finds_something_else_is_refused(
    asked: Asked, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BadInput, match=words):
        join(asked)


def test_a_trainer_that_divides_nothing_although_told_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = SimpleNamespace(distributed_type=SimpleNamespace(value="NO"), num_processes=1, device="cpu")
    confirm(alone)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    with pytest.raises(BadInput, match="asked for fsdp2 and accelerate made it one process on cpu"):
        confirm(alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "each would train alone"), (["--launched", "asks.yaml"], "asks for 3 processes and this one found 2")],
)
def test_processes_of_another_launcher_are_refused_unless_they_are_what_was_asked(
    arguments: list[str], words: str, with_data: Cli
) -> None:
    (with_data.folder / "asks.yaml").write_text("distributed_type: MULTI_GPU\nuse_cpu: true\nnum_processes: 3\n")
    before = contents(with_data.folder)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*launcher, *COMMAND[1:], "train", *arguments],
        cwd=with_data.folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode and "exitcode  : 2" in done.stderr
    assert words in done.stderr
    assert contents(with_data.folder) == before


@pytest.mark.slow
def test_two_processes_are_one_command_and_after_a_kill_end_where_one_process_ends(
    with_data: Cli, tiny: Path, tmp_path: Path
) -> None:
    alone = Cli(tmp_path / "alone")
    shutil.copytree(with_data.folder, alone.folder)
    epochs = "train.epochs=8", "train.early_stopping_patience=0"
    line = ["train", "--launch", "cpu", "--json", *quick(tiny, "train.batch_size=4", *epochs)]
    process = subprocess.Popen(
        [*COMMAND, *line], cwd=with_data.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _kill_one(with_data.folder, process)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, b"")
    assert b"the same command goes on from the last finished epoch" in err
    assert json.loads(with_data("models", "list", "--json").out) == []

    again = with_data(*line)
    assert again.code == 0, again.err
    assert again.out.count('"id"') == 1, "more than one process printed a result"
    assert "accelerate.commands.launch --config_file" in " ".join(again.err.split())
    assert json.loads(again.out)["environment"]["processes"] == "2"
    assert with_data("models", "verify").code == 0

    assert alone("train", "--json", *quick(tiny, "train.batch_size=8", *epochs)).code == 0
    one, two = (losses(next((cli.folder / ".understudy" / "runs").iterdir())) for cli in (alone, with_data))
    assert one.keys() == two.keys()
    for moment, figures in one.items():
        assert figures == pytest.approx(two[moment], rel=_BF16, nan_ok=True), moment


def _kill_one(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Kill the second process of a launch as soon as there is a whole checkpoint."""
    while not list(folder.glob(".understudy/runs/*/checkpoint-*/trainer_state.json")):
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.02)
    for number in Path("/proc").glob("[0-9]*"):
        try:
            variables = (number / "environ").read_bytes().split(b"\0")
            place = (number / "cwd").resolve()
        except OSError:
            continue
        if b"RANK=1" in variables and place == folder.resolve():
            os.kill(int(number.name), signal.SIGKILL)
            return
    raise AssertionError("there is no second process")


@pytest.mark.slow
def test_what_one_process_refuses_ends_the_command_with_its_sentence_and_code(with_data: Cli, tiny: Path) -> None:
    ran = with_data("train", "--launch", "cpu", *quick(tiny, "train.max_length=40"))
    assert (ran.code, ran.out) == (2, "")
    said = [line for line in ran.err.split("\n") if line.startswith("understudy: ")]
    assert len(said) == 1 and "raise it, lower data.prompt_budget" in said[0]
    assert ran.err.rstrip("\n").endswith(said[0])
