"""Specimens keep their promises: git takes the patch, the line is the one meant, the same seed makes the same."""

from __future__ import annotations

import ast
import json
import lzma
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from understudy.core.errors import BadInput
from understudy.templates.code_review.defects import OPERATORS, Source, Tally, specimens
from understudy.templates.code_review.defects.__main__ import main
from understudy.templates.code_review.defects.compose import Made
from understudy.templates.code_review.defects.generate import drawn
from understudy.templates.code_review.defects.patch import replaced, write_patch
from understudy.templates.code_review.defects.source import Piece, pieces, standard_library
from understudy.templates.code_review.diff import read_patch

from .git import git, rebuilt

pytest.importorskip("libcst")

PROJECTS = ("configparser", "logging", "pathlib", "shutil", "json", "csv", "asyncio", "urllib", "http", "email")


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return [source for source in standard_library(PROJECTS) if not source.path.startswith("test/")]


@pytest.fixture(scope="module")
def sample(sources: list[Source]) -> list[Made]:
    return list(drawn(Random(5), 100, sources=sources))


def test_git_applies_every_patch_and_gets_the_file_after_it(sample: list[Made], tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for made in sample:
        file = tmp_path / made.specimen.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(made.before.encode())
        git(tmp_path, "apply", stdin=made.specimen.patch.encode())
        assert file.read_bytes() == made.after.encode()


def test_every_file_still_parses(sample: list[Made]) -> None:
    for made in sample[:40]:
        ast.parse(made.after)
        ast.parse(made.before)


def test_every_comment_stands_at_a_commentable_line_and_names_only_what_the_diff_shows(sample: list[Made]) -> None:
    for made in sample:
        (file,) = read_patch(made.specimen.patch.encode()).files
        for finding in made.specimen.comments:
            assert (made.specimen.path, finding.side, finding.line) in file.anchors()
            for name in re.findall("`([^`]+)`", finding.message):
                assert name in made.specimen.patch.replace("\n+", "\n").replace("\n-", "\n").replace("\n ", "\n")


def test_a_suggestion_in_the_place_of_its_line_parses(sample: list[Made]) -> None:
    suggested = 0
    for made in sample:
        for finding in made.specimen.comments:
            if finding.suggestion is not None:
                lines = made.after.split("\n")
                assert lines[finding.line - 1] != finding.suggestion
                lines[finding.line - 1] = finding.suggestion
                ast.parse("\n".join(lines))
                suggested += 1
    assert suggested > 20


def test_about_half_are_clean_and_a_function_comes_twice_only_as_a_defect_and_its_twin(sample: list[Made]) -> None:
    clean = sum(not made.specimen.comments for made in sample)
    assert 35 <= clean <= 65
    places: dict[tuple[str, int], list[Made]] = {}
    for made in sample:
        places.setdefault((made.specimen.path, made.piece.start), []).append(made)
    twins = [pair for pair in places.values() if len(pair) > 1]
    assert len(twins) > 20
    for first, second in twins:
        assert second.specimen.operator == f"fixed_{first.specimen.operator}"
        assert first.specimen.comments and not second.specimen.comments


def test_twins_make_the_same_change_each_its_own_way_round(sources: list[Source]) -> None:
    names = ["none_equality", "fixed_none_equality"]
    defective, clean = drawn(Random(3), 2, operators=names, sources=sources)
    differing = [
        (wrong, right)
        for wrong, right in zip(defective.new.split("\n"), clean.new.split("\n"), strict=True)
        if wrong != right
    ]
    assert len(differing) == 1
    assert re.search("[!=]= None", differing[0][0]) and " is " in differing[0][1]


def test_patches_have_the_size_of_a_small_change(sample: list[Made]) -> None:
    for made in sample:
        (file,) = read_patch(made.specimen.patch.encode()).files
        assert 6 <= len(list(file.lines)) <= 40


def test_the_same_seed_makes_the_same_and_another_seed_does_not(sources: list[Source]) -> None:
    first, second, other = (list(specimens(Random(seed), 8, sources=sources)) for seed in (1, 1, 2))
    assert first == second != other


def test_operators_can_be_held_out_with_their_counterparts(sources: list[Source]) -> None:
    held_out = {"missing_raise", "fixed_missing_raise"}
    kept = [one.name for one in OPERATORS if one.name not in held_out]
    made = list(specimens(Random(1), 40, operators=kept, sources=sources[:40]))
    assert not {one.operator for one in made} & held_out
    only = list(specimens(Random(1), 5, operators=["missing_raise"], sources=sources))
    assert {one.operator for one in only} == {"missing_raise"} and all(one.comments for one in only)


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(BadInput, match="'no_such'"):
        next(specimens(Random(1), 1, operators=["no_such"], sources=[]))


def test_what_was_refused_is_counted(sources: list[Source]) -> None:
    tally: Tally = Counter()
    made = list(specimens(Random(1), 20, sources=sources, tally=tally))
    assert sum(times for (_, why), times in tally.items() if why == "made") == len(made) == 20
    assert sum(tally.values()) > 20


def test_sources_that_hold_no_more_end_the_run_early() -> None:
    source = Source("one", "one.py", "def first(path):\n    value = path.stat()\n    return value\n")
    assert len(list(specimens(Random(1), 50, sources=[source]))) <= 2


LINES = st.lists(
    st.sampled_from(["def f():", "    a = 1", "    b", "", "}", "    return a", "- x", "+ y"]), max_size=12
)


@given(head=LINES, old=LINES, new=LINES, tail=LINES)
def test_a_written_patch_is_read_back_as_the_change_it_stands_for(
    head: list[str], old: list[str], new: list[str], tail: list[str]
) -> None:
    assume(old != new and old)
    source = Source("one", "one.py", "".join(line + "\n" for line in [*head, *old, *tail]))
    text = "".join(line + "\n" for line in old)
    piece = Piece(source, "function", "f", len(head), len(head) + len(old), text, 0)
    changed = "".join(line + "\n" for line in new)
    assume(head or tail or new)
    patch = read_patch(write_patch(piece, text, changed).encode())
    assert not patch.refused
    (file,) = patch.files
    assert rebuilt(file, replaced(piece, text).encode()).decode() == replaced(piece, changed)


def test_imports_and_functions_are_cut_out_whole() -> None:
    text = (
        "import os\nimport re\nimport sys\n\n\n@wraps\ndef one(a):\n    return a\n\n\nclass Two:\n"
        "    def three(self):\n        def inner():\n            pass\n        return inner\n\n"
        "    async def test_four(self):\n        await a\n        await b\n"
    )
    found = {(piece.kind, piece.name, piece.start, piece.end) for piece in pieces(Source("p", "p.py", text))}
    assert found == {
        ("imports", "", 0, 3),
        ("function", "one", 5, 8),
        ("function", "three", 11, 15),
        ("test", "test_four", 16, 19),
    }


def test_a_function_whose_lines_cannot_be_put_back_is_left_out() -> None:
    odd = 'class A:\n    def one(self):\n        a = """\nb\n"""\n        return a\n'
    assert not list(pieces(Source("p", "p.py", odd)))
    assert not list(pieces(Source("p", "p.py", "def broken(:\n    a\n    b\n")))


def test_the_tests_of_a_module_belong_to_its_project() -> None:
    projects = {source.path: source.project for source in standard_library(["json"])}
    assert projects["json/decoder.py"] == "json" and set(projects.values()) == {"json"}


def test_the_operators_can_be_named_without_libcst() -> None:
    code = (
        "import sys; sys.modules['libcst'] = None\n"
        "from understudy.templates.code_review.defects import OPERATORS; print(len(OPERATORS))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(OPERATORS)


def test_the_command_writes_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "made.jsonl.xz"
    monkeypatch.setattr("understudy.templates.code_review.defects.__main__.standard_library", lambda: GIVEN)
    arguments = ["--count", "3", "--seed", "4", "--only", "none_equality", "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["defects", *arguments])
    assert main() == 0
    rows = [json.loads(line) for line in lzma.decompress(out.read_bytes()).decode().split("\n")[:-1]]
    assert [row["operator"] for row in rows] == ["none_equality"] * 3
    assert set(rows[0]) == {"patch", "path", "operator", "project", "comments"}
    monkeypatch.setattr("sys.argv", ["defects", "--only", "nothing"])
    assert main() == 2


GIVEN = [
    Source(
        "one", f"one{number}.py", "def f(a):\n    if a is None:\n        b()\n    c()\n    d()\n    e()\n    return a\n"
    )
    for number in range(9)
]
