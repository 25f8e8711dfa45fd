from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.templates.code_review.diff import read_patch
from understudy.templates.code_review.numbered import numbered
from understudy.templates.code_review.packing import LINE_CHARACTERS, Packed, pack_patch
from understudy.templates.code_review.prompt import messages

from .made import PATCH, count, patch_of

_LINES = st.lists(st.sampled_from(["a", "b = 1", "", "    return x", "é" * 30, "\f", "z" * 50]), max_size=40)


def packed(patch: str, budget: int = 450, **options: object) -> Packed:
    return pack_patch(read_patch(patch.encode("utf-8", "surrogateescape")), budget, count, **options)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(_LINES, _LINES, st.integers(0, 3), st.integers(150, 500))
def test_every_changed_line_is_shown_exactly_once_at_its_place_and_every_prompt_fits(
    before: list[str], after: list[str], context: int, budget: int
) -> None:
    text = patch_of("\n".join([*before, ""]), "\n".join([*after, ""]), context=context)
    if not text:
        return
    (file,) = read_patch(text.encode()).files
    found = packed(text, budget)
    lines = [shown.line for piece in found.pieces for shown in numbered(piece.input)]
    places = [(line.side, line.number) for line in lines]
    assert len(set(places)) == len(places)
    assert {(line.side, line.number) for line in file.lines if line.kind != "context"} <= set(places)
    assert set(places) <= {(line.side, line.number) for line in file.lines}
    for piece in found.pieces:
        assert sum(count(message.content) for message in messages(piece.input)) <= budget


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("poetry.lock", "generated or vendored (*.lock)"),
        ("web/package-lock.json", "generated or vendored (*-lock.json)"),
        ("static/app.min.js", "generated or vendored (*.min.js)"),
        ("vendor/lib/x.go", "generated or vendored (*/vendor/*)"),
        ("api/v1_pb2.py", "generated or vendored (*_pb2.py)"),
        ("docs/a.md", "left out by the settings (docs/*)"),
    ],
)
def test_generated_and_unwanted_files_are_skipped_by_name_with_the_reason(name: str, reason: str) -> None:
    both = patch_of("a\n", "b\n", name) + PATCH
    found = packed(both, skip=("docs/*",))
    assert found.skipped == [(name, reason)]
    assert {piece.file.path for piece in found.pieces} == {"shop/cart.py"}


def test_what_has_no_lines_to_review_or_was_refused_is_listed() -> None:
    text = (
        "diff --git a/old b/new\nsimilarity index 100%\nrename from old\nrename to new\n"
        "diff --git a/gone.py b/gone.py\ndeleted file mode 100644\n--- a/gone.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
        "diff --git a/x.png b/x.png\nindex 1234567..89abcde 100644\nBinary files a/x.png and b/x.png differ\n"
        "diff --git a/bad.py b/bad.py\n--- a/bad.py\n+++ b/bad.py\n@@ -1,9 +1 @@\n-a\n+b\n"
    )
    found = packed(text + PATCH)
    assert [name for name, _ in found.skipped] == ["bad.py", "new", "gone.py", "x.png"]
    reasons = dict(found.skipped)
    assert reasons["new"] == "no line is changed" and reasons["gone.py"] == "deleted" and reasons["x.png"] == "binary"
    assert reasons["bad.py"].startswith("not understood: a hunk does not have")
    assert len(found.pieces) == 1


def test_files_beyond_the_limit_of_pieces_are_listed_not_dropped() -> None:
    text = "".join(patch_of("a\n", "b\n", f"f{n}.py") for n in range(5))
    found = packed(text, limit=3)
    assert [piece.file.path for piece in found.pieces] == ["f0.py", "f1.py", "f2.py"]
    assert found.skipped == [(f"f{n}.py", "the review is limited to 3 pieces") for n in (3, 4)]
    long = patch_of("a\n", "".join(f"line {n}\n" for n in range(200)))
    assert packed(long, limit=2).skipped == [("shop/cart.py", "the rest of it: the review is limited to 2 pieces")]


def test_a_minified_line_of_a_megabyte_is_cut_and_known_as_cut() -> None:
    found = packed(patch_of("a\n", "x" * 1_000_000 + "\n", "app.js"))
    (piece,) = found.pieces
    assert max(len(shown.line.text) for shown in numbered(piece.input)) == LINE_CHARACTERS
    assert piece.altered == {("RIGHT", 1)}


def test_secrets_odd_bytes_and_control_characters_never_reach_the_prompt_and_keep_their_lines() -> None:
    token = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    found = packed(patch_of("a\n", f'TOKEN = "{token}"\nname = "\udcff"\nx\x1b[31m\u2028y\n'))
    (piece,) = found.pieces
    shown = messages(piece.input)[1].content
    assert token not in shown and "[REDACTED:github-token" in shown
    assert not set(shown) & {"\udcff", "\x1b", "\u2028"}
    assert piece.altered == {("RIGHT", 1), ("RIGHT", 2), ("RIGHT", 3)}


def test_a_hundred_thousand_lines_are_divided_and_the_limit_bounds_the_review() -> None:
    text = "--- a/big.py\n+++ b/big.py\n@@ -0,0 +1,100000 @@\n" + "".join(f"+line{n} = {n}\n" for n in range(100_000))
    found = packed(text, limit=20)
    assert len(found.pieces) == 20
    assert found.skipped == [("big.py", "the rest of it: the review is limited to 20 pieces")]
