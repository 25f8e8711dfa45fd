"""Every tuning method with every stage through the command line, on the seedling; a method's four in one process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ..core.tiny import EACH_METHOD
from .conftest import Cli

_VOWELS = """
from understudy.core import grpo
from understudy.core.rewards import Verdict

def vowels(pack, examples, texts, stopped):
    return [Verdict(1, 1, sum(letter in "aeiou" for letter in text) / max(1, len(text))) for text in texts]

grpo.judged = vowels
"""
"""Rewards what a model can reach that has seen a dozen examples; none of its answers parses."""
SMALL = (
    "pack=bug-classification",
    "train.epochs=1",
    "train.batch_size=4",
    "evaluate.max_new_tokens=8",
    "preference.max_examples=4",
    "preference.epochs=1",
    "reward.prompts=2",
    "reward.watched=1",
    "reward.epochs=1",
    "reward.generations=2",
    "reward.max_new_tokens=48",
)
WIDTH = {
    "lora": ["train.lora.rank=4"],
    "qlora": ["train.lora.rank=4"],
    "prefix": ["train.prefix.tokens=4"],
    "adapter": ["train.adapter.width=4"],
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dozen")
    ran = Cli(folder)("data", "build", "--set", "pack=bug-classification", "--set", "data.max_examples=12")
    assert ran.code == 0, ran.err
    return folder / ".understudy"


@pytest.mark.slow
@pytest.mark.parametrize("method", EACH_METHOD)
def test_a_method_goes_through_every_stage_of_the_command_line(method: str, registry: Path, cli: Cli) -> None:
    shutil.copytree(registry, cli.folder / ".understudy")
    values = (f"train.method={method}", *SMALL, *WIDTH.get(method, []))
    options = [text for value in values for text in ("--set", value)]
    stages = ("dpo", "kto", "grpo")
    further = [["--stage", stage, "--from", number, *options] for number, stage in enumerate(stages)]
    found = cli.trained(options, *further, first=_VOWELS)
    assert [one["stage"] for one in found] == ["sft", *stages]
    assert [one["parent"] for one in found] == [None, *(one["id"] for one in found[:-1])]
    assert {one["kind"] for one in found} == {"full" if method == "full" else "adapter"}
    assert len({one["digest"] for one in found}) == 4, "each stage changed the weights"
