from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from understudy.core.errors import BadInput
from understudy.core.settings import load_settings
from understudy.core.taxonomy import TEMPLATES, Group, Taxonomy


def complaint(tmp_path: Path, text: str) -> str:
    path = tmp_path / "understudy.yaml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        load_settings(path)
    return str(caught.value)


def test_templates_are_valid_groups_and_other_keys_change_them() -> None:
    assert set(TEMPLATES) == {"type", "triage", "severity"}
    for name in TEMPLATES:
        assert Group.model_validate({"template": name}).name == name
    changed = Group.model_validate({"template": "triage", "name": "alarm", "min_precision": 0.95})
    assert (changed.name, changed.mode, changed.min_precision) == ("alarm", "multi", 0.95)
    assert changed.names == ("critical", "security", "performance", "ui")


def test_without_groups_there_are_type_and_severity() -> None:
    assert [group.name for group in Taxonomy().effective] == ["type", "severity"]


@pytest.mark.parametrize(
    ("labels", "line", "words"),
    [
        ("        - bug\n        - crash\n        - BUG\n", 7, "'BUG' is already in the group 'kind'"),
        ("        - bug\n        - {name: crash, aliases: [Bug]}\n", 6, "'Bug' is already in the group"),
        ("        - bug\n        - {name: crash, parent: error}\n", 6, "has no label 'error'"),
        ("        - {name: bug, parent: bug}\n        - crash\n", 5, "itself a part"),
        ("        - {name: bug, colour: red}\n        - crash\n", 5, "colour is not a setting"),
        ('        - "two\\nlines"\n', 5, "match pattern"),
        ("        - {name: bug, min_precision: 1.5}\n", 5, "less than 1"),
    ],
)
def test_a_wrong_label_is_named_with_its_line(tmp_path: Path, labels: str, line: int, words: str) -> None:
    said = complaint(tmp_path, f"taxonomy:\n  groups:\n    - name: kind\n      labels:\n{labels}")
    assert f"line {line}: " in said and words in said


def test_wrong_groups_are_named_with_their_line(tmp_path: Path) -> None:
    said = complaint(tmp_path, "taxonomy:\n  groups:\n    - template: type\n    - {name: Type, labels: [a]}\n")
    assert "line 4: " in said and "'Type' is listed twice" in said
    said = complaint(tmp_path, "taxonomy:\n  groups:\n    - template: types\n")
    assert "line 3: " in said and "no group template 'types'; there are: type, triage, severity" in said
    said = complaint(tmp_path, "taxonomy:\n  groups:\n    - {name: kind, labels: []}\n")
    assert "line 3: " in said


def test_blanks_slashes_emoji_and_long_names_are_labels() -> None:
    names = ["good first issue", "area/ui: windows", "🐛 bug", "x" * 120, 'says "no"']
    assert Group.model_validate({"name": "g", "labels": names}).names == tuple(names)


def test_a_name_is_found_in_any_case_and_by_its_aliases() -> None:
    group = Group.model_validate({"name": "g", "labels": [{"name": "Bug", "aliases": ["type: defect"]}, "docs"]})
    for word in ("bug", " BUG ", "Type: Defect"):
        found = group.find(word)
        assert found is not None and found.name == "Bug"
    assert group.find("bugs") is None


def test_a_label_may_ask_for_more_than_its_group() -> None:
    labels: list[Any] = [{"name": "security", "min_precision": 0.99, "min_support": 50}, "ui"]
    group = Group.model_validate({"name": "g", "labels": labels, "min_precision": 0.8, "min_support": 5})
    assert (group.precision_of("security"), group.support_of("security")) == (0.99, 50)
    assert (group.precision_of("ui"), group.support_of("ui")) == (0.8, 5)


def test_parents_belong_to_single_groups() -> None:
    labels: list[Any] = ["sync", {"name": "sync/offline", "parent": "sync"}]
    assert Group.model_validate({"name": "g", "labels": labels}).find("sync/offline") is not None
    with pytest.raises(ValidationError, match="every label is judged alone"):
        Group.model_validate({"name": "g", "mode": "multi", "labels": labels})
    with pytest.raises(ValidationError, match="one level"):
        Group.model_validate({"name": "g", "labels": [*labels, {"name": "deep", "parent": "sync/offline"}]})
