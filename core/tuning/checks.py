"""After training: what lies on disk must be the model that was trained.

Adapters get lost in saving more often than one thinks: a key renamed, a layer left out, a base that is not quite the
same. So the saved folder is loaded as a user would load it and must give the logits of the model in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.bases import Base
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.rows import Row
from understudy.core.settings import TrainSettings
from understudy.core.tuning import attach, merge, mergeable
from understudy.core.tuning.loading import load_to_tune, load_tuned

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["check_saved", "row_logits"]

_RELOADED = 1e-3
"""Largest difference allowed, as a share of the largest logit: rounding differs with the size of a batch, no more."""
_MERGED = 1e-2
"""The same after merging, which rounds every weight once more."""


def row_logits(model: PreTrainedModel, row: Row) -> torch.Tensor:
    """Return the logits for every token that ``row`` teaches: (tokens, vocabulary), float32, on the CPU."""
    import torch

    model.eval()
    learnt = [index for index, label in enumerate(row.labels[1:]) if label >= 0]
    ids = torch.tensor([row.input_ids], device=model.device)
    with torch.no_grad():
        logits: torch.Tensor = model(ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    return logits[0, learnt].float().cpu()


def check_saved(
    trained: torch.Tensor, base: Base, folder: Path, settings: TrainSettings, hardware: Hardware, row: Row
) -> dict[str, float]:
    """Load ``folder`` again and compare it on one row; give the memory of the trained model back before.

    Args:
        trained: what :func:`row_logits` returned for the model in memory.
        base: what it was trained from.
        folder: what was saved.
        settings: method and shape.
        hardware: where to compute.
        row: the row of ``trained``.

    Returns:
        The largest difference of a logit: ``reload_difference``, and where the method can be merged
        ``merge_difference``.

    Raises:
        BadInput: a difference is larger than rounding explains; the folder must not be used.
    """
    model = load_tuned(base, folder, settings, hardware, dtype="float32")
    found = {"reload_difference": _difference(trained, row_logits(model, row), _RELOADED, f"{folder}, loaded again,")}
    if settings.method != "full" and mergeable(model):  # type: ignore[arg-type]
        if getattr(model, "is_quantized", False):  # the merge is of another base, so it needs its own to compare with
            model = attach(load_to_tune(base, settings, hardware).dequantize(), folder)  # type: ignore[assignment]
            trained = row_logits(model, row)
        merged = merge(model)  # type: ignore[arg-type]
        found["merge_difference"] = _difference(trained, row_logits(merged, row), _MERGED, f"{folder}, merged,")
    return found


def _difference(trained: torch.Tensor, again: torch.Tensor, share: float, what: str) -> float:
    difference = float((trained - again).abs().max())
    allowed = share * max(1.0, float(trained.abs().max()))
    if not difference <= allowed:  # a NaN fails too
        raise BadInput(
            f"{what} is not the model that was trained: its logits differ by {difference:.3g}, and {allowed:.3g} is "
            "rounding; do not use it, and please report this with the versions of torch, transformers and peft"
        )
    return difference
