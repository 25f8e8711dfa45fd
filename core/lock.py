"""One writer at a time in a folder, by a lock file that no crash leaves in force.

The file is made with ``O_EXCL``, which every local file system (and NFS since version 3) does atomically. It names its
holder, so that what a killed process left behind is recognised and removed instead of blocking for ever.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from understudy.core.errors import Unavailable

__all__ = ["exclusive"]

_POLL = 0.02
_UNNAMED_SECONDS = 5.0
"""A lock whose holder was killed between making and naming it is left over after this time."""
_FOREIGN_SECONDS = 600.0
"""A lock of another machine, whose processes cannot be seen from here, is left over after this time."""


@contextmanager
def exclusive(path: Path, timeout: float = 30.0) -> Iterator[None]:
    """Hold the lock file ``path`` during the block.

    Args:
        path: of the lock file; its folder is made when missing.
        timeout: seconds to wait for another holder.

    Raises:
        Unavailable: another process still holds it after ``timeout``; the message names the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout
    while not _take(path):
        if _left_over(path):
            _remove_left_over(path)
        elif time.monotonic() > deadline:
            holder = _holder(path) or {}
            raise Unavailable(
                f"{path} is held by process {holder.get('pid', '?')} on {holder.get('host', '?')} for more than "
                f"{timeout:g} s; wait for it, or delete the file if no such process runs"
            )
        else:
            time.sleep(_POLL)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    try:
        os.write(handle, json.dumps(_me()).encode())
        ours = os.fstat(handle)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    # A process stopped right here for longer than _UNNAMED_SECONDS may have lost the lock to another one.
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino)


def _remove_left_over(path: Path) -> None:
    """Remove a lock whose holder is gone; a second lock keeps two finders from removing each other's fresh one."""
    breaker = path.with_name(path.name + ".break")
    try:
        os.close(os.open(breaker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        if _age(breaker) > _UNNAMED_SECONDS:
            breaker.unlink(missing_ok=True)
        time.sleep(_POLL)
        return
    try:
        if _left_over(path):
            path.unlink(missing_ok=True)
    finally:
        breaker.unlink(missing_ok=True)


def _left_over(path: Path) -> bool:
    """Whether the holder is surely gone."""
    holder = _holder(path)
    if holder is None:
        return _age(path) > _UNNAMED_SECONDS
    if holder.get("host") != socket.gethostname():
        return _age(path) > _FOREIGN_SECONDS
    if holder.get("boot") != _boot():
        return True
    pid = holder.get("pid")
    return not isinstance(pid, int) or not _runs(pid) or holder.get("started") != _started(pid)


def _holder(path: Path) -> dict[str, Any] | None:
    """Who holds the lock; None while it has no name, or when it is free."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _me() -> dict[str, Any]:
    pid = os.getpid()
    return {"pid": pid, "started": _started(pid), "boot": _boot(), "host": socket.gethostname()}


def _boot() -> str:
    """Identity of this boot of the machine; empty where the system does not tell."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot: tells it from a later one with the same number."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
