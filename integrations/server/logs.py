"""The server's log: one line for each thing that happened, on standard error, without secrets."""

from __future__ import annotations

import logging
import sys

from understudy.core.outside import plain
from understudy.integrations.github.scrub import Scrubber

__all__ = ["log", "log_to_stderr"]

log = logging.getLogger("understudy.serve")


class _Clean(logging.Formatter):
    """Lines without secrets and without control characters, by which a name could write a line of its own."""

    def __init__(self, *secrets: str) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._scrubber = Scrubber(None, *secrets)

    def format(self, record: logging.LogRecord) -> str:
        return plain(self._scrubber.text(super().format(record))).replace("\n", "\\n")


def log_to_stderr(*secrets: str) -> None:
    """Let ours, and other libraries' warnings, go to standard error; ``secrets`` are replaced wherever they stand."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Clean(*secrets))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(logging.INFO)
