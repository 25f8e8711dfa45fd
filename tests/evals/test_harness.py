"""Tasks of lm-eval become rows that the gate and the report treat like the project's own suites."""

from __future__ import annotations

import io
import json
import linecache
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.engines import LocalEngine
from understudy.core.errors import BadInput, Unavailable
from understudy.evals.arms import Engine
from understudy.evals.cache import CachedEngine, EngineKey
from understudy.evals.compare import compare
from understudy.evals.console import print_report
from understudy.evals.gate import GateSettings, apply_gate
from understudy.evals.harness import Benchmark, benchmark_rows, benchmarks_note, load_benchmarks
from understudy.evals.report import read_report, render_html, write_report
from understudy.evals.results import General, Report

from ..core.tiny import tiny_model
from .toy import IDENTITY, PACK, TableEngine, examples, predictions

ITEMS = [("The sky is", "blue"), ("Grass is", "green"), ("Blood is", "red"), ("Leaves are", "green")]
TASK = """\
task: colours
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["red", "green", "blue"]
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: acc
    aggregation: {aggregation}
    higher_is_better: true
metadata:
  version: 1.0
"""


def cached(folder: Path, name: str, engine: Callable[[], Engine]) -> CachedEngine:
    return CachedEngine(EngineKey(name), folder, engine)


def benchmark(name: str, scores: dict[int, list[float]], *, up: bool = True) -> Benchmark:
    """A benchmark whose scores depend on the model's context length, the one thing that tells toy engines apart."""
    return Benchmark(name, "acc", up, f"digest of {name}", lambda engine: scores[engine.context_length])


def pair(folder: Path) -> tuple[CachedEngine, CachedEngine]:
    one, two = (TableEngine(lambda text: "", context_length=length) for length in (1, 2))
    return cached(folder, "base", lambda: one), cached(folder, "tuned", lambda: two)


def report(general: General) -> Report:
    samples = examples(300)
    arms = {
        "tuned": predictions(samples, "tuned", lambda at: True),
        "few-shot": predictions(samples, "few-shot", lambda at: at % 2 == 0),
    }
    found = compare(PACK, samples, arms, identity=IDENTITY, resamples=300, corpus_resamples=80, general=general)
    return apply_gate(found, GateSettings())


def rows(folder: Path, *benchmarks: Benchmark) -> General:
    base, tuned = pair(folder)
    found = benchmark_rows(benchmarks, base, tuned, lambda name, done, total: None)
    return General(forgetting=found, safety=[], note="lm-eval ran.")


def test_without_lm_eval_the_sentence_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(BadInput, match=r"pip install 'understudy\[lm-eval\]'"):
        load_benchmarks(["hellaswag"])
    assert load_benchmarks([]) == []


def test_a_benchmark_that_was_forgotten_fails_the_gate_and_is_seen_everywhere(tmp_path: Path) -> None:
    found = report(rows(tmp_path / "cache", benchmark("trivia", {1: [1.0] * 300, 2: [1.0, 0.0, 1.0] * 100})))
    assert found.gate is not None and found.gate.verdict == "fail"
    assert "lm-eval trivia went from 1.000 to 0.667" in found.gate.reasons[0]
    write_report(found, tmp_path)
    row = read_report(tmp_path / "report.json").general.forgetting[0]  # type: ignore[union-attr]
    assert (row.name, row.unit, row.n, row.gated) == ("lm-eval trivia", "acc", 300, True)
    assert row.delta.low is not None and row.delta.low < row.delta.value == pytest.approx(-1 / 3)
    page = render_html(found)
    assert "lm-eval trivia" in page and "lm-eval ran." in page
    out = io.StringIO()
    print_report(found, Console(file=out, width=80))
    line = next(line for line in out.getvalue().split("\n") if line.strip().startswith("lm-eval trivia"))
    assert all(part in line for part in ("300", "1.000", "0.667", "-0.333"))


def test_a_benchmark_that_was_kept_passes_and_too_few_items_decide_nothing(tmp_path: Path) -> None:
    kept = report(rows(tmp_path / "kept", benchmark("trivia", {1: [1.0, 0.0] * 100, 2: [1.0, 0.0] * 100})))
    assert kept.verdict == "pass"
    same = report(rows(tmp_path / "same", benchmark("trivia", {1: [1.0, 0.0] * 9, 2: [1.0, 0.0] * 9})))
    assert same.verdict == "inconclusive" and "changed by +0.000 [-0.17" in same.gate.reasons[0]  # type: ignore[union-attr]
    few = report(rows(tmp_path / "few", benchmark("trivia", {1: [1.0, 0.0] * 6, 2: [0.0, 1.0] * 6})))
    assert few.verdict == "inconclusive" and "lm-eval trivia changed by" in few.gate.reasons[0]  # type: ignore[union-attr]


def test_where_less_is_better_a_rise_is_forgetting(tmp_path: Path) -> None:
    found = report(rows(tmp_path, benchmark("bias", {1: [0.0] * 90, 2: [1.0, 0.0, 0.0] * 30}, up=False)))
    assert found.verdict == "fail"


def test_scores_beyond_shares_are_shown_and_never_gated(tmp_path: Path) -> None:
    found = rows(tmp_path, benchmark("rouge", {1: [40.0] * 9, 2: [1.0] * 9}))
    assert not found.forgetting[0].gated and found.forgetting[0].delta.value == -39


def test_a_second_evaluation_asks_no_model(tmp_path: Path) -> None:
    one = benchmark("trivia", {1: [1.0, 0.0], 2: [0.0, 0.0]})
    first = rows(tmp_path, one)

    def load() -> Engine:
        raise AssertionError("the model was loaded")

    again = (cached(tmp_path, "base", load), cached(tmp_path, "tuned", load))
    assert benchmark_rows([one], *again, lambda name, done, total: None) == first.forgetting


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task file of four questions."""
    pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'understudy[lm-eval]'")
    return written(tmp_path)


def written(folder: Path, aggregation: str = "mean") -> Path:
    data = folder / "colours.jsonl"
    data.write_text("".join(json.dumps({"question": ask, "answer": answer}) + "\n" for ask, answer in ITEMS))
    path = folder / "colours.yaml"
    path.write_text(TASK.format(data=data, aggregation=aggregation))
    return path


@pytest.fixture(scope="module")
def engine() -> Any:
    return LocalEngine(tiny_model(), load_tokenizer(resolve_base("seedling")))


def test_a_task_file_is_asked_of_base_and_tuned_and_paired_by_sample(task: Path, tmp_path: Path, engine: Any) -> None:
    tuned = LocalEngine(tiny_model(seed=8), engine.tokenizer)
    (one,) = load_benchmarks([str(task)])
    engines = cached(tmp_path, "base", lambda: engine), cached(tmp_path, "tuned", lambda: tuned)
    (row,) = benchmark_rows([one], *engines, lambda name, done, total: None)
    assert (row.name, row.unit, row.n, row.gated) == ("lm-eval colours", "acc", 4, True)
    for model, shown in ((engine, row.base), (tuned, row.tuned)):
        right = [float(best(model, ask) == answer) for ask, answer in ITEMS]
        assert one.run(model) == right and shown.value == pytest.approx(sum(right) / 4)
    assert "lm-eval 0." in benchmarks_note(3) and "first 3 samples" in benchmarks_note(3)


def best(engine: LocalEngine, question: str) -> str:
    """The most probable continuation, by our own count of the loss."""
    return min(("red", "green", "blue"), key=lambda word: engine.loss(f"{question} {word}")[0])


def test_the_limit_and_the_data_change_what_is_remembered_and_reading_again_does_not(task: Path) -> None:
    first, again, fewer = (load_benchmarks([str(task)], limit)[0].digest for limit in (None, None, 2))
    assert first == again != fewer
    data = task.with_suffix(".jsonl")
    data.write_text(data.read_text().replace("sky", "sea"))
    assert load_benchmarks([str(task)])[0].digest != first


def test_a_function_of_a_task_file_counts_by_its_text_and_not_by_where_it_lies_in_memory(task: Path) -> None:
    module = task.with_name("shaping.py")
    task.write_text(task.read_text() + "process_docs: !function shaping.docs\n")
    found = []
    for text, time in (("dataset", 1), ("dataset", 2), ("dataset.select([0])", 3)):
        module.write_text(f"def docs(dataset):\n    return {text}\n")
        os.utime(module, (time, time))  # lm-eval reads it again
        linecache.clearcache()
        found.append(load_benchmarks([str(task)])[0].digest)
    assert found[0] == found[1] != found[2]


def test_the_samples_of_a_groups_tasks_are_pooled(task: Path, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = load_benchmarks([str(task)])
    other = task.with_name("shades.yaml")
    other.write_text(task.read_text().replace("task: colours", "task: shades"))
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_defaults=False)
    both = manager.load([str(task), str(other)])
    monkeypatch.setattr(manager, "load", lambda names, load=manager.load: both if names == [str(task)] else load(names))
    monkeypatch.setattr("lm_eval.tasks.TaskManager", lambda **how: manager)
    (pooled,) = load_benchmarks([str(task)])
    assert pooled.run(engine) == one.run(engine) * 2


def test_task_files_that_cannot_be_used_are_refused_in_a_sentence(task: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no such file"):
        load_benchmarks([str(tmp_path / "other.yaml")])
    with pytest.raises(BadInput, match="no metric that is a mean"):
        load_benchmarks([str(written(tmp_path, "perplexity"))])
    path = written(tmp_path)
    path.with_suffix(".jsonl").unlink()
    with pytest.raises(BadInput, match="names data that is not there"):
        load_benchmarks([str(path)])
    path.write_text("task: colours\n")
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_benchmarks([str(path)])


class Manager:
    """Knows two names and has no network."""

    all_tasks = ("hellaswag", "winogrande")

    def __init__(self, **how: Any) -> None:
        pass

    def load(self, names: list[str]) -> Any:
        raise ConnectionError("Couldn't reach 'Rowan/hellaswag' on the Hub\nmore")


def test_an_unknown_task_names_the_nearest_and_missing_data_is_exit_4(
    task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lm_eval.tasks.TaskManager", Manager)
    with pytest.raises(BadInput, match="'helaswag'; the nearest names are hellaswag"):
        load_benchmarks(["helaswag"])
    with pytest.raises(Unavailable, match="data of the lm-eval task hellaswag cannot be had: Couldn't reach") as found:
        load_benchmarks(["hellaswag"])
    assert found.value.exit_code == 4 and "\n" not in str(found.value)
