"""What every stage of training shares: its events, its arguments, going on after a kill, and the outcome.

A stage builds one of TRL's trainers with :func:`run_arguments` and :func:`callbacks`, trains it with :func:`run`,
gives its memory back and ends with :func:`conclude`.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core.errors import BadInput
from understudy.core.files import write_json
from understudy.core.golden import write_golden
from understudy.core.hardware import Hardware, keep_memory
from understudy.core.peak import peak_memory, reset_peak
from understudy.core.ranks import by_length, confirm, first, once, whole
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
    "Event",
    "Outcome",
    "Trained",
    "callbacks",
    "check_finite",
    "conclude",
    "finished_outcome",
    "grouped_loader",
    "last_checkpoint",
    "not_a_number",
    "run",
    "run_arguments",
]

_BEST = "best"
_RISEN = 1.05
"""Validation loss, as a multiple of its best, from which on one speaks of overfitting and not of noise."""
_SURE = 10
"""Steps after which one may say how long the rest will take."""
_EVENTS = "events.jsonl"
_OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Event:
    """One moment of training, as written to ``events.jsonl``."""

    step: int
    steps: int
    """Steps planned in all."""
    epoch: float
    seconds: float
    """Since this process began training."""
    loss: float | None = None
    """What is minimised; for grpo the share of the reward that was missed."""
    validation_loss: float | None = None
    gradient_norm: float | None = None
    tokens: int = 0
    """Tokens read since the first step, padding not counted."""
    tokens_per_second: float | None = None
    """The same since the event before, by time spent in steps; None where nothing was trained in between."""
    peak_bytes: int = 0
    """Most memory in use so far by this process: resident, or allocated on a GPU."""
    seconds_left: float | None = None
    """Estimate, from the tenth step of this process on; validation is not in it."""
    task: float | None = None
    """The pack's primary metric on the watched examples, for grpo on drawn answers too; None where none are watched."""
    accuracy: float | None = None
    """Share of pairs whose better answer gained more than the worse one; None outside of dpo."""
    margin: float | None = None
    """How much more the better answers gained, in units of the loss's rewards; None outside of dpo and kto."""
    reward: float | None = None
    """Mean reward of answers, 0 to 1; this and what follows is None outside of grpo."""
    valid: float | None = None
    """Share of answers that stopped by themselves and are the pack's Output as they stand."""
    passed: float | None = None
    """Share of answers that passed the pack's checks as well."""
    alike: float | None = None
    """Share of prompts whose answers all earned the same, so that nothing is learnt from them."""
    divergence: float | None = None
    """Estimated nats a token (KL) that the model has moved from the one it started from; None while it is free."""


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
        rows: training rows, which decide how often the loss is logged.
    """
    return {
        "output_dir": str(folder),
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": settings.batch_size,
        "per_device_eval_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "warmup_steps": settings.warmup,
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
    found = [_watcher(folder / _EVENTS, on_event, rate)]
    if settings.early_stopping_patience:
        found.append(EarlyStoppingCallback(settings.early_stopping_patience))
    return found


def not_a_number(loss: float, step: int, folder: Path, rate: str, row: str = "") -> BadInput:
    """Return the refusal of a loss that is no number: where, at which row, what to change and what is kept."""
    last = last_checkpoint(folder)
    return BadInput(
        f"the loss is {loss} at step {step}{f' in {row}' if row else ''}; lower {rate}"
        + (f" (the last good checkpoint is kept in {last})" if last else "")
    )


def check_finite(loss: Any, step: int, folder: Path, rate: str, place: Callable[[], str] = lambda: "") -> None:
    """Refuse a loss, or a pair of a loss and outputs, that is no number; ``place`` says in what.

    Raises:
        BadInput: see :func:`not_a_number`.
    """
    value = float((loss[0] if isinstance(loss, tuple) else loss).detach())
    if not abs(value) < float("inf"):
        raise not_a_number(value, step, folder, rate, place())


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


def _overfitting(events: tuple[Event, ...]) -> tuple[str, ...]:
    """Return a notice when validation rose from its best to the end while training went on falling."""
    watched = [event for event in events if event.validation_loss is not None]
    best = min(watched, key=lambda event: event.validation_loss or 0.0)
    learnt = [event for event in events if event.loss is not None]
    before = [event.loss or 0.0 for event in learnt if event.step <= best.step]
    after = [event.loss or 0.0 for event in learnt if event.step > best.step]
    if not before or not after or (watched[-1].validation_loss or 0.0) <= _RISEN * (best.validation_loss or 0.0):
        return ()
    if sum(after) / len(after) >= before[-1]:
        return ()
    return (
        f"overfitting: since epoch {best.epoch:.1f} validation loss rose from {best.validation_loss:.3f} to "
        f"{watched[-1].validation_loss:.3f} while training loss fell; the checkpoint of that epoch is kept, and fewer "
        "epochs or more examples would do",
    )


def _all_alike(events: tuple[Event, ...]) -> tuple[str, ...]:
    """Return a notice when no answer of grpo earned more than another to the same prompt."""
    drawn = [event for event in events if event.alike is not None]
    if not drawn or any(event.alike != 1 for event in drawn):
        return ()
    valid = sum(event.valid or 0.0 for event in drawn) / len(drawn)
    return (
        f"nothing was learnt: all answers to a prompt earned the same, every time ({valid:.0%} of them were valid); "
        "begin with a model that is right now and then, or raise reward.temperature or reward.generations",
    )


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
    events = _read_events(folder / _EVENTS)
    outcome = Outcome(
        folder=folder / _BEST,
        kind="full" if settings.method == "full" else "adapter",
        events=events,
        best_validation_loss=min(e.validation_loss for e in events if e.validation_loss is not None),
        stopped_early=trained.stopped_early,
        trainable=trained.trainable,
        parameters=trained.parameters,
        checks=check_saved(trained.logits, start.base, folder / _BEST, settings, whole(hardware), trained.row),
        notes=(*notes, *_overfitting(events), *_all_alike(events)),
    )
    write_json(folder / _OUTCOME, {**asdict(outcome), "folder": _BEST, "events": len(events)})
    return outcome


def last_checkpoint(folder: Path) -> str | None:
    """Return the newest whole checkpoint; those that a kill left half-written are removed.

    The trainer writes ``trainer_state.json`` last, so a checkpoint is whole when that file can be read.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text("utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(path)
            continue
        return str(path)
    return None


def _watcher(path: Path, on_event: Callable[[Event], None], rate: str) -> Any:
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):
        """Turns the trainer's logs into events, appends them to a file and passes them on."""

        def __init__(self) -> None:
            self.started = time.monotonic()
            self.steps, self.spent, self.peak = 0, 0.0, 0
            self.told = (0.0, 0)  # seconds spent in steps and tokens read, as of the last event
            if first() and path.exists() and not path.read_bytes().endswith(b"\n"):
                with path.open("a", encoding="utf-8") as out:
                    out.write("\n")  # a kill tore the last line; the next event must not be glued to it

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Begin to count; a resumed run has read tokens before."""
            self.told = (0.0, state.num_input_tokens_seen)
            reset_peak(args.device.type)

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Start the clock of a step."""
            self.began = time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            """Record one log of the trainer; refuse a loss that is no number."""
            logs = logs or {}
            loss, validation = logs.get("loss"), logs.get("eval_loss")
            if loss is None and validation is None:
                return
            for value in (loss, validation):
                if value is not None and not abs(value) < float("inf"):
                    raise not_a_number(value, state.global_step, path.parent, rate)

            def either(name: str) -> float | None:
                return logs.get(name, logs.get(f"eval_{name}"))

            if loss is not None and "reward" in logs:
                loss = 1 - logs["reward"]
            (spent, tokens), self.told = self.told, (self.spent, state.num_input_tokens_seen)
            event = Event(
                step=state.global_step,
                steps=state.max_steps,
                epoch=state.epoch or 0.0,
                seconds=time.monotonic() - self.started,
                loss=loss,
                validation_loss=validation,
                gradient_norm=logs.get("grad_norm"),
                tokens=self.told[1],
                tokens_per_second=(self.told[1] - tokens) / (self.spent - spent) if self.spent > spent else None,
                peak_bytes=self.peak,
                task=logs.get("eval_task", either("mark")),
                accuracy=either("rewards/accuracies"),
                margin=either("rewards/margins"),
                reward=either("reward"),
                valid=either("valid"),
                passed=either("passed"),
                alike=logs.get("frac_reward_zero_std"),
                divergence=logs.get("kl"),
            )
            if first():
                with path.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(asdict(event)) + "\n")
            on_event(event)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Tell the progress bar, after ten steps with the time that is left."""
            now = time.monotonic()
            self.steps, self.spent = self.steps + 1, self.spent + now - self.began
            self.peak = max(self.peak, peak_memory(args.device.type))  # answering a watched prompt starts it anew
            left = None
            if self.steps >= _SURE:
                left = (state.max_steps - state.global_step) * self.spent / self.steps
            seconds = now - self.started
            on_event(Event(state.global_step, state.max_steps, state.epoch or 0.0, seconds, seconds_left=left))

    return Watcher()


def _read_events(path: Path) -> tuple[Event, ...]:
    """Read ``events.jsonl``; a line that a kill tore off, or that a resumed run wrote again, is dropped."""
    events: dict[tuple[int, bool], Event] = {}
    for line in path.read_text("utf-8").split("\n"):
        try:
            event = Event(**json.loads(line))
        except ValueError:
            continue
        events[event.step, event.validation_loss is None] = event
    return tuple(sorted(events.values(), key=lambda event: (event.step, event.validation_loss is not None)))


def _read_outcome(path: Path) -> Outcome:
    values = json.loads(path.read_text("utf-8"))
    folder = path.parent
    known = {"folder": folder / values["folder"], "events": _read_events(folder / _EVENTS)}
    return Outcome(**{**values, **known, "notes": tuple(values.get("notes", ()))})
