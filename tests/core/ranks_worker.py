"""Trains a tiny model in float32 as one process, or as one of several that torchrun starts; run by test_ranks.py."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from understudy.core.bases import load_model, load_tokenizer, resolve_base
from understudy.core.dpo import train_dpo
from understudy.core.hardware import Hardware
from understudy.core.kto import train_kto
from understudy.core.preferences import PairRow, ThumbRow
from understudy.core.ranks import Asked, first, join, started
from understudy.core.rows import answer_row
from understudy.core.settings import PreferenceSettings, TrainSettings
from understudy.core.sft import train_sft
from understudy.core.starts import Start

CPU = Hardware("cpu", False, 1, ())


STAGES = ("sft", "dpo", "kto")


def main(base_folder: str, batch: str, folder: str) -> None:
    """Train every stage for two epochs of 32 rows with unequal lengths, and ``save`` an adapter without training."""
    if started() > 1:
        join(Asked("test", "ddp", started(), cpu=True))
    for stage in STAGES:
        train(stage, base_folder, batch, Path(folder) / stage)
    save(Path(base_folder), Path(folder) / "save")


def train(stage: str, base_folder: str, batch: str, run: Path) -> None:
    """Train one stage; a step has ``batch`` rows in each process."""
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
    start = Start(base)
    if stage == "sft":
        made = [answer_row(prompt, answer, str(n)) for n, (prompt, answer, _) in enumerate(rows)]
        train_sft(start, tokenizer, made[:32], made[32:], settings, CPU, run)
        return
    preference, kept = PreferenceSettings(epochs=2, learning_rate=1e-2), run.parent / "references"
    if stage == "kto":
        thumbs = [ThumbRow(str(n), prompt, answer, n % 3 == 0) for n, (prompt, answer, _) in enumerate(rows)]
        train_kto(start, tokenizer, thumbs[:32], thumbs[32:], settings, preference, CPU, run, kept)
        return
    pairs = [PairRow(str(n), *row) for n, row in enumerate(rows)]
    train_dpo(start, tokenizer, pairs[:32], pairs[32:], settings, preference, CPU, run, kept)


def save(base: Path, folder: Path) -> None:
    """Save a random adapter; of several processes each holds a shard of every weight, by FSDP's second version."""
    import torch
    from peft import LoraConfig, get_peft_model
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.manual_seed(3)
    whole = load_model(resolve_base(str(base)), dtype="float32")
    model = get_peft_model(whole, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    if started() == 1:
        model.save_pretrained(str(folder))
        return
    mesh = init_device_mesh("cpu", (started(),))
    for layer in whole.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    assert all(weight.to_local().numel() < weight.numel() for weight in model.parameters() if weight.ndim == 2)
    # As accelerator.get_state_dict does, with which transformers' trainer saves.
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if first():
        model.save_pretrained(str(folder), state_dict=state)


if __name__ == "__main__":
    main(*sys.argv[1:])
