"""Running the processes of a launch, and ending as they did."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from understudy.core.errors import UnderstudyError
from understudy.core.files import write_json

__all__ = ["Failed", "reporting", "run"]


class Failed(UnderstudyError):
    """A process of the launch failed; ``exit_code`` is its own if it failed on purpose."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        """Say ``sentence`` and end with ``exit_code``."""
        super().__init__(sentence)
        self.exit_code = exit_code


def run(arguments: Sequence[str], file: Path) -> None:
    """Run the command of the launch ``file`` to its end; being told to stop is passed on to it.

    A terminal's interrupt reaches all processes by itself.

    Raises:
        Failed: it did not end well. What one of its processes has reported is the reason.
    """
    report = _report(file)
    report.write_bytes(b"")
    process = subprocess.Popen(arguments)

    def stop(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        code = process.wait()
        told = report.read_text("utf-8")
    except KeyboardInterrupt:
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        report.unlink(missing_ok=True)
    if not code:
        return
    if not told:
        raise Failed(
            f"a process of the launch ended without a reason of its own ({_how(code)}); registered models are "
            "unchanged, and the same command goes on from the last finished epoch"
        )
    found = json.loads(told)
    raise Failed(str(found["error"]), int(found["exit_code"]))


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}, see above"


@contextmanager
def reporting(file: Path) -> Iterator[None]:
    """Leave it to :func:`run`, if that waits, to say why this process of the launch ``file`` fails on purpose.

    Every process would say the same, and the launcher's own report would come after it.
    """
    try:
        yield
    except UnderstudyError as error:
        report = _report(file)
        if not report.exists():
            raise
        write_json(report, {"error": str(error), "exit_code": error.exit_code})
        sys.exit(error.exit_code)


def _report(file: Path) -> Path:
    return file.with_suffix(".failed.json")
