"""How many real patches are understood, whether git agrees, and what the guard costs beside plain unidiff.

Run ``python benchmarks/diffs.py [--data FOLDER]``. Reads ``diffs`` (964 patches) and ``reviews`` (AACR's line anchors)
in ``../shared/data`` (see the README there) and says so when they are absent. The oracle is ``git apply --numstat``: a
patch that it refuses must be refused, one that it accepts must give the same names and counts or be refused with a
reason. Speed is CPU time on the same patches in memory, best of three.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import subprocess
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from understudy.core.errors import BadInput
from understudy.templates.code_review.diff import Patch, read_patch

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_SLOWEST = 150_000
"""Lines a second that are wanted."""


def _patches(archive_path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive_path) as archive:
        for member in archive:
            source = archive.extractfile(member) if member.isfile() else None
            if source is not None:
                yield member.name, source.read()


def _numstat(data: bytes, folder: str) -> bytes | None:
    alone = {**os.environ, "GIT_CEILING_DIRECTORIES": folder, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ["git", "apply", "--numstat", "-z"], input=data, cwd=folder, env=alone, capture_output=True, check=False
    )
    return None if done.returncode else done.stdout


def _ours(patch: Patch) -> bytes:
    return b"".join(
        (b"-\t-" if file.binary else b"%d\t%d" % (file.added, file.removed))
        + b"\t"
        + file.path.encode("utf-8", "surrogateescape")
        + b"\0"
        for file in patch.files
    )


def agreement(patches: list[tuple[str, bytes]]) -> None:
    counts: Counter[str] = Counter()
    files: Counter[str] = Counter()
    stricter: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, data in patches:
            git = _numstat(data, folder)
            verdict = "git accepts" if git is not None else "git refuses"
            try:
                patch = read_patch(data)
            except BadInput:
                counts[f"{verdict}, no diff for us"] += 1
                continue
            files["understood"] += len(patch.files)
            files["refused"] += len(patch.refused)
            counts["not the same bytes again"] += patch.render() != data
            if patch.refused:
                counts[f"{verdict}, we refuse a file"] += 1
                if git is not None:
                    stricter.update(re.sub(r"\d+", "N", refusal.reason) for refusal in patch.refused)
            elif git == _ours(patch):
                counts["the same"] += 1
            else:
                counts["SILENTLY DIFFERENT"] += 1
                print(f"  different: {name}")
    known = len(patches) - counts["SILENTLY DIFFERENT"]
    print(f"{known} of {len(patches)} patches agree with git or are refused with a reason")
    print(f"{len(patches)} patches: " + ", ".join(f"{what} {number}" for what, number in sorted(counts.items())))
    print("files: " + ", ".join(f"{what} {number}" for what, number in files.items()))
    print("refused where git reads on: " + "; ".join(f"{number} x {why}" for why, number in stricter.most_common()))


def anchors(path: Path) -> None:
    """Whether the lines that people commented on are commentable; rows whose line is outside their hunk are dropped."""
    if not path.is_file():
        print(f"skipped: the review anchors are not at {path}")
        return
    inside = hit = 0
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as source:
        for text in source:
            row = json.loads(text)
            found = _HUNK.match(row["hunk"])
            assert found is not None, row["hunk"]
            starts, lengths = (found[1], found[3]), (int(found[2] or 1), int(found[4] or 1))
            side = int(row["side"] == "right")
            start = int(starts[side])
            wanted = {row["from_line"], row["to_line"]}
            if not wanted <= set(range(start, start + lengths[side])):
                continue
            inside += 1
            places = _commentable(row["hunk"][found.end() :], start, lengths)
            hit += {(row["side"].upper(), line) for line in wanted} <= places
    print(f"AACR: {hit} of {inside} anchors that lie in their hunk are commentable ({hit / inside:.1%})")


def _commentable(body: str, start: int, lengths: tuple[int, int]) -> set[tuple[str, int]]:
    """Read one hunk out of its file: as the first one there, it begins at the same line on both sides."""
    old, new = (f"{start - (length == 0)},{length}" for length in lengths)
    patch = read_patch(f"--- a/x\n+++ b/x\n@@ -{old} +{new} @@{body}\n".encode())
    return {(anchor.side, anchor.line) for anchor in patch.commentable()}


def _seconds(read: Callable[[bytes], object], patches: list[tuple[str, bytes]]) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for _, data in patches:
            try:
                read(data)
            except (BadInput, UnidiffParseError, UnicodeDecodeError):
                continue
        best = min(best, time.process_time() - start)
    return best


def speed(patches: list[tuple[str, bytes]]) -> None:
    lines = sum(data.count(b"\n") for _, data in patches)
    ours, plain = _seconds(read_patch, patches), _seconds(PatchSet, patches)
    print(
        f"speed: {lines / ours:,.0f} lines/s (wanted {_SLOWEST:,}), "
        f"plain unidiff {lines / plain:,.0f}, CPU ratio {ours / plain:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=_DATA)
    data = parser.parse_args().data
    archive = data / "diffs" / "diffs.tar.gz"
    if not archive.is_file():
        print(f"skipped: the real patches are not at {archive}")
        return
    patches = list(_patches(archive))
    agreement(patches)
    anchors(data / "reviews" / "aacr_line_anchored.jsonl.gz")
    speed(patches)


if __name__ == "__main__":
    main()
