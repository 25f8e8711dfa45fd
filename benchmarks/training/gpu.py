"""The table of ``sft.py`` on a GPU, with a random model in the shape of a 1 B Llama, and the share of the matrix peak.

Run ``python benchmarks/training/gpu.py`` on a machine with a CUDA device of 40 GB or more; without one it says so and
ends well. The share is that of the model's arithmetic, 6 operations for each weight outside the embeddings and real
token (arXiv 2204.02311, appendix B, without attention), in what the device reaches on a bf16 product of two square
matrices of 8192. Padding, recomputed activations and the head lower it.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from _arms import median, take_turns
from sft import OURS, PACKED, STOCK, Work, ours, report, stock

LLAMA = Work(rows=192, batch=8, vocabulary=128256, hidden=2048, inner=8192, layers=16, heads=32, kv_heads=8)
_SIDE = 8192


def peak(_: Path) -> dict[str, Any]:
    """Return the operations per second of a large bf16 product, the best of five."""
    import torch
    from _arms import clock

    one = torch.randn(_SIDE, _SIDE, device="cuda", dtype=torch.bfloat16)
    now, best = clock("cuda"), float("inf")
    for _turn in range(6):  # the first warms up
        began = now()
        one @ one
        best = min(best, now() - began)
    return {"operations": 2 * _SIDE**3 / best}


def weights() -> int:
    """Return how many weights of the model are used for every token, the embeddings left out."""
    import torch

    with torch.device("meta"):
        model = LLAMA.model()
    return sum(weight.numel() for name, weight in model.named_parameters() if "embed" not in name)


def main() -> None:
    import torch

    if not torch.cuda.is_available():
        print("not run: there is no CUDA device")
        sys.exit()
    arms = {
        STOCK: partial(stock, checkpointing=True, packing=False, work=LLAMA),
        PACKED: partial(stock, checkpointing=True, packing=True, work=LLAMA),
        "TRL, no checkpointing": partial(stock, checkpointing=False, packing=False, work=LLAMA),
        OURS: partial(ours, work=LLAMA),
        "matrices": peak,
    }
    found = take_turns(arms)
    reached = median(found.pop("matrices"), "operations")
    report(found, LLAMA)
    done = 6 * weights() * sum(map(len, LLAMA.data(1)["input_ids"]))
    print(f"{torch.cuda.get_device_name()}: {reached / 1e12:.0f} TFLOP/s in a bf16 product")
    for name, runs in found.items():
        print(f"{name:36}{done / median(runs, 'seconds') / reached:9.1%} of it")


if __name__ == "__main__":
    main()
