"""``understudy label`` in a process of its own, on a labeller fitted from a small dataset."""

from __future__ import annotations

import json
import random
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from understudy.core.datasets import build_version
from understudy.core.pack import BuildContext, load_pack
from understudy.core.records import Source
from understudy.core.settings import DataSettings
from understudy.core.taxonomy import Taxonomy
from understudy.integrations.pipeline import renderer
from understudy.templates.bug_classification.data import example_of

from .conftest import Cli, contents
from .test_process import _imported

_TAXONOMY = {"groups": [{"name": "type", "labels": ["bug", "feature"], "min_support": 5}]}
_WORDS = {"bug": ["crash", "traceback", "broken"], "feature": ["please", "add", "support"]}
_CLEAR = ("--title", "crash with traceback", "--body", "it is broken when saving the list")


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings and a frozen dataset; the reference is fitted by the first answer."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "understudy.yaml").write_text(yaml.safe_dump({"pack": "bug-classification", "taxonomy": _TAXONOMY}))
    pack, draw = load_pack("bug-classification"), random.Random(1)
    context = BuildContext(len, 10_000, taxonomy=Taxonomy.model_validate(_TAXONOMY))
    made = []
    for number in range(120):
        kind = draw.choice(sorted(_WORDS))
        words = [*_WORDS[kind], f"case{number}", *draw.sample(["saving", "list", "client", "server", "today"], 3)]
        draw.shuffle(words)
        time = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(hours=number)
        source = Source(origin="test", time=time)
        example = example_of("", " ".join(words[:3]), " ".join(words[3:]), {"type": kind}, source, context)
        assert example is not None
        made.append(example)
    settings = DataSettings(near_duplicate_threshold=1)
    build_version(pack, made, settings, folder / ".understudy", len, renderer(pack))
    ran = Cli(folder)("label", *_CLEAR)
    assert ran.code == 0 and "fitting the reference" in ran.err, ran
    return folder


@pytest.fixture
def ready(cli: Cli, labelled: Path) -> Cli:
    shutil.copytree(labelled, cli.folder, dirs_exist_ok=True)
    return cli


def test_one_ticket_shows_probabilities_what_was_applied_and_why(ready: Cli) -> None:
    ran = ready("label", *_CLEAR)
    assert ran.code == 0 and ran.err == "", ran
    assert "type  applied" in ran.out and "+ bug" in ran.out and "feature" in ran.out
    assert "bug is applied" in ran.out and "because of" in ran.out
    assert "nearest labelled tickets" in ran.out and ran.out.rstrip().endswith("by reference")


def test_without_a_model_it_is_asked_for_by_the_name_other_commands_have(ready: Cli) -> None:
    ran = ready("label", *_CLEAR, "-m", "rules")
    assert ran.code == 0 and ran.out == ready("label", *_CLEAR).out == ready("label", *_CLEAR, "-m", "reference").out


def test_a_probability_is_the_same_wherever_it_stands(ready: Cli) -> None:
    found = json.loads(ready("label", *_CLEAR, "--json").out)
    assert found["labels"][0]["probability"] == found["groups"][0]["table"]["bug"]


def test_json_has_the_shape_that_other_tools_rely_on(ready: Cli) -> None:
    found = json.loads(ready("label", *_CLEAR, "--json").out)
    assert {"id", "labels", "abstained", "model"} <= found.keys()
    (one,) = found["labels"]
    assert (one["group"], one["label"], one["applied"]) == ("type", "bug", True)
    assert 0.5 < one["probability"] <= 1 and found["abstained"] is False and found["model"] == "reference"


def test_a_file_and_standard_input_give_one_line_each(ready: Cli) -> None:
    rows = [
        {"id": 7, "title": "crash and traceback", "body": "broken when saving"},
        {"number": 8, "title": "please add support", "body": None},
        {"title": "", "body": ""},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (ready.folder / "t.jsonl").write_text(text)
    from_file = ready("label", "--file", "t.jsonl", "--json")
    assert from_file.code == 0, from_file
    found = [json.loads(line) for line in from_file.out.splitlines()]
    assert [one["id"] for one in found] == ["7", "8", "3"]
    assert [one["needs_info"] for one in found] == [False, True, True]
    assert ready("label", "--file", "-", "--json", stdin=text.encode()).out == from_file.out
    assert "needs more information" in ready("label", "--file", "t.jsonl").out


def test_bad_input_is_one_sentence_and_exit_code_2(ready: Cli) -> None:
    (ready.folder / "bad.jsonl").write_text('{"title": "x"}\n{"title": \n')
    assert "bad.jsonl, line 2: is no JSON" in ready.refused("label", "--file", "bad.jsonl")
    assert "standard input, line 1" in ready.refused("label", "--file", "-", stdin=b"[1]\n")
    assert "nowhere.jsonl cannot be read" in ready.refused("label", "--file", "nowhere.jsonl")
    assert "give either --title" in ready.refused("label")
    assert "give either --title" in ready.refused("label", "--title", "x", "--file", "y.jsonl")
    assert "promote a model version first" in ready.refused(
        "label", "--title", "x", "-m", "bug-classification@champion"
    )
    assert "no stack was fitted" in ready.refused("label", "--title", "x", "--model", "stack")


def test_without_a_dataset_the_sentence_says_what_to_run(cli: Cli) -> None:
    assert "run `understudy demo bug-classification`" in cli.refused("label", "--title", "x")
    assert "has no version 'gpt'; there are: none" in cli.refused("label", "--title", "x", "--model", "gpt")


def test_a_damaged_labeller_is_a_sentence_and_is_left_alone(ready: Cli) -> None:
    (path,) = ready.folder.glob(".understudy/labellers/*/reference.npz")
    path.write_bytes(path.read_bytes()[:500])
    before = contents(ready.folder)
    assert "reference.npz is no labelling model or is damaged" in ready.refused("label", *_CLEAR)
    assert contents(ready.folder) == before


def test_without_settings_the_labeller_s_own_taxonomy_is_used_and_a_changed_one_says_so(ready: Cli) -> None:
    settings = ready.folder / "understudy.yaml"
    changed = settings.read_text().replace("- feature", "- chore")
    settings.unlink()
    found = json.loads(ready("label", *_CLEAR, "--json").out)
    assert [group["group"] for group in found["groups"]] == ["type"] and found["labels"][0]["applied"]
    settings.write_text(changed)
    found = json.loads(ready("label", *_CLEAR, "--json").out)
    assert found["groups"][0]["untrained"] == ["chore"] and found["retired"] == ["type: feature"]
    assert "never answered: type: feature" in ready("label", *_CLEAR).out


def test_control_characters_of_a_ticket_do_not_reach_the_terminal(ready: Cli) -> None:
    rows = json.dumps({"id": "\x1b[2J\u202e::error::x", "title": "crash \x1b[31m traceback", "body": "broken saving"})
    ran = ready("label", "--file", "-", stdin=rows.encode())
    assert ran.code == 0 and "\x1b" not in ran.out and "\u202e" not in ran.out


def test_the_reference_path_imports_neither_torch_nor_scikit_learn(ready: Cli) -> None:
    found = _imported(ready.folder, "label", *_CLEAR)
    assert found.isdisjoint({"torch", "transformers", "sklearn", "datasets", "peft", "trl", "matplotlib"})


def test_init_copies_the_pack_s_files(cli: Cli) -> None:
    ran = cli("init", "bug-classification", "mine")
    assert ran.code == 0
    assert len(ran.out.split()) == 3
    workflow = yaml.safe_load((cli.folder / "mine" / "understudy-bug-classification.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert workflow["permissions"] == {} and not any("${{" in step.get("run", "") for step in steps)


def test_a_row_without_a_ticket_is_refused_by_its_line(cli: Cli) -> None:
    (cli.folder / "rows.csv").write_text("name,text\nAnn,It is slow\n")
    ran = cli("label", "--file", "rows.csv")
    assert ran.code == 2 and "rows.csv, line" in ran.err and "neither title nor body, only name, text" in ran.err
