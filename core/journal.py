"""An append-only file of JSON lines that a crash can tear only at its end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sync_folder

__all__ = ["Journal"]


class Journal:
    """JSON objects, one per line, appended and fsynced one at a time. Writers must exclude one another."""

    def __init__(self, path: Path) -> None:
        """Use the file at ``path``; it is made by the first append."""
        self.path = path

    def append(self, entry: dict[str, Any]) -> None:
        """Add one entry; when this returns it is on disk. A line torn by an earlier crash is repaired first.

        On an error (a full disk) the file has its old length again.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            end = self._whole_length(handle)
            os.ftruncate(handle, end)
            try:
                _write_all(handle, self.line(entry), end)
                os.fsync(handle)
            except BaseException:
                os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)
        sync_folder(self.path.parent)

    def read(self) -> list[dict[str, Any]]:
        """Return all whole entries, oldest first; a torn last line was never completed and is left out.

        Raises:
            BadInput: a line other than a torn last one is no JSON object; the message names it.
        """
        entries = []
        for number, line in enumerate(self._lines(), start=1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict):
                raise BadInput(f"{self.path}: line {number} is no JSON object; restore the file from a backup")
            entries.append(entry)
        return entries

    def torn(self) -> bytes:
        """Return what stands after the last line feed: empty unless an append was interrupted."""
        return self._bytes().rpartition(b"\n")[2]

    @staticmethod
    def line(entry: dict[str, Any]) -> bytes:
        """Return the bytes an entry is stored as."""
        return canonical_json(entry).encode("utf-8") + b"\n"

    def _lines(self) -> list[bytes]:
        return self._bytes().split(b"\n")[:-1]

    def _bytes(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    @staticmethod
    def _whole_length(handle: int) -> int:
        """Length of the file up to its last line feed, looked for from the end in pieces."""
        end = os.fstat(handle).st_size
        while end:
            start = max(0, end - 65_536)
            at = os.pread(handle, end - start, start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
        return 0


def _write_all(handle: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(handle, data, at)
        data, at = data[written:], at + written
