"""Public benchmarks before and after tuning: tasks of ``lm-eval``, an optional extra.

A row stands for one name in the settings: a task, a task file, or a group, whose tasks' samples are pooled. Only
metrics that ``lm-eval`` averages over samples can be compared in pairs, so a perplexity or corpus score is never a row.
"""

from __future__ import annotations

import difflib
import inspect
import json
import logging
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from understudy.core.errors import BadInput, Unavailable
from understudy.core.files import sha256_bytes
from understudy.evals.forgetting import Tell, before
from understudy.evals.results import Before

if TYPE_CHECKING:
    from understudy.evals.arms import Engine
    from understudy.evals.cache import CachedEngine

__all__ = ["Benchmark", "benchmark_rows", "benchmarks_note", "load_benchmarks"]

_INSTALL = "pip install 'understudy[lm-eval]'"
_ASKS = ("loglikelihood", "loglikelihood_rolling", "generate_until")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Benchmark:
    """What one name in ``evaluate.lm_eval_tasks`` stands for."""

    name: str
    metric: str
    """``acc_norm`` where every task has it, otherwise the first one averaged over samples."""
    higher_is_better: bool
    digest: str
    """Of everything that decides a score besides the model: the version of lm-eval, configurations, samples, limit."""
    run: Callable[[Engine], list[float]]
    """Scores of a model by sample, always in the same order."""


def load_benchmarks(names: Sequence[str], limit: int | None = None, *, batch_size: int = 8) -> list[Benchmark]:
    """Return the benchmarks of these names, with their data, which is fetched when it is not there.

    Args:
        names: of tasks, groups and tags of lm-eval, or paths of task files (``.yaml``), whose Python functions run.
        limit: at most this many samples of every task; None for all.
        batch_size: prompts answered at once.

    Raises:
        BadInput: lm-eval is not installed, or a task is unknown, broken, or has nothing that can be compared.
        Unavailable: the data of a task cannot be fetched.
    """
    if not names:
        return []
    try:
        import datasets
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise BadInput(f"evaluate.lm_eval_tasks needs lm-eval ({error}): {_INSTALL}") from None
    datasets.disable_progress_bars()
    for noisy in ("lm_eval", "huggingface_hub", "datasets"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # lm-eval's own index of 14,000 names takes seconds to read, which task files do not need.
    manager = TaskManager(include_defaults=not all(_is_path(name) for name in names))
    return [_benchmark(manager, name, limit, batch_size) for name in names]


def benchmark_rows(
    benchmarks: Sequence[Benchmark],
    base: CachedEngine,
    tuned: CachedEngine,
    tell: Tell,
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> list[Before]:
    """Return a row for every benchmark: base, tuned and their difference, paired by sample.

    Scores are kept with the model's answers, so a killed run goes on at the benchmark where it was. The gate holds a
    row to its margin of forgetting when all scores lie between 0 and 1, as shares do.
    """
    found: list[list[list[float]]] = [[] for _ in benchmarks]
    for which, engine in (("base", base), ("tuned", tuned)):
        for at, one in enumerate(benchmarks):
            found[at].append(engine.fact(f"lm-eval:{one.digest}", one.run))
            tell(f"lm-eval, {which}", at + 1, len(benchmarks))
    return [_row(one, pair, alpha, seed) for one, pair in zip(benchmarks, found, strict=True)]


def benchmarks_note(limit: int | None) -> str:
    """Return a sentence for the report on how the tasks were run."""
    some = "on all samples" if limit is None else f"on the first {limit} samples of each task"
    return f"Rows named lm-eval come from lm-eval {version('lm_eval')}, {some}, without a chat template."


def _row(one: Benchmark, pair: Sequence[Sequence[float]], alpha: float, seed: int) -> Before:
    shares = all(0 <= score <= 1 for row in pair for score in row)
    return before(f"lm-eval {one.name}", one.metric, pair, alpha, seed, up=one.higher_is_better, gated=shares)


def _is_path(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _benchmark(manager: Any, name: str, limit: int | None, batch_size: int) -> Benchmark:
    tasks = _tasks(manager, name)
    metric = _metric(name, tasks)
    samples = [list(islice(task.eval_docs, limit)) for task in tasks]
    if not any(samples):
        raise BadInput(f"the lm-eval task {name} has no samples")
    shown = [[task.dump_config(), _shots(task), docs] for task, docs in zip(tasks, samples, strict=True)]
    known = json.dumps([version("lm_eval"), limit, metric, shown], default=_source, sort_keys=True)
    return Benchmark(
        name=Path(name).stem if _is_path(name) else name,
        metric=metric,
        higher_is_better=bool(tasks[0].higher_is_better()[metric]),
        digest=sha256_bytes(_ADDRESS.sub("", known).encode("utf-8", "surrogatepass"))[:24],
        run=partial(_run, manager, name, tasks, metric, limit, batch_size),
    )


def _tasks(manager: Any, name: str) -> list[Any]:
    if _is_path(name) and not Path(name).is_file():
        raise BadInput(f"evaluate.lm_eval_tasks names {name}, and there is no such file")
    if not _is_path(name) and name not in manager.all_tasks:
        near = difflib.get_close_matches(name, manager.all_tasks, n=3)
        hint = f"; the nearest names are {', '.join(near)}" if near else ""
        raise BadInput(f"lm-eval {version('lm_eval')} knows no task {name!r}{hint}")
    try:
        tasks = list(manager.load([name])["tasks"].values())
    except ImportError as error:
        raise BadInput(f"the lm-eval task {name} needs a Python package that is not installed: {error}") from None
    except OSError as error:
        if type(error) is FileNotFoundError and _is_path(name):
            raise BadInput(f"the task file {name} names data that is not there: {_line(error)}") from None
        raise Unavailable(f"the data of the lm-eval task {name} cannot be had: {_line(error)}") from None
    except Exception as error:  # a task file is a program: it fails in its own ways
        raise BadInput(f"the lm-eval task {name} cannot be loaded: {type(error).__name__}: {_line(error)}") from error
    if any(getattr(task, "UNSAFE_CODE", False) for task in tasks):
        raise BadInput(f"the lm-eval task {name} runs programs that a model wrote, which understudy never does")
    return tasks


def _metric(name: str, tasks: Sequence[Any]) -> str:
    """Return the first metric that every task averages over its samples; normalised accuracy comes first."""
    from lm_eval.api.metrics import mean

    averaged = [[metric for metric, how in task.aggregation().items() if how is mean] for task in tasks]
    common = [metric for metric in averaged[0] if all(metric in others for others in averaged)]
    if not common:
        raise BadInput(
            f"the lm-eval task {name} has no metric that is a mean over samples"
            f"{' and that all its tasks share; name its tasks one by one' if len(tasks) > 1 else ''}"
        )
    return "acc_norm" if "acc_norm" in common else common[0]


def _source(value: Any) -> str:
    """Return what a value of a configuration does: the text of a function, which is another object in every process."""
    try:
        return inspect.getsource(value)
    except (TypeError, OSError):
        return str(value)


def _shots(task: Any) -> list[Any]:
    return list(task.fewshot_docs()) if task.config.num_fewshot else []


def _run(
    manager: Any, name: str, tasks: list[Any], metric: str, limit: int | None, batch_size: int, engine: Engine
) -> list[float]:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    from understudy.core.engines import LocalEngine

    if not isinstance(engine, LocalEngine):
        raise BadInput("lm-eval tasks need a local model")
    model = HFLM(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=batch_size)
    for kind in _ASKS:
        setattr(model, kind, partial(getattr(model, kind), disable_tqdm=True))
    how = {"limit": limit, "log_samples": True, "bootstrap_iters": 0, "task_manager": manager}
    with _without_noise():
        found = simple_evaluate(model, tasks=tasks, **how)
    return [score for task in sorted(found["samples"]) for score in _scores(name, metric, found["samples"][task])]


@contextmanager
def _without_noise() -> Iterator[None]:
    """Keep lm-eval from drawing a bar over ours, and from asking git, which complains outside a repository."""
    from tqdm import tqdm

    bars = patch("lm_eval.api.task.tqdm", partial(tqdm, disable=True), create=True)
    with bars, patch("lm_eval.evaluator.get_git_commit_hash", lambda: None, create=True):
        yield


def _scores(name: str, metric: str, samples: Sequence[dict[str, Any]]) -> Iterator[float]:
    """Yield scores in the order of the samples, under the task's first way of reading an answer."""
    first = [one for one in samples if one["filter"] == samples[0]["filter"]]
    for one in sorted(first, key=lambda one: int(one["doc_id"])):
        score = float(one[metric])
        if not math.isfinite(score):
            raise BadInput(f"the lm-eval task {name} gave sample {one['doc_id']} no finite {metric}")
        yield score


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
