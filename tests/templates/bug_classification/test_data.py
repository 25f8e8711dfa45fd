from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from understudy.core.datasets import build_version
from understudy.core.errors import BadInput
from understudy.core.records import Example
from understudy.core.settings import DataSettings
from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification import data
from understudy.templates.bug_classification.pack import PACK
from understudy.templates.bug_classification.schema import Labels, Ticket

from .tickets import TAXONOMY, context, tickets

ROWS: list[dict[str, Any]] = [
    {"id": "1", "project": "a/b", "time": "2026-01-02T03:04:05Z", "title": "Crash", "body": "NA", "type": "bug"},
    {
        "id": "2",
        "project": "a/b",
        "time": "2026-01-03T03:04:05Z",
        "title": "Wish",
        "body": "null\n,x",
        "type": "Feature",
    },
    {"id": "3", "project": "a/b", "time": "2026-01-04T03:04:05Z", "title": "Ask", "body": "", "type": "question"},
]


def read(path: Path, **changes: Any) -> list[Example]:
    return list(PACK.builders["tickets"](context(paths=[path], **changes)))


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_json_lines_csv_and_parquet_give_the_same_examples(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    plain = lines(tmp_path / "a.jsonl", ROWS)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with (tmp_path / "c.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "d.parquet")
    first = read(plain)
    assert [example.input["body"] for example in first] == ["NA", "null\n,x", ""], "a body of NA is a body"
    assert [example.output["labels"]["type"] for example in first] == ["bug", "feature", "question"]
    assert first[0].source.time is not None and first[0].source.project == "a/b"
    for name in ("b.jsonl.gz", "c.csv", "d.parquet"):
        assert read(tmp_path / name) == first, name


def test_labels_may_come_as_a_list_with_names_of_no_group(tmp_path: Path) -> None:
    row = {
        "title": "Crash of the button",
        "body": "x",
        "labels": [{"name": "BUG"}, {"name": "ui"}, {"name": "wontfix"}],
    }
    (made,) = read(lines(tmp_path / "a.jsonl", [row]))
    assert made.output["labels"] == {"type": "bug", "area": {"ui": True, "docs / help": False, "🚀 speed": False}}
    assert PACK.check(Ticket.model_validate(made.input), Labels.model_validate(made.output)) == []


def test_several_labels_of_a_single_group_teach_nothing_of_it(tmp_path: Path) -> None:
    (made,) = read(lines(tmp_path / "a.jsonl", [{"title": "Both", "labels": ["bug", "feature", "ui"]}]))
    assert set(made.output["labels"]) == {"area"}
    assert [question["group"] for question in made.input["questions"]] == ["area"]


def test_tickets_nobody_labelled_are_left_out(tmp_path: Path) -> None:
    assert read(lines(tmp_path / "a.jsonl", [{"title": "x", "body": "y"}])) == []


def test_aliases_stand_for_their_label(tmp_path: Path) -> None:
    labels = [{"name": "bug", "aliases": ["kind/defect"]}, "feature"]
    taxonomy = Taxonomy.model_validate({"groups": [{"name": "type", "labels": labels}]})
    (made,) = read(lines(tmp_path / "a.jsonl", [{"title": "x", "type": "Kind/Defect"}]), taxonomy=taxonomy)
    assert made.output["labels"] == {"type": "bug"}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"title": "x", "type": "bugg"}, r"a\.jsonl, line 2: 'bugg' is no label of the group 'type' \(bug, feature"),
        ("{broken", r"line 2: is no JSON"),
        ("[1]", r"line 2: must be an object"),
        ({"title": ["x"], "type": "bug"}, r"line 2: 'title' must be text, not list"),
        ({"title": "x", "type": {"a": 1}}, r"line 2: 'type' must be a label"),
        ({"title": "x", "type": "bug", "time": "yesterday"}, r"line 2: 'time' is 'yesterday'; write times as"),
        ("[" * 100_000, r"line 2: is no JSON"),
    ],
)
def test_a_broken_row_is_named_by_its_line(tmp_path: Path, row: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read(lines(tmp_path / "a.jsonl", [ROWS[0], row]))


def test_files_that_cannot_be_read_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "b.jsonl.gz").write_bytes(b"\x1f\x8bcut")
    (tmp_path / "c.csv").write_bytes(b"title,type\nx,bug,more\n")
    (tmp_path / "d.csv").write_bytes(b"title,type\n\xff\xfe,bug\n")
    for name, sentence in (
        ("a.parquet", "no valid Parquet"),
        ("b.jsonl.gz", "cannot be read"),
        ("c.csv", r"line 2: has another number of fields"),
        ("d.csv", "cannot be read"),
        ("e.xlsx", r"is no \.jsonl, \.csv or \.parquet"),
        ("f.jsonl", "cannot be read"),
    ):
        with pytest.raises(BadInput, match=sentence):
            read(tmp_path / name)
    with pytest.raises(BadInput, match=r"needs data\.sources\[\]\.paths"):
        list(PACK.builders["tickets"](context()))


def test_equal_texts_share_a_group_and_projects_do_on_demand(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "project": "a/b", "title": "Crash on save", "body": "Now!", "type": "bug"},
        {"id": "2", "project": "a/b", "title": "crash on SAVE", "body": "now", "type": "feature"},
        {"id": "3", "project": "a/b", "title": "Other", "body": "x", "type": "bug"},
    ]
    groups = [example.group for example in read(lines(tmp_path / "a.jsonl", rows))]
    assert groups[0] == groups[1] != groups[2]
    assert {example.group for example in read(tmp_path / "a.jsonl", split_by="project")} == {"a/b"}


def test_a_long_body_is_cut_for_the_model_and_the_record_says_so(tmp_path: Path) -> None:
    body = " ".join(f"w{n}" for n in range(500))
    (made,) = read(lines(tmp_path / "a.jsonl", [{"title": "Long one", "body": body, "type": "bug"}]))
    ticket = Ticket.model_validate(made.input)
    assert ticket.left_out > 1000 and ticket.body == body and ticket.shown is not None
    prompt = PACK.messages(ticket)[1].content
    assert "w0 w1" in prompt and "w499" in prompt and "w250" not in prompt
    assert f"({ticket.left_out} characters left out)" in prompt


def test_secrets_are_redacted_before_anything_is_kept(tmp_path: Path) -> None:
    secret = "ghp_" + "a1B2" * 9
    (made,) = read(lines(tmp_path / "a.jsonl", [{"title": f"t {secret}", "body": f"token {secret}", "type": "bug"}]))
    assert secret not in made.model_dump_json()


def test_the_dataset_card_counts_every_class_and_lists_conflicts(tmp_path: Path) -> None:
    made = tickets(60)
    said = made[0].output["labels"]
    other = "bug" if said["type"] != "bug" else "feature"
    torn = made[0].model_copy(update={"id": "torn", "output": {"labels": said | {"type": other}}})
    version = build_version(
        PACK, [*made, torn], DataSettings(near_duplicate_threshold=1), tmp_path, len, lambda example: ("", "")
    )
    card = (tmp_path / "datasets" / version.id / "README.md").read_text("utf-8")
    assert version.removed["conflict"] == 2 and "torn: another output than" in card
    rows = [line.split(" | ") for line in card.split("\n") if line.startswith("| labels.type")]
    assert [row[1] for row in rows] == ["bug", "feature", "question"]
    assert sum(int(cell.rstrip(" |")) for row in rows for cell in row[2:]) == 59
    assert "| labels.area.ui | yes | " in card


def test_the_embedded_tickets_become_examples_of_every_group() -> None:
    taxonomy = Taxonomy.model_validate(
        {
            "groups": [
                {"template": "type"},
                {"template": "severity"},
                {
                    "name": "component",
                    "labels": ["chat", "calendar", "auth", "search", "notifications", "import-export", "sync", "api"],
                },
            ]
        }
    )
    made = list(data.seed(context(taxonomy=taxonomy)))
    assert len(made) >= 400 and len({example.id for example in made}) == len(made)
    assert all(set(example.output["labels"]) == {"type", "severity", "component"} for example in made)
    assert len(list(data.seed(context(taxonomy=taxonomy, limit=20)))) == 20
    assert TAXONOMY.group("type") is not None
