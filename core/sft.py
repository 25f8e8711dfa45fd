"""Supervised fine-tuning: TRL's trainer, configured, fed and watched.

The one thing changed is where the loss looks: on a CPU, TRL 1.16 scores every position, prompts included; ours scores
only the supervised ones, through TRL's own extension point ``compute_loss``. Losses are equal, the step is about
1.7 times as fast for long prompts with short answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core._running import Outcome, callbacks, conclude, finished_outcome, grouped_loader, run, run_arguments
from understudy.core._watching import Event, not_a_number
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.packing import packer, refusal
from understudy.core.preflight import check_rows
from understudy.core.ranks import gathered, once
from understudy.core.rows import IGNORE, Row
from understudy.core.settings import TrainSettings
from understudy.core.starts import Start, prepared_model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl import SFTConfig

__all__ = ["Event", "Outcome", "finished_outcome", "train_sft"]

_TASK = "eval_task"
"""The score's name among the trainer's metrics."""


def train_sft(
    start: Start,
    tokenizer: PreTrainedTokenizerBase,
    training: Sequence[Row],
    validation: Sequence[Row],
    settings: TrainSettings,
    hardware: Hardware,
    folder: Path,
    on_event: Callable[[Event], None] = lambda event: None,
    task: Callable[[Any], float] | None = None,
) -> Outcome:
    """Fine-tune ``start`` on ``training`` and return the checkpoint with the lowest validation loss.

    A run that was killed goes on from its last epoch when called again with the same ``folder`` (see
    :mod:`understudy.core.runs`); a finished one returns at once. Validation runs after each epoch; training ends early
    after ``settings.early_stopping_patience`` epochs without improvement. With ``task``, which scores the model's
    answers (higher is better) and leaves it as it was, that score takes the place of the validation loss in both.

    Raises:
        BadInput: no training rows, the loss is no longer a number, the method does not fit the base, or what was saved
            is not what was trained.
    """
    if not training or not validation:
        raise BadInput(f"training needs rows: {len(training)} to train on, {len(validation)} to validate on")
    done = once(lambda: finished_outcome(folder))
    if done is not None:
        return done
    from transformers import set_seed

    set_seed(settings.seed)
    model, adapter = prepared_model(start, settings, hardware)
    rows = [*training, *validation]
    check_rows(rows, model, tokenizer, settings.max_length)
    apart = refusal(model, adapter, rows) if settings.packing == "auto" else "train.packing is off"
    trainer = _trainer_class()(
        rows=rows,
        folder=folder,
        task=task,
        model=model,
        args=_config(settings, hardware, folder, len(training), watches=task is not None),
        data_collator=None if apart else packer(int(tokenizer.pad_token_id)),
        train_dataset=_dataset(training),
        eval_dataset=_dataset(validation),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks(settings, folder, on_event),
    )
    trained = run(trainer, tokenizer, folder, validation[0])
    del trainer, model  # so that there is room to load what was saved
    note = f"packing: each row has a line of its own: {apart}" if apart else "packing: rows share lines where they fit"
    return conclude(trained, start, settings, hardware, folder, (note,))


def _config(
    settings: TrainSettings, hardware: Hardware, folder: Path, rows: int, *, watches: bool = False
) -> SFTConfig:
    from trl import SFTConfig

    decides = {"metric_for_best_model": _TASK, "greater_is_better": True} if watches else {}
    return SFTConfig(
        **(run_arguments(settings, hardware, folder, rows) | decides),
        max_length=settings.max_length,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def _dataset(rows: Sequence[Row]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})


def _trainer_class() -> Any:
    """Return the trainer; a class inside a function, because importing TRL takes seconds."""
    import torch
    from torch.nn import functional
    from trl import SFTTrainer

    class SupervisedOnlyTrainer(SFTTrainer):
        """SFTTrainer whose head scores the supervised positions only, and that names the rows of a broken loss."""

        def __init__(
            self,
            *,
            rows: Sequence[Row] = (),
            folder: Path = Path(),
            task: Callable[[Any], float] | None = None,
            **arguments: Any,
        ) -> None:
            self._rows, self._folder, self._task = rows, folder, task
            self._validated: list[tuple[float, int]] = []
            super().__init__(**arguments)

        def get_train_dataloader(self) -> Any:
            """Take rows of similar lengths together, in an order that all processes agree on."""
            if self.args.train_sampling_strategy != "group_by_length":
                return super().get_train_dataloader()
            rows: Any = self.train_dataset
            return grouped_loader(self, [len(ids) for ids in rows["input_ids"]])

        def evaluation_loop(self, *arguments: Any, **named: Any) -> Any:
            """Take the mean over all validation tokens, not over batches, and add the task's score."""
            self._validated.clear()
            out = super().evaluation_loop(*arguments, **named)
            parts = [part for parts in gathered(self._validated) for part in parts]
            assert out.metrics is not None
            out.metrics["eval_loss"] = sum(loss for loss, _ in parts) / sum(tokens for _, tokens in parts)
            task = self._task
            if task is not None:
                out.metrics[_TASK] = once(lambda: task(self.model))
            return out

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Return the mean cross-entropy over supervised tokens; equal to stock TRL's ``nll`` to rounding."""
            if "position_ids" in inputs:  # rows share lines; see :mod:`understudy.core.packing`
                inputs = {key: value for key, value in inputs.items() if key != "attention_mask"}
            if self.args.device.type == "cuda" and model.training:  # there TRL's fused head does the same, faster
                return super().compute_loss(  # type: ignore[no-untyped-call]
                    model, inputs, return_outputs, num_items_in_batch
                )
            labels = inputs["labels"]
            target = functional.pad(labels[:, 1:], (0, 1), value=IGNORE)
            keep = target != IGNORE
            rest = {key: value for key, value in inputs.items() if key != "labels"}
            out = model(**rest, use_cache=False, logits_to_keep=keep)
            items = keep.sum() if num_items_in_batch is None else num_items_in_batch
            loss = functional.cross_entropy(out.logits.float(), target[keep], reduction="sum")
            if not loss.isfinite():
                broken = ~out.logits.isfinite().all(dim=-1)
                places = keep.nonzero()[broken if broken.any() else slice(None)].tolist()
                names = dict.fromkeys(_name(self._rows, inputs, *place) for place in places)
                place = f"row {', '.join(names)}"
                raise not_a_number(float(loss), self.state.global_step + 1, self._folder, "train.learning_rate", place)
            if not model.training:
                self._validated.append((float(loss), int(keep.sum())))
            loss = loss / torch.as_tensor(items).clamp(min=1)
            if self.args.average_tokens_across_devices and num_items_in_batch is not None:
                loss = loss * self.accelerator.num_processes
            return (loss, out) if return_outputs else loss

    return SupervisedOnlyTrainer


def _name(rows: Sequence[Row], batch: Any, line: int, column: int) -> str:
    """Return the id of the row that stands at a place of a batch."""
    ids = batch["input_ids"][line].tolist()
    if "position_ids" in batch:
        begins = [*(batch["position_ids"][line] == 0).nonzero().flatten().tolist(), len(ids)]
        begin = max(place for place in begins if place <= column)
        ids = ids[begin : min(place for place in begins if place > column)]
    else:
        ids = ids[: int(batch["attention_mask"][line].sum())]
    return next((row.id for row in rows if row.input_ids == ids), "") or f"{line + 1} of the batch"
