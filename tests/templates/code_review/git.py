"""Real git as the oracle, without the configuration of whoever runs the tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from understudy.templates.code_review.diff import FileDiff


def git(folder: Path, *arguments: str, stdin: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    identity = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=kept | alone | identity | {"LC_ALL": "C"},
        input=stdin,
        capture_output=True,
        check=check,
    )


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def numstat(folder: Path, patch: bytes, strip: int = 1) -> bytes | None:
    """What ``git apply --numstat -z`` says, None if it refuses."""
    done = git(folder, "apply", "--numstat", "-z", f"-p{strip}", stdin=patch, check=False)
    return None if done.returncode else done.stdout


def our_numstat(files: list[FileDiff]) -> bytes:
    """The same from our records."""
    return b"".join(
        (b"-\t-" if file.binary else b"%d\t%d" % (file.added, file.removed)) + b"\t" + raw(file.path) + b"\0"
        for file in files
    )


class DoesNotFit(Exception):
    """The hunks are not of this content."""


def rebuilt(file: FileDiff, old: bytes) -> bytes:
    """The new content from the old one and our hunks, exactly at the lines that they name."""
    lines = old.decode("utf-8", "surrogateescape").split("\n")
    lines = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    new: list[str] = []
    done = 0
    for hunk in file.hunks:
        begin = hunk.old_start - (hunk.old_length > 0)
        new += lines[done:begin]
        if len(lines) < begin:
            raise DoesNotFit
        done = begin
        for line in hunk.lines:
            if line.mark != "+":
                if line.old != done + 1 or lines[done : done + 1] != [line.content]:
                    raise DoesNotFit
                done += 1
            if line.mark != "-":
                new.append(line.content)
                assert line.new == len(new)
    new += lines[done:]
    if any(not line.endswith("\n") for line in new[:-1]):
        raise DoesNotFit
    return raw("".join(new))
