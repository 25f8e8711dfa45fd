"""SFT against a plain TRL script: real tokens a second on the same rows, peak memory, and the loss it ends with.

Run ``python benchmarks/training/sft.py`` (about ten minutes). The model is a random Llama of 25 million weights: how
long a step takes depends on shapes, not on what was learnt. Rows are as the packs make them, a long prompt and a short
answer; lengths are log-normal. Every arm trains all weights for one epoch in bf16 autocast (fp32 where a CPU lacks it)
in a process of its own on one thread, and is timed in seconds of CPU, which are those of the clock on a quiet machine.
Padding is not counted. Four arms run three times and the median is told, the others once.

On a GPU the same script runs unchanged, timed by the clock; no GPU was lent so far, so it has not been run there.
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

ROWS, VALIDATION, BATCH, RATE, LENGTH = 24, 8, 4, 2e-4, 1024
VOCABULARY = 16384


def model() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=12,
        num_attention_heads=6,
        num_key_value_heads=6,
        tie_word_embeddings=True,
        max_position_embeddings=2048,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config)


def rows(count: int, seed: int) -> list[Any]:
    from understudy.core.rows import answer_row

    rng = random.Random(seed)

    def some(length: int) -> list[int]:
        # Few different tokens, so that there is something to learn in one epoch.
        return [3 + int(rng.paretovariate(0.5)) % (VOCABULARY - 3) for _ in range(length)]

    made = []
    for _ in range(count):
        prompt = min(900, max(40, round(rng.lognormvariate(5.3, 0.7))))
        made.append(answer_row(some(prompt), [*some(rng.randint(30, 60)), 2]))
    return made


def stock(folder: Path, checkpointing: bool, packing: bool) -> dict[str, Any]:
    """A plain TRL script: its defaults, but for what a CPU needs and what all arms share."""
    from trl import SFTConfig, SFTTrainer

    from understudy.core.sft import _dataset

    args = SFTConfig(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=1 if packing else BATCH,
        per_device_eval_batch_size=BATCH,
        learning_rate=RATE,
        activation_checkpointing=checkpointing,
        packing=packing,
        eval_packing=False,
        max_length=LENGTH,
        logging_steps=1,
        seed=7,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        **precision(),
    )
    trainer = SFTTrainer(
        model=model(),
        args=args,
        train_dataset=_dataset(rows(ROWS, 1)),
        eval_dataset=_dataset(rows(VALIDATION, 2)),
        processing_class=tokenizer(),
    )
    return measure(trainer)


def ours(folder: Path, grouped: bool, keep: bool) -> dict[str, Any]:
    """The trainer of ``understudy train``, with the stock script's schedule so that losses compare."""
    from understudy.core import hardware, sft
    from understudy.core.settings import TrainSettings

    if keep:
        hardware.keep_memory()
    settings = TrainSettings(batch_size=BATCH, warmup=0.0, epochs=1, learning_rate=RATE, seed=7, max_length=LENGTH)
    flags = precision()
    device = "cpu" if flags["use_cpu"] else "cuda"
    config = sft._config(settings, hardware.Hardware(device, flags["bf16"], 1, ()), folder, ROWS)
    config.lr_scheduler_type, config.logging_steps = "linear", 1
    config.train_sampling_strategy = "group_by_length" if grouped else "random"
    config.eval_strategy = config.save_strategy = "no"
    config.load_best_model_at_end = False
    trainer = sft._trainer_class()(
        model=model(),
        args=config,
        train_dataset=sft._dataset(rows(ROWS, 1)),
        eval_dataset=sft._dataset(rows(VALIDATION, 2)),
        processing_class=tokenizer(),
    )
    return measure(trainer)


def precision() -> dict[str, bool]:
    from understudy.core.hardware import resolve

    found = resolve(1)
    return {"use_cpu": found.device == "cpu", "bf16": found.bf16}


def tokenizer() -> Any:
    from understudy.core.bases import load_tokenizer, resolve_base

    return load_tokenizer(resolve_base("seedling"))


def measure(trainer: Any) -> dict[str, Any]:
    clock = time.process_time if trainer.args.device.type == "cpu" else time.perf_counter
    began = clock()
    trainer.train()
    seconds = clock() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"seconds": seconds, "peak": peak, "losses": losses, "validation": trainer.evaluate()["eval_loss"]}


ARMS: dict[str, tuple[Any, tuple[bool, bool]]] = {
    "TRL at its defaults": (stock, (True, False)),
    "TRL with packing": (stock, (True, True)),
    "TRL, no checkpointing": (stock, (False, False)),
    "TRL with packing, no checkpointing": (stock, (False, True)),
    "understudy, TRL's order": (ours, (False, False)),
    "understudy, memory given back": (ours, (True, False)),
    "understudy": (ours, (True, True)),
}
THRICE = ("TRL at its defaults", "TRL with packing", "understudy, memory given back", "understudy")


def one(name: str) -> None:
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    run, options = ARMS[name]
    with tempfile.TemporaryDirectory() as folder:
        print("RESULT " + json.dumps(run(Path(folder), *options)))


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
    for turn in range(given.runs):  # in turns, so that a busy spell of the machine meets all arms
        for name in ARMS if turn == 0 else THRICE:
            command = [sys.executable, __file__, "--one", name]
            ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            if ran.returncode:
                sys.exit(ran.stderr)
            line = next(line for line in ran.stdout.split("\n") if line.startswith("RESULT "))
            found[name].append(json.loads(line.removeprefix("RESULT ")))
    report(found)


def report(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print a line an arm, and fail when the same batches do not give the same losses."""
    tokens = sum(len(row.input_ids) for row in rows(ROWS, 1))
    print(f"{ROWS} rows, {tokens} real tokens, batch {BATCH}, 1 thread, all weights tuned, one epoch")
    print(f"{'':36}{'s/epoch':>9}{'tokens/s':>10}{'speed-up':>10}{'peak MiB':>10}{'validation':>12}")
    seconds = {name: statistics.median(run["seconds"] for run in runs) for name, runs in found.items()}
    base = next(iter(found))
    for name, runs in found.items():
        peak = statistics.median(run["peak"] for run in runs)
        print(
            f"{name:36}{seconds[name]:9.2f}{tokens / seconds[name]:10.0f}{seconds[base] / seconds[name]:9.2f}x"
            f"{peak:10.0f}{runs[0]['validation']:12.4f}"
        )
    same = ("TRL, no checkpointing", "understudy, TRL's order")
    for mine, theirs in zip(*(found[name][0]["losses"] for name in same), strict=True):
        if abs(mine - theirs) > 0.01 * abs(theirs):
            sys.exit(f"loss {mine} is not within 1 % of {theirs}, on the same batch")


if __name__ == "__main__":
    main()
