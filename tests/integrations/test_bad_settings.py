"""Settings, bases and data that cannot be used: exit 2, one sentence, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Cli


def test_an_unknown_key_names_its_line_and_the_nearest_one(cli: Cli) -> None:
    (cli.folder / "understudy.yaml").write_text("pack: log-triage\ntrain:\n  epoch: 2\n")
    said = cli.refused("train")
    assert "understudy.yaml, line 3" in said
    assert "did you mean 'epochs'?" in said


def test_an_unknown_override_names_the_nearest_one(cli: Cli) -> None:
    assert "did you mean 'learning_rate'?" in cli.refused("train", "--set", "train.learning_rat=1")


def test_a_settings_file_that_is_not_there_is_refused(cli: Cli) -> None:
    assert "other.yaml" in cli.refused("train", "--settings", "other.yaml")


def test_an_unknown_pack_lists_those_there_are(cli: Cli) -> None:
    assert "log-triage" in cli.refused("init", "log-tirage", "here")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "no config.json"),
        (["config.json"], "has no weights"),
        (["config.json", "pytorch_model.bin"], "is a pickle, which can run code"),
    ],
    ids=["empty", "no weights", "pickled weights"],
)
def test_a_base_folder_that_cannot_be_loaded_safely_is_refused(cli: Cli, files: list[str], said: str) -> None:
    (cli.folder / "mine").mkdir()
    for name in files:
        (cli.folder / "mine" / name).write_text("{}")
    assert said in cli.refused("data", "build", "--set", "base.name=./mine")


def test_a_base_folder_that_is_not_there_is_refused(cli: Cli) -> None:
    assert "./mine" in cli.refused("data", "build", "--set", "base.name=./mine")


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_what_must_come_first_is_named(cli: Cli, command: str) -> None:
    first = {"train": "understudy data build", "evaluate": "understudy train"}
    assert first[command] in cli.refused(command)


def test_a_broken_line_of_an_import_is_named_and_counted(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(json.dumps(_example("a")) + "\n{broken\n" + json.dumps({"input": 1}) + "\n")
    said = cli.refused("data", "import", "mine.jsonl")
    assert "mine.jsonl, line 2" in said
    assert "2 of 3 lines are broken; none was used" in said


def test_an_import_of_hostile_names_is_shown_as_text(cli: Cli, tmp_path: Path) -> None:
    bad = _example("[/bold]\x1b[31m") | {"output": _ANSWER | {"evidence": [9]}}
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (bad, _example("good"))))
    ran = cli("data", "import", "mine.jsonl")
    assert ran.code == 0, ran.err
    assert "[/bold]" in ran.out
    assert "\x1b" not in ran.out


def test_what_is_exported_can_be_imported_as_the_same_dataset(with_data: Cli) -> None:
    assert with_data("data", "export", "mine.jsonl", "--form", "records").code == 0
    exported = (with_data.folder / "mine.jsonl").read_bytes()
    assert exported
    assert "mine.jsonl exists already" in with_data.refused("data", "export", "mine.jsonl")
    assert (with_data.folder / "mine.jsonl").read_bytes() == exported
    ran = with_data("data", "import", "mine.jsonl", "--json")
    assert ran.code == 0, ran.err
    counts = [split["count"] for split in json.loads(ran.out)["splits"].values()]
    assert sum(counts) == exported.count(b"\n")


def test_an_unknown_form_or_split_of_an_export_is_refused(with_data: Cli) -> None:
    for form in ("csv", "preferences"):
        assert f"no form '{form}'" in with_data.refused("data", "export", "x.jsonl", "--form", form)
    assert "no split 'dev'" in with_data.refused("data", "export", "x.jsonl", "--split", "dev")


_ANSWER = {
    "category": "other",
    "origin": "code",
    "transient": False,
    "evidence": [1],
    "root_cause": "It stops.",
    "fix": "Mend it.",
}


def _example(name: str) -> dict[str, object]:
    line = {"number": 1, "text": f"ERROR: it stops ({name.strip('[]/')[:4]})"}
    return {"id": name, "input": {"total_lines": 1, "lines": [line]}, "output": _ANSWER}
