"""DPO against a plain TRL script at its defaults: pairs a second on the same rows, and the loss of every step.

Run ``python benchmarks/training/dpo.py`` (about five minutes). The model is a random Qwen3 of 12 million weights: how
long a step takes depends on shapes, not on what was learnt. Prompts have 420 to 480 tokens, answers 30 to 60. Each run
is a process of its own on one thread; its steps are timed from the second on, in seconds of CPU, which are those of the
clock on a quiet machine. The outer arms run three times and the median is told, the two between them once. Scoring the
reference beforehand is told apart: it is paid once for a set of pairs, whatever the epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PAIRS, BATCH, RATE = 12, 4, 1e-5
VOCABULARY = 16384


def model() -> Any:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(1)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=320,
        intermediate_size=896,
        num_hidden_layers=6,
        num_attention_heads=5,
        num_key_value_heads=5,
        head_dim=64,
        tie_word_embeddings=True,
        max_position_embeddings=2048,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return Qwen3ForCausalLM(config)


def rows(count: int, seed: int) -> list[tuple[list[int], list[int], list[int]]]:
    rng = random.Random(seed)

    def some(low: int, high: int) -> list[int]:
        return [rng.randrange(3, VOCABULARY) for _ in range(rng.randint(low, high))]

    return [(some(420, 480), [*some(29, 59), 2], [*some(29, 59), 2]) for _ in range(count)]


def watcher() -> Any:
    """Return a trainer's callback that keeps the CPU time and the loss of each step."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        """Keeps times and losses."""

        def __init__(self) -> None:
            self.steps: list[float] = []
            self.losses: list[float] = []
            self.began = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Start the clock."""
            self.began = time.process_time()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Stop it."""
            self.steps.append(time.process_time() - self.began)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            """Keep the loss."""
            if "loss" in (logs or {}):
                self.losses.append(logs["loss"])

    return Watch()


def stock(folder: Path, precompute: bool) -> dict[str, Any]:
    """A plain TRL script: its defaults, but for what a CPU needs and what both must share."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from understudy.core.bases import load_tokenizer, resolve_base

    model().save_pretrained(folder / "model")
    tokenizer = load_tokenizer(resolve_base("seedling"))
    tokenizer.save_pretrained(folder / "model")
    dots = [""] * PAIRS
    pairs = rows(PAIRS, 1)
    data = Dataset.from_dict({"prompt": dots, "chosen": ["."] * PAIRS, "rejected": ["."] * PAIRS, "row": range(PAIRS)})
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    collator = DataCollatorForPreference(pad_token_id=0, max_length=1024)

    def collate(features: list[dict[str, Any]]) -> Any:
        names = ("prompt_ids", "chosen_ids", "rejected_ids")
        return collator([one | dict(zip(names, pairs[one["row"]], strict=True)) for one in features])

    watch = watcher()
    began = time.process_time()
    trainer = DPOTrainer(
        model=_load(folder / "model"),
        args=DPOConfig(
            output_dir=str(folder / "run"),
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            learning_rate=RATE,
            logging_steps=1,
            use_cpu=True,
            bf16=False,
            report_to="none",
            save_strategy="no",
            remove_unused_columns=False,
            disable_tqdm=True,
            seed=7,
            precompute_ref_log_probs=precompute,
        ),
        data_collator=collate,
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=[watch],
    )
    ready = time.process_time() - began
    trainer.train()
    return {"steps": watch.steps, "losses": watch.losses, "ready": ready}


def ours(folder: Path, shared: bool) -> dict[str, Any]:
    """The trainer of ``understudy train --stage dpo``, with the stock script's schedule so that losses compare."""
    from understudy.core import dpo
    from understudy.core._prefix_sharing import refusal
    from understudy.core._references import References
    from understudy.core.bases import load_tokenizer, resolve_base
    from understudy.core.hardware import Hardware
    from understudy.core.preferences import PairRow
    from understudy.core.settings import PreferenceSettings, TrainSettings

    model().save_pretrained(folder / "model")
    tokenizer = load_tokenizer(resolve_base("seedling"))
    pairs = [PairRow(str(n), *row) for n, row in enumerate(rows(PAIRS, 1))]
    settings = TrainSettings(batch_size=BATCH, warmup=0.0, epochs=1, learning_rate=RATE, seed=7)
    config = dpo._config(settings, PreferenceSettings(), Hardware("cpu", False, 1, ()), folder / "run", PAIRS)
    config.lr_scheduler_type, config.train_sampling_strategy = "linear", "random"
    config.eval_strategy = config.save_strategy = "no"
    config.load_best_model_at_end = False
    policy = _load(folder / "model")
    assert not shared or not refusal(policy, pairs[0].prompt, pairs[0].chosen, pairs[0].rejected)
    store = References(folder / "references", "benchmark", str(shared))
    watch = watcher()
    began = time.process_time()
    trainer = dpo._trainer_class()(
        pairs,
        store,
        shared,
        folder,
        model=policy,
        args=config,
        data_collator=dpo._collator(pairs, 0),
        train_dataset=dpo._dataset(pairs, range(PAIRS), store),
        processing_class=tokenizer,
        peft_config=None,
        callbacks=[watch],
    )
    ready = time.process_time() - began
    trainer.train()
    return {"steps": watch.steps, "losses": watch.losses, "ready": ready}


def _load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32")


ARMS: dict[str, tuple[Any, bool]] = {
    "TRL at its defaults": (stock, False),
    "TRL, precomputed reference": (stock, True),
    "understudy, two rows": (ours, False),
    "understudy": (ours, True),
}


def one(name: str) -> None:
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    run, option = ARMS[name]
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), option)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("RESULT " + json.dumps(found | {"peak": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--one", choices=list(ARMS), help="run one arm in this process")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    if given.one:
        one(given.one)
        return
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ARMS}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    outer = {next(iter(ARMS)), list(ARMS)[-1]}
    for turn in range(given.runs):  # in turns, so that a busy spell of the machine meets all arms
        for name in ARMS if turn == 0 else outer:
            command = [sys.executable, __file__, "--one", name]
            ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            if ran.returncode:
                sys.exit(ran.stderr)
            line = next(line for line in ran.stdout.split("\n") if line.startswith("RESULT "))
            found[name].append(json.loads(line.removeprefix("RESULT ")))
    report(found)


def report(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print a line an arm, and fail when the losses are not the same."""
    print(f"{PAIRS} pairs, batch {BATCH}, fp32, 1 thread, all weights tuned, {sum(map(len, found.values()))} runs")
    print(f"{'':28}{'s/step':>8}{'pairs/s':>9}{'speed-up':>10}{'reference s':>13}{'peak MiB':>10}{'last loss':>11}")
    seconds = {
        name: statistics.median(statistics.median(run["steps"][1:]) for run in runs) for name, runs in found.items()
    }
    base = next(iter(found))
    for name, runs in found.items():
        ready = statistics.median(run["ready"] for run in runs)
        peak = statistics.median(run["peak"] for run in runs)
        print(
            f"{name:28}{seconds[name]:8.2f}{BATCH / seconds[name]:9.2f}{seconds[base] / seconds[name]:9.2f}x"
            f"{ready:13.1f}{peak:10.0f}{runs[0]['losses'][-1]:11.4f}"
        )
    for name, runs in found.items():
        for mine, theirs in zip(runs[0]["losses"], found[base][0]["losses"], strict=True):
            if abs(mine - theirs) > 0.01 * abs(theirs):
                sys.exit(f"{name}: loss {mine} is not within 1 % of {theirs}")


if __name__ == "__main__":
    main()
