"""The linear reader: what it goes by, what it learns, and what it makes of code it never saw."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.templates.code_review.data import Case, Finding, cases
from understudy.templates.code_review.defects.seed import fitted
from understudy.templates.code_review.diff import read_patch
from understudy.templates.code_review.numbered import numbered, read_hunks_of
from understudy.templates.code_review.packing import pack_patch
from understudy.templates.code_review.reader import features, read
from understudy.templates.code_review.schema import ReviewInput

from .made import count, patch_of

SEED = Path(str(files("understudy.templates.code_review") / "seed"))
DIFF = "@@ -1,3 +1,3 @@ def f(x):\n a = 12\n-if x is None:\n+if x == None:\n     b\n"


def change(old: str, new: str) -> ReviewInput:
    lines = ["     def load(self, path):", "         data = self.read(path)", f"-        {old}", f"+        {new}"]
    return ReviewInput(path="a.py", diff="\n".join(["@@ -3,4 +3,4 @@", *lines, "         return data", ""]))


def test_a_line_is_read_by_its_words_its_neighbours_and_what_it_replaces() -> None:
    first, removed, added, last = features(read_hunks_of(DIFF))
    assert [line.mark for line, _ in (first, removed, added, last)] == [" ", "-", "+", " "]
    assert {"+x == None", "+^ if", "ox is", "came ==", "went is", "p-if", "n b", "b ^ b"} <= set(added[1])
    assert {"-is None", "o==", "came is", "p 0"} <= set(removed[1])
    assert max(Counter(added[1]).values()) == 1


def test_a_line_in_a_hunk_of_one_mark_says_so_and_a_blank_one_is_not_read() -> None:
    ((_, words),) = features(read_hunks_of("@@ -0,0 +1,2 @@\n+pass\n+\n"))
    assert "alone+" in words and not any(word.startswith(("o", "came", "went")) for word in words)


@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        ("except KeyError:", "except:", "bare_except"),
        ("if x == 'a':", "if x is 'a':", "is_literal"),
        ("h = hashlib.sha256(data)", "h = hashlib.md5(data)", "weak_hash"),
    ],
)
def test_a_defect_is_pointed_at_and_its_mending_is_not(right: str, wrong: str, kind: str) -> None:
    worst = read(change(right, wrong))[0]
    assert (worst.position, worst.kind) == (4, kind) and worst.chance > 0.5
    assert all(one.chance < 0.5 for one in read(change(wrong, right)))


def test_other_languages_are_not_read() -> None:
    assert read(ReviewInput(path="a.js", diff=DIFF)) == ()


@given(st.lists(st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"])), min_size=1, max_size=4))
def test_any_line_can_be_read(texts: list[str]) -> None:
    body = "".join(f"+{text}\n" for text in texts)
    found = read(ReviewInput(path="a.py", diff=f"@@ -0,0 +1,{len(texts)} @@\n{body}"))
    assert all(0 <= one.chance <= 1 and 1 <= one.position <= len(texts) for one in found)


def test_half_of_the_specimens_defects_are_found_at_a_tenth_of_a_comment_a_clean_change() -> None:
    drawn = Random(1).sample(list(cases(SEED / "specimens.jsonl.xz")), 500)
    clean, hits = [], []
    for case in drawn:
        (piece,) = pack_patch(read_patch(case.patch.encode()), 10_000, count).pieces
        found = read(piece.input)
        if case.comments:
            line = {(x.line.side, x.line.number): x.position for x in numbered(piece.input)}
            wanted = line[case.comments[0].side, case.comments[0].line]
            hits.append(found[0].chance if found and found[0].position == wanted else 0.0)
        else:
            clean.append(found[0].chance if found else 0.0)
    threshold = sorted(clean, reverse=True)[len(clean) // 10]
    assert sum(hit > threshold for hit in hits) / len(hits) > 0.5


def test_what_tells_the_lessons_apart_is_learnt() -> None:
    pytest.importorskip("sklearn")
    lessons = []
    for number in range(12):
        lines = {"debug_print": f"print(v{number})", "": f"log(v{number})", "dead_code": f"return v{number}"}
        for name, line in {**lines, "todo_left": f"# TODO v{number}"}.items():
            finding = [Finding(line=2, severity="nit", category="style", message="No.")] if name else []
            patch = patch_of(f"a{number}\nb\n", f"a{number}\n{line}\nb\n")
            lessons.append(Case(patch=patch, comments=finding, operator=name or "fixed", project=str(number)))
    weights = fitted(lessons)
    assert weights.kinds == ["dead_code", "debug_print", "todo_left"]
    (_, (_, words)) = features(read_hunks_of("@@ -1 +1,2 @@\n a\n+print(other)\n"))
    (_, (_, fine)) = features(read_hunks_of("@@ -1 +1,2 @@\n a\n+log(other)\n"))
    assert weights.chance(words) > 3 * weights.chance(fine) and weights.kind(words) == "debug_print"
