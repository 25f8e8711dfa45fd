from __future__ import annotations

import gzip
import io
import os
import struct
import sys
import zipfile
from pathlib import Path

import pytest

from understudy.core.errors import BadInput
from understudy.templates.log_triage import sources
from understudy.templates.log_triage.sources import NamedLog, open_logs, paired

_ERROR = "2022-06-10T22:51:31.6076995Z ##[error]Process completed with exit code 1.\n"


def _read(log: NamedLog) -> bytes:
    return b"".join(log.chunks())


def _zip(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_a_plain_file_can_be_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    path.write_bytes(b"one\ntwo\n")
    (log,) = open_logs(str(path))
    assert _read(log) == _read(log) == b"one\ntwo\n"


def test_standard_input_can_be_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped\n")))
    (log,) = open_logs("-")
    assert log.name == "standard input"
    assert _read(log) == _read(log) == b"piped\n"


def test_a_pipe_named_as_a_file_is_spooled(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"from a pipe\n")
    os.close(write)
    try:
        (log,) = open_logs(f"/dev/fd/{read}")
        assert _read(log) == _read(log) == b"from a pipe\n"
    finally:
        os.close(read)


def test_gzip_is_told_by_its_bytes_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    path.write_bytes(gzip.compress(b"packed\n") + gzip.compress(b"twice\n"))
    (log,) = open_logs(str(path))
    assert _read(log) == b"packed\ntwice\n"


def test_of_a_run_zip_the_failed_steps_are_chosen(tmp_path: Path) -> None:
    path = _zip(
        tmp_path / "run.zip",
        {
            "0_build (3.11).txt": "all\n" + _ERROR,
            "1_lint.txt": "fine\n",
            "build (3.11)/1_Set up job.txt": "fine\n",
            "build (3.11)/10_Run tests.txt": "broken\n" + _ERROR,
            "build (3.11)/9_Install.txt": "fine\n",
            "lint/1_Set up job.txt": "fine\n",
            "__MACOSX/build (3.11)/._10_Run tests.txt": "junk" + _ERROR,
        },
    )
    logs = open_logs(str(path))
    assert [log.name for log in logs] == [f"{path}:build (3.11)/10_Run tests.txt"]
    assert _read(logs[0]).startswith(b"broken")


def test_a_job_without_step_files_gives_its_whole_log(tmp_path: Path) -> None:
    path = _zip(tmp_path / "run.zip", {"0_a.txt": "ok\n", "1_b.txt": "no\n" + _ERROR, "a/1_x.txt": "ok\n"})
    assert [log.name for log in open_logs(str(path))] == [f"{path}:1_b.txt"]


def test_a_zip_where_nothing_says_it_failed_gives_each_job_once(tmp_path: Path) -> None:
    path = _zip(tmp_path / "run.zip", {"0_a.txt": "ok\n", "a/1_x.txt": "ok\n", "b/1_x.txt": "ok\n"})
    assert [log.name.rpartition(":")[2] for log in open_logs(str(path))] == ["0_a.txt", "b/1_x.txt"]


def test_member_names_are_never_paths(tmp_path: Path) -> None:
    path = _zip(tmp_path / "run.zip", {"../../evil\x1b[31m.txt": "broken\n" + _ERROR})
    (log,) = open_logs(str(path))
    assert _read(log).startswith(b"broken") and "\x1b" not in log.name
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["run.zip"]


def test_a_folder_gives_its_logs_and_skips_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "b.log").write_text("two\n")
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "empty.log").write_text("")
    (tmp_path / "binary.log").write_bytes(b"\0" * 100)
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    (tmp_path / "link.log").symlink_to("/etc/hostname")
    skipped: list[str] = []
    assert [_read(log) for log in open_logs(str(tmp_path), skipped.append)] == [b"one\n", b"two\n"]
    assert [reason.rpartition("/")[2] for reason in skipped] == [
        "binary.log is not text: it is full of NUL or control bytes",
        "empty.log is empty",
    ]


def test_of_a_passed_run_the_log_of_the_same_file_or_job_is_compared(tmp_path: Path) -> None:
    failed = open_logs(str(_zip(tmp_path / "red.zip", {"0_b c.txt": "no\n" + _ERROR, "b c/2_x.txt": "no\n" + _ERROR})))
    green = open_logs(str(_zip(tmp_path / "green.zip", {"0_a.txt": "ok\n", "1_b c.txt": "fine\n"})))
    assert [_read(log) for log in paired(failed, green) if log] == [b"fine\n"]
    (alone,) = open_logs(str(_zip(tmp_path / "alone.zip", {"0_z.txt": "ok\n"})))
    assert paired(failed, [alone]) == [alone]
    with pytest.raises(BadInput, match=r"--green holds 2 logs and none of the job of .*alone.zip:0_z.txt"):
        paired([alone], green)


def test_of_a_folder_of_passed_logs_only_those_of_the_same_name_are_compared(tmp_path: Path) -> None:
    for name in ("red/a.log", "red/b.log", "green/b.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n")
    red, green = open_logs(str(tmp_path / "red")), open_logs(str(tmp_path / "green"))
    assert paired(red, green) == [None, *green]
    assert paired(red, []) == [None, None]
    (file,) = open_logs(str(tmp_path / "green" / "b.log"))
    assert paired(red, [file]) == [file, file]


def test_an_unpacked_run_gives_its_failed_steps(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "1_ok.txt").write_text("fine\n")
    (tmp_path / "job" / "2_bad.txt").write_text("broken\n" + _ERROR)
    assert [_read(log)[:6] for log in open_logs(str(tmp_path))] == [b"broken"]


def test_the_error_marker_is_found_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_CHUNK", 16)
    path = _zip(tmp_path / "run.zip", {"j/1_a.txt": "fine\n", "j/2_b.txt": "x" * 20 + _ERROR})
    assert [log.name.rpartition("/")[2] for log in open_logs(str(path))] == ["2_b.txt"]


def _encrypted(path: Path) -> None:
    _zip(path, {"0_a.txt": "secret\n"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(signature) + offset
        data[place : place + 2] = struct.pack("<H", 1)
    path.write_bytes(bytes(data))


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("0_a.txt", "w") as member:
        for _ in range(80):
            member.write(b"\n" * (1 << 20))


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("missing.log", lambda path: None, "does not exist"),
        ("empty.log", lambda path: path.write_bytes(b""), "is empty"),
        ("empty.log.gz", lambda path: path.write_bytes(gzip.compress(b"")), "is empty"),
        ("core.log", lambda path: path.write_bytes(b"\x7fELF\0\0\0\0" * 100), "not text"),
        ("utf16.log", lambda path: path.write_text("error: x\n" * 9, encoding="utf-16"), "UTF-16"),
        ("cut.log.gz", lambda path: path.write_bytes(gzip.compress(os.urandom(9000))[:500]), "cannot be read"),
        ("bomb.log.gz", lambda path: path.write_bytes(gzip.compress(b"\n" * (80 << 20))), "times its size"),
        ("broken.zip", lambda path: path.write_bytes(b"PK\x03\x04 and then nothing"), "not a readable zip"),
        ("named.zip", lambda path: path.write_bytes(b"no zip at all"), "not a readable zip"),
        ("nothing.zip", lambda path: _zip(path, {"readme.md": "hello"}), "holds no log"),
        ("empty.zip", lambda path: _zip(path, {}), "holds no log"),
        ("locked.zip", _encrypted, "encrypted"),
        ("bomb.zip", _bomb, "zip bomb"),
        ("folder", lambda path: path.mkdir(), "holds no log"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, name: str, make: object, sentence: str) -> None:
    path = tmp_path / name
    make(path)  # type: ignore[operator]
    with pytest.raises(BadInput, match=sentence) as caught:
        for log in open_logs(str(path)):
            _read(log)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_too_many_zip_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MAX_ENTRIES", 2)
    with pytest.raises(BadInput, match="3 entries"):
        open_logs(str(_zip(tmp_path / "run.zip", {f"{n}_a.txt": "x\n" for n in range(3)})))


def test_a_total_beyond_the_limit_is_refused_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MAX_TOTAL", 100)
    path = _zip(tmp_path / "run.zip", {"0_a.txt": "x" * 101})
    with pytest.raises(BadInput, match="zip bomb"):
        open_logs(str(path))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"y" * 101)))
    with pytest.raises(BadInput, match="longer than"):
        open_logs("-")


def test_a_member_whose_bytes_are_damaged_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "run.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0_a.txt", "hello, this is stored\n")
    path.write_bytes(path.read_bytes().replace(b"this is stored", b"this is broken"))
    with pytest.raises(BadInput, match="cannot be read"):
        for log in open_logs(str(path)):
            _read(log)


def test_a_name_with_a_nul_is_bad_input() -> None:
    with pytest.raises(BadInput):
        open_logs("a\0b")
