"""One process among several that train together: which it is, and who does what is to be done once.

Libraries quietly train on when they were not started as they were told to: without a GPU, FSDP becomes plain data
parallelism, or every process trains a model of its own and all of them write one folder. So each process compares what
it found with what was asked for (:func:`join`, :func:`confirm`) before it writes anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, TypeVar

from understudy.core.errors import BadInput, UnderstudyError
from understudy.core.hardware import Hardware

__all__ = ["Asked", "Strategy", "by_length", "confirm", "count", "first", "gathered", "join", "once", "whole"]

T = TypeVar("T")

Strategy = Literal["ddp", "fsdp1", "fsdp2", "zero1", "zero2", "zero3"]
"""How weights are held: whole in each process (``ddp``), or in shards."""

_PATIENCE = timedelta(hours=6)
"""How long processes wait for one that does a thing alone. A process that died is noticed by the launcher at once."""


@dataclass(frozen=True)
class Asked:
    """What a launch file asks for."""

    name: str
    """Of the file."""
    strategy: Strategy
    ranks: int
    """Processes on all machines together."""
    cpu: bool
    """Whether to leave GPUs alone."""


def started() -> int:
    """Return how many processes a launcher says it started, 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join(asked: Asked) -> str:
    """Meet the other processes, make this one's GPU the current one, and return in a sentence who they are.

    Raises:
        BadInput: they are not as many as were asked for, or this machine cannot hold weights as was asked.
    """
    import torch
    from accelerate import PartialState

    if asked.strategy != "ddp" and (asked.cpu or not torch.cuda.is_available()):
        raise BadInput(
            f"{asked.name} asks for {asked.strategy} and {'use_cpu' if asked.cpu else 'this machine has no GPU'}: "
            "accelerate would train with plain data parallelism and not say so; use GPUs, or --launch cpu"
        )
    cpu = asked.cpu or not torch.cuda.is_available()
    state = PartialState(cpu=cpu, timeout=_PATIENCE)
    if state.num_processes != asked.ranks:
        raise BadInput(
            f"{asked.name} asks for {asked.ranks} processes and this one found {state.num_processes}, itself included; "
            "start with `understudy train --launch`, or set num_processes to what your launcher starts"
        )
    return f"{asked.ranks} processes, {asked.strategy}: {asked.name}"


def confirm(accelerator: Any) -> None:
    """Compare how ``accelerator`` holds the weights with what the launcher told it in the environment.

    Raises:
        BadInput: they differ.
    """
    asked, found = _told(), _held(accelerator)
    if asked != found:
        raise BadInput(
            f"the launcher asked for {asked} and accelerate made it {found} on {accelerator.device}; nothing was "
            "trained: use the machine the launch file was written for, or another launch file"
        )


def _told() -> str:
    def on(name: str) -> bool:
        return os.environ.get(name, "").lower() in ("1", "true")

    if on("ACCELERATE_USE_FSDP"):
        return f"fsdp{os.environ.get('FSDP_VERSION', '1')}"
    if on("ACCELERATE_USE_DEEPSPEED"):
        return "deepspeed"
    return "ddp" if started() > 1 else "one process"


def _held(accelerator: Any) -> str:
    kind = accelerator.distributed_type.value
    if kind == "FSDP":
        return "fsdp2" if accelerator.is_fsdp2 else "fsdp1"
    if kind == "DEEPSPEED":
        return "deepspeed"
    return "ddp" if accelerator.num_processes > 1 else "one process"


def whole(hardware: Hardware) -> Hardware:
    """Return where all the weights find room at once: main memory, if the processes divide them among their GPUs."""
    return hardware if _told() in ("ddp", "one process") else replace(hardware, device="cpu")


def count() -> int:
    """Return how many processes train together."""
    return _group().get_world_size() if started() > 1 and _group() else 1


def first() -> bool:
    """Return whether this process is the one that writes, registers and prints."""
    return started() == 1 or not _group() or _group().get_rank() == 0


def once(make: Callable[[], T]) -> T:
    """Return what ``make`` returns in the first process; the others wait for it.

    Raises:
        UnderstudyError: in all of them, if ``make`` raises it in the first.
    """
    if count() == 1:
        return make()
    group = _group()
    box: list[Any] = [None, None]
    if first():
        try:
            box[0] = make()
        except UnderstudyError as error:
            box[1] = error
    group.broadcast_object_list(box, src=0)
    if box[1] is not None:
        raise box[1]
    result: T = box[0]
    return result


def gathered(value: T) -> list[T]:
    """Return the ``value`` of every process, in their order."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    _group().all_gather_object(values, value)
    return values


def _group() -> Any:
    """Return torch.distributed once processes have met, else None."""
    import torch.distributed as group

    return group if group.is_available() and group.is_initialized() else None


def by_length(lengths: Sequence[int], batch: int, seed: int) -> Any:
    """Return a sampler of row numbers whose neighbours have similar lengths, in another order each epoch.

    Stock TRL's takes its order from torch's global generator, which dropout lets drift apart between processes, so
    that rows are seen twice and others never; and it groups a process' batch, so that one waits for another's longer
    rows. This one depends on the seed and the epoch only.

    Args:
        lengths: tokens of each row.
        batch: rows of a step, all processes together.
        seed: of the order.
    """
    import torch
    from torch.utils.data import Sampler
    from transformers.trainer_pt_utils import get_length_grouped_indices

    class ByLength(Sampler[int]):
        """The sampler; accelerate calls ``set_epoch``."""

        epoch = 0

        def set_epoch(self, epoch: int) -> None:
            """Choose the order."""
            self.epoch = epoch

        def __len__(self) -> int:
            return len(lengths)

        def __iter__(self) -> Any:
            generator = torch.Generator().manual_seed(seed + self.epoch)
            return iter(get_length_grouped_indices(list(lengths), batch, generator=generator))

    return ByLength()
