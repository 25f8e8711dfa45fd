"""Every tuning method on the seedling: the same rows, the same steps, one process each so that memory is its own.

Run ``python benchmarks/training/methods.py``; ``--rows``, ``--epochs``, ``--samples``, ``--methods`` change the work.
Memory is the largest resident set of the process while it trains; tokens are those of the rows, padding not counted;
the score is on held-out recipes. Learning rates are the usual ones of each method, not searched.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RATES = {"full": 1e-3, "lora": 2e-3, "qlora": 2e-3, "adapter": 2e-3, "prefix": 3e-2, "ia3": 3e-2}
BUDGET, LENGTH = 300, 768


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--methods", nargs="*", default=list(RATES))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(options.one, options)))
        return
    print(f"{options.rows} rows, {options.epochs:g} epoch(s), {options.samples} held-out samples, OMP_NUM_THREADS=1")
    print("| method | trainable | peak RSS | tokens/s | validation loss | schema-valid | category macro-F1 | checks |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for method in options.methods:
        if method == "qlora" and find_spec("bitsandbytes") is None:
            print("| qlora | bitsandbytes (extra qlora) is not installed | | | | | | |")
            continue
        command = [sys.executable, __file__, *sys.argv[1:], "--one", method]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        print(_line(method, json.loads(done.stdout.strip().rpartition("\n")[2])), flush=True)


def _line(method: str, found: dict[str, Any]) -> str:
    checks = ", ".join(f"{name.partition('_')[0]} {value:.1e}" for name, value in found["checks"].items())
    return (
        f"| {method} | {found['trainable']:.2%} | {found['rss']:.0f} MiB | {found['speed']:.0f} | "
        f"{found['loss']:.3f} | {found['valid']:.2f} | {found['f1']:.3f} | {checks} |"
    )


def _measure(method: str, options: argparse.Namespace) -> dict[str, Any]:
    from understudy.core.bases import load_tokenizer, resolve_base, token_counter
    from understudy.core.engines import LocalEngine
    from understudy.core.hardware import resolve
    from understudy.core.pack import BuildContext, load_pack
    from understudy.core.rows import make_rows
    from understudy.core.settings import TrainSettings
    from understudy.core.sft import train_sft
    from understudy.core.starts import Start
    from understudy.core.tuning.loading import load_tuned
    from understudy.evals.arms import model_arm

    hardware, pack, base = resolve(1), load_pack("log-triage"), resolve_base("seedling")
    tokenizer = load_tokenizer(base)
    count = token_counter(tokenizer)
    context = BuildContext(count, BUDGET, limit=options.rows * 3, rng=random.Random(7))
    examples = sorted(pack.builders["seed"](context), key=lambda example: example.id)
    groups = sorted({example.group for example in examples})
    random.Random(7).shuffle(groups)
    held_out = set(groups[: max(1, len(groups) // 4)])
    inside = [example for example in examples if example.group not in held_out]
    outside = [example for example in examples if example.group in held_out]
    for part in (inside, outside):
        random.Random(7).shuffle(part)
    training, samples = inside[: options.rows], outside[: options.samples]
    rows = make_rows(pack, training, tokenizer, LENGTH)
    validation = make_rows(pack, outside[options.samples : options.samples + 32], tokenizer, LENGTH)
    settings = TrainSettings.model_validate(
        {
            "method": method,
            "epochs": options.epochs,
            "learning_rate": RATES[method],
            "max_length": LENGTH,
            "early_stopping_patience": 0,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        marks: list[float] = []

        def mark(event: Any) -> None:
            if event.validation_loss is None:
                marks.append(time.perf_counter())

        outcome = train_sft(Start(base), tokenizer, rows, validation, settings, hardware, Path(folder), mark)
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        engine = LocalEngine(load_tuned(base, outcome.folder, settings, hardware), tokenizer)
    # The first step warms up, so time runs from its end and its share of the tokens is left out.
    steps = -(-len(rows) // settings.batch_size) * options.epochs
    tokens = sum(len(row.input_ids) for row in rows) * options.epochs * (steps - 1) / steps
    predictions = model_arm(method, engine, pack, (), max_new_tokens=200, batch_size=8).predict(
        samples, lambda done: None
    )
    scores = pack.score(samples, predictions)
    return {
        "trainable": outcome.trainable / outcome.parameters,
        "rss": rss,
        "speed": tokens / (marks[-1] - marks[0]),
        "loss": outcome.best_validation_loss,
        "valid": sum(p.output is not None for p in predictions) / len(predictions),
        "f1": scores["category_macro_f1"].value,
        "checks": outcome.checks,
    }


if __name__ == "__main__":
    main()
