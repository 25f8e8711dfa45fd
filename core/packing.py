"""Several rows of a batch in one line of tokens, so that less is padding, where no row can see its neighbours.

Positions begin again with every row, no mask is given, and transformers lets a token look only at those of its own run
of positions. A batch has the same rows as without packing, and lines no longer than its longest row: what is learnt in
a step is the same, attention costs no more, and a batch in which nothing fits beside another stays as it is.

That is exact for attention, and wrong for layers that read their neighbours whatever the mask says, such as
convolutions, and for prefixes, of which only the first row of a line gets one: :func:`refusal` finds out by trying.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from understudy.core.rows import IGNORE, Row
from understudy.core.tuning.prefix import learns_prompt

if TYPE_CHECKING:
    import torch

__all__ = ["fill", "packer", "refusal"]

_TOLERANCE = 1e-4
"""Largest difference of a logit, as a share of the largest: rounding stays under 1e-5, a leak is 0.01 and more."""
_LOOKED_AT = 16
"""Positions at both ends of a row that are compared; what leaks comes in at the beginning, or is attended to."""


def fill(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Return which rows share a line of at most ``width`` tokens: best fit, the longest first."""
    lines: list[list[int]] = []
    left: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        fitting = [line for line, room in enumerate(left) if room >= lengths[number]]
        if fitting:
            best = min(fitting, key=lambda line: left[line])
            lines[best].append(number)
            left[best] -= lengths[number]
        else:
            lines.append([number])
            left.append(width - lengths[number])
    return lines


def packer(pad: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """Return the collator: TRL's own where nothing fits beside another."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    stock = DataCollatorForLanguageModeling(pad_token_id=pad)

    def collate(features: list[dict[str, Any]]) -> dict[str, Any]:
        lengths = [len(feature["input_ids"]) for feature in features]
        lines = fill(lengths, max(lengths))
        if len(lines) == len(features):
            return dict(stock(features))
        return packed([[(features[n]["input_ids"], features[n]["labels"]) for n in line] for line in lines], pad)

    return collate


def packed(lines: Sequence[Sequence[tuple[Sequence[int], Sequence[int]]]], pad: int) -> dict[str, torch.Tensor]:
    """Return lines of (ids, labels) as a batch; padding is at position 0 each time, a row of its own.

    The mask is for counting tokens only: given to a model it would undo the borders.
    """
    import torch

    width = max(sum(len(ids) for ids, _ in line) for line in lines)
    batch = {
        "input_ids": torch.full((len(lines), width), pad),
        "labels": torch.full((len(lines), width), IGNORE),
        "position_ids": torch.zeros((len(lines), width), dtype=torch.long),
        "attention_mask": torch.zeros((len(lines), width), dtype=torch.long),
    }
    for number, line in enumerate(lines):
        begin = 0
        for ids, labels in line:
            place = number, slice(begin, begin + len(ids))
            batch["input_ids"][place] = torch.tensor(ids)
            batch["labels"][place] = torch.tensor([IGNORE, *labels[1:]])  # nothing of its own is before the first token
            batch["position_ids"][place] = torch.arange(len(ids))
            batch["attention_mask"][place] = 1
            begin += len(ids)
    return batch


def refusal(model: Any, adapter: Any, rows: Sequence[Row]) -> str:
    """Return why rows must not share lines on ``model``, empty when they may: measured on three rows, both ways.

    ``model`` must be in float32; ``adapter`` is the PEFT configuration of a new adapter that it will get, or None.
    """
    import torch

    if learns_prompt(model, adapter):
        return "a learnt prefix stands before the first row of a line only"
    ordered = sorted(rows, key=lambda row: len(row.input_ids))
    chosen = [ordered[0], ordered[-1], ordered[len(ordered) // 2]]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            apart = torch.cat([_edges(model, [row]) for row in chosen])
            together = _edges(model, chosen)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        return f"the model takes no rows in one line ({str(error).split(chr(10))[0]})"
    finally:
        model.train(training)
    off = float((apart - together).abs().max())
    if off <= _TOLERANCE * max(1.0, float(apart.abs().max())):
        return ""
    return f"logits differ by {off:.2g}: a layer reads across the border"


def _edges(model: Any, rows: Sequence[Row]) -> torch.Tensor:
    """Return the logits near both ends of rows that stand in one line."""
    import torch

    batch = packed([[(row.input_ids, row.labels) for row in rows]], 0)
    keep = torch.zeros(batch["input_ids"].shape[1], dtype=torch.bool)
    begin = 0
    for row in rows:
        end = begin + len(row.input_ids)
        keep[begin : min(end, begin + _LOOKED_AT)] = keep[max(begin, end - _LOOKED_AT) : end] = True
        begin = end
    device = model.device
    out = model(
        input_ids=batch["input_ids"].to(device),
        position_ids=batch["position_ids"].to(device),
        use_cache=False,
        logits_to_keep=keep[None].to(device),
    )
    logits: torch.Tensor = out.logits.float()
    return logits
