"""Opening what a user names: a log file, ``-`` for standard input, a folder of logs, a gzip file, a run-log zip.

Nothing is unpacked to disk: members of an archive are streamed, their names are only shown. The layout of GitHub's run
logs is ``<job>/<N>_<step>.txt`` beside ``<i>_<job>.txt`` with the whole job; the files of failed steps are chosen, and
the whole-job file where a job has no step files.
"""

from __future__ import annotations

import gzip
import re
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO

from understudy.core.errors import BadInput
from understudy.templates.log_triage.lines import clean

__all__ = ["NamedLog", "open_logs", "paired"]

_CHUNK = 1 << 20
_SNIFF = 1 << 16
_MAX_NULS = 0.005
"""A bigger share of NUL bytes at the beginning means that the file is no text."""
_MAX_CONTROLS = 0.05
"""The same for all control bytes that no log needs; compressed or encrypted bytes have a tenth of them and few NULs."""
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\b\x07\x1b"))
_MAX_ENTRIES = 20_000
_MAX_TOTAL = 8 << 30
"""Bytes one source may unpack to."""
_MAX_RATIO = 400
_RATIO_FROM = 64 << 20
"""Below this size the ratio does not matter: short logs of equal lines shrink well."""
_SUFFIXES = (".log", ".txt", ".out", ".gz")
_STEP_FILE = re.compile(r"(?P<order>\d+)_.+\.txt$")
_FAILED = b"##[error]"


_Stream = IO[bytes] | gzip.GzipFile


@dataclass(frozen=True)
class NamedLog:
    """One log that can be read from the start as often as needed."""

    name: str
    """For people; never used as a path."""
    member: str = field(default="", kw_only=True)
    """Where it stands in the folder or archive that holds it."""
    _open: Callable[[], _Stream] = field(repr=False)
    _held: object = field(default=None, repr=False)
    """Keeps a temporary folder alive as long as the log is."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in pieces of at most 1 MiB.

        Raises:
            BadInput: the file cannot be read, or an archive is broken or unpacks to too much.
        """
        total = 0
        try:
            with self._open() as source:
                while piece := source.read(_CHUNK):
                    total += len(piece)
                    if total > _MAX_TOTAL:
                        raise BadInput(
                            f"{self.name} unpacks to more than {_MAX_TOTAL >> 30} GiB; give only the failed job's log"
                        )
                    yield piece
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise BadInput(f"{self.name} cannot be read: {_reason(error)}") from error


def open_logs(path: str, on_skipped: Callable[[str], None] = lambda reason: None) -> list[NamedLog]:
    """Return the logs that ``path`` names, at least one, those of failed steps where it is a run's archive.

    Args:
        path: a file, a folder, a run-log zip or ``-``.
        on_skipped: told of each file of a folder that is left out because it is empty, binary or broken.

    Raises:
        BadInput: there is no such file, or it is empty, binary, encrypted, broken, too big or holds no log.
    """
    if path == "-":
        return _from_file(_spooled(sys.stdin.buffer, "standard input"), "standard input")
    source = Path(path)
    try:
        if source.is_dir():
            return _from_folder(source, on_skipped)
        if not source.exists():
            raise BadInput(f"{_shown(path)} does not exist; name a log file, a folder, a run-log zip or '-'")
        if not source.is_file():
            with source.open("rb") as stream:
                return _from_file(_spooled(stream, path), path)
        return _from_file(_Opened(source), path)
    except (OSError, ValueError) as error:
        raise BadInput(f"{_shown(path)} cannot be opened: {_reason(error)}") from error


def paired(logs: Sequence[NamedLog], passed: Sequence[NamedLog]) -> list[NamedLog | None]:
    """Return for each log the one of ``passed`` to compare it with, None where there is none.

    A single file stands for every log; of a folder or an archive it is that of the same file, or else of the same job.

    Raises:
        BadInput: no log finds one.
    """
    if len(passed) == 1 and (len(logs) == 1 or not passed[0].member):
        return [passed[0]] * len(logs)
    found = [_same(log, passed) for log in logs]
    if passed and not any(found):
        raise BadInput(f"--green holds {len(passed)} logs and none of the job of {logs[0].name}; name one of them")
    return found


def _same(log: NamedLog, passed: Sequence[NamedLog]) -> NamedLog | None:
    near = (green for key in (str, _job) for green in passed if log.member and key(green.member) == key(log.member))
    return next(near, None)


@dataclass(frozen=True)
class _Opened:
    path: Path
    held: object = None


def _spooled(stream: IO[bytes], name: str) -> _Opened:
    """Copy what can be read only once to a temporary file."""
    folder = tempfile.TemporaryDirectory(prefix="understudy-")
    path, total = Path(folder.name) / "log", 0
    with path.open("wb") as out:
        while piece := stream.read(_CHUNK):
            total += len(piece)
            if total > _MAX_TOTAL:
                raise BadInput(f"{_shown(name)} is longer than {_MAX_TOTAL >> 30} GiB; give only the failed job's log")
            out.write(piece)
    return _Opened(path, folder)


def _from_file(source: _Opened, name: str) -> list[NamedLog]:
    with source.path.open("rb") as opened:
        start = opened.read(4)
    if not start:
        raise BadInput(f"{_shown(name)} is empty")
    if start[:2] == b"PK" or name.lower().endswith(".zip"):
        return _from_zip(source, name)
    if start[:2] == b"\x1f\x8b":
        log = NamedLog(_shown(name), lambda: _Guarded(source.path), source.held)
    else:
        log = NamedLog(_shown(name), lambda: source.path.open("rb"), source.held)
    _refuse_binary(log)
    return [log]


class _Guarded(gzip.GzipFile):
    """A gzip reader that stops at a bomb's ratio instead of unpacking it to the end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._packed = path.stat().st_size
        self._unpacked = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self._unpacked += len(piece)
        if self._unpacked > _RATIO_FROM and self._unpacked > _MAX_RATIO * self._packed:
            raise OSError(f"it unpacks to more than {_MAX_RATIO} times its size")
        return piece


def _refuse_binary(log: NamedLog) -> None:
    head = b""
    for piece in log.chunks():
        head += piece
        if len(head) >= _SNIFF:
            break
    if not head:
        raise BadInput(f"{log.name} is empty")
    if _is_binary(head):
        hint = "UTF-16 text; save it as UTF-8" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "not text"
        raise BadInput(f"{log.name} is {hint}: it is full of NUL or control bytes")


def _is_binary(head: bytes) -> bool:
    start = head[:_SNIFF]
    controls = len(start) - len(start.translate(None, _CONTROLS))
    return start.count(0) > _MAX_NULS * len(start) or controls > _MAX_CONTROLS * len(start)


def _from_folder(folder: Path, on_skipped: Callable[[str], None]) -> list[NamedLog]:
    logs: dict[str, NamedLog] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.suffix.lower() not in _SUFFIXES:
            continue
        if len(logs) == _MAX_ENTRIES:
            raise BadInput(f"{_shown(str(folder))} holds more than {_MAX_ENTRIES} logs; name the failed one")
        relative = path.relative_to(folder).as_posix()
        try:
            logs[relative] = replace(_from_file(_Opened(path), str(path))[0], member=relative)
        except BadInput as error:  # one such file does not spoil a folder; the check below speaks up when none is left
            on_skipped(str(error))
    if not logs:
        raise BadInput(f"{_shown(str(folder))} holds no log: no {', '.join(_SUFFIXES)} file with text in it")
    unpacked_run = all(_STEP_FILE.match(PurePosixPath(name).name) for name in logs)
    return _failed_steps(logs) if unpacked_run else [logs[name] for name in sorted(logs, key=_natural)]


def _from_zip(source: _Opened, name: str) -> list[NamedLog]:
    shown = _shown(name)
    try:
        with zipfile.ZipFile(source.path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(f"{shown} is not a readable zip file: {_reason(error)}") from error
    if len(members) > _MAX_ENTRIES:
        raise BadInput(f"{shown} has {len(members)} entries, more than the {_MAX_ENTRIES} a run's logs may have")
    wanted = [member for member in members if _is_log_member(member)]
    if not wanted:
        raise BadInput(f"{shown} holds no log: no .txt or .log file with text in it")
    if any(member.flag_bits & 1 for member in wanted):
        raise BadInput(f"{shown} is encrypted; unpack it first and name the folder")
    total = sum(member.file_size for member in wanted)
    packed = sum(member.compress_size for member in wanted)
    if total > _MAX_TOTAL or (total > _RATIO_FROM and total > _MAX_RATIO * max(1, packed)):
        raise BadInput(f"{shown} would unpack to {total} bytes from {packed}; that is refused as a zip bomb")
    logs = {}
    for member in wanted:
        log = NamedLog(
            f"{shown}:{_shown(member.filename)}",
            _member_opener(source.path, member),
            source.held,
            member=member.filename,
        )
        if not _is_binary(next(log.chunks(), b"")):
            logs[member.filename] = log
    if not logs:
        raise BadInput(f"{shown} holds no log: its files are binary")
    return _failed_steps(logs)


def _is_log_member(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts or path.name == "system.txt"
    return member.file_size > 0 and not member.is_dir() and not hidden and path.suffix.lower() in (".txt", ".log")


def _member_opener(path: Path, member: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        # The archive's file stays open until the member's reader, which holds it, is closed.
        with zipfile.ZipFile(path) as archive:
            return archive.open(member)

    return opened


def _failed_steps(logs: dict[str, NamedLog]) -> list[NamedLog]:
    """Choose the files of failed steps by job; all files where no file says that it failed."""
    steps: dict[str, list[str]] = {}
    for name in logs:
        folder, _, base = name.rpartition("/")
        if folder and _STEP_FILE.match(base):
            steps.setdefault(folder, []).append(name)
    failed = {name for name, log in logs.items() if _has_error(log)}
    jobs_done = {_plain(folder) for folder, names in steps.items() if failed.intersection(names)}
    in_steps = {name for names in steps.values() for name in names}
    chosen = [name for name in logs if name in failed and (name in in_steps or _job_of(name) not in jobs_done)]
    if not chosen:
        whole = [name for name in logs if name not in in_steps]
        covered = {_job_of(name) for name in whole}
        chosen = whole + [name for folder, names in steps.items() if _plain(folder) not in covered for name in names]
    return [logs[name] for name in sorted(chosen, key=_natural)]


def _has_error(log: NamedLog) -> bool:
    before = b""
    for piece in log.chunks():
        if _FAILED in before + piece:
            return True
        before = piece[-len(_FAILED) :]
    return False


def _job(member: str) -> str:
    """Return the job of a run log's member, a step's file or the whole job's, comparable with any other's."""
    folder = member.rpartition("/")[0]
    return _plain(folder) if folder else _job_of(member)


def _job_of(name: str) -> str:
    """Return the job that a top-level file ``<i>_<job>.txt`` belongs to, comparable with a folder's name."""
    return _plain(re.sub(r"^\d+_", "", name.removesuffix(".txt")))


def _plain(job: str) -> str:
    return re.sub(r"[/: ]+", "", job)[:80]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort step 10 behind step 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _shown(name: str) -> str:
    return clean(name.encode("utf-8", "replace")).text or "the log"


def _reason(error: BaseException) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
