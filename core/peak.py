"""Peak memory of a stretch of work: of this process on a CPU, of the device on a GPU."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["peak_memory", "reset_peak"]

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def reset_peak(device: str = "cpu") -> None:
    """Start a new stretch. Where the system cannot forget a peak (not Linux), the next one holds earlier work too."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats()
    elif _CLEAR.exists():
        try:
            _CLEAR.write_text("5")  # "5" resets VmHWM: proc(5)
        except OSError:  # a container may forbid it; the peak is then the process's whole life
            return


def peak_memory(device: str = "cpu") -> int:
    """Return the most bytes in use since :func:`reset_peak`: resident ones, or allocated ones of a GPU."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated())
    if _STATUS.exists():
        for line in _STATUS.read_text().split("\n"):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
