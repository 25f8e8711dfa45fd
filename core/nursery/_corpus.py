"""Text for the seedling: the standard library and permissively licensed installed packages, as code, diffs and logs.

Nothing is fetched: what is installed beside understudy, plus logs made by its own foundry, is enough.
"""

from __future__ import annotations

import difflib
import json
import lzma
import random
import sysconfig
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

__all__ = ["MAX_FILE", "PERMISSIVE", "code_files", "diffs", "logs", "packages"]

PERMISSIVE = ("MIT", "BSD", "Apache", "PSF", "Python Software Foundation", "ISC", "HPND", "0BSD", "Unlicense")
"""A distribution whose declared licence names none of these is left out."""

MAX_FILE = 200_000
"""Bytes; longer files, mostly tables and generated code, are left out, so the seedling has read none of them."""


def packages() -> dict[str, str]:
    """Return the installed distributions that may be read, with the licence each declares."""
    found = {}
    for distribution in distributions():
        meta = distribution.metadata
        declared = meta["License-Expression"] or meta["License"] or ""
        licence = " ".join([declared[:80], *(c for c in meta.get_all("Classifier", []) if c.startswith("License"))])
        if any(name in licence for name in PERMISSIVE) and "GPL" not in licence:
            found[meta["Name"]] = licence.split("\n")[0].strip()[:80]
    return dict(sorted(found.items()))


def code_files(extra: list[Path]) -> Iterator[Path]:
    """Yield source files of the standard library, of the permitted distributions and below ``extra``."""
    standard = Path(sysconfig.get_paths()["stdlib"])
    allowed = packages()
    for path in sorted(standard.rglob("*.py")):
        if "site-packages" not in path.parts:
            yield path
    for distribution in distributions():
        if distribution.metadata["Name"] in allowed:
            for file in distribution.files or []:
                if file.suffix in {".py", ".md", ".rst", ".pyi"}:
                    yield Path(str(file.locate()))
    for root in extra:
        for pattern in ("*.ts", "*.js", "*.md"):
            yield from sorted(root.rglob(pattern))


def read(path: Path) -> str | None:
    """Return a file's text, or None if it is too long or no UTF-8."""
    try:
        data = path.read_bytes()
        return data.decode("utf-8") if len(data) <= MAX_FILE else None
    except (OSError, UnicodeDecodeError):
        return None


def diffs(texts: list[str], rng: random.Random, count: int) -> Iterator[str]:
    """Yield ``count`` unified diffs: a stretch of a file against itself with lines moved, dropped or edited."""
    for _ in range(count):
        lines = rng.choice(texts).split("\n")
        start = rng.randrange(max(1, len(lines) - 60))
        old = lines[start : start + 60]
        new = list(old)
        for _ in range(rng.randint(1, 4)):
            if not new:
                break
            place = rng.randrange(len(new))
            action = rng.random()
            if action < 0.3:
                del new[place]
            elif action < 0.6:
                new.insert(place, rng.choice(lines))
            else:
                words = new[place].split(" ")
                words[rng.randrange(len(words))] = rng.choice(rng.choice(lines).split(" "))
                new[place] = " ".join(words)
        name = f"src/file_{rng.randrange(1000)}.py"
        yield "\n".join(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm="", n=3))


def logs(paths: list[Path]) -> Iterator[str]:
    """Yield the logs of foundry case files (``.jsonl.xz``, one JSON object with a ``log`` per line)."""
    for path in paths:
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield str(json.loads(line)["log"])
