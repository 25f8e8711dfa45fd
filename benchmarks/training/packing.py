"""Does packing beat grouping by length on a CPU? Seconds of CPU for one epoch of the same rows, laid out in four ways.

Run ``python benchmarks/training/packing.py`` (about five minutes). Model, rows and clock are those of ``sft.py``. The
layouts: rows padded in TRL's random order; grouped by length and padded; grouped, sharing lines no longer than the
longest row of their batch (``train.packing: auto``); and TRL's ``bfd``, lines of 1,024 filled from the whole epoch.
Attention is dense on a CPU, so a longer line costs more, whatever its rows may see.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import sft

SIZES = (4, 12)
LAYOUTS = ("padded", "grouped", "grouped, sharing lines", "lines of 1024")


def trained(layout: str, batch: int, folder: Path) -> dict[str, Any]:
    from understudy.core import hardware
    from understudy.core import sft as ours
    from understudy.core.packing import fill, packed, packer
    from understudy.core.settings import TrainSettings

    hardware.keep_memory()
    made, flags = sft.rows(sft.ROWS, 1), sft.precision()
    settings = TrainSettings(batch_size=batch, warmup=0.0, epochs=1, learning_rate=sft.RATE, max_length=sft.LENGTH)
    where = hardware.Hardware("cpu" if flags["use_cpu"] else "cuda", flags["bf16"], 1, ())
    config = ours._config(settings, where, folder, sft.ROWS)
    config.train_sampling_strategy = "group_by_length" if layout.startswith("grouped") else "random"
    config.eval_strategy = config.save_strategy = "no"
    config.load_best_model_at_end, config.logging_steps = False, 1
    dataset, collate = ours._dataset(made), packer(0) if layout == "grouped, sharing lines" else None
    if layout == "lines of 1024":  # one line is a row of the dataset, as with TRL's packing
        lines = fill([len(row.input_ids) for row in made], sft.LENGTH)
        config.per_device_train_batch_size = max(1, round(batch * len(lines) / len(made)))

        def collate(features: list[dict[str, Any]]) -> dict[str, Any]:
            if "lines" not in features[0]:
                return packer(0)(features)
            numbers = [feature["lines"] for feature in features]
            return packed([[(made[n].input_ids, made[n].labels) for n in line] for line in numbers], 0)

        from datasets import Dataset

        dataset = Dataset.from_dict({"lines": lines, "input_ids": [[0]] * len(lines), "labels": [[0]] * len(lines)})
    trainer = ours._trainer_class()(
        model=sft.model(),
        args=config,
        data_collator=collate,
        train_dataset=dataset,
        eval_dataset=ours._dataset(sft.rows(sft.VALIDATION, 2)),
        processing_class=sft.tokenizer(),
    )
    return sft.measure(trainer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--one", nargs=2, metavar=("LAYOUT", "BATCH"), help="run one arm in this process")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    if given.one:
        import torch

        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            print("RESULT " + json.dumps(trained(given.one[0], int(given.one[1]), Path(folder))))
        return
    arms = [(layout, batch) for batch in SIZES for layout in LAYOUTS]
    found: dict[tuple[str, int], list[dict[str, Any]]] = {arm: [] for arm in arms}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    for _ in range(given.runs):  # in turns, so that a busy spell of the machine meets all arms
        for layout, batch in arms:
            command = [sys.executable, __file__, "--one", layout, str(batch)]
            ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            if ran.returncode:
                sys.exit(ran.stderr)
            line = next(line for line in ran.stdout.split("\n") if line.startswith("RESULT "))
            found[layout, batch].append(json.loads(line.removeprefix("RESULT ")))
    tokens = sum(len(row.input_ids) for row in sft.rows(sft.ROWS, 1))
    print(f"{sft.ROWS} rows, {tokens} real tokens, 1 thread, all weights tuned, one epoch, median of {given.runs}")
    print(f"{'batch':>5}  {'layout':24}{'s/epoch':>9}{'tokens/s':>10}{'peak MiB':>10}{'validation':>12}")
    for (layout, batch), runs in found.items():
        seconds, peak = (statistics.median(run[name] for run in runs) for name in ("seconds", "peak"))
        loss = runs[0]["validation"]
        print(f"{batch:5}  {layout:24}{seconds:9.2f}{tokens / seconds:10.0f}{peak:10.0f}{loss:12.4f}")


if __name__ == "__main__":
    main()
