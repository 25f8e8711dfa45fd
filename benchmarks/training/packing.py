"""Has packing anything left to gain over grouping by length? Tokens computed for a real one, in four layouts.

Run ``python benchmarks/training/packing.py`` (seconds; nothing is trained, the counts are exact). Rows are those of
``sft.py``: log-normal prompts, short answers. The layouts: rows padded in random order; grouped by length and padded;
grouped, sharing lines no longer than the longest row of their batch (``train.packing: auto``); and lines of 1,024
tokens filled best-fit from the whole epoch, as TRL's ``bfd``. The figure in brackets counts attention too, which on a
CPU is dense over a line, whatever its rows may see: a token costs 1 + line / (6 x width of the model) of its linear
layers.
"""

from __future__ import annotations

import random

import sft

LAYOUTS = ("padded", "grouped", "grouped, sharing lines", "lines of 1024")
CASES = ((24, 4), (24, 12), (60, 8), (400, 8), (2000, 32))
"""Rows and rows a batch."""


def batches(layout: str, lengths: list[int], batch: int) -> list[tuple[int, int]]:
    """Return (lines, width) of every batch of an epoch."""
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    from understudy.core.packing import fill

    if layout == "lines of 1024":
        return [(1, sum(lengths[n] for n in line)) for line in fill(lengths, sft.LENGTH)]
    order = random.Random(7).sample(range(len(lengths)), len(lengths))
    if layout.startswith("grouped"):
        order = get_length_grouped_indices(lengths, batch, generator=torch.Generator().manual_seed(7))
    found = []
    for begin in range(0, len(order), batch):
        rows = [lengths[n] for n in order[begin : begin + batch]]
        lines = fill(rows, max(rows)) if layout.endswith("lines") else rows
        found.append((len(lines), max(rows)))
    return found


def main() -> None:
    def work(lines: int, width: int) -> float:
        return lines * width * (1 + width / (6 * sft.SMALL.hidden))

    print(f"{'rows':>5}{'batch':>6}" + "".join(f"{layout:>24}" for layout in LAYOUTS))
    for rows, batch in CASES:
        lengths = [len(row.input_ids) for row in sft.rows(rows, 1, sft.SMALL.vocabulary)]
        told = ""
        for layout in LAYOUTS:
            made = batches(layout, lengths, batch)
            tokens = sum(lines * width for lines, width in made) / sum(lengths)
            told += f"{tokens:>15.2f} ({sum(work(*one) for one in made) / sum(work(1, n) for n in lengths):5.2f})"
            told += " "
        print(f"{rows:5}{batch:6}{told}")


if __name__ == "__main__":
    main()
