"""Real git is the oracle: what it writes is understood, and gives the files it gives."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from understudy.templates.code_review.diff import Patch, read_patch

from .git import git, numstat, our_numstat, rebuilt
from .trees import OPTIONS, Tree, differ, read, trees, write


def _status(folder: Path, options: tuple[str, ...]) -> list[tuple[str, str | None, str | None]]:
    """What git itself says of each file: its letter, old and new name."""
    words = git(folder, "diff", "--cached", "--name-status", "-z", *options).stdout.split(b"\0")[:-1]
    found = []
    while words:
        letter, name = words.pop(0)[:1].decode(), words.pop(0).decode("utf-8", "surrogateescape")
        if letter in "RC":
            found.append((letter, name, words.pop(0).decode("utf-8", "surrogateescape")))
        else:
            found.append((letter, None if letter == "A" else name, None if letter == "D" else name))
    return found


_LETTERS = {"added": "A", "deleted": "D", "modified": "M", "renamed": "R", "copied": "C"}


@pytest.mark.parametrize("seed", range(48))
def test_what_git_writes_is_understood_and_gives_the_new_files(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    old, new = trees(rng)
    options = OPTIONS[seed % len(OPTIONS)]
    data = differ(tmp_path / "repo", old, new, rng, options)
    if not data:
        assert old == new
        return
    patch = read_patch(data)
    assert [refusal.sentence for refusal in patch.refused] == []
    assert patch.render() == data
    assert our_numstat(patch.files) == numstat(tmp_path / "repo", data)
    if "-B" not in options:
        told = [(_LETTERS[file.status], file.old_path, file.new_path) for file in patch.files]
        assert told == _status(tmp_path / "repo", options)
    _compare_contents(patch, old, new, hides_deleted="-D" in options)
    if "--binary" in options and "-D" not in options:
        target = tmp_path / "target"
        target.mkdir()
        write(target, old)
        git(target, "apply", "--unidiff-zero", "--whitespace=nowarn", "-", stdin=patch.render())
        assert read(target) == new


def _compare_contents(patch: Patch, old: Tree, new: Tree, *, hides_deleted: bool) -> None:
    result = dict(old)
    for file in patch.files:
        if file.status in ("deleted", "renamed") and file.old_path is not None:
            result.pop(file.old_path, None)
    for file in patch.files:
        before, may_run = old[file.old_path] if file.old_path is not None else (b"", False)
        mode = file.new_mode or ("100755" if may_run else "100644")
        if file.binary:
            after = new.get(file.path, (b"", False))[0]
        elif file.status == "deleted" and hides_deleted:
            after = b""
        else:
            after = rebuilt(file, before)
        if file.new_path is not None:
            result[file.new_path] = (after, mode == "100755")
        else:
            assert after == b""
    assert result == new


@pytest.mark.parametrize("seed", range(6))
def test_a_series_of_mails_is_understood_and_its_text_is_kept(tmp_path: Path, seed: int) -> None:
    rng = random.Random(1000 + seed)
    repo = tmp_path / "repo"
    differ(repo, *trees(rng), rng, ())
    body = "Subject line\n\n- a list\n+ another\n indented\n--- not a name\n@@ not a hunk\n"
    git(repo, "commit", "-qm", body, "--allow-empty")
    write(repo, {"later.txt": (b"one\ntwo", False)})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "Second")
    data = git(repo, "format-patch", "--stdout", "--root").stdout
    patch = read_patch(data)
    assert [refusal.sentence for refusal in patch.refused] == []
    assert patch.render() == data
    assert our_numstat(patch.files) == numstat(repo, data)
    assert patch.after.startswith("-- \n")
    assert any("Subject: [PATCH" in file.before for file in patch.files)
