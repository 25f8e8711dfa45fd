"""Watching a run: what is written to ``events.jsonl``, when a run must stop, and what its curve says afterwards."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from understudy.core.errors import BadInput, NothingLearnt
from understudy.core.peak import peak_memory, reset_peak
from understudy.core.ranks import first

__all__ = [
    "Event",
    "check_finite",
    "check_learnt",
    "last_checkpoint",
    "not_a_number",
    "overfitting",
    "read_events",
    "watcher",
]

_RISEN = 1.05
"""Validation loss, as a multiple of its best, from which on one speaks of overfitting and not of noise."""
_SURE = 10
"""Steps after which one may say how long the rest will take."""
_EVENTS = "events.jsonl"


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


def watcher(folder: Path, on_event: Callable[[Event], None], rate: str) -> Any:
    """Return the callback that writes a run's events into ``folder`` and passes them on.

    ``rate`` is the setting to name when the loss is no number any more.
    """
    from transformers import TrainerCallback

    path = folder / _EVENTS

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
                    raise not_a_number(value, state.global_step, folder, rate)

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


def read_events(folder: Path) -> tuple[Event, ...]:
    """Return a run's events; a line that a kill tore off, or that a resumed run wrote again, is dropped."""
    events: dict[tuple[int, bool], Event] = {}
    for line in (folder / _EVENTS).read_text("utf-8").split("\n"):
        try:
            event = Event(**json.loads(line))
        except ValueError:
            continue
        events[event.step, event.validation_loss is None] = event
    return tuple(sorted(events.values(), key=lambda event: (event.step, event.validation_loss is not None)))


def overfitting(events: tuple[Event, ...]) -> tuple[str, ...]:
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


def check_learnt(events: tuple[Event, ...]) -> None:
    """Refuse a run of grpo in which no answer ever earned more than another to the same prompt.

    Raises:
        NothingLearnt: there was no gradient; the message says what the answers earned and what to change.
    """
    drawn = [event for event in events if event.alike is not None]
    if not drawn or any(event.alike != 1 for event in drawn):
        return
    reward, valid = (sum(getattr(event, name) for event in drawn) / len(drawn) for name in ("reward", "valid"))
    raise NothingLearnt(
        f"nothing was learnt and no version registered: all answers to a prompt earned the same, every time (reward "
        f"{reward:.3f} on average, {valid:.0%} of them valid); begin with a model that is right now and then, or raise "
        "reward.temperature or reward.generations"
    )


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
