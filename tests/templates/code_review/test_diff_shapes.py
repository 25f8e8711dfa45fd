"""Each shape a patch can have, by hand: understood with its facts, or refused with a reason that leads on."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import pytest

from understudy.core.errors import BadInput
from understudy.templates.code_review.diff import FileDiff, Refusal, read_patch

HUNK = "@@ -1 +1 @@\n-a\n+b\n"
GOOD = f"diff --git a/good.py b/good.py\nindex 1..2 100644\n--- a/good.py\n+++ b/good.py\n{HUNK}"


def only(text: str) -> FileDiff:
    patch = read_patch(text.encode("utf-8", "surrogateescape"))
    assert [refusal.sentence for refusal in patch.refused] == []
    assert patch.render().decode("utf-8", "surrogateescape") == text
    (file,) = patch.files
    return file


def refused(text: str) -> Refusal:
    """The one refusal of a patch between two good files, which must both be there."""
    data = (GOOD.replace("good", "first") + text + GOOD).encode("utf-8", "surrogateescape")
    patch = read_patch(data)
    assert patch.render() == data
    assert [file.path for file in patch.files] == ["first.py", "good.py"]
    (refusal,) = patch.refused
    return refusal


def test_a_plain_change() -> None:
    file = only(
        "diff --git a/x.py b/x.py\nindex 1..2 100755\n--- a/x.py\n+++ b/x.py\n@@ -3,2 +3,3 @@ def f():\n a\n+b\n c\n"
    )
    assert (file.path, file.old_path, file.status, file.binary) == ("x.py", "x.py", "modified", False)
    assert (file.old_mode, file.new_mode, file.added, file.removed) == ("100755", "100755", 1, 0)
    assert [(line.kind, line.text, line.old, line.new) for line in file.lines] == [
        ("context", "a", 3, 3),
        ("added", "b", None, 4),
        ("context", "c", 4, 5),
    ]
    assert file.hunks[0].header.endswith("@@ def f():\n")


def test_records_cannot_be_changed() -> None:
    file = only(GOOD)
    with pytest.raises(FrozenInstanceError):
        file.strip = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        file.hunks[0].lines[0].text = "else"  # type: ignore[misc]


@pytest.mark.parametrize("words", [("rename", "renamed"), ("copy", "copied")])
def test_a_rename_and_a_copy_without_a_change(words: tuple[str, str]) -> None:
    verb, status = words
    file = only(f"diff --git a/old n b/new n\nsimilarity index 100%\n{verb} from old n\n{verb} to new n\n")
    assert (file.status, file.old_path, file.new_path, file.path) == (status, "old n", "new n", "new n")
    assert (file.hunks, list(file.lines), file.anchors()) == ((), [], [])


def test_a_rename_with_a_change() -> None:
    header = (
        "diff --git a/o b/n\nsimilarity index 90%\nrename from o\nrename to n\nindex 1..2 100644\n--- a/o\n+++ b/n\n"
    )
    file = only(header + HUNK)
    assert (file.status, file.old_path, file.path, file.added) == ("renamed", "o", "n", 1)


def test_a_mode_change() -> None:
    file = only("diff --git a/x b/x\nold mode 100644\nnew mode 100755\n")
    assert (file.status, file.old_mode, file.new_mode, file.hunks) == ("modified", "100644", "100755", ())


def test_new_deleted_and_empty_files() -> None:
    new = only(
        "diff --git a/x b/x\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,2 @@\n+a\n+b\n"
    )
    assert (new.status, new.old_path, new.path, new.new_mode, new.old_mode) == ("added", None, "x", "100644", None)
    gone = only("diff --git a/x b/x\ndeleted file mode 100644\nindex 1..0\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n")
    assert (gone.status, gone.path, gone.new_path, gone.removed) == ("deleted", "x", None, 1)
    empty = only("diff --git a/x b/x\nnew file mode 100644\nindex 0000000..e69de29\n")
    assert (empty.status, empty.added, empty.hunks) == ("added", 0, ())
    assert only("diff --git a/x b/x\nnew file mode 100644\nindex 0000000..e69de29").status == "added"


def test_binary_files() -> None:
    notice = only("diff --git a/x.png b/x.png\nindex 1..2 100644\nBinary files a/x.png and b/x.png differ\n")
    assert (notice.binary, notice.status, notice.anchors()) == (True, "modified", [])
    data = "GIT binary patch\nliteral 0\nHcmV?d00001\n\nliteral 0\nHcmV?d00001\n\n"
    header = "diff --git a/x b/x\nnew file mode 100644\nindex " + "0" * 40 + ".." + "1" * 40 + "\n"
    assert only(header + data).binary
    with pytest.raises(AssertionError, match="does not unpack"):
        only(header + data.replace("literal 0", "literal 3", 1))
    packed = zlib.compress(b"abc")
    whole, short = (f"{chr(64 + len(it))}{base64.b85encode(it, pad=True).decode()}" for it in (packed, packed[:-4]))
    assert only(header + data.replace("literal 0\nHcmV?d00001", f"literal 3\n{whole}", 1)).binary
    with pytest.raises(AssertionError, match="does not unpack"):
        only(header + data.replace("literal 0\nHcmV?d00001", f"literal 3\n{short}", 1))
    with pytest.raises(AssertionError, match="damaged"):
        only(header + data.replace("HcmV", "Hcm V"))
    with pytest.raises(AssertionError, match="cut off"):
        only(header + data[:-1])


@pytest.mark.parametrize(
    ("quoted", "path"),
    [
        (r"\303\274\"\\", 'ü"\\'),
        (r"tab\tnew\nline\001", "tab\tnew\nline\x01"),
        (r"\377", "\udcff"),
        (r"a b\a\b\f\v\r", "a b\a\b\f\v\r"),
    ],
)
def test_quoted_paths(quoted: str, path: str) -> None:
    file = only(f'diff --git "a/{quoted}" "b/{quoted}"\nindex 1..2 100644\n--- "a/{quoted}"\n+++ "b/{quoted}"\n{HUNK}')
    assert file.path == file.old_path == path
    alone = only(f'diff --git "a/{quoted}" "b/{quoted}"\nold mode 100644\nnew mode 100755\n')
    assert alone.path == path
    moved = only(f'diff --git "a/{quoted}" b/n\nsimilarity index 100%\nrename from "{quoted}"\nrename to n\n')
    assert (moved.old_path, moved.path) == (path, "n")


@pytest.mark.parametrize("path", ["a b", "x b/y", "x b/x b/x", "a/b c/i", "w/1", "diff --git a", "b", "日本.py"])
def test_paths_that_mislead(path: str) -> None:
    tab = "\t" if " " in path else ""
    file = only(f"diff --git a/{path} b/{path}\nindex 1..2 100644\n--- a/{path}{tab}\n+++ b/{path}{tab}\n{HUNK}")
    assert file.path == file.old_path == path
    assert only(f"diff --git a/{path} b/{path}\nold mode 100644\nnew mode 100755\n").path == path


@pytest.mark.parametrize(
    "odd", ["page\x0cbreak", "a\u2028b\u2029\u0085c", "10%\r20%", "dos\r", "\r", "\x1c\x1d\x1e\v", "\0"]
)
def test_only_a_line_feed_ends_a_line(odd: str) -> None:
    file = only(f"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n {odd}\n-{odd}\n+{odd}{odd}\n")
    assert [(line.text, line.old, line.new) for line in file.lines] == [
        (odd, 1, 1),
        (odd, 2, None),
        (odd + odd, None, 2),
    ]


def test_bytes_that_are_not_utf8_survive() -> None:
    data = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-gr\xfc\xdfe \xff\n+\xc3\xbc\n"
    patch = read_patch(data)
    assert patch.render() == data
    assert [line.text for line in patch.files[0].lines] == ["gr\udcfc\udcdfe \udcff", "ü"]


def test_a_missing_line_end_as_marker_and_as_text() -> None:
    marker = "\\ No newline at end of file"
    file = only(
        f"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n {marker}\n-last\n{marker}\n+last\n+{marker}\n".replace("+1,2", "+1,3")
    )
    assert [(line.text, line.content) for line in file.lines] == [
        (marker, marker + "\n"),
        ("last", "last"),
        ("last", "last\n"),
        (marker, marker + "\n"),
    ]
    foreign = only("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n\\ Kein Zeilenumbruch am Dateiende.\n")
    assert [line.content for line in foreign.lines] == ["a\n", "b"]
    assert only(f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n{marker}").hunks[0].lines[1].content == "b"


def test_hunk_headers_without_lengths_and_stripped_context() -> None:
    file = only("--- a/x\n+++ b/x\n@@ -7 +7 @@\n-a\n+b\n@@ -9,3 +9,2 @@\n\n-a\n c\n")
    assert [(hunk.old_start, hunk.old_length, hunk.new_length) for hunk in file.hunks] == [(7, 1, 1), (9, 3, 2)]
    assert [(line.mark, line.kind, line.old, line.new) for line in file.hunks[1].lines] == [
        ("", "context", 9, 9),
        ("-", "removed", 10, None),
        (" ", "context", 11, 10),
    ]


def test_lines_that_look_like_headers_inside_a_hunk() -> None:
    file = only("--- a/x.sql\n+++ b/x.sql\n@@ -1,3 +1,3 @@\n--- a/old\n+++ b/new\n @@ -1 +1 @@\n diff --git a/x b/x\n")
    assert [line.text for line in file.lines] == ["-- a/old", "++ b/new", "@@ -1 +1 @@", "diff --git a/x b/x"]


@pytest.mark.parametrize(
    ("names", "path", "status"),
    [
        ("--- x.c\t2010-07-05 19:41:17.620000023 -0500\n+++ x.c\t2010-07-06 19:41:17 +0200\n", "x.c", "modified"),
        ("--- old/src/x.c\n+++ new/src/x.c\n", "src/x.c", "modified"),
        ("--- a b/x y.c   2010-07-05 19:41:17\n+++ a b/x y.c   2010-07-05 19:41:17\n", "x y.c", "modified"),
        ("--- x.c.orig\n+++ x.c\n", "x.c", "modified"),
        ("--- a/x.c\n+++ b/x.c.new\n", "x.c", "modified"),
        ("--- a.txt\n+++ b.txt\n", "b.txt", "modified"),
        ("--- a/src//x.c\n+++ b/src///x.c\n", "src/x.c", "modified"),
    ],
)
def test_plain_diff_u(names: str, path: str, status: str) -> None:
    file = only(names + HUNK)
    assert (file.path, file.status) == (path, status)


def test_plain_diff_u_of_new_and_deleted_files() -> None:
    new = "@@ -0,0 +1 @@\n+a\n"
    epoch = "--- a/x\t1970-01-01 01:00:00.000000000 +0100\n+++ b/x\t2010-07-05 19:41:17 +0100\n"
    assert only(epoch + new).status == only("--- /dev/null\n+++ b/x\n" + new).status == "added"
    assert only("--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n").status == "deleted"


def test_names_without_a_folder_hold_for_the_files_behind_them() -> None:
    patch = read_patch(f"--- top.c\n+++ top.c\n{HUNK}--- src/deep.c\n+++ src/deep.c\n{HUNK}".encode())
    assert [(file.path, file.strip) for file in patch.files] == [("top.c", 0), ("src/deep.c", 0)]


def test_a_patch_inside_a_mail() -> None:
    text = "From 1 Mon\nSubject: [PATCH] x\n\n- a list\n+ of things\n---\n x | 2 +-\n\n" + GOOD + "-- \n2.39.5\n\n"
    patch = read_patch(text.encode())
    (file,) = patch.files
    assert file.before.endswith(" x | 2 +-\n\n") and patch.after == "-- \n2.39.5\n\n"
    twice = read_patch((text + text).encode())
    assert [len(twice.files), twice.refused, twice.render().decode()] == [2, [], text + text]


def test_a_patch_with_carriage_returns_everywhere() -> None:
    file = only("--- a/x\r\n+++ b/x\r\n@@ -1,2 +1,2 @@\r\n-a\r\n+b\r\n \r\n")
    assert (file.path, [line.text for line in file.lines]) == ("x", ["a\r", "b\r", "\r"])


BROKEN: dict[str, tuple[str, str | None, str]] = {
    "combined": (
        "diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,2 @@@\n  a\n++b\n",
        "x",
        "combined diff",
    ),
    "combined with names": (
        "diff --combined a b.c\nindex 1,2..3\n@@@ -1 -1 +1 @@@\n--a\n++b\n",
        "a b.c",
        "combined diff",
    ),
    "combined alone": ("--- a/x\n+++ b/x\n@@@ -1 -1 +1 @@@\n--a\n++b\n", "x", "combined diff"),
    "context diff": (
        "*** a/x\t1\n--- b/x\t2\n***************\n*** 1 ****\n! a\n--- 1 ----\n! b\n",
        "a/x",
        "context diff",
    ),
    "too few lines": ("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-a\n+b\n c\n", "x", "does not have the 3 old and 3 new"),
    "old count too small": ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n-c\n+b\n", "x", "does not have the 1 old"),
    "surplus": ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n+c\n", "x", "left over"),
    "surplus behind a blank": ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n\n+c\n", "x", "left over"),
    "a cut-off context line end": ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+b\n\r\n", "x", "does not have"),
    "nothing changes": ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n a\n", "x", "changes nothing"),
    "stray hunk": ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\nlost\n@@ -5 +5 @@\n-a\n+b\n", "x", "stands apart"),
    "hunk header": ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n@@ -x +1 @@\n-a\n+b\n", "x", "not of the form"),
    "no hunk": ("--- a/x\n+++ b/x\n", "x", "no hunk follows"),
    "header alone": ("diff --git a/x b/x\nindex 1..2 100644\n", "x", "none follows"),
    "not even that": ("diff --git a/x b/x\n", "x", "no header line"),
    "no name": ("diff --git a/x b/y\nold mode 100644\nnew mode 100755\n", None, "does not say which file"),
    "two names": (f"diff --git a/x b/x\nrename from x\nrename to y\n--- a/x\n+++ b/z\n{HUNK}", "z", "different names"),
    "new and renamed": ("diff --git a/x b/y\nnew file mode 100644\nrename from x\nrename to y\n", "y", "at once"),
    "mode": ("diff --git a/x b/x\nold mode 100644\nnew mode 10x\n", "x", "mode"),
    "mode of an index line": (f"diff --git a/x b/x\nindex 1/..2 5 644\n--- a/x\n+++ b/x\n{HUNK}", "x", "mode"),
    "half a mode change": (f"diff --git a/x b/x\nnew mode 100755\n--- a/x\n+++ b/x\n{HUNK}", "x", "only one of"),
    "another type": ("diff --git a/x b/x\nold mode 100644\nnew mode 120000\n", "x", "another type"),
    "dot dot": (f"--- a/../x\n+++ b/../x\n{HUNK}", "../x", "`..`"),
    "absolute": (f"--- a//etc/passwd\n+++ b//etc/passwd\n{HUNK}", "/etc/passwd", "absolute"),
    "inside .git": (f"--- a/s/.GIT/hooks/x\n+++ b/s/.GIT/hooks/x\n{HUNK}", "s/.GIT/hooks/x", ".git folder"),
    "nul": (f'--- "a/x\\000y"\n+++ "b/x\\000y"\n{HUNK}', "x\0y", "NUL"),
    "new with old lines": (f"--- /dev/null\n+++ b/x\n{HUNK}", "x", "hunks have old lines"),
    "deleted with new lines": (f"--- a/x\n+++ /dev/null\n{HUNK}", "x", "leave lines"),
    "order": ("--- a/x\n+++ b/x\n@@ -9 +9 @@\n-a\n+b\n@@ -1 +1 @@\n-a\n+b\n", "x", "out of order"),
    "overlap": ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n@@ -2 +2 @@\n-c\n+d\n", "x", "overlap"),
    "shifted": ("--- a/x\n+++ b/x\n@@ -5 +7 @@\n-a\n+b\n", "x", "new line 7, but the hunks before it leave line 5"),
    "line 0": ("--- a/x\n+++ b/x\n@@ -0,1 +0,1 @@\n-a\n+b\n", "x", "line 0"),
    "huge": ("--- a/x\n+++ b/x\n@@ -1,99999999999999999999 +1 @@\n-a\n+b\n", "x", "beyond"),
    "early marker": (
        "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n\\ No newline at end of file\n+b\n c\n",
        "x",
        "before the last line",
    ),
    "marker of nothing": ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n\\ No newline at end of file\n-a\n+b\n", "x", "no line"),
    "backslash": ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ oops\n+b\n", "x", "backslash"),
    "binary, no header": ("Binary files a/x.png and b/x.png differ\n", "b/x.png", "binary"),
    "binary, Mercurial": ("Binary file x.png has changed\n", "x.png", "binary"),
}


@pytest.mark.parametrize("text, path, reason", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_refused_by_name_and_hides_nothing(text: str, path: str | None, reason: str) -> None:
    refusal = refused(text)
    assert refusal.path == path
    assert reason in refusal.reason, refusal.reason
    start = GOOD.count("\n")
    assert start < refusal.line <= start + text.count("\n") + 1


def test_every_binary_file_of_a_plain_diff_is_named() -> None:
    notices = "Binary files a/x and b/x differ\nBinary files a/y and b/y differ\n"
    patch = read_patch((notices + "--- a/bad\n+++ b/bad\n@@ -1 +1 @@\nbad\n" + notices + GOOD).encode())
    assert [part.path for part in patch.parts] == ["b/x", "b/y", "bad", "b/x", "b/y", "good.py"]
    alone = "diff --git a/x b/x\nBinary files a/x and b/x differ\n"
    assert refused(alone).path == "x"


def test_a_patch_cut_off_in_its_last_line() -> None:
    patch = read_patch((GOOD + GOOD.replace("good", "bad"))[:-1].encode())
    assert [file.path for file in patch.files] == ["good.py"]
    assert "no line end" in patch.refused[0].reason
    moved = read_patch((GOOD + "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y").encode())
    assert "cut off" in moved.refused[0].reason


def test_a_byte_order_mark_costs_only_the_first_file() -> None:
    patch = read_patch(("\ufeff" + GOOD.replace("good", "first") + GOOD).encode())
    assert "byte-order mark" in patch.refused[0].reason
    assert patch.files[-1].path == "good.py"


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"hello\n", "holds no unified diff"),
        (b"1c1\n< a\n---\n> b\n", "holds no unified diff"),
        (bytes(range(256)), "holds no unified diff"),
        ("\ufeffdiff --git a/x b/x\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_patch_at_all_is_bad_input(data: bytes, state: str) -> None:
    with pytest.raises(BadInput, match=state):
        read_patch(data, "x.diff")


def _many(line: str) -> Callable[[int], str]:
    return lambda size: line * (size // len(line))


@pytest.mark.parametrize(
    "build",
    [
        lambda size: f"--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+{'x' * size}\n",
        lambda size: f"--- a/x\n+++ b/x\n@@ -0,0 +1,{size // 2} @@\n" + "+\n" * (size // 2),
        lambda size: f"diff --git a/{'x ' * (size // 2)} b/y\nold mode 100644\nnew mode 100755\n",
        lambda size: f"--- a/{' ' * size}2010-01-01 \n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
        lambda size: "Files " + " and " * (size // 5) + " differ \n" + GOOD,
        lambda size: '--- "a/' + "\\\\" * (size // 2) + "\n+++ b/x\n" + HUNK,
        _many("diff --git a/x b/x\n"),
        _many("--- a/x\n+++ b/x\n@@ -1,999999999 +1,999999999 @@\n"),
        _many("@@ -1 +1 @@\n-a\n+b\nlost\n"),
        lambda size: GOOD + "\n" * size,
    ],
)
def test_the_time_grows_with_the_size_alone(build: Callable[[int], str]) -> None:
    data = build(1_000_000).encode()
    assert read_patch(data).render() == data
