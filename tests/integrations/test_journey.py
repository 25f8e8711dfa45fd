"""The whole life cycle through the command line, small: build, train, evaluate, promote, explain."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import FAILED, Cli, Ran

pytestmark = pytest.mark.slow

# Nothing is said about how well so small a model answers: validity is left to the grammar's own tests.
_SETTINGS = """
data:
  max_examples: 80
train:
  epochs: 1
evaluate:
  arms: [few-shot, tuned]
  samples: 4
  few_shot_k: 1
gate:
  validity_margin: 0.99
"""


@dataclass(frozen=True)
class Journey:
    cli: Cli
    model: str
    evaluated: Ran

    @property
    def reports(self) -> Path:
        return self.cli.folder / ".understudy" / "reports" / self.model


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    cli = Cli(tmp_path_factory.mktemp("journey"))
    (cli.folder / "understudy.yaml").write_text(_SETTINGS)
    (cli.folder / "failed.log").write_bytes(FAILED)
    built = cli("data", "build", "--json")
    assert built.code == 0, built.err
    trained = cli("train", "--json")
    assert trained.code == 0, trained.err
    version = json.loads(trained.out)
    assert version["dataset"] == json.loads(built.out)["id"]
    return Journey(cli, version["id"], cli("evaluate", "--json"))


def test_too_few_samples_are_inconclusive_and_say_so(journey: Journey) -> None:
    assert journey.evaluated.code == 3, journey.evaluated.err
    report = json.loads(journey.evaluated.out)
    assert report["verdict"] == "inconclusive"
    assert any("4 samples are fewer than the 100" in reason for reason in report["gate"]["reasons"])
    assert json.loads((journey.reports / "report.json").read_text()) == report


def test_the_report_page_stands_alone(journey: Journey) -> None:
    page = (journey.reports / "report.html").read_text()
    assert journey.model in page
    assert not re.search(r"<(script|link|iframe|object|embed)\b[^>]*(src|href|data)=", page)
    outside = re.findall(r"""(?:src|href)\s*=\s*["']?(?!data:|#)([^"'\s>]+)""", page)
    assert [address for address in outside if re.match(r"(?:https?:)?//", address)] == []
    assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", page)


def test_the_model_is_promoted_used_and_cannot_be_rolled_back(journey: Journey) -> None:
    cli = journey.cli
    assert "'inconclusive', not 'pass'" in cli.refused("models", "promote", journey.model)
    promoted = cli("models", "promote", journey.model, "--force", "--reason", "a small journey")
    assert promoted.code == 0, promoted.err
    assert f"log-triage@champion -> {journey.model}" in promoted.out
    explained = cli("explain", "failed.log", "--json", "--min-confidence", "0")
    assert explained.code == 0, explained.err
    answer = json.loads(explained.out)
    # Where the model's answer was refused or cut, rules answer and the problems say why.
    assert answer["model"] == journey.model or (answer["model"] == "rules" and answer["problems"])
    assert "no model is promoted" not in explained.err
    assert "nothing is before it" in cli.refused("models", "rollback", "log-triage")
    assert cli("models", "verify").code == 0


def test_the_same_training_again_gives_the_version_that_is_there(journey: Journey) -> None:
    again = journey.cli("train", "--json")
    assert (again.code, json.loads(again.out)["id"]) == (0, journey.model)
