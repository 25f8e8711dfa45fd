"""Every tuning method with every stage through the command line, on the seedling; a method's four in one process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..core.tiny import EACH_METHOD
from .conftest import Cli, environment

_STAGES = """
import contextlib, io, json, sys
from understudy.integrations.cli.main import main

common, start, found = json.loads(sys.argv[1]), [], []
for stage in ("sft", "dpo", "kto", "grpo"):
    sys.argv = ["understudy", "train", "--json", "--stage", stage, *start, *common]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            assert not end.code, (stage, end.code)
    found.append(json.loads(out.getvalue()))
    start = ["--from", found[-1]["id"]]
print(json.dumps(found))
"""
SMALL = (
    "train.epochs=1",
    "train.batch_size=4",
    "evaluate.max_new_tokens=8",
    "preference.max_examples=4",
    "preference.epochs=1",
    "reward.prompts=2",
    "reward.watched=1",
    "reward.epochs=1",
    "reward.generations=2",
    "reward.max_new_tokens=160",
)
WIDTH = {
    "lora": ["train.lora.rank=4"],
    "qlora": ["train.qlora.rank=4"],
    "prefix": ["train.prefix.tokens=4"],
    "adapter": ["train.adapter.width=4"],
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dozen")
    ran = Cli(folder)("data", "build", "--set", "data.max_examples=12")
    assert ran.code == 0, ran.err
    return folder / ".understudy"


@pytest.mark.slow
@pytest.mark.parametrize("method", EACH_METHOD)
def test_a_method_goes_through_every_stage_of_the_command_line(method: str, registry: Path, tmp_path: Path) -> None:
    shutil.copytree(registry, tmp_path / ".understudy")
    options = [
        text for value in (f"train.method={method}", *SMALL, *WIDTH.get(method, [])) for text in ("--set", value)
    ]
    done = subprocess.run(
        [sys.executable, "-c", _STAGES, json.dumps(options)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert [one["stage"] for one in found] == ["sft", "dpo", "kto", "grpo"]
    assert [one["parent"] for one in found] == [None, *(one["id"] for one in found[:-1])]
    assert {one["kind"] for one in found} == {"full" if method == "full" else "adapter"}
    assert len({one["digest"] for one in found}) == 4, "each stage changed the weights"
