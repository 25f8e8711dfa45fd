"""SFT against a plain TRL script: real tokens a second on the same rows, peak memory, and the loss it ends with.

Run ``python benchmarks/training/sft.py`` (about twelve minutes). The model is a random Llama of 25 million weights: how
long a step takes depends on shapes, not on what was learnt. Rows are as the packs make them, a long prompt and a short
answer; lengths are log-normal. Every arm trains all weights for one epoch in bf16 autocast (fp32 where a CPU lacks it)
on one thread, and is timed in seconds of CPU. Padding is not counted. The medians of three turns are told.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from _arms import Found, clock, median, same_losses, spread, take_turns

RATE, LENGTH = 2e-4, 1024


@dataclass(frozen=True)
class Work:
    """How much there is to do, and the shape of the model that does it."""

    rows: int
    batch: int
    vocabulary: int
    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int

    def model(self) -> Any:
        """Return a random Llama."""
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(1)
        config = LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            tie_word_embeddings=True,
            max_position_embeddings=2048,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
        return LlamaForCausalLM(config)

    def data(self, seed: int) -> Any:
        """Return the training rows (seed 1) or a third as many to validate on (seed 2), as TRL takes them."""
        from understudy.core.sft import _dataset

        return _dataset(rows(self.rows if seed == 1 else self.rows // 3, seed, self.vocabulary))


SMALL = Work(rows=24, batch=4, vocabulary=16384, hidden=384, inner=1024, layers=12, heads=6, kv_heads=6)


def rows(count: int, seed: int, vocabulary: int) -> list[Any]:
    from understudy.core.rows import answer_row

    rng = random.Random(seed)

    def some(length: int) -> list[int]:
        # Few different tokens, so that there is something to learn in one epoch.
        return [3 + int(rng.paretovariate(0.5)) % (vocabulary - 3) for _ in range(length)]

    made = []
    for _ in range(count):
        prompt = min(900, max(40, round(rng.lognormvariate(5.3, 0.7))))
        made.append(answer_row(some(prompt), [*some(rng.randint(30, 60)), 2]))
    return made


def stock(folder: Path, *, checkpointing: bool, packing: bool, work: Work = SMALL) -> dict[str, Any]:
    """A plain TRL script: its defaults, but for what a CPU needs and what all arms share."""
    from trl import SFTConfig, SFTTrainer

    args = SFTConfig(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=1 if packing else work.batch,
        per_device_eval_batch_size=work.batch,
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
        model=work.model(),
        args=args,
        train_dataset=work.data(1),
        eval_dataset=work.data(2),
        processing_class=tokenizer(),
    )
    return measure(trainer)


def ours(folder: Path, *, grouped: bool = True, keep: bool = True, work: Work = SMALL) -> dict[str, Any]:
    """The trainer of ``understudy train``, with the stock script's schedule so that losses compare."""
    from understudy.core import hardware, sft
    from understudy.core.packing import packer
    from understudy.core.settings import TrainSettings

    if keep:
        hardware.keep_memory()
    settings = TrainSettings(batch_size=work.batch, warmup=0.0, epochs=1, learning_rate=RATE, seed=7, max_length=LENGTH)
    flags = precision()
    device = "cpu" if flags["use_cpu"] else "cuda"
    config = sft._config(settings, hardware.Hardware(device, flags["bf16"], 1, ()), folder, work.rows)
    config.lr_scheduler_type, config.logging_steps = "linear", 1
    config.train_sampling_strategy = "group_by_length" if grouped else "random"
    config.eval_strategy = config.save_strategy = "no"
    config.load_best_model_at_end = False
    trainer = sft._trainer_class()(
        model=work.model(),
        args=config,
        data_collator=packer(0) if grouped else None,
        train_dataset=work.data(1),
        eval_dataset=work.data(2),
        processing_class=tokenizer(),
    )
    return measure(trainer)


def unsloth(folder: Path, *, grouped: bool, work: Work = SMALL) -> dict[str, Any]:
    """Unsloth's CPU path in an environment of its own; see ``unsloth_cpu.py``."""
    work.model().save_pretrained(folder / "model")
    tokenizer().save_pretrained(folder / "model")
    parts = {name: work.data(seed).to_dict() for name, seed in (("train", 1), ("eval", 2))}
    more = {"batch": work.batch, "length": LENGTH, "rate": RATE, "bf16": precision()["bf16"], "grouped": grouped}
    (folder / "work.json").write_text(json.dumps(parts | more), "utf-8")
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "UNSLOTH_DISABLE_STATISTICS": "1"}
    script = Path(__file__).with_name("unsloth_cpu.py").resolve()
    command = [os.environ.get("UNSLOTH_PYTHON", "unsloth-python"), str(script), str(folder)]
    subprocess.run(command, cwd=folder, env=quiet, stdout=sys.stderr, check=True)  # it writes into its working folder
    found: dict[str, Any] = json.loads((folder / "figures.json").read_text("utf-8"))
    return found


def precision() -> dict[str, bool]:
    from understudy.core.hardware import resolve

    found = resolve(1)
    return {"use_cpu": found.device == "cpu", "bf16": found.bf16}


def tokenizer() -> Any:
    from understudy.core.bases import load_tokenizer, resolve_base

    return load_tokenizer(resolve_base("seedling"))


def measure(trainer: Any) -> dict[str, Any]:
    from understudy.core.peak import peak_memory

    now = clock(trainer.args.device.type)
    began = now()
    trainer.train()
    seconds = now() - began
    peak = peak_memory(trainer.args.device.type) / 2**20
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"seconds": seconds, "peak": peak, "losses": losses, "validation": trainer.evaluate()["eval_loss"]}


STOCK, PACKED, OURS = "TRL at its defaults", "TRL with packing", "understudy"
PLAIN, ORDER = "TRL, no checkpointing", "understudy, TRL's order"
ARMS = {
    STOCK: partial(stock, checkpointing=True, packing=False),
    PACKED: partial(stock, checkpointing=True, packing=True),
    PLAIN: partial(stock, checkpointing=False, packing=False),
    "TRL with packing, no checkpointing": partial(stock, checkpointing=False, packing=True),
    ORDER: partial(ours, grouped=False, keep=False),
    "understudy, memory given back": partial(ours, keep=False),
    OURS: ours,
    "Unsloth": partial(unsloth, grouped=False),
    "Unsloth, grouped by length": partial(unsloth, grouped=True),
}
SELDOM = tuple(name for name in ARMS if name not in (STOCK, PACKED, PLAIN, ORDER, OURS))


def report(found: Found, work: Work = SMALL) -> None:
    """Print a line an arm, and fail when the same batches do not give the same losses."""
    tokens = sum(map(len, work.data(1)["input_ids"]))
    turns = len(next(iter(found.values())))
    print(
        f"{work.rows} rows, {tokens} tokens, batch {work.batch}, all weights tuned, one epoch, median of {turns} turns"
    )
    print(
        f"{'':36}{'s/epoch':>9}{'lowest-highest':>16}{'tokens/s':>10}{'speed-up':>10}{'peak MiB':>10}{'validation':>12}"
    )
    base = median(next(iter(found.values())), "seconds")
    for name, runs in found.items():
        seconds = median(runs, "seconds")
        print(
            f"{name:36}{seconds:9.2f}{spread(runs, 'seconds'):>16}{tokens / seconds:10.0f}{base / seconds:9.2f}x"
            f"{median(runs, 'peak'):10.0f}{runs[0]['validation']:12.4f}"
        )
    same_losses(found, ORDER, PLAIN)


if __name__ == "__main__":
    report(take_turns(ARMS, seldom=SELDOM))
