"""An evaluation end to end over scripted models: cached, resumed, refused where splits overlap."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from understudy.core import models
from understudy.core.engines import Generation, Request
from understudy.core.errors import BadInput, Unavailable
from understudy.core.hardware import Hardware
from understudy.core.pack import Metric
from understudy.core.records import DatasetVersion, Example, Message, ModelVersion, Prediction, Source
from understudy.core.registry import Registry
from understudy.core.settings import Settings, apply_overrides
from understudy.evals import shots
from understudy.evals.harness import Benchmark
from understudy.evals.results import General
from understudy.integrations import evaluation
from understudy.integrations.evaluation import Evaluated, evaluate


class Ask(BaseModel):
    text: str


class Reply(BaseModel):
    kind: Literal["cat", "dog"]


def score(examples: Sequence[Example], made: Sequence[Prediction]) -> dict[str, Metric]:
    right = [float(one.output == example.output) for example, one in zip(examples, made, strict=True)]
    return {"correct": Metric(sum(right) / len(right), per_sample=right)}


PACK: Any = SimpleNamespace(
    name="pets",
    Input=Ask,
    Output=Reply,
    primary="correct",
    builders={},
    messages=lambda value: [Message(role="user", content=value.text)],
    grammar=lambda value: Reply.model_json_schema(),
    check=lambda value, output: [],
    score=score,
    reference=lambda value: Reply(kind="dog"),
)


WORDS = ["fur", "paw", "tail", "bark", "purr", "milk", "bone", "sofa", "leash"]


def pet(number: int, split: str) -> Example:
    kind = "cat" if number % 2 else "dog"
    words = " ".join(random.Random(f"{split}{number}").choices(WORDS, k=9))
    return Example(
        id=f"{split}{number:03d}",
        pack="pets",
        group=f"{split}{number}",
        stratum=kind,
        input={"text": f"{words} {kind}"},
        output={"kind": kind},
        source=Source(origin="test"),
    )


class Scripted:
    """Right where ``knows`` says so; counts what it is asked."""

    context_length = 2048
    asked = 0

    def __init__(self, knows: bool) -> None:
        self.knows = knows

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, batch: Sequence[Request]) -> list[Generation]:
        type(self).asked += len(batch)
        return [Generation(self.answer(one), "stop", 30, 5, -1.0, 0.9, 0.01, 1 << 20) for one in batch]

    def answer(self, request: Request) -> str:
        kind = request.messages[-1].content.split()[-1] if self.knows else "dog"
        return Reply(kind=kind).model_dump_json() if request.schema else kind  # type: ignore[arg-type]


class Setting:
    """A registry with two versions of a model, and splits of pets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.registry = Registry(folder)
        self.versions = [self._register(folder, text) for text in ("first", "second")]
        self.splits: dict[str, list[Example]] = {
            name: [pet(number, name) for number in range(count)]
            for name, count in (("train", 30), ("validation", 20), ("test", 60))
        }
        self.dataset = DatasetVersion(
            id="pets-1",
            pack="pets",
            digest="d" * 64,
            created=datetime.now(timezone.utc),
            splits={},
            settings={},
            removed={},
            warnings=[],
        )
        loaded = self.loaded = []  # type: ignore[var-annotated]
        monkeypatch.setattr(models, "base_engine", lambda *a, **k: loaded.append("base") or Scripted(False))
        monkeypatch.setattr(models, "version_engine", lambda *a, **k: loaded.append(a[1].id) or Scripted(True))
        Scripted.asked = 0

    def _register(self, folder: Path, text: str) -> ModelVersion:
        source = folder / "made" / text
        source.mkdir(parents=True)
        (source / "weights").write_text(text)
        known: Any = {
            "base": "seedling",
            "base_revision": "r",
            "dataset": "pets-1",
            "dataset_digest": "d" * 64,
        }
        return self.registry.register(source, pack="pets", kind="full", settings={}, **known)

    def run(self, *overrides: str, **how: bool) -> Evaluated:
        small = ["pack=pets", "gate.min_samples=50", "evaluate.arms=[few-shot, tuned]"]
        settings = apply_overrides(Settings(registry=str(self.registry.root)), [*small, *overrides])
        hardware = Hardware("cpu", False, 1, ())
        return evaluate(
            settings,
            PACK,
            self.versions[0],
            self.dataset,
            self.splits,
            lambda: hardware,
            lambda name, done, total: None,
            **how,
        )


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(tmp_path / "registry", monkeypatch)


def test_every_arm_answers_the_same_samples_and_the_gate_decides(setting: Setting) -> None:
    done = setting.run("evaluate.arms=[reference, base, few-shot, rag(2), tuned, tuned+rag]")
    report = done.report
    assert report.verdict == "pass" and report.arms[0].name == "tuned" and len(report.arms) == 6
    assert report.arm("tuned").metrics["correct"].value == 1 and report.arm("base").metrics["correct"].value == 0.5
    assert report.arm("rag(2)").prompt_tokens_mean == report.arm("tuned").prompt_tokens_mean == 30
    unconstrained = report.arm("tuned").unconstrained_valid
    assert unconstrained is not None and unconstrained.value == 0 and report.arm("tuned").unconstrained_n == 24
    assert report.overlap is not None and report.overlap.clean
    assert report.memorisation is not None and report.memorisation.n == 24
    assert report.identity.hardware["device"] == "cpu" and report.identity.model_bytes == len("first")
    assert setting.loaded == ["base", setting.versions[0].id], "one model at a time, and each once"


def test_a_second_evaluation_asks_no_model_and_says_the_same(setting: Setting) -> None:
    first = setting.run()
    setting.loaded.clear()
    again = setting.run()
    assert (setting.loaded, again.asked) == ([], 0) and first.asked > 0
    for name in ("comparisons", "slices", "regressions", "gate", "identity", "memorisation", "overlap"):
        assert getattr(first.report, name) == getattr(again.report, name)
    assert first.report.arms[0] == again.report.arms[0]


def test_shots_are_searched_for_once(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = "evaluate.arms=[few-shot, rag, tuned, tuned+rag]"
    first = setting.run(arms)
    monkeypatch.setattr(shots, "similar_shots", lambda *a, **k: pytest.fail("an index was made"))
    assert setting.run(arms).report.arms == first.report.arms
    with pytest.raises(pytest.fail.Exception):
        setting.run("evaluate.arms=[few-shot, rag(2), tuned]")


def test_another_versions_answers_are_not_mistaken_for_this_ones(setting: Setting) -> None:
    setting.run()
    setting.loaded.clear()
    other = setting.versions[1].id
    done = setting.run(f"evaluate.arms=[few-shot, tuned, 'model:{other}']", f"gate.baseline='model:{other}'")
    assert setting.loaded == [other] and done.report.verdict != "pass"
    assert done.report.comparison(f"model:{other}").ties == 60


def test_a_server_that_times_out_ends_the_evaluation_and_what_it_answered_is_kept(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [40]

    class Tiring(Scripted):
        def generate(self, batch: Sequence[Request]) -> list[Generation]:
            left[0] -= len(batch)
            if left[0] < 0:
                raise Unavailable("http://127.0.0.1:1/v1 did not answer within 60 s")
            return super().generate(batch)

    monkeypatch.setattr(evaluation, "RemoteEngine", lambda *a, **k: Tiring(True))
    remote = ("evaluate.remote_url=http://127.0.0.1:1/v1", "evaluate.arms=[few-shot, 'remote:phi', tuned]")
    with pytest.raises(Unavailable, match="did not answer"):
        setting.run(*remote)
    left[0] = 60 + 24 - 32  # two batches of 16 were answered and kept
    assert setting.run(*remote).report.arm("remote:phi").metrics["correct"].value == 1
    assert left[0] == 0


def test_a_damaged_cache_is_mended_and_said(setting: Setting) -> None:
    setting.run()
    path = max((setting.registry.root / "predictions").glob("*.jsonl"), key=lambda one: one.stat().st_size)
    path.write_bytes(path.read_bytes()[:-40])
    again = setting.run()
    assert again.dropped == 1 and again.asked <= 1 and setting.run().dropped == 0


def test_a_test_split_that_overlaps_training_is_refused_unless_forced(setting: Setting) -> None:
    setting.splits["train"][0] = setting.splits["test"][0].model_copy(update={"id": "copy", "group": "elsewhere"})
    with pytest.raises(BadInput, match="overlaps training"):
        setting.run()
    assert Scripted.asked == 0
    done = setting.run(force=True)
    assert done.report.gate is not None and any("forced" in reason for reason in done.report.gate.reasons)


def test_a_gate_that_compares_an_arm_nobody_runs_is_refused_before_any_answer(setting: Setting) -> None:
    for override in ("gate.baseline=base", "evaluate.arms=[few-shot, base]"):
        with pytest.raises(BadInput, match="does not name"):
            setting.run("evaluate.arms=[few-shot, tuned]", override)
    assert Scripted.asked == 0


def test_benchmarks_without_lm_eval_are_refused_before_any_answer(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(BadInput, match="understudy\\[lm-eval\\]"):
        setting.run("evaluate.lm_eval_tasks=[hellaswag]", full=True)
    assert not setting.loaded
    assert setting.run("evaluate.lm_eval_tasks=[hellaswag]").report.general is None


def test_a_benchmark_stands_with_the_other_forgetting_rows(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    own = General(forgetting=[], safety=[], note="Our own suites.")
    known = Benchmark("trivia", "acc", True, "d", lambda engine: [float(engine.knows), 1.0])  # type: ignore[attr-defined]
    monkeypatch.setattr(evaluation, "measure", lambda *a, **k: own)
    monkeypatch.setattr(evaluation, "load_benchmarks", lambda names, limit, **k: [known])
    monkeypatch.setattr(evaluation, "benchmarks_note", lambda limit: f"lm-eval, {limit} samples.")
    how = ("evaluate.lm_eval_tasks=[trivia]", "evaluate.lm_eval_limit=2")
    general = setting.run(*how, full=True).report.general
    assert general is not None and general.note == "Our own suites. lm-eval, 2 samples."
    (row,) = general.forgetting
    assert (row.name, row.base.value, row.tuned.value, row.gated) == ("lm-eval trivia", 0.5, 1.0, True)


def test_a_report_on_another_model_promotes_nothing(setting: Setting, tmp_path: Path) -> None:
    report = setting.run().report
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    with pytest.raises(BadInput, match="not a report on"):
        setting.registry.promote(setting.versions[1].id, report=path)
    assert setting.registry.promote(setting.versions[0].id, report=path).version == setting.versions[0].id
    failed = json.loads(path.read_text()) | {"verdict": "fail", "model_digest": setting.versions[1].digest}
    path.write_text(json.dumps(failed))
    with pytest.raises(BadInput, match="'fail', not 'pass'"):
        setting.registry.promote(setting.versions[1].id, report=path)
