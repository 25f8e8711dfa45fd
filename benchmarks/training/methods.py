"""Every tuning method on the seedling: the same rows and steps, and how many failed builds it then puts right.

Run ``python benchmarks/training/methods.py`` (about twelve minutes). Time is that of the steps after the first, in
seconds of CPU on one thread, tokens are those of the rows, padding not counted; memory is the most the process held
while it trained. The score is the share of logs of held-out recipes whose category, one of thirteen, gets the highest
probability. Learning rates are the usual ones of each method, not searched. The medians of three turns are told.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from _arms import Found, clock, median, take_turns

RATES = {"full": 1e-3, "lora": 2e-3, "qlora": 2e-3, "adapter": 2e-3, "prefix": 3e-2, "ia3": 3e-2}
ROWS, VALIDATION, SAMPLES, BUDGET, LENGTH = 128, 16, 128, 300, 768


def splits(tokenizer: Any) -> tuple[Any, list[Any], list[Any], list[Any]]:
    """Return the pack, and its examples to train on, to validate on and to score; the latter two of other recipes."""
    from understudy.core.bases import token_counter
    from understudy.core.pack import BuildContext, load_pack

    pack = load_pack("log-triage")
    context = BuildContext(token_counter(tokenizer), BUDGET, limit=ROWS * 5, rng=random.Random(7))
    examples = sorted(pack.builders["seed"](context), key=lambda example: example.id)
    groups = sorted({example.group for example in examples})
    random.Random(7).shuffle(groups)
    held_out = set(groups[: max(1, len(groups) // 3)])
    inside = [example for example in examples if example.group not in held_out]
    outside = [example for example in examples if example.group in held_out]
    for part in (inside, outside):
        random.Random(7).shuffle(part)
    return pack, inside[:ROWS], outside[:VALIDATION], outside[VALIDATION : VALIDATION + SAMPLES]


def right(model: Any, tokenizer: Any, pack: Any, samples: Sequence[Any]) -> list[float]:
    """Return 1 for each sample whose category is the most probable one, else 0."""
    from understudy.core.engines import LocalEngine
    from understudy.core.scoring import ClosedQuestion, Interview
    from understudy.templates.log_triage.schema import CATEGORIES

    question = ClosedQuestion('{"category":"', tuple(f'{category}"' for category in CATEGORIES))

    def asked() -> Interview[int]:
        (found,) = yield [question]
        return max(range(len(found)), key=found.__getitem__)

    prompts = [pack.messages(pack.Input.model_validate(sample.input)) for sample in samples]
    best = LocalEngine(model, tokenizer).score(prompts, [asked() for _ in prompts])
    return [float(CATEGORIES[n] == sample.output["category"]) for n, sample in zip(best, samples, strict=True)]


def measure(folder: Path, *, method: str) -> dict[str, Any]:
    from understudy.core.bases import load_tokenizer, resolve_base
    from understudy.core.hardware import resolve
    from understudy.core.peak import peak_memory, reset_peak
    from understudy.core.rows import make_rows
    from understudy.core.settings import TrainSettings
    from understudy.core.sft import train_sft
    from understudy.core.starts import Start
    from understudy.core.tuning.loading import load_tuned

    hardware, base = resolve(1), resolve_base("seedling")
    tokenizer = load_tokenizer(base)
    pack, training, validation, samples = splits(tokenizer)
    rows = make_rows(pack, training, tokenizer, LENGTH)
    watched = make_rows(pack, validation, tokenizer, LENGTH)
    settings = TrainSettings.model_validate(
        {
            "method": method,
            "epochs": 1,
            "learning_rate": RATES[method],
            "max_length": LENGTH,
            "early_stopping_patience": 0,
        }
    )
    now = clock(hardware.device)
    marks: list[float] = []
    peaks: list[int] = []

    def mark(event: Any) -> None:
        if event.validation_loss is None and event.loss is None:  # the end of a step
            marks.append(now())
            peaks.append(peak_memory(hardware.device))

    reset_peak(hardware.device)
    outcome = train_sft(Start(base), tokenizer, rows, watched, settings, hardware, folder, mark)
    model = load_tuned(base, outcome.folder, settings, hardware)
    return {
        "trainable": outcome.trainable / outcome.parameters,
        "peak": peaks[-1] / 2**20,
        "speed": sum(len(row.input_ids) for row in rows) * (1 - 1 / len(marks)) / (marks[-1] - marks[0]),
        "loss": outcome.best_validation_loss,
        "right": right(model, tokenizer, pack, samples),
        "checks": outcome.checks,
    }


def untuned(_: Path) -> dict[str, Any]:
    from understudy.core.bases import load_model, load_tokenizer, resolve_base

    base = resolve_base("seedling")
    tokenizer = load_tokenizer(base)
    pack, _training, _validation, samples = splits(tokenizer)
    return {"right": right(load_model(base), tokenizer, pack, samples)}


BASE = "base, untuned"
ARMS = {BASE: untuned, **{method: partial(measure, method=method) for method in RATES}}


def report(found: Found) -> None:
    """Print a table, a row for each method."""
    from scipy.stats import binomtest

    print(
        f"{ROWS} rows, one epoch, 1 thread, median of {len(next(iter(found.values())))} turns; {SAMPLES} held-out logs"
    )
    print("| method | trainable | peak MiB | tokens/s | validation loss | category right [95 %] | checks |")
    print("|---|---:|---:|---:|---:|---|---|")
    for name, runs in found.items():
        hits = runs[0]["right"]
        interval = binomtest(int(sum(hits)), len(hits)).proportion_ci(method="wilson")
        score = f"{sum(hits) / len(hits):.2f} [{interval.low:.2f}, {interval.high:.2f}]"
        if name == BASE:
            print(f"| {name} | | | | | {score} | |")
            continue
        checks = ", ".join(f"{what.partition('_')[0]} {value:.1e}" for what, value in runs[0]["checks"].items())
        print(
            f"| {name} | {runs[0]['trainable']:.2%} | {median(runs, 'peak'):.0f} | {median(runs, 'speed'):.0f} | "
            f"{runs[0]['loss']:.3f} | {score} | {checks} |"
        )


if __name__ == "__main__":
    without = () if find_spec("bitsandbytes") else ("qlora",)
    if without:
        print("qlora is left out: bitsandbytes (extra qlora) is not installed")
    report(take_turns(ARMS, seldom=without))
