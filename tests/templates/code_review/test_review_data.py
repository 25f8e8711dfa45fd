from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import BadInput
from understudy.core.pack import BuildContext, load_pack
from understudy.core.records import Example
from understudy.templates.code_review import data
from understudy.templates.code_review.data import Case, Finding, cases, examples_of, write_cases
from understudy.templates.code_review.history import (
    examples_from,
    noise,
    outcome,
    preferences_from,
    read_threads,
    seen_ids,
    threads_of,
)
from understudy.templates.code_review.numbered import Place, place_of
from understudy.templates.code_review.pairs import hunk_of, pair_of
from understudy.templates.code_review.schema import Review, ReviewInput

from .made import PATCH, count

PACK = load_pack("code-review")


def context(**changes: Any) -> BuildContext:
    return BuildContext(count_tokens=count, **{"prompt_budget": 450, **changes})


def case(**changes: Any) -> Case:
    finding = Finding(line=4, severity="critical", category="security", message="`key` reaches the statement.")
    right: dict[str, Any] = {"patch": PATCH, "comments": [finding], "operator": "sql", "project": "shop"}
    return Case(**{**right, **changes})


def lines_file(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_case_becomes_an_example_whose_comment_stands_on_the_same_line() -> None:
    (example,) = examples_of([case()], context(), "seed")
    (remark,) = Review.model_validate(example.output).comments
    assert place_of(ReviewInput.model_validate(example.input), remark.lines) == Place("RIGHT", 4, 4)
    assert (example.group, example.stratum, example.meta) == ("shop", "security", {"operator": "sql"})
    (clean,) = examples_of([case(comments=[])], context(), "seed")
    assert clean.output == {"comments": []} and clean.stratum == "clean"


def test_what_is_not_shown_or_cannot_be_written_is_not_taught() -> None:
    for changed in ({"line": 400}, {"message": "Use `sanitise_name`."}):
        finding = case().comments[0].model_copy(update=changed)
        assert list(examples_of([case(comments=[finding])], context(), "seed")) == []


def test_a_limit_draws_evenly_over_operators() -> None:
    many = [case(operator=f"o{n % 3}", patch=PATCH.replace("name", f"n{n}")) for n in range(30)]
    found = list(examples_of(many, context(limit=6), "seed"))
    assert sorted(example.meta["operator"] for example in found) == ["o0", "o0", "o1", "o1", "o2", "o2"]


def test_case_files_are_read_as_they_were_written_and_a_broken_line_is_named(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.jsonl.xz"):
        assert write_cases([case(), case(comments=[])], tmp_path / name) == 2
        assert list(cases(tmp_path / name)) == [case(), case(comments=[])]
    (tmp_path / "b.jsonl").write_text(case().model_dump_json() + '\n{"patch": 1}\n')
    with pytest.raises(BadInput, match=r"b.jsonl, line 2 is no review case"):
        list(cases(tmp_path / "b.jsonl"))
    (tmp_path / "c.jsonl.xz").write_bytes(lzma.compress(b"{}")[:-4])
    with pytest.raises(BadInput, match="cannot be read"):
        list(cases(tmp_path / "c.jsonl.xz"))
    with pytest.raises(BadInput, match=r"needs data.sources\[\].paths"):
        list(data.from_cases(context()))


HUNK = "@@ -40,9 +42,10 @@ def f(self):\n     a = 1\n-    b = 2\n+    b = 3\n+    c = b"


@pytest.mark.parametrize(
    "row",
    [
        {"patch": HUNK, "y": 1, "msg": "This hides the old `b`.", "lang": "py", "proj": "o/r"},
        {"prompt": HUNK, "completion": "This hides\r\nthe old `b`.", "path": "src/x.py"},
    ],
)
def test_rows_of_other_tools_become_examples_on_the_last_changed_lines(tmp_path: Path, row: dict[str, Any]) -> None:
    (example,) = data.codereviewer(context(paths=[lines_file(tmp_path / "r.jsonl", [row])]))
    piece = ReviewInput.model_validate(example.input)
    (remark,) = Review.model_validate(example.output).comments
    assert place_of(piece, remark.lines) == Place("RIGHT", 43, 44)
    assert remark.message == "This hides the old `b`." and PACK.check(piece, Review(comments=[remark])) == []


@pytest.mark.parametrize(
    "row", [{"patch": HUNK, "y": 0, "msg": ""}, {"prompt": HUNK, "completion": "No issues found."}]
)
def test_rows_without_a_comment_are_clean(tmp_path: Path, row: dict[str, Any]) -> None:
    (example,) = data.codereviewer(context(paths=[lines_file(tmp_path / "r.jsonl", [row])]))
    assert example.output == {"comments": []}


def test_rows_that_teach_nothing_are_left_out_and_broken_ones_named(tmp_path: Path) -> None:
    assert pair_of({"patch": HUNK, "y": 1, "msg": " "}) is None
    assert pair_of({"patch": "@@ -1 +1 @@\n a", "y": 0}) is None
    path = lines_file(tmp_path / "r.jsonl", [{"patch": HUNK, "y": 0}, {"msg": "x"}])
    with pytest.raises(BadInput, match=r"line 2: has no text under patch"):
        list(data.codereviewer(context(paths=[path])))


def test_a_hunk_that_ends_at_its_comment_is_counted_again_and_cut_from_its_head() -> None:
    hunk = hunk_of(HUNK)
    assert hunk is not None and hunk.last_change() == [("RIGHT", 43), ("RIGHT", 44)]
    assert hunk.without_first().without_first() == hunk_of("@@ -42,0 +43,9 @@ def f(self):\n+    b = 3\n+    c = b")


def comment(number: int, body: str = "This hides the old `b`.", **changes: Any) -> dict[str, Any]:
    right = {
        "id": number, "path": "src/x.py", "diff_hunk": HUNK, "body": body, "created_at": f"2026-01-0{number}T00:00:00Z",
        "original_line": 44, "side": "RIGHT", "user": {"login": "ann", "type": "User"}, "in_reply_to_id": None,
    }  # fmt: skip
    return {**right, **changes}


def thread(*comments: dict[str, Any], **changes: Any) -> dict[str, Any]:
    (made,) = threads_of("o/r", 7, comments)
    return {**made, **changes}


def example_of(made: dict[str, Any]) -> list[Example]:
    return list(examples_from([made], 450, count))


def test_comments_are_threads_by_what_they_answer() -> None:
    found = threads_of("o/r", 7, [comment(3, in_reply_to_id=1), comment(2), comment(1)])
    assert [[one["id"] for one in made["comments"]] for made in found] == [[1, 3], [2]]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"user": {"login": "codecov[bot]", "type": "Bot"}}, "bot"),
        ({"user": {"login": "coderabbitai", "type": "User"}}, "bot"),
        ({"body": "Nice catch, thanks!"}, "praise"),
        ({"body": "LGTM :tada:"}, "praise"),
        ({"body": "typo"}, "too short"),
        ({"body": "Why is this needed here?"}, "question"),
        ({"body": "<!-- x -->\n```suggestion\nb\n```"}, "code alone"),
        ({"body": "> This hides the old value"}, "code alone"),
    ],
)
def test_what_teaches_nothing_is_noise(changes: dict[str, Any], why: str) -> None:
    assert why in noise(comment(1, **changes))
    assert example_of(thread(comment(1, **changes), line_changed=True)) == []


@pytest.mark.parametrize(
    ("reply", "changes", "end"),
    [
        (None, {"line_changed": True}, "accepted"),
        ("Done", {"line_changed": True, "is_resolved": True}, "accepted"),
        ("This is intentional", {"is_resolved": True}, "rejected"),
        (None, {"line_changed": False, "is_resolved": True}, "rejected"),
        (None, {"line_changed": False, "is_resolved": False}, "ignored"),
        (None, {}, "open"),
    ],
)
def test_what_became_of_a_comment_decides_what_is_learnt(reply: str | None, changes: dict[str, Any], end: str) -> None:
    replies = [] if reply is None else [comment(2, reply, in_reply_to_id=1)]
    made = thread(comment(1), *replies, **changes)
    assert outcome(made) == end
    assert bool(example_of(made)) is (end == "accepted")
    pairs = list(preferences_from([made], 450, count))
    assert [(bool(p.chosen["comments"]), bool(p.rejected["comments"])) for p in pairs] == (
        [] if end == "open" else [(end == "accepted", end != "accepted")]
    )


def test_reactions_count() -> None:
    assert outcome(thread(comment(1, reactions={"+1": 2, "-1": 0}))) == "accepted"
    assert outcome(thread(comment(1, reactions={"+1": 0, "-1": 1}))) == "rejected"


def test_a_thread_keeps_its_time_its_pull_request_and_its_suggestion() -> None:
    body = "This hides the old `b`, keep both.\n```suggestion\n    b, c = 2, 3\n```"
    (example,) = example_of(thread(comment(1, body), line_changed=True))
    assert example.group == "o/r#7" and example.source.time is not None and example.source.time.year == 2026
    assert example.output["comments"][0]["suggestion"] == "    b, c = 2, 3"
    assert example.output["comments"][0]["message"] == "This hides the old `b`, keep both."


def test_collecting_goes_on_where_it_was_torn_off_and_a_broken_line_is_named(tmp_path: Path) -> None:
    path = lines_file(tmp_path / "t.jsonl", [thread(comment(1)), thread(comment(2))])
    assert seen_ids(path) == {1, 2} and seen_ids(tmp_path / "none") == set()
    path.write_text(path.read_text() + '{"comments": [{"id": 3')
    assert seen_ids(path) == {1, 2}
    with pytest.raises(BadInput, match="line 3"):
        list(read_threads(path))
    assert len(list(read_threads(lines_file(path, [thread(comment(1))])))) == 1
    with pytest.raises(BadInput, match="its first comment has no diff_hunk"):
        list(read_threads(lines_file(path, [{"comments": [{"id": 1, "path": "x"}]}])))
