"""Random folders before and after a change, with every kind of name and content, and ways to damage a patch."""

from __future__ import annotations

import random
import stat
from pathlib import Path

from .git import git

Tree = dict[str, tuple[bytes, bool]]
"""Path to content and whether it may be executed."""

LINES = (
    b"",
    b" ",
    b"x = 1",
    b"y = 2",
    b"return x",
    b"\ttab",
    b"page\x0cbreak",
    "a\u2028b\u0085c".encode(),
    b"10%\r50%\rdone",
    b"dos\r",
    b"\r",
    b"latin \xe9\xff",
    b"nul \x01 byte",
    b"\\ No newline at end of file",
    b"- ",
    b"-- a/x",
    b"++ b/x",
    b"@@ -1 +1 @@",
    b"diff --git a/x b/x",
    b"GIT binary patch",
    b"+",
    b"--",
    "grüße".encode(),
)
_NAMES = (
    "plain.py",
    "a b.txt",
    "x b/y c/z.txt",
    "a/b/c.txt",
    "dir/b/dir/b",
    "ümlaut.txt",
    "日本/語.md",
    'quo"te.txt',
    "tab\there",
    "new\nline",
    "back\\slash",
    " lead",
    "--- a",
    "+++ b",
    "a",
    "i/w",
    "1/2",
    "byte\udcff.bin",
    "dev/nullish",
    "trailing ",
)


def _content(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.08:
        return b""
    if kind < 0.16:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300))) + b"\0"
    lines = [rng.choice(LINES) + (b" %d" % rng.randrange(9) if rng.random() < 0.3 else b"") for _ in range(40)]
    text = b"\n".join(lines[: rng.randrange(1, 40)])
    return text + (b"\n" if rng.random() < 0.75 else b"")


def _edited(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(lines) + 1)
        lines[place : place + rng.randrange(3)] = [rng.choice(LINES) for _ in range(rng.randrange(3))]
    return b"\n".join(lines)


def trees(rng: random.Random) -> tuple[Tree, Tree]:
    names = rng.sample(_NAMES, rng.randrange(4, 12))
    old = {name: (_content(rng), rng.random() < 0.2) for name in names}
    old = {name: value for name, value in old.items() if not _clashes(name, names)}
    new: Tree = {}
    for name, (content, may_run) in old.items():
        action = rng.random()
        if action < 0.12:
            continue
        if action < 0.35:
            target = f"moved/{name}" if rng.random() < 0.5 else f"{name}.moved"
            new[target] = (content if rng.random() < 0.5 else _edited(content, rng), may_run)
            if rng.random() < 0.3:
                new[name] = (content, may_run)
        elif action < 0.5:
            new[name] = (content, not may_run)
        else:
            new[name] = (_edited(content, rng), may_run if rng.random() < 0.9 else not may_run)
    for index in range(rng.randrange(3)):
        new[f"fresh {index}.txt"] = (_content(rng), False)
    return old, new


def _clashes(name: str, names: list[str]) -> bool:
    return any(other != name and (other + "/").startswith(name + "/") for other in names)


def write(folder: Path, tree: Tree) -> None:
    for name, (content, may_run) in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if may_run else 0o644)


def read(folder: Path) -> Tree:
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file() and not name.startswith(".git/"):
            found[name] = (path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
    return found


OPTIONS = (
    (),
    ("-U0",),
    ("-U1", "--binary"),
    ("-M", "--binary"),
    ("-M10", "-C", "--find-copies-harder", "--binary"),
    ("--no-renames", "--binary", "--full-index"),
    ("-U10", "--inter-hunk-context=2", "-B", "-M", "--binary"),
    ("-M", "-D", "--binary"),
)


def differ(folder: Path, old: Tree, new: Tree, rng: random.Random, options: tuple[str, ...]) -> bytes:
    folder.mkdir()
    git(folder, "init", "-q")
    write(folder, old)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "old", "--allow-empty")
    for path in list(read(folder)):
        (folder / path).unlink()
    write(folder, new)
    git(folder, "add", "-A")
    quoting = f"core.quotePath={rng.choice(('true', 'false'))}"
    return git(folder, "-c", quoting, "diff", "--cached", "--no-ext-diff", *options).stdout


def mutated(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = rng.randrange(len(lines))
        line = lines[place]
        action = rng.randrange(9)
        if action == 0:
            del lines[place]
        elif action == 1:
            lines.insert(place, line)
        elif action == 2:
            lines.insert(
                place, rng.choice((b"+more", b"-less", b" same", b"", b"junk", b"-- ", b"\\ No newline at end"))
            )
        elif action == 3 and line:
            lines[place] = rng.choice((b"+", b"-", b" ", b"\\ ", b"@", b"")) + line[1:]
        elif action == 4:
            digits = [at for at, byte in enumerate(line) if 48 <= byte <= 57]
            if digits:
                at = rng.choice(digits)
                lines[place] = line[:at] + b"%d" % rng.randrange(10) + line[at + 1 :]
        elif action == 5:
            lines = lines[: place + 1]
        elif action == 6 and line:
            at = rng.randrange(len(line))
            lines[place] = line[:at] + bytes([rng.choice(b'/"\\ ab\t\r\0')]) + line[at + rng.randrange(2) :]
        elif action == 7:
            other = rng.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
        else:
            lines[place] = rng.choice(HEADERS)
        lines = lines or [b""]
    return b"\n".join(lines)


HEADERS = (
    b"diff --git a/plain.py b/plain.py",
    b"--- a/plain.py",
    b"+++ b/plain.py",
    b"--- /dev/null",
    b"+++ /dev/null",
    b"@@ -1 +1 @@",
    b"@@ -0,0 +1,2 @@",
    b"@@ -1,2 +0,0 @@",
    b"new file mode 100644",
    b"deleted file mode 100644",
    b"old mode 100644",
    b"new mode 120000",
    b"rename from plain.py",
    b"rename to other.py",
    b"copy from plain.py",
    b"index 123..456 100644",
    b"similarity index 90%",
    b"GIT binary patch",
    b"literal 12",
    b"Binary files a/x and b/y differ",
)
