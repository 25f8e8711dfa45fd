"""Direct preference optimisation: TRL's trainer, configured, fed and watched.

Losses, metrics and the loop are TRL's. Ours are the rows (tokenized as in generation, nothing cut), where the head
looks and how often a prompt is read (:mod:`understudy.core._prefix_sharing`), and the reference, which is scored once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core._prefix_sharing import Scorer, refusal
from understudy.core._references import References, forget_copy, seen_by_all
from understudy.core._running import Outcome, callbacks, conclude, finished_outcome, grouped_loader, run, run_arguments
from understudy.core._watching import Event, not_a_number
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.preferences import PairRow
from understudy.core.preflight import check_rows
from understudy.core.ranks import once
from understudy.core.rows import IGNORE, answer_row
from understudy.core.runs import stage_settings
from understudy.core.settings import PreferenceSettings, TrainSettings
from understudy.core.starts import Start, prepared_model
from understudy.core.tuning.prefix import learns_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["RATE", "train_dpo"]

RATE = "preference.learning_rate"
"""The setting to lower when a preference loss runs away."""


def train_dpo(
    start: Start,
    tokenizer: PreTrainedTokenizerBase,
    training: Sequence[PairRow],
    validation: Sequence[PairRow],
    train: TrainSettings,
    preference: PreferenceSettings,
    hardware: Hardware,
    folder: Path,
    references: Path,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Tune ``start`` towards the better answers and return the checkpoint with the lowest validation loss.

    Resumes, ends early and returns at once when finished as :func:`understudy.core.sft.train_sft` does.

    Args:
        start: the weights; they are the reference as well.
        tokenizer: of ``start``.
        training: pairs to learn from.
        validation: pairs to watch.
        train: method, batch, length and seed; epochs and learning rate come from ``preference``.
        preference: loss and strength.
        hardware: where to run.
        folder: of this run, see :mod:`understudy.core.runs`.
        references: folder where reference log-probabilities are kept, for all runs.
        on_event: called with every event.

    Raises:
        BadInput: no pairs, or the loss is no longer a number; the row is named and the last good checkpoint kept.
    """
    if not training or not validation:
        raise BadInput(f"dpo needs pairs: {len(training)} to train on, {len(validation)} to validate on")
    done = once(lambda: finished_outcome(folder))
    if done is not None:
        return done
    from transformers import set_seed

    settings = stage_settings(train, preference)
    set_seed(settings.seed)
    model, adapter = prepared_model(start, settings, hardware)
    rows = [*training, *validation]
    answers = (answer_row(row.prompt, answer, row.id) for row in rows for answer in (row.chosen, row.rejected))
    check_rows(answers, model, tokenizer, settings.max_length)
    apart = _why_apart(model, adapter, rows, preference)
    store = References(references, start.revision, f"dpo bf16={hardware.bf16} shared={not apart}")
    trainer = _trainer_class()(
        rows,
        store,
        not apart,
        folder,
        model=model,
        args=_config(settings, preference, hardware, folder, len(training)),
        data_collator=_collator(rows, int(tokenizer.pad_token_id)),
        train_dataset=seen_by_all(_dataset(rows, range(len(training)), store), folder / "pairs" / "train"),
        eval_dataset=seen_by_all(_dataset(rows, range(len(training), len(rows)), store), folder / "pairs" / "eval"),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks(settings, folder, on_event, RATE),
    )
    store.save()
    forget_copy(trainer.model)
    note = f"each prompt is read twice, once for each answer: {apart}" if apart else "each prompt is read once"
    trained = run(trainer, tokenizer, folder, answer_row(validation[0].prompt, validation[0].chosen))
    del trainer, model  # so that there is room to load what was saved
    return conclude(trained, start, settings, hardware, folder, (note,))


def _why_apart(model: Any, adapter: Any, rows: Sequence[PairRow], preference: PreferenceSettings) -> str:
    """Return why the two answers of a pair must stand in rows of their own, empty when they can share one."""
    if not preference.share_prefixes:
        return "preference.share_prefixes is off"
    if learns_prompt(model, adapter):
        return "learnt prefixes leave no room for a mask of our own"
    longest = max(rows, key=lambda row: row.length)
    return refusal(model, longest.prompt, longest.chosen, longest.rejected)


def _config(
    settings: TrainSettings, preference: PreferenceSettings, hardware: Hardware, folder: Path, rows: int
) -> Any:
    from trl import DPOConfig

    # TRL's ``sigmoid`` takes no label smoothing; ``robust`` is the same loss made unbiased for pairs that are swapped.
    loss = "robust" if preference.label_smoothing else preference.loss
    return DPOConfig(
        **run_arguments(settings, hardware, folder, rows),
        loss_type=[loss],
        label_smoothing=preference.label_smoothing,
        beta=preference.beta,
        max_length=None,
        precompute_ref_log_probs=True,
    )


def _dataset(rows: Sequence[PairRow], numbers: range, store: References) -> Any:
    """Return row numbers as a dataset; TRL insists on tokenizing texts, so it gets dots, and never uses them.

    ``reference`` tells apart datasets of equal shape: the library keeps results by the dataset's content.
    """
    from datasets import Dataset

    chosen = [rows[number] for number in numbers]
    dots = ["."] * len(chosen)
    return Dataset.from_dict(
        {
            "prompt": [""] * len(dots),
            "chosen": dots,
            "rejected": dots,
            "row": list(numbers),
            "length": [row.length for row in chosen],
            "reference": [store.key(row.prompt, row.chosen, row.rejected) for row in chosen],
        }
    )


def _collator(rows: Sequence[PairRow], pad: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    import torch
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    stock = DataCollatorForPreference(pad_token_id=pad)

    def collate(features: list[dict[str, Any]]) -> dict[str, Any]:
        examples = []
        for feature in features:
            row = rows[feature["row"]]
            ids = {"prompt_ids": row.prompt, "chosen_ids": row.chosen, "rejected_ids": row.rejected}
            examples.append(feature | ids)
        batch: dict[str, Any] = stock(examples)
        return batch | {"row": torch.tensor([feature["row"] for feature in features])}

    return collate


def _trainer_class() -> Any:
    """Return the trainer; a class inside a function, because importing TRL takes seconds."""
    import torch
    from trl import DPOTrainer

    class PairTrainer(DPOTrainer):
        """DPOTrainer that scores answer tokens only, shares prompts where it may, and keeps reference figures."""

        def __init__(
            self, rows: Sequence[PairRow], store: References, shared: bool, folder: Path, **arguments: Any
        ) -> None:
            self._pairs, self._store, self._share, self._folder = rows, store, shared, folder
            self._fresh = arguments["peft_config"] is not None
            super().__init__(**arguments)

        def get_train_dataloader(self) -> Any:
            """Take pairs of similar lengths together, in an order that all processes agree on."""
            if self.args.train_sampling_strategy != "group_by_length":
                return super().get_train_dataloader()
            pairs: Any = self.train_dataset
            return grouped_loader(self, pairs["length"])

        def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
            """Return the chosen and the rejected answers' log-probabilities before the first step."""
            pairs = [self._pairs[number] for number in inputs["row"].tolist()]
            keys = [self._store.key(pair.prompt, pair.chosen, pair.rejected) for pair in pairs]

            def score() -> list[list[float]]:
                scorer = Scorer(model, shared=self._share)
                labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, IGNORE)
                base = model.disable_adapter() if self._fresh else nullcontext()
                with torch.no_grad(), self.accelerator.autocast(), base:
                    scorer(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], labels=labels)
                assert scorer.sums is not None
                return scorer.sums.view(2, -1).T.tolist()

            return torch.tensor(self._store.figures(keys, score), device=self.accelerator.device).unbind(dim=1)

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Return TRL's loss; equal to that of stock TRL to rounding."""
            batch = {key: value for key, value in inputs.items() if key != "row"}
            scorer = Scorer(model, shared=self._share)
            # On a GPU TRL's own head looks at answers only, too, and only it knows a mixture of experts' second loss.
            stock = self.aux_loss_enabled or (self.args.device.type == "cuda" and not self._share)
            loss = super().compute_loss(model if stock else scorer, batch, return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]
            value = float((loss[0] if return_outputs else loss).detach())
            if not abs(value) < float("inf"):
                row = _culprit(scorer, inputs["row"].tolist())
                place = f"the pair {self._pairs[row].id}"
                raise not_a_number(value, self.state.global_step + 1, self._folder, RATE, place)
            return loss

    return PairTrainer


def _culprit(scorer: Scorer, numbers: Sequence[int]) -> int:
    """Return the number of the first row whose answers have no finite log-probability, else of the first row."""
    if scorer.sums is None:
        return numbers[0]
    finite = scorer.sums.isfinite().view(-1, len(numbers)).all(dim=0).tolist()
    return next((number for number, fine in zip(numbers, finite, strict=True) if not fine), numbers[0])
