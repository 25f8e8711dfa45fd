"""Trains a tiny model in float32 as one process, or as one of several that torchrun starts; run by test_ranks.py."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.dpo import train_dpo
from understudy.core.hardware import Hardware
from understudy.core.preferences import PairRow
from understudy.core.ranks import Asked, join, started
from understudy.core.rows import answer_row
from understudy.core.settings import PreferenceSettings, TrainSettings
from understudy.core.sft import train_sft
from understudy.core.starts import Start

CPU = Hardware("cpu", False, 1, ())


def main(stage: str, base_folder: str, batch: str, folder: str) -> None:
    """Train ``stage`` for two epochs of 32 rows with unequal lengths."""
    if started() > 1:
        join(Asked("test", "ddp", started(), cpu=True))
    base = resolve_base(base_folder)
    tokenizer = load_tokenizer(base)
    rng = random.Random(5)

    def some(low: int, high: int) -> list[int]:
        return [rng.randrange(10, 400) for _ in range(rng.randint(low, high))]

    stop = int(tokenizer.eos_token_id)
    rows = [(some(5, 60), [*some(1, 30), stop], [*some(1, 30), stop]) for _ in range(40)]
    settings = TrainSettings.model_validate(
        {
            "method": "lora",
            "lora": {"rank": 4},
            "learning_rate": 1e-2,
            "epochs": 2,
            "batch_size": int(batch),
        }
    )
    start, run = Start(base), Path(folder)
    if stage == "sft":
        made = [answer_row(prompt, answer, str(n)) for n, (prompt, answer, _) in enumerate(rows)]
        train_sft(start, tokenizer, made[:32], made[32:], settings, CPU, run)
        return
    pairs = [PairRow(str(n), *row) for n, row in enumerate(rows)]
    preference = PreferenceSettings(epochs=2, learning_rate=1e-2)
    train_dpo(start, tokenizer, pairs[:32], pairs[32:], settings, preference, CPU, run, run.parent / "references")


if __name__ == "__main__":
    main(*sys.argv[1:])
