"""A launch file, completed for this machine, and the command that accelerate starts it with."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from understudy.core.errors import BadInput
from understudy.core.files import write_text
from understudy.core.ranks import Asked, Strategy

__all__ = ["PRESETS", "Launch", "command", "path_of", "plan", "read", "write"]

PRESETS = ("cpu", "ddp", "fsdp2", "zero2", "zero3")
"""Launch files that lie beside this module."""

_PORT = 29500
_NESTED = {"fsdp_config": "fsdp_", "deepspeed_config": ""}
"""Sections of a launch file, with what accelerate puts before their keys when it is missing."""


@dataclass(frozen=True)
class Launch:
    """A launch file as accelerate reads it."""

    name: str
    config: Any
    """accelerate's ``ClusterConfig``."""
    strategy: Strategy

    @property
    def asked(self) -> Asked:
        """What each process must find."""
        return Asked(self.name, self.strategy, self.config.num_processes, bool(self.config.use_cpu))


def path_of(file_or_preset: str) -> Path:
    """Return where the launch file of this name is.

    Raises:
        BadInput: there is no such file or preset.
    """
    path = Path(file_or_preset)
    if file_or_preset in PRESETS:
        return Path(str(files("understudy.integrations.launch") / f"{file_or_preset}.yaml"))
    if not path.is_file():
        raise BadInput(f"--launch {file_or_preset!r} is no file and not one of {', '.join(PRESETS)}")
    return path


def read(file_or_preset: str) -> Launch:
    """Return the launch file of this name.

    Raises:
        BadInput: there is no such file or preset, accelerate does not understand it, or would ignore part of it.
    """
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

    path = path_of(file_or_preset)
    try:
        config = load_config_from_file(str(path))
    except Exception as error:  # yaml's, enum's and accelerate's own, which share no class
        raise BadInput(f"{path}: accelerate cannot read it: {str(error).split(chr(10))[0]}") from error
    if not isinstance(config, ClusterConfig):
        raise BadInput(f"{path}: compute_environment must be LOCAL_MACHINE")
    _refuse_unknown(path, config)
    return Launch(file_or_preset, config, _strategy(file_or_preset, config))


def _refuse_unknown(path: Path, config: Any) -> None:
    """Refuse keys of sections that accelerate would put aside without a word."""
    from accelerate.commands.launch import launch_command_parser

    known = {action.dest for action in launch_command_parser()._actions}
    for section, prefix in _NESTED.items():
        for key in getattr(config, section):
            full = key if key.startswith(prefix) else prefix + key
            if full not in known:
                near = difflib.get_close_matches(full, known, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise BadInput(f"{path}: {section}.{key} is not an option of accelerate{hint}")


def _strategy(name: str, config: Any) -> Strategy:
    kind = config.distributed_type.value
    if kind == "FSDP":
        return "fsdp2" if int(config.fsdp_config.get("fsdp_version", 1)) == 2 else "fsdp1"
    if kind == "DEEPSPEED":
        stages: dict[int, Strategy] = {1: "zero1", 2: "zero2", 3: "zero3"}
        stage = config.deepspeed_config.get("zero_stage")
        if stage not in stages:
            raise BadInput(f"{name}: deepspeed_config.zero_stage must be 1, 2 or 3, not {stage}")
        return stages[stage]
    if kind == "MULTI_GPU":
        return "ddp"
    hint = "; for processors write MULTI_GPU with use_cpu: true, as --launch cpu" if kind == "MULTI_CPU" else ""
    raise BadInput(f"{name}: with distributed_type {kind} accelerate starts one process and no more{hint}")


def plan(file_or_preset: str, gpus: int, variables: Mapping[str, str] = os.environ) -> Launch:
    """Return a launch file with everything filled in that depends on this machine.

    Args:
        file_or_preset: as ``--launch`` takes it.
        gpus: how many this machine has.
        variables: those of torchrun: ``PET_NNODES``, ``PET_NPROC_PER_NODE``, ``PET_NODE_RANK``, ``PET_MASTER_ADDR`` and
            ``PET_MASTER_PORT`` go before the file.

    Raises:
        BadInput: the file cannot be used, or not on this machine.
    """
    launch = read(file_or_preset)
    name, config, strategy = launch.name, launch.config, launch.strategy
    if config.use_cpu and strategy != "ddp":
        raise BadInput(f"{name}: {strategy} with use_cpu would be plain data parallelism; use --launch cpu")
    if not config.use_cpu and not gpus:
        raise BadInput(
            f"--launch {name} asks for {strategy} on GPUs and this machine has none; without a word accelerate "
            "would start processes that know nothing of each other: use --launch cpu, or a machine with GPUs"
        )
    if strategy.startswith("zero") and find_spec("deepspeed") is None:
        raise BadInput(f"--launch {name} needs DeepSpeed: pip install deepspeed, or use --launch fsdp2")
    config.num_machines = _number(variables, "PET_NNODES", config.num_machines)
    config.machine_rank = _number(variables, "PET_NODE_RANK", config.machine_rank)
    every = variables.get("PET_NPROC_PER_NODE") in ("auto", "gpu")  # torchrun's words for all GPUs
    here = gpus if every else _number(variables, "PET_NPROC_PER_NODE", 0)
    if here:
        config.num_processes = here * config.num_machines
    elif config.num_processes < 1:
        config.num_processes = gpus * config.num_machines
    config.main_process_ip = variables.get("PET_MASTER_ADDR", config.main_process_ip)
    alone = config.num_machines == 1
    config.main_process_port = _number(
        variables, "PET_MASTER_PORT", config.main_process_port or (0 if alone else _PORT)
    )
    _check(name, config, gpus)
    return launch


def _number(variables: Mapping[str, str], name: str, otherwise: int) -> int:
    value = variables.get(name, "")
    if not value:
        return otherwise
    if not value.isascii() or not value.isdigit():
        raise BadInput(f"the variable {name} must be a number, not {value!r}")
    return int(value)


def _check(name: str, config: Any, gpus: int) -> None:
    machines, ranks = config.num_machines, config.num_processes
    if ranks < 2:
        raise BadInput(f"--launch {name} comes to {ranks} process: leave --launch out, or set PET_NPROC_PER_NODE")
    if ranks % machines:
        raise BadInput(f"--launch {name}: {ranks} processes cannot be divided among {machines} machines")
    if not config.use_cpu and ranks // machines > gpus:
        raise BadInput(f"--launch {name} wants {ranks // machines} GPUs on each machine and this one has {gpus}")
    if not 0 <= config.machine_rank < machines:
        raise BadInput(f"--launch {name}: machine {config.machine_rank} of {machines}; they are numbered from 0")
    if machines > 1 and not config.main_process_ip:
        raise BadInput(f"--launch {name}: {machines} machines need the address of the first one in PET_MASTER_ADDR")


def write(launch: Launch, folder: Path) -> Path:
    """Write the completed launch file into ``folder`` and return it; each machine has one of its own."""
    import yaml

    path = folder / f"{Path(launch.name).stem}-{launch.config.machine_rank}.yaml"
    write_text(path, yaml.safe_dump(launch.config.to_dict()))
    return path


def command(file: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command that starts the processes of a completed launch file, each with ``arguments``."""
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(file)]
    return [*launcher, "-m", "understudy.integrations.cli.main", *arguments]
