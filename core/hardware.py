"""What this machine has to offer, resolved once, each choice with its reason (printed and stored with the model)."""

from __future__ import annotations

import ctypes
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Hardware", "free_cores", "keep_memory", "resolve"]

_SAMPLE_SECONDS = 0.3
"""Long enough for /proc/stat's 10 ms ticks to show a busy core, short enough to go unnoticed."""
_KEEP = 1 << 30
"""Bytes up to which glibc keeps freed memory."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""From glibc's malloc.h."""


@dataclass(frozen=True)
class Hardware:
    """Device, precision and threads of one run."""

    device: str
    bf16: bool
    threads: int
    reasons: tuple[str, ...]
    """One sentence for each choice."""
    recompute: bool = False
    """Whether activations are computed twice, which takes a third more time and much less memory."""


def free_cores() -> tuple[int, float]:
    """Return (physical cores this process may use, how many of them others keep busy right now).

    Sleeps for 0.3 s. Two processes that each claim both of two cores slow each other about fifteenfold, so a claim is
    made only on what is idle. Where there is no ``/proc`` (not Linux) nothing is taken to be busy.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    siblings = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
    per_core = len(siblings.read_text().replace("-", ",").split(",")) if siblings.exists() else 1
    physical = max(1, allowed // per_core)
    stat = Path("/proc/stat")
    if not stat.exists():
        return physical, 0.0
    before = _busy_ticks(stat)
    time.sleep(_SAMPLE_SECONDS)
    ticks = (_busy_ticks(stat) - before) / os.sysconf("SC_CLK_TCK")
    return physical, ticks / _SAMPLE_SECONDS / per_core


def _busy_ticks(stat: Path) -> int:
    fields = [int(value) for value in stat.read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _wait, irq, softirq, _steal = fields
    return user + nice + system + irq + softirq


def resolve(threads: int | Literal["auto"] = "auto", *, gpu: bool = True) -> Hardware:
    """Choose device, precision and threads, tell torch the threads, and say why.

    Args:
        threads: OpenMP threads to use; "auto" for as many as there are free physical cores, at least one.
        gpu: whether to use one if there is one.
    """
    import torch

    reasons = []
    if gpu and torch.cuda.is_available():
        device, name = "cuda", torch.cuda.get_device_name()
        bf16 = torch.cuda.is_bf16_supported()
        reasons += [f"device cuda: {name}", f"bf16 {'on' if bf16 else 'off'}: {name} {'has' if bf16 else 'lacks'} it"]
    else:
        device = "cpu"
        flags = _cpu_flags()
        feature = next((flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags), None)
        bf16 = feature is not None
        reasons.append(f"device cpu: {'no CUDA device' if gpu else 'asked for'}")
        reasons.append(
            f"bf16 autocast: CPU has {feature}" if feature else "fp32: CPU has neither amx_bf16 nor avx512_bf16"
        )
    if threads != "auto":
        count, why = threads, "asked for"
    elif (exported := os.environ.get("OMP_NUM_THREADS", "")).isdigit():
        count, why = int(exported), "OMP_NUM_THREADS"
    else:
        physical, busy = free_cores()
        count, why = max(1, min(physical, round(physical - busy))), f"{physical} physical core(s), {busy:.1f} busy"
    reasons.append(f"{count} thread(s): {why}")
    torch.set_num_threads(count)
    return Hardware(device, bf16, count, tuple(reasons))


def keep_memory() -> bool:
    """Let glibc keep freed memory instead of handing it back to the kernel; return whether it could be told.

    A training step frees and takes the same large buffers again and again, and each page that was handed back must be
    cleared anew. Both thresholds are raised: the first alone would freeze the second at 128 KiB, which is slower than
    doing nothing. Measured by ``benchmarks/training/sft.py``.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return all(mallopt(option, _KEEP) == 1 for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD))


def _cpu_flags() -> set[str]:
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() not in {"x86_64", "AMD64"} or not cpuinfo.exists():
        return set()
    for line in cpuinfo.read_text().split("\n"):
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()
