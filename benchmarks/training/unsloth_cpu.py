"""Unsloth's CPU path on the work of ``sft.py``, which runs this with the Python of an environment of Unsloth's own.

``UNSLOTH_PYTHON=/path/to/python python benchmarks/training/sft.py --arms understudy Unsloth``. Such
an environment was made with ``pip install --no-deps unsloth unsloth_zoo``, torch 2.13 for CPUs, transformers 5.17,
TRL 1.15, huggingface_hub below 2 and whatever its import asked for: with their own requirements pip wants CUDA builds.
Unsloth is AGPL; nothing of it is used anywhere else. Nothing of understudy is imported here.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path


def main(folder: Path) -> None:
    import unsloth  # noqa: I001 - it must come before what it patches
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    work = json.loads((folder / "work.json").read_text("utf-8"))
    torch.set_num_threads(1)
    model, tokenizer = unsloth.FastLanguageModel.from_pretrained(
        str(folder / "model"),
        max_seq_length=work["length"],
        dtype=torch.float32,
        load_in_4bit=False,
        full_finetuning=True,
        use_gradient_checkpointing=False,
    )
    args = SFTConfig(
        output_dir=str(folder / "run"),
        num_train_epochs=1,
        per_device_train_batch_size=work["batch"],
        per_device_eval_batch_size=work["batch"],
        learning_rate=work["rate"],
        train_sampling_strategy="group_by_length" if work["grouped"] else "random",
        gradient_checkpointing=False,
        max_length=work["length"],
        dataset_kwargs={"skip_prepare_dataset": True},
        logging_steps=1,
        seed=7,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        bf16=work["bf16"],
    )
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=Dataset.from_dict(work["train"]),
        eval_dataset=Dataset.from_dict(work["eval"]),
        processing_class=tokenizer,
    )
    began = time.process_time()
    trainer.train()
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    figures = {"seconds": seconds, "peak": peak, "losses": losses, "validation": trainer.evaluate()["eval_loss"]}
    (folder / "figures.json").write_text(json.dumps(figures), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
