"""``understudy diff`` in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.templates.code_review.diff.names import shown

GOOD = b"--- a/good.py\n+++ b/good.py\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n"
BAD = b"--- a/bad.py\n+++ b/bad.py\n@@ -1,9 +1 @@\n-a\n+b\n"
HOSTILE = '"a/[red]x\\033[2J\\n::error::\\342\\200\\256##[error]y"'


def run(folder: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "understudy.integrations.cli.main", "diff", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_an_understood_patch_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "x.diff").write_bytes(GOOD)
    code, out, err = run(tmp_path, "x.diff")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.split("\n") if line and not line.startswith("-")] == [
        ["file", "status", "hunks", "added", "removed", "commentable"],
        ["good.py", "modified", "1", "1", "1", "3"],
        ["1", "of", "1", "understood", "1", "1", "1", "3"],
    ]


def test_a_refused_file_ends_with_2_and_the_others_are_shown(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "-", stdin=BAD + GOOD + BAD.replace(b"bad", b"worse"))
    assert code == 2
    rows = [line.split() for line in out.split("\n")]
    assert [row[:2] for row in rows[2:5]] == [["bad.py", "refused"], ["good.py", "modified"], ["worse.py", "refused"]]
    assert rows[6][:4] == ["1", "of", "3", "understood"]
    sentences = err.rstrip("\n").split("\n")
    assert [sentence.split(" is refused: ")[0] for sentence in sentences] == [
        "understudy: standard input, line 7: bad.py",
        "standard input, line 17: worse.py",
    ]
    assert run(tmp_path, stdin=GOOD)[0] == 0


def test_the_json_has_the_documented_shape(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "--json", stdin=GOOD + BAD)
    shape = json.loads(out)
    assert code == 2 and err.count("\n") == 1
    (file,) = shape["files"]
    assert {key: file[key] for key in ("path", "old_path", "status", "binary", "added", "removed", "lines")} == {
        "path": "good.py",
        "old_path": "good.py",
        "status": "modified",
        "binary": False,
        "added": 1,
        "removed": 1,
        "lines": [
            {"side": "LEFT", "line": 1, "kind": "removed"},
            {"side": "RIGHT", "line": 1, "kind": "added"},
            {"side": "RIGHT", "line": 2, "kind": "context"},
        ],
    }
    (refusal,) = shape["refused"]
    assert (refusal["path"], refusal["line"]) == ("bad.py", 12)


@pytest.mark.parametrize("is_broken", [False, True])
def test_hostile_names_are_shown_escaped(tmp_path: Path, is_broken: bool) -> None:
    name = HOSTILE.encode()
    counts = b"@@ -1,9 +1 @@" if is_broken else b"@@ -1 +1 @@"
    data = b"--- " + name + b"\n+++ " + name + b"\n" + counts + b"\n-a\n+b\n"
    for arguments in ((), ("--json",)):
        _, out, err = run(tmp_path, *arguments, stdin=data)
        for text in (out, err):
            assert not set(text) & set("\x1b\u202e"), text
            assert "##[" not in text and "\n::error::" not in text
    assert "[red]x\\033[2J\\n::error::\\342\\200\\256\\043#[error]y" in run(tmp_path, stdin=data)[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nosuch.diff",), "understudy: nosuch.diff cannot be read: No such file or directory\n"),
        ((".",), "understudy: . cannot be read: Is a directory\n"),
        (("-",), "understudy: standard input is empty; give the output of `git diff`\n"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    assert run(tmp_path, *arguments) == (2, "", complaint)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a b/ü.py", "a b/ü.py"),
        ("tab\t", '"tab\\t"'),
        (" lead", '" lead"'),
        ('q"\\', '"q\\"\\\\"'),
        ("\udcff", '"\\377"'),
        ("a\u202eb", '"a\\342\\200\\256b"'),
        ("::error::x", '"\\072:error::x"'),
    ],
)
def test_names_are_quoted_as_git_does_where_they_could_mislead(path: str, text: str) -> None:
    assert shown(path) == text
