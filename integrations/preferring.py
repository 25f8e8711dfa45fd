"""Tuning on better and worse answers as plain functions: what ``understudy train --stage dpo`` and ``kto`` do."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from understudy.core.bases import token_counter
from understudy.core.dpo import train_dpo
from understudy.core.errors import BadInput
from understudy.core.files import atomic_writer, canonical_json
from understudy.core.hardware import Hardware
from understudy.core.jsonl import judgements_of
from understudy.core.kto import train_kto
from understudy.core.models import start_engine
from understudy.core.own_answers import OwnAnswer, own_answers, own_pairs, own_thumbs
from understudy.core.pack import Pack, Remembers
from understudy.core.preferences import (
    RowMaker,
    drawn,
    held_out,
    made_up_pairs,
    preferences_digest,
    read_pairs,
    read_thumbs,
    remembered_pairs,
)
from understudy.core.ranks import once
from understudy.core.records import DatasetVersion, Example, Judgement, ModelVersion, Preference
from understudy.core.rows import TooLong
from understudy.core.runs import work_of
from understudy.core.settings import Overflow, Settings
from understudy.core.sft import Event, Outcome
from understudy.core.starts import Start, start_tokenizer
from understudy.integrations.pipeline import context_of, register, runs_of, try_out, writing

__all__ = ["prefer"]

Splits = Mapping[str, Sequence[Example]]
OnProgress = Callable[[int, int], None]
T = TypeVar("T", bound=Preference | Judgement)
R = TypeVar("R")


def prefer(
    stage: Literal["dpo", "kto"],
    settings: Settings,
    pack: Pack,
    dataset: DatasetVersion | None,
    splits: Splits,
    start: Start,
    hardware: Hardware,
    on_event: Callable[[Event], None],
    on_progress: OnProgress = lambda done, total: None,
    resume: str | None = None,
) -> tuple[ModelVersion, Outcome]:
    """Tune ``start`` on preferences (``dpo``) or judgements (``kto``) and register the best checkpoint.

    What it is tuned on is kept in the registry as ``preferences/<digest>.jsonl``. Called again after a kill it
    resumes; called again after it finished it returns the same version.

    Args:
        stage: which.
        settings: ``preference`` says where answers come from.
        pack: the task.
        dataset: the version whose ``train`` and ``validation`` splits are used, None when only files are.
        splits: its examples, empty without one.
        start: the weights, which are also the reference.
        hardware: where to run.
        on_event: called with every event of training.
        on_progress: called with (answers sampled, answers wanted) when the model is asked for its own.
        resume: the run that this must be, None for any.

    Raises:
        BadInput: a line of a file cannot be used, nothing is left to learn from, the run to resume was begun
            otherwise, the loss is no number any more, or the disk is full; what was registered stays.
    """
    maker = RowMaker(pack, start_tokenizer(start), settings.train.max_length, settings.train.on_overflow)
    gather = _Gather(settings, pack, splits, start, hardware, maker, on_progress, resume)
    if stage == "dpo":
        return _tuned(stage, gather, once(gather.pairs), maker.pair, train_dpo, dataset, on_event)
    training, validation = once(gather.thumbs)
    # Answers are grouped into batches in this order, and both kinds belong into each.
    random.Random(settings.train.seed).shuffle(training)
    return _tuned(stage, gather, (training, validation), maker.thumb, train_kto, dataset, on_event)


class _Gather:
    """Everything a stage needs to find its answers."""

    def __init__(
        self,
        settings: Settings,
        pack: Pack,
        splits: Splits,
        start: Start,
        hardware: Hardware,
        maker: RowMaker,
        on_progress: OnProgress,
        resume: str | None,
    ) -> None:
        self.settings, self.pack, self.splits, self.start = settings, pack, splits, start
        self.resume = resume
        self.hardware, self.maker, self._on_progress = hardware, maker, on_progress
        self.root = Path(settings.registry)

    def pairs(self) -> tuple[list[Preference], list[Preference]]:
        """Return (pairs to learn from, pairs to watch); files are read first, so that a bad line costs no time."""
        training, validation = self._held_out(read_pairs)
        if "history" in self.settings.preference.sources:
            remembered = self._remembered()
            training += remembered[0]
            validation += remembered[1]
        if "corrupt" in self.settings.preference.sources:
            training += self._made_up("train")
            validation += self._made_up("validation")
        if "sampled" in self.settings.preference.sources:
            training += own_pairs(self._own("train"))
            validation += own_pairs(self._own("validation"))
        return _unique(training), _unique(validation)

    def thumbs(self) -> tuple[list[Judgement], list[Judgement]]:
        """Return (judgements to learn from, judgements to watch)."""
        training, validation = self._held_out(read_thumbs)
        if "history" in self.settings.preference.sources:
            remembered = self._remembered()
            training += _both(remembered[0])
            validation += _both(remembered[1])
        if "corrupt" in self.settings.preference.sources:
            training += _both(self._made_up("train"))
            validation += _both(self._made_up("validation"))
        if "sampled" in self.settings.preference.sources:
            training += own_thumbs(self._own("train"))
            validation += own_thumbs(self._own("validation"))
        return _unique(training), _unique(validation)

    def keep(self, splits: Sequence[Sequence[Preference | Judgement]]) -> str:
        """Write what a model is tuned on into the registry and return its digest."""
        digest = preferences_digest(splits)
        path = self.root / "preferences" / f"{digest[:16]}.jsonl"
        if not path.exists():
            with writing(path), atomic_writer(path) as out:
                for name, split in zip(("train", "validation"), splits, strict=True):
                    for record in sorted(split, key=lambda record: record.id):
                        line = {"split": name, **record.model_dump(mode="json")}
                        out.write(canonical_json(line).encode("utf-8") + b"\n")
        return digest

    def _held_out(self, read: Callable[..., list[T]]) -> tuple[list[T], list[T]]:
        """Read the files of the settings and divide what they say."""
        settings = self.settings
        paths = [Path(path) for path in settings.preference.paths]
        found = [one for path in paths for one in read(path, self.pack, self.maker, redact=settings.data.redact)]
        return held_out(found, settings.preference.validation, settings.train.seed)

    def _remembered(self) -> tuple[list[Preference], list[Preference]]:
        """Read what people decided in the settings' history, and divide it."""
        settings = self.settings
        sources = [source for source in settings.data.sources if source.builder == "history"]
        if not isinstance(self.pack, Remembers) or not sources:
            raise BadInput(
                "preference.sources names history, and data.sources has no builder `history` of a pack that keeps what "
                "people turned down (code-review does)"
            )
        count = token_counter(self.maker.tokenizer)
        contexts = [context_of(settings, source, count) for source in sources]
        found = [
            pair
            for context in contexts
            for pair in remembered_pairs(self.pack, context, self.maker, redact=settings.data.redact)
        ]
        return held_out(found, settings.preference.validation, settings.train.seed)

    def _made_up(self, split: str) -> list[Preference]:
        preference = self.settings.preference
        return made_up_pairs(self.pack, self.splits[split], self.settings.train.seed, preference.max_examples)

    def _own(self, split: str) -> list[OwnAnswer]:
        examples = drawn(self.splits[split], self.settings.train.seed, self.settings.preference.max_examples)
        engine = start_engine(self.start, self.hardware, batch_size=self.settings.evaluate.batch_size)
        done = 0

        def progress(count: int) -> None:
            nonlocal done
            done += count
            self._on_progress(done, len(examples))

        return own_answers(self.pack, engine, examples, self.settings.evaluate.max_new_tokens, progress)


def _both(pairs: Sequence[Preference]) -> list[Judgement]:
    return [judgement for pair in pairs for judgement in judgements_of(pair)]


def _unique(records: Sequence[T]) -> list[T]:
    """Return the records by id, those that say the same thing once."""
    found = {canonical_json(record.model_dump(mode="json", exclude={"id", "source"})): record for record in records}
    return sorted(found.values(), key=lambda record: record.id)


def _rows(records: Sequence[T], make: Callable[[T], R], on_overflow: Overflow) -> tuple[list[R], tuple[str, ...]]:
    """Return (rows, what was left out in a sentence); a trimmed input could no longer be compared with its answers."""
    rows, dropped = [], 0
    for record in records:
        try:
            rows.append(make(record))
        except ValueError as error:
            if not isinstance(error, TooLong) or on_overflow == "error":
                raise BadInput(f"{record.reason or 'preference'} {record.id} {error}") from error
            if on_overflow == "trim":
                raise BadInput(
                    f"{record.id} {error}; preferences cannot be trimmed, set train.on_overflow to drop"
                ) from error
            dropped += 1
    return rows, (f"{dropped} of {len(records)} left out, they are longer than train.max_length",) if dropped else ()


def _tuned(
    stage: Literal["dpo", "kto"],
    gather: _Gather,
    found: tuple[list[T], list[T]],
    make: Callable[[T], R],
    tune: Callable[..., Outcome],
    dataset: DatasetVersion | None,
    on_event: Callable[[Event], None],
) -> tuple[ModelVersion, Outcome]:
    """Make rows of what was found to learn from and to watch, ``tune`` on them, and register the result."""
    settings, start = gather.settings, gather.start
    training, validation = found
    rows, notes = _rows(training, make, settings.train.on_overflow)
    watched, more = _rows(validation, make, settings.train.on_overflow)
    _enough("pairs" if stage == "dpo" else "judgements", rows, watched)
    digest = once(lambda: gather.keep(found))
    work = work_of(stage, settings.train, start, digest, preference=settings.preference)
    work.must_be(runs_of(settings), gather.resume)
    with writing(runs_of(settings)):
        outcome = tune(
            start,
            start_tokenizer(start),
            rows,
            watched,
            settings.train,
            settings.preference,
            gather.hardware,
            once(lambda: work.begin(runs_of(settings))),
            gather.root / "references",
            on_event,
        )
    version = once(lambda: register(settings, gather.pack, dataset, start, outcome, gather.hardware, stage, digest))
    tried = once(lambda: try_out(settings, gather.pack, version, gather.splits, gather.hardware))
    return version, replace(outcome, notes=(*notes, *more, *outcome.notes, tried))


def _enough(what: str, training: Sequence[object], validation: Sequence[object]) -> None:
    if not training or not validation:
        raise BadInput(
            f"there are {len(training)} {what} to learn from and {len(validation)} to watch; add examples, sources or "
            "files (preference.sources, preference.paths), or raise preference.validation"
        )
