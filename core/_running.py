"""What every stage of training shares: its events, its arguments, going on after a kill, and the outcome.

A stage builds one of TRL's trainers with :func:`run_arguments` and :func:`callbacks`, trains it with :func:`run`,
gives its memory back and ends with :func:`conclude`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core._watching import Event, last_checkpoint, overfitting, read_events, watcher
from understudy.core.files import write_json
from understudy.core.golden import write_golden
from understudy.core.hardware import Hardware, keep_memory
from understudy.core.ranks import by_length, confirm, count, first, once, whole
from understudy.core.rows import Row
from understudy.core.settings import TrainSettings
from understudy.core.starts import Start
from understudy.core.tuning import trainable_share, widen
from understudy.core.tuning.checks import check_saved, row_logits

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "Outcome",
    "Trained",
    "callbacks",
    "conclude",
    "finished_outcome",
    "grouped_loader",
    "run",
    "run_arguments",
]

_BEST = "best"
_OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """What a finished run left behind."""

    folder: Path
    """The best checkpoint as a model folder (``full``) or a PEFT adapter folder (all others), with its tokenizer."""
    kind: str
    events: tuple[Event, ...]
    best_validation_loss: float
    """Lowest of the run; the kept checkpoint's own is higher if the task metric chose it."""
    stopped_early: bool
    trainable: int
    parameters: int
    checks: dict[str, float] = field(default_factory=dict)
    """What :func:`~understudy.core.tuning.checks.check_saved` measured."""
    notes: tuple[str, ...] = ()
    """What was decided on the way, a sentence each."""


def finished_outcome(folder: Path) -> Outcome | None:
    """Return what the run in ``folder`` left behind if it came to its end, else None."""
    path = folder / _OUTCOME
    return _read_outcome(path) if path.exists() else None


def run_arguments(settings: TrainSettings, hardware: Hardware, folder: Path, rows: int) -> dict[str, Any]:
    """Return the arguments that TRL's configurations of all stages have in common.

    Args:
        settings: as :class:`understudy.core.settings.TrainSettings` says.
        hardware: where to run.
        folder: for checkpoints.
        rows: training rows, which decide how often the loss is logged, and whether there are steps to warm up in.
    """
    steps = settings.epochs * math.ceil(rows / (settings.batch_size * settings.gradient_accumulation * count()))
    return {
        "output_dir": str(folder),
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": settings.batch_size,
        "per_device_eval_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "warmup_steps": settings.warmup if settings.warmup * steps >= 1 else 0,  # a run of one step would learn nothing
        "lr_scheduler_type": "cosine",
        "weight_decay": settings.weight_decay,
        "train_sampling_strategy": "group_by_length",
        "seed": settings.seed,
        "data_seed": settings.seed,
        "use_cpu": hardware.device == "cpu",
        "bf16": hardware.bf16,
        "activation_checkpointing": hardware.recompute,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "restore_callback_states_from_checkpoint": True,  # early stopping goes on counting where it was
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "logging_steps": max(1, rows // settings.batch_size // 25),
        "logging_nan_inf_filter": False,
        "report_to": settings.report_to,
        "include_num_input_tokens_seen": "non_padding",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "remove_unused_columns": False,
        "ddp_find_unused_parameters": False,
        "log_level_replica": "error",
    }


def grouped_loader(trainer: Any, lengths: Sequence[int]) -> DataLoader[Any]:
    """Return the training batches of ``trainer``, in each step rows of similar ``lengths`` (see :func:`by_length`)."""
    from torch.utils.data import DataLoader

    args = trainer.args
    step = args.train_batch_size * args.gradient_accumulation_steps * trainer.accelerator.num_processes
    loader: DataLoader[Any] = DataLoader(
        trainer.train_dataset,
        batch_size=args.train_batch_size,
        sampler=by_length(lengths, step, args.seed),
        collate_fn=trainer.data_collator,
    )
    prepared: DataLoader[Any] = trainer.accelerator.prepare(loader)
    return prepared


def callbacks(
    settings: TrainSettings, folder: Path, on_event: Callable[[Event], None], rate: str = "train.learning_rate"
) -> list[Any]:
    """Return the callbacks of a run: one that watches it, and one that ends it early if the settings say so.

    ``rate`` is the setting to name when the loss is no number any more.
    """
    from transformers import EarlyStoppingCallback

    folder.mkdir(parents=True, exist_ok=True)
    found = [watcher(folder, on_event, rate)]
    if settings.early_stopping_patience:
        found.append(EarlyStoppingCallback(settings.early_stopping_patience))
    return found


@dataclass(frozen=True)
class Trained:
    """What is left of a model in memory once it is saved: enough to compare with what lies on disk."""

    row: Row
    logits: torch.Tensor
    """For every token that ``row`` teaches, see :func:`~understudy.core.tuning.checks.row_logits`."""
    stopped_early: bool
    trainable: int
    parameters: int


def run(trainer: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, row: Row) -> Trained:
    """Train from the last whole checkpoint in ``folder``, or from the start, and keep the best one as ``best``."""
    from transformers import PrinterCallback

    keep_memory()
    confirm(trainer.accelerator)
    trainer.remove_callback(PrinterCallback)
    widen(trainer.model)
    trainable, parameters = trainable_share(trainer.model)
    trainer.train(resume_from_checkpoint=once(lambda: last_checkpoint(folder)))
    trainer.save_model(str(folder / _BEST))
    if first():
        tokenizer.save_pretrained(str(folder / _BEST))
        write_golden(folder / _BEST, tokenizer)
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    stopped_early = trainer.state.global_step < trainer.state.max_steps
    return Trained(row, row_logits(model, row), stopped_early, trainable, parameters)


def conclude(
    trained: Trained,
    start: Start,
    settings: TrainSettings,
    hardware: Hardware,
    folder: Path,
    notes: tuple[str, ...] = (),
) -> Outcome:
    """Compare what was saved with what was trained, whose memory is given back by now, and write the outcome down.

    Raises:
        BadInput: the two are not the same model.
    """
    return once(lambda: _concluded(trained, start, settings, hardware, folder, notes))


def _concluded(
    trained: Trained, start: Start, settings: TrainSettings, hardware: Hardware, folder: Path, notes: tuple[str, ...]
) -> Outcome:
    events = read_events(folder)
    outcome = Outcome(
        folder=folder / _BEST,
        kind="full" if settings.method == "full" else "adapter",
        events=events,
        best_validation_loss=min(e.validation_loss for e in events if e.validation_loss is not None),
        stopped_early=trained.stopped_early,
        trainable=trained.trainable,
        parameters=trained.parameters,
        checks=check_saved(trained.logits, start.base, folder / _BEST, settings, whole(hardware), trained.row),
        notes=(*notes, *overfitting(events)),
    )
    write_json(folder / _OUTCOME, {**asdict(outcome), "folder": _BEST, "events": len(events)})
    return outcome


def _read_outcome(path: Path) -> Outcome:
    values = json.loads(path.read_text("utf-8"))
    folder = path.parent
    known = {"folder": folder / values["folder"], "events": read_events(folder)}
    return Outcome(**{**values, **known, "notes": tuple(values.get("notes", ()))})
