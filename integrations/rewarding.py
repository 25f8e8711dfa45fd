"""Tuning on rewards for the model's own answers as a plain function: what ``understudy train --stage grpo`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from understudy.core.grpo import Prompt, check_groups, make_prompts, train_grpo
from understudy.core.hardware import Hardware
from understudy.core.pack import Pack
from understudy.core.preferences import drawn
from understudy.core.records import DatasetVersion, Example, ModelVersion
from understudy.core.runs import work_of
from understudy.core.settings import Settings
from understudy.core.sft import Event, Outcome
from understudy.core.starts import Start, start_tokenizer
from understudy.integrations.pipeline import register, runs_of, try_out, writing

__all__ = ["reward"]


def reward(
    settings: Settings,
    pack: Pack,
    dataset: DatasetVersion,
    splits: Mapping[str, Sequence[Example]],
    hardware: Hardware,
    on_event: Callable[[Event], None],
    start: Start,
    resume: str | None = None,
) -> tuple[ModelVersion, Outcome]:
    """Tune ``start`` on what its answers to a dataset version earn, and register the best checkpoint.

    Called again after a kill it resumes; called again after it finished it returns the same version. ``resume`` names
    the run that this must be (see :meth:`understudy.core.runs.Work.must_be`).

    Raises:
        BadInput: a prompt does not fit, batches do not hold whole groups of answers, the run to resume was begun
            otherwise, the loss is no number any more, or the disk is full; what was registered stays.
        NothingLearnt: all answers to a prompt earned the same, every time; nothing is registered.
    """
    work = work_of("grpo", settings.train, start, dataset.digest, reward=settings.reward)
    work.must_be(runs_of(settings), resume)
    tokenizer, chosen, train = start_tokenizer(start), settings.reward, settings.train

    def asked(split: str, limit: int | None) -> tuple[list[Prompt], tuple[str, ...]]:
        examples = drawn(splits[split], train.seed, limit)
        return make_prompts(pack, examples, tokenizer, train.max_length, chosen.max_new_tokens, train.on_overflow)

    training, notes = asked("train", chosen.prompts)
    validation, more = asked("validation", chosen.watched)
    check_groups(training, validation, train, chosen)  # before there is a folder of a run
    with writing(runs_of(settings)):
        folder = work.begin(runs_of(settings))
        outcome = train_grpo(start, tokenizer, pack, training, validation, train, chosen, hardware, folder, on_event)
    version = register(settings, pack, dataset, start, outcome, hardware, "grpo")
    tried = try_out(settings, pack, version, splits, hardware)
    return version, replace(outcome, notes=(*notes, *more, *outcome.notes, tried))
