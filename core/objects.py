"""Files stored once, under the digest of their content: ``ab/cdef...`` has the SHA-256 ``abcdef...``."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from understudy.core.errors import BadInput
from understudy.core.files import atomic_writer, sha256_file

__all__ = ["ObjectStore"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 20


class ObjectStore:
    """A folder of immutable, content-addressed files."""

    def __init__(self, root: Path) -> None:
        """Use the folder ``root``; it is made by the first addition."""
        self.root = root

    def path(self, digest: str) -> Path:
        """Return where the object is or would be.

        Raises:
            BadInput: ``digest`` is not 64 lower-case hex digits, and would name a file elsewhere.
        """
        if not _DIGEST.fullmatch(digest):
            raise BadInput(f"{digest!r} is no SHA-256 digest (64 lower-case hex digits)")
        return self.root / digest[:2] / digest[2:]

    def add(self, source: Path) -> str:
        """Store a copy of the file ``source`` and return its digest.

        An object that is already there is not written again, unless it is damaged.

        Raises:
            BadInput: the file changed while it was read.
        """
        digest = sha256_file(source)
        target = self.path(digest)
        if self.intact(digest):
            return digest
        copied = hashlib.sha256()
        with atomic_writer(target) as out, source.open("rb") as stream:
            while piece := stream.read(_PIECE):
                copied.update(piece)
                out.write(piece)
            if copied.hexdigest() != digest:
                raise BadInput(f"{source} changed while it was being stored; wait until nothing writes to it")
        target.chmod(0o444)
        return digest

    def intact(self, digest: str) -> bool:
        """Whether the object is there and its content has its name."""
        path = self.path(digest)
        return path.is_file() and sha256_file(path) == digest

    def place(self, digest: str, target: Path) -> None:
        """Make ``target`` the object's content: a hard link where the file system can, else a copy.

        Raises:
            BadInput: the object is missing or damaged.
        """
        source = self.path(digest)
        if not source.is_file():
            raise BadInput(f"{source} is missing from the registry; restore it from a backup or register again")
        if sha256_file(source) != digest:
            raise BadInput(f"{source} was changed after it was stored; restore it from a backup or register again")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, target)

    def digests(self) -> Iterator[str]:
        """Yield the digest each stored file's name stands for, sorted; names that are none are passed over."""
        if self.root.is_dir():
            for path in sorted(self.root.glob("??/*")):
                if _DIGEST.fullmatch(name := path.parent.name + path.name):
                    yield name
