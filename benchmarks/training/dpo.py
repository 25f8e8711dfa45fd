"""DPO against a plain TRL script at its defaults: pairs a second on the same rows, and the loss of every step.

Run ``python benchmarks/training/dpo.py`` (about seven minutes). The model is a random Qwen3 of 12 million weights: how
long a step takes depends on shapes, not on what was learnt. Prompts have 420 to 480 tokens, answers 30 to 60; all arms
compute in float32 on one thread. Steps are timed from the second on, in seconds of CPU; the medians of three turns are
told. Scoring the reference beforehand is told apart: it is paid once for a set of pairs, whatever the epochs.
"""

from __future__ import annotations

import random
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

from _arms import Found, median, same_losses, spread, take_turns, watcher

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


def stock(folder: Path, *, precompute: bool) -> dict[str, Any]:
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
    return told(watch, ready)


def ours(folder: Path, *, shared: bool) -> dict[str, Any]:
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
    return told(watch, ready)


def _load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32")


def told(watch: Any, ready: float) -> dict[str, Any]:
    """Return the figures of an arm; its first step warms up."""
    return {"step": statistics.median(watch.steps[1:]), "losses": watch.losses, "ready": ready}


STOCK, OURS = "TRL at its defaults", "understudy"
ARMS = {
    STOCK: partial(stock, precompute=False),
    "TRL, precomputed reference": partial(stock, precompute=True),
    "understudy, two rows": partial(ours, shared=False),
    OURS: partial(ours, shared=True),
}


def report(found: Found) -> None:
    """Print a line an arm, and fail when the losses are not the same."""
    print(f"{PAIRS} pairs, batch {BATCH}, fp32, 1 thread, all weights tuned, median of {len(found[STOCK])} turns")
    print(
        f"{'':28}{'CPU-s/step':>11}{'lowest-highest':>16}{'pairs/s':>9}{'speed-up':>10}{'reference s':>13}"
        f"{'peak MiB':>10}{'last loss':>11}"
    )
    base = median(found[STOCK], "step")
    for name, runs in found.items():
        step = median(runs, "step")
        print(
            f"{name:28}{step:11.2f}{spread(runs, 'step'):>16}{BATCH / step:9.2f}{base / step:9.2f}x"
            f"{median(runs, 'ready'):13.1f}{median(runs, 'peak'):10.0f}{runs[0]['losses'][-1]:11.4f}"
        )
    for name in found:
        same_losses(found, name, STOCK)


if __name__ == "__main__":
    report(take_turns(ARMS))
