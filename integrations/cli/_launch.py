"""``understudy train`` in several processes: the one a person starts, and the ones that train."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.errors import BadInput
from understudy.integrations.cli._console import hardware_of, stderr

if TYPE_CHECKING:
    from understudy.core.hardware import Hardware
    from understudy.core.ranks import Asked
    from understudy.core.settings import Settings

__all__ = ["check", "launch", "launched"]

_WHOLE = "the reference's figures are kept by whole models"
_APART = {"sft": "", "dpo": _WHOLE, "kto": _WHOLE}
"""Stages that several processes can share, with why they want whole weights in each, if they do."""


def check(file_or_preset: str, stage: str) -> None:
    """Refuse a launch file that is not there, or a stage that is not for several processes; imports no torch."""
    from understudy.integrations.launch.plan import path_of

    path_of(file_or_preset)
    if stage not in _APART:
        raise BadInput(f"--stage {stage} compares answers that one process draws: leave --launch out")


def launch(file_or_preset: str, stage: str, settings: Settings, arguments: Sequence[str]) -> None:
    """Start the processes of a launch file, each as ``understudy train`` with ``arguments``, and wait for their end."""
    import torch
    from rich.markup import escape

    from understudy.integrations.launch.plan import command, plan, write
    from understudy.integrations.launch.run import run

    planned = plan(file_or_preset, torch.cuda.device_count())
    _fits(planned.asked, stage, settings)
    file = write(planned, Path(settings.registry) / "launch")
    line = command(file, ["train", "--launched", str(file), *arguments])
    stderr().print(f"  [dim]{escape(shlex.join(line))}[/dim]", soft_wrap=True)
    run(line, file)


@contextmanager
def launched(file_or_preset: str | None, stage: str, settings: Settings) -> Iterator[Hardware]:
    """Yield the hardware of a process that trains alone, or, with a launch file, together with others.

    Raises:
        BadInput: the processes are not what the launch file asks for, or the work is not for several.
    """
    from understudy.core.ranks import join, started

    if file_or_preset is None:
        if started() > 1:
            raise BadInput(
                f"a launcher started {started()} of these processes, and each would train alone into the same folder: "
                "start them with `understudy train --launch`, or say `--launched ddp`"
            )
        yield hardware_of(settings)
        return
    from understudy.integrations.launch.plan import read
    from understudy.integrations.launch.run import reporting

    with reporting(Path(file_or_preset)):
        check(file_or_preset, stage)
        asked = read(file_or_preset).asked
        if asked.ranks < 1:  # a preset, which another launcher may start as often as it likes
            asked = replace(asked, ranks=started())
        _fits(asked, stage, settings)
        together = join(asked)
        hardware = hardware_of(settings, gpu=not asked.cpu)
        yield replace(hardware, reasons=(together, *hardware.reasons))


def _fits(asked: Asked, stage: str, settings: Settings) -> None:
    """Refuse work that several processes would do wrong, or not at all."""
    sharded = asked.strategy != "ddp"
    if sharded and _APART[stage]:
        raise BadInput(f"--stage {stage} with {asked.strategy}: {_APART[stage]}; use --launch ddp")
    if sharded and settings.train.method == "qlora":
        raise BadInput(f"train.method qlora with {asked.strategy}: 4-bit weights cannot be divided; use --launch ddp")
    if sharded and settings.train.watch_examples:
        raise BadInput(f"train.watch_examples with {asked.strategy}: divided weights cannot answer; set it to 0")
