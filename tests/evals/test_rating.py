"""Rating is blind, survives spreadsheets, and counts what people said on the right side."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from understudy.core.errors import BadInput
from understudy.evals.predictions import read_predictions, write_predictions
from understudy.evals.rating import Row, export_sheet, make_rows, rate, read_ratings

from .toy import PACK, example, examples, predictions

DIGEST = "0a1b2c3d" * 8


def rows(n: int = 40) -> list[Row]:
    samples = examples(n)
    tuned, other = predictions(samples, "tuned", lambda at: True), predictions(samples, "base", lambda at: at % 4 == 0)
    return make_rows(PACK, samples, tuned, other)


def sheet(folder: Path, made: Sequence[Row]) -> Path:
    export_sheet(made, folder, candidate="tuned", baseline="base", model_digest=DIGEST)
    return folder / "sheet.csv"


def filled(path: Path, out: Path, choose: dict[str, str]) -> Path:
    lines = list(csv.DictReader(path.read_text("utf-8-sig").splitlines(keepends=True)))
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows({**line, "better": choose.get(line["row"], "")} for line in lines)
    return out


def test_equal_answers_are_left_out_and_sides_are_mixed() -> None:
    made = rows()
    assert len(made) == 30 and len({row.example_id for row in made}) == 30
    assert [row.example_id for row in made] != sorted(row.example_id for row in made)
    assert 8 <= sum(row.candidate_is == "A" for row in made) <= 22
    assert rows() == made and len(make_rows(PACK, examples(9), *_two(9), n=3)) == 3
    with pytest.raises(BadInput, match="nothing to rate"):
        same = predictions(examples(3), "tuned", lambda at: True)
        make_rows(PACK, examples(3), same, same)


def _two(n: int) -> tuple[list, list]:  # type: ignore[type-arg]
    samples = examples(n)
    return predictions(samples, "tuned", lambda at: True), predictions(samples, "base", lambda at: False)


def test_nothing_in_the_sheets_says_whose_an_answer_is(tmp_path: Path) -> None:
    sheet(tmp_path, rows())
    for name in ("sheet.csv", "sheet.html"):
        text = (tmp_path / name).read_text()
        assert "tuned" not in text and "base" not in text.replace("baseline", "base").replace("database", "")
        assert "e0001" not in text and DIGEST not in text


def test_votes_count_for_the_arm_whose_answer_it_was(tmp_path: Path) -> None:
    made = rows()
    path = sheet(tmp_path, made)
    ours = {row.name: row.candidate_is for row in made}
    theirs = {name: "B" if side == "A" else "A" for name, side in ours.items()}
    mine = dict(list(ours.items())[:20]) | dict(list(theirs.items())[20:26]) | {made[26].name: "same"}
    first = read_ratings(filled(path, tmp_path / "one.csv", mine))
    found = rate(tmp_path / "key.json", {"one": first}, DIGEST)
    assert (found.preferred, found.rejected, found.same, found.n) == (20, 6, 1, 27)
    assert (found.raters, found.kappa, found.overlap) == (1, None, 0)
    assert found.p == pytest.approx(0.0094, abs=1e-4)


def test_agreement_is_cohens_kappa_by_hand(tmp_path: Path) -> None:
    made = rows()
    path = sheet(tmp_path, made)
    names = [row.name for row in made[:10]]
    one = dict(zip(names, "AAAAABBBBB", strict=True))
    two = dict(zip(names, "AAAABABBBB", strict=True))
    given = {
        "one": read_ratings(filled(path, tmp_path / "1.csv", one)),
        "two": read_ratings(filled(path, tmp_path / "2.csv", two)),
    }
    found = rate(tmp_path / "key.json", given, DIGEST)
    assert found.kappa == pytest.approx(0.6) and found.overlap == 10  # agreed .8, by chance .5
    alike = {"one": {name: "A" for name in names}, "two": {name: "A" for name in names}}
    assert rate(tmp_path / "key.json", alike, DIGEST).kappa is None  # type: ignore[arg-type]


def test_raters_who_disagree_make_no_majority(tmp_path: Path) -> None:
    made = rows()
    sheet(tmp_path, made)
    votes = {"one": {"r001": "A"}, "two": {"r001": "B"}, "three": {"r002": "same"}}
    found = rate(tmp_path / "key.json", votes, DIGEST)  # type: ignore[arg-type]
    assert (found.preferred, found.rejected, found.same) == (0, 0, 2)


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "no rating|no columns"),
        ("row;better\nr001;A\nr001;B\n", "twice"),
        ("row,better\nr001,C\n", "'C' is no rating"),
        ("row,better\nr001,\n", "no rating"),
        ("name,value\nx,1\n", "no columns"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_sheet_that_cannot_be_counted_is_refused(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput, match=complaint):
        read_ratings(path)


def test_the_forms_own_file_and_a_spreadsheets_semicolons_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text('row,better,comment\r\n"r001","A","it, ""really"" is"\r\n"r002","",""\r\n')
    assert read_ratings(path) == {"r001": "A"}
    path.write_text("\ufeffrow;prompt;better\nr001;x;b\n")
    assert read_ratings(path) == {"r001": "B"}


def test_a_key_of_another_model_or_sheet_is_refused(tmp_path: Path) -> None:
    sheet(tmp_path, rows())
    with pytest.raises(BadInput, match="another model"):
        rate(tmp_path / "key.json", {"one": {"r001": "A"}}, "f" * 64)
    with pytest.raises(BadInput, match="another sheet"):
        rate(tmp_path / "key.json", {"one": {"r999": "A"}}, DIGEST)
    for text in (
        "{}",
        "[]",
        "{",
        json.dumps({"rows": {"r001": {"candidate_is": "C"}}, "candidate": "a", "baseline": "b"}),
    ):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(BadInput, match="no key"):
            rate(tmp_path / "bad.json", {"one": {"r001": "A"}}, DIGEST)


def test_a_spreadsheet_runs_no_cell_and_a_browser_no_text(tmp_path: Path) -> None:
    samples = [example(0, text="=cmd|' /C calc'!A0 </pre><script>alert(1)</script>\u202e")]
    tuned = [one.model_copy(update={"text": "<img src=x onerror=alert(1)>"}) for one in predictions(samples, "t", bool)]
    made = make_rows(PACK, samples, tuned, predictions(samples, "base", bool))
    path = sheet(tmp_path, made)
    assert "\n=cmd" not in path.read_text() and ",=cmd" not in path.read_text() and "'=cmd" in path.read_text()
    page = (tmp_path / "sheet.html").read_text()
    assert "<img" not in page and page.count("<script>") == 1 and "\u202e" not in page
    assert "default-src 'none'" in page


def test_predictions_are_written_and_read_back_by_arm(tmp_path: Path) -> None:
    made = {"tuned": predictions(examples(3), "tuned", bool), "base": predictions(examples(3), "base", bool)}
    write_predictions(made, tmp_path / "p.jsonl")
    assert read_predictions(tmp_path / "p.jsonl") == made
    with (tmp_path / "p.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(BadInput, match="line 7"):
        read_predictions(tmp_path / "p.jsonl")
    with pytest.raises(BadInput, match="cannot be read"):
        read_predictions(tmp_path / "none.jsonl")
