"""Damaged patches: refused, or accepted with the meaning that real git gives them; never a line lost."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.core.errors import BadInput
from understudy.templates.code_review.diff import FileDiff, read_patch

from .git import DoesNotFit, git, numstat, our_numstat, raw, rebuilt
from .trees import HEADERS, LINES, OPTIONS, Tree, differ, mutated, read, trees, write


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_patch_is_refused_or_means_what_git_makes_of_it(tmp_path: Path, seed: int) -> None:
    rng = random.Random(2000 + seed)
    old, new = trees(rng)
    original = differ(tmp_path / "repo", old, new, rng, OPTIONS[seed % len(OPTIONS)])
    if not original:
        return
    known = {file.render() for file in read_patch(original).files}
    for _ in range(10):
        data = mutated(original, rng)
        try:
            patch = read_patch(data)
        except BadInput:
            continue
        assert patch.render() == data
        if not patch.refused:
            assert numstat(tmp_path, data) == our_numstat(patch.files), data
        for file in patch.files:
            if file.render() not in known:
                _compare_alone(file, old, tmp_path, rng)


def _compare_alone(file: FileDiff, old: Tree, folder: Path, rng: random.Random) -> None:
    """Apply one accepted file with git, if our hunks fit the old content; the results must be the same."""
    alone = raw(file.render())
    assert numstat(folder, alone, file.strip) == our_numstat([file]), alone
    if file.binary or (file.old_path is not None and file.old_path not in old):
        return
    if not all(mode.startswith("100") for mode in (file.old_mode, file.new_mode) if mode):
        return  # a link or a submodule, which the old tree has none of
    before, may_run = old[file.old_path] if file.old_path is not None else (b"", False)
    try:
        after = rebuilt(file, before)
    except DoesNotFit:
        return
    if file.new_path is None and after:
        return
    target = folder / f"apply-{rng.random()}"
    target.mkdir()
    if file.old_path is not None:
        write(target, {file.old_path: (before, may_run)})
    if file.new_path not in (None, file.old_path) and (target / str(file.new_path)).exists():
        return
    done = git(target, "apply", "--unidiff-zero", f"-p{file.strip}", stdin=alone, check=False)
    assert done.returncode == 0, (alone, done.stderr)
    assert read(target).get(file.path, (b"", False))[0] == after


def test_surplus_lines_are_refused_and_the_other_files_stay(tmp_path: Path) -> None:
    rng = random.Random(7)
    count = 0
    for number in range(6):
        data = differ(tmp_path / f"repo{number}", *trees(rng), rng, ())
        patch = read_patch(data)
        for index, file in enumerate(patch.files):
            if not file.hunks:
                continue
            count += 1
            extra = rng.choice(("+more\n", "-less\n", " same\n", "\n+more\n"))
            broken = replace(patch, parts=tuple(_append(part, extra) if part is file else part for part in patch.parts))
            again = read_patch(broken.render())
            assert [refusal.path for refusal in again.refused] == [file.path]
            assert [part.path for part in again.parts] == [part.path for part in patch.parts]
            others = [other.render() for other in again.files]
            assert others == [other.render() for place, other in enumerate(patch.files) if place != index]
    assert count > 10


def _append(file: FileDiff, extra: str) -> FileDiff:
    last = file.hunks[-1]
    end = last.lines[-1]
    lines = (*last.lines[:-1], end._replace(ending=end.ending + extra))
    return replace(file, hunks=(*file.hunks[:-1], replace(last, lines=lines)))


_PIECES = st.one_of(
    st.sampled_from([*HEADERS, *(mark + line for mark in (b"+", b"-", b" ") for line in LINES), b"", b"-- "]),
    st.sampled_from(
        [b"@@ -1,2 +1,2 @@", b"@@ -3 +3 @@ def f", b"@@@ -1 -1 +1 @@@", b"diff --cc x", b"*** a", b"***************"]
    ),
    st.binary(max_size=8).filter(lambda piece: b"\n" not in piece),
)


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=st.lists(_PIECES, max_size=12), is_ended=st.booleans())
def test_no_line_is_lost_and_git_accepts_what_is_accepted(tmp_path: Path, pieces: list[bytes], is_ended: bool) -> None:
    data = b"\n".join(pieces) + (b"\n" if is_ended else b"")
    try:
        patch = read_patch(data)
    except BadInput:
        return
    assert patch.render() == data
    if not patch.refused:
        assert numstat(tmp_path, data) == our_numstat(patch.files)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_kept(data: bytes) -> None:
    try:
        patch = read_patch(data)
    except BadInput as error:
        assert str(error).startswith("the patch ")
        return
    assert patch.render() == data
