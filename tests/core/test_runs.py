"""The same work has the same folder, and a run to be gone on with is refused by what differs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from understudy.core.bases import Base, resolve_base
from understudy.core.errors import BadInput
from understudy.core.runs import LAST, Work, run_of, stage_settings, version_of, work_of, write_version
from understudy.core.settings import LoraSettings, PreferenceSettings, RewardSettings, TrainSettings
from understudy.core.starts import Start

from .tiny import tiny_base

TRAIN = TrainSettings(epochs=2)
PREFER = PreferenceSettings()


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Base]:
    return {kind: resolve_base(str(tiny_base(tmp_path_factory.mktemp(kind), kind))) for kind in ("qwen3", "lfm2")}


@pytest.fixture
def start(bases: dict[str, Base]) -> Start:
    return Start(bases["lfm2"])


def test_the_same_work_has_the_same_name_and_any_other_work_another(start: Start, bases: dict[str, Base]) -> None:
    key = work_of("sft", TRAIN, start, "d").key
    assert key == work_of("sft", TRAIN.model_copy(update={"threads": 3}), start, "d").key
    changes: list[dict[str, Any]] = [{"epochs": 9}, {"seed": 9}, {"method": "lora"}, {"lora": LoraSettings(rank=4)}]
    others = [work_of("sft", TRAIN.model_copy(update=change), start, "d").key for change in changes]
    others += [work_of("sft", TRAIN, Start(bases["qwen3"]), "d").key, work_of("sft", TRAIN, start, "e").key]
    work = work_of("sft", TRAIN, start, "d")
    others += [replace(work, template="another").key, replace(work, processes=2).key]
    others += [work_of(stage, TRAIN, start, "d", preference=PREFER).key for stage in ("dpo", "kto")]
    others += [work_of("dpo", TRAIN, start, "d", preference=PreferenceSettings(beta=1)).key]
    assert len({key, *others}) == 1 + len(others)


def test_what_a_stage_has_of_its_own_replaces_that_of_training(start: Start) -> None:
    assert stage_settings(TRAIN, RewardSettings(epochs=5, learning_rate=1e-6)).epochs == 5
    longer = TRAIN.model_copy(update={"epochs": 50})
    assert work_of("dpo", TRAIN, start, "d", preference=PREFER) == work_of("dpo", longer, start, "d", preference=PREFER)


def test_a_run_is_gone_on_with_by_its_name_the_beginning_of_it_or_as_the_last(start: Start, tmp_path: Path) -> None:
    work, other = work_of("sft", TRAIN, start, "d"), work_of("sft", TRAIN, start, "e")
    folder = work.begin(tmp_path)
    os.utime(other.begin(tmp_path) / "run.json", (1, 1))
    assert folder.name == work.key
    for name in (work.key, work.key[:6], LAST, None):
        work.must_be(tmp_path, name)
    with pytest.raises(BadInput, match=rf"no runs in .* match '0zz'; .* the last one first: {work.key}, {other.key}"):
        work.must_be(tmp_path, "0zz")
    with pytest.raises(BadInput, match="begun there, the last one first: none"):
        work.must_be(tmp_path / "elsewhere", LAST)


def test_a_run_that_was_begun_as_other_work_is_refused_by_what_differs(start: Start, tmp_path: Path) -> None:
    begun = replace(work_of("sft", TRAIN, start, "a" * 64), template="t" * 64)
    begun.begin(tmp_path)
    changed = TRAIN.model_copy(update={"epochs": 4.5, "lora": LoraSettings(rank=3)})

    def said(work: Work) -> str:
        with pytest.raises(BadInput) as told:
            work.must_be(tmp_path, LAST)
        return str(told.value)

    assert f"run {begun.key} was begun as other work: train.epochs was 2.0 and is 4.5; train.lora.rank was 16" in said(
        replace(work_of("sft", changed, start, "a" * 64), template="t" * 64)
    )
    assert ": data was aaaaaaaaaaaaaaaaaaa... and is b. Set back" in said(replace(begun, data="b"))
    assert ": template was ttttttttttttttttttt... and is" in said(work_of("sft", TRAIN, start, "a" * 64))
    assert ": stage was sft and is dpo. Set back" in said(work_of("dpo", TRAIN, start, "a" * 64, preference=PREFER))
    (tmp_path / begun.key / "run.json").write_text(json.dumps({"stage": "sft"})[:-1])
    assert "cannot be read" in said(begun)


def test_a_run_that_came_to_its_end_says_what_it_made_and_is_found_by_that(start: Start, tmp_path: Path) -> None:
    run = work_of("sft", TRAIN, start, "d").begin(tmp_path)
    assert version_of(run) is None and run_of(tmp_path, "v-1") is None
    write_version(run, "v-1")
    assert version_of(run) == "v-1" and run_of(tmp_path, "v-1") == run and run_of(tmp_path, "v-2") is None
