"""Kahneman-Tversky optimisation (arXiv 2402.01306) for lone thumbs: TRL's trainer, configured, fed and watched.

TRL estimates how far the model has moved from answers given to other prompts, its neighbours in a batch. Which answers
are neighbours is fixed here once for the whole run, so that the reference can be scored once; they may stand in the
batch of another process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core._prefix_sharing import Scorer
from understudy.core._references import References, as_it_began, forget_copy, seen_by_all
from understudy.core._running import Outcome, callbacks, conclude, finished_outcome, run, run_arguments
from understudy.core._watching import Event, check_finite
from understudy.core.dpo import RATE
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.preferences import ThumbRow
from understudy.core.preflight import check_rows
from understudy.core.ranks import count, once
from understudy.core.rows import IGNORE, answer_row
from understudy.core.runs import stage_settings
from understudy.core.settings import PreferenceSettings, TrainSettings
from understudy.core.starts import Start, prepared_model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["train_kto"]


def train_kto(
    start: Start,
    tokenizer: PreTrainedTokenizerBase,
    training: Sequence[ThumbRow],
    validation: Sequence[ThumbRow],
    train: TrainSettings,
    preference: PreferenceSettings,
    hardware: Hardware,
    folder: Path,
    references: Path,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Tune ``start`` towards liked answers and away from others; arguments and errors as for :func:`train_dpo`.

    Raises:
        BadInput: no rows, all of one kind, batches of one row, or the loss is no longer a number.
    """
    _refuse(training, validation, train)
    done = once(lambda: finished_outcome(folder))
    if done is not None:
        return done
    from transformers import set_seed

    settings = stage_settings(train, preference)
    set_seed(settings.seed)
    model, adapter = prepared_model(start, settings, hardware)
    rows = [*training, *validation]
    check_rows((answer_row(row.prompt, row.answer, row.id) for row in rows), model, tokenizer, settings.max_length)
    together = settings.batch_size * count()
    others = _neighbours(len(training), together)
    others += [len(training) + number for number in _neighbours(len(validation), together)]
    store = References(references, start.revision, f"kto bf16={hardware.bf16}")
    trainer = _trainer_class()(
        rows,
        others,
        store,
        folder,
        model=model,
        args=_config(settings, preference, hardware, folder, len(training)),
        data_collator=_collator(rows, others, int(tokenizer.pad_token_id)),
        train_dataset=seen_by_all(_dataset(rows, others, range(len(training)), store), folder / "rows" / "train"),
        eval_dataset=seen_by_all(
            _dataset(rows, others, range(len(training), len(rows)), store), folder / "rows" / "eval"
        ),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks(settings, folder, on_event, RATE),
    )
    store.save()
    forget_copy(trainer.model)
    trained = run(trainer, tokenizer, folder, answer_row(validation[0].prompt, validation[0].answer))
    del trainer, model  # so that there is room to load what was saved
    return conclude(trained, start, settings, hardware, folder)


def _refuse(training: Sequence[ThumbRow], validation: Sequence[ThumbRow], train: TrainSettings) -> None:
    good = sum(row.good for row in training)
    if not good or good == len(training) or not validation:
        raise BadInput(
            f"kto needs liked and disliked answers: {good} and {len(training) - good} to train on, "
            f"{len(validation)} to validate on"
        )
    if train.batch_size < 2:
        raise BadInput("kto compares each answer with its neighbours in the batch: train.batch_size must be at least 2")


def _neighbours(count: int, size: int) -> list[int]:
    """Return for each row the one whose answer it borrows: the one before it, in blocks of ``size``, in a ring.

    A last block of one row would borrow from itself; it borrows from the row before it.
    """
    found = []
    for begin in range(0, count, size):
        end = min(begin + size, count)
        found += [max(0, begin - 1)] if end - begin == 1 else [end - 1, *range(begin, end - 1)]
    return found


def _config(
    settings: TrainSettings, preference: PreferenceSettings, hardware: Hardware, folder: Path, rows: int
) -> Any:
    from trl import KTOConfig

    return KTOConfig(
        **run_arguments(settings, hardware, folder, rows) | {"train_sampling_strategy": "sequential"},  # TRL insists
        beta=preference.beta,
        desirable_weight=preference.desirable_weight,
        undesirable_weight=preference.undesirable_weight,
        max_length=None,
        precompute_ref_log_probs=True,
    )


def _key(store: References, rows: Sequence[ThumbRow], others: Sequence[int], number: int) -> str:
    return store.key(rows[number].prompt, rows[number].answer, rows[others[number]].answer)


def _dataset(rows: Sequence[ThumbRow], others: Sequence[int], numbers: range, store: References) -> Any:
    """Return row numbers as a dataset, as :mod:`understudy.core.dpo` does and for the same reasons."""
    from datasets import Dataset

    dots = ["."] * len(numbers)
    return Dataset.from_dict(
        {
            "prompt": [""] * len(dots),
            "completion": dots,
            "label": [rows[number].good for number in numbers],
            "row": list(numbers),
            "reference": [_key(store, rows, others, number) for number in numbers],
        }
    )


def _collator(
    rows: Sequence[ThumbRow], others: Sequence[int], pad: int
) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    import torch
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    stock = DataCollatorForUnpairedPreference(pad_token_id=pad)

    def collate(features: list[dict[str, Any]]) -> dict[str, Any]:
        examples = []
        for feature in features:
            row, other = rows[feature["row"]], rows[others[feature["row"]]]
            ids = {"prompt_ids": row.prompt, "completion_ids": row.answer, "KL_completion_ids": other.answer}
            examples.append(feature | ids)
        batch: dict[str, Any] = stock(examples)
        return batch | {"row": torch.tensor([feature["row"] for feature in features])}

    return collate


def _trainer_class() -> Any:
    """Return the trainer; a class inside a function, because importing TRL takes seconds."""
    import torch
    from trl import KTOTrainer

    class ThumbTrainer(KTOTrainer):
        """KTOTrainer that scores answer tokens only and keeps reference figures."""

        def __init__(
            self, rows: Sequence[ThumbRow], others: Sequence[int], store: References, folder: Path, **arguments: Any
        ) -> None:
            self._thumbs, self._others, self._store, self._folder = rows, others, store, folder
            self._fresh = arguments["peft_config"] is not None
            super().__init__(**arguments)

        def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
            """Return the log-probabilities of the answers and of the borrowed ones before the first step."""
            keys = [_key(self._store, self._thumbs, self._others, number) for number in inputs["row"].tolist()]

            def score() -> list[list[float]]:
                with torch.no_grad(), self.accelerator.autocast(), as_it_began(model, fresh=self._fresh):
                    sums = [_sums(Scorer(model), inputs, prefix) for prefix in ("", "KL_")]
                return torch.stack(sums, dim=1).tolist()

            return torch.tensor(self._store.figures(keys, score), device=self.accelerator.device).unbind(dim=1)

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Return TRL's loss; equal to that of stock TRL to rounding."""
            batch = {key: value for key, value in inputs.items() if key != "row"}
            stock = self.aux_loss_enabled or self.args.device.type == "cuda"
            chosen = model if stock else Scorer(model)
            loss = super().compute_loss(chosen, batch, return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]

            def place() -> str:
                return f"the batch that begins with {self._thumbs[int(inputs['row'][0])].id}"

            check_finite(loss, self.state.global_step + 1, self._folder, RATE, place)
            return loss

    return ThumbTrainer


def _sums(scorer: Scorer, inputs: Any, prefix: str) -> Any:
    ids = inputs[f"{prefix}input_ids"]
    labels = ids.masked_fill(inputs[f"{prefix}completion_mask"] == 0, IGNORE)
    scorer(input_ids=ids, attention_mask=inputs[f"{prefix}attention_mask"], labels=labels)
    return scorer.sums
