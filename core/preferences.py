"""Better and worse answers: where they come from, what is refused of them, and how they become rows.

They come from a pack's made-up mistakes (:func:`made_up_pairs`), from people (:func:`read_pairs`,
:func:`read_thumbs`, :func:`remembered_pairs`), and from the model's own wrong answers
(:mod:`understudy.core.own_answers`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from understudy.core.engines import prompt_ids
from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes
from understudy.core.jsonl import read_judgements, read_preferences
from understudy.core.pack import BuildContext, Pack, Remembers
from understudy.core.records import Example, Judgement, Preference
from understudy.core.redaction import redact_value
from understudy.core.rows import TooLong, completion_text
from understudy.core.settings import Overflow

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "PairRow",
    "RowMaker",
    "ThumbRow",
    "drawn",
    "held_out",
    "made_up_pairs",
    "pair_of",
    "preferences_digest",
    "read_pairs",
    "read_thumbs",
    "remembered_pairs",
]

T = TypeVar("T", bound=Preference | Judgement)
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True)
class PairRow:
    """A preference in tokens; each answer ends with the stop token."""

    id: str
    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def length(self) -> int:
        """Tokens of the prompt and both answers."""
        return len(self.prompt) + len(self.chosen) + len(self.rejected)


@dataclass(frozen=True)
class ThumbRow:
    """A judgement in tokens; the answer ends with the stop token."""

    id: str
    prompt: list[int]
    answer: list[int]
    good: bool


class RowMaker:
    """Turns records into rows by the ids of generation; what does not fit raises a ``ValueError``, nothing is cut."""

    def __init__(
        self, pack: Pack, tokenizer: PreTrainedTokenizerBase, max_length: int, on_overflow: Overflow = "error"
    ) -> None:
        """Allow ``max_length`` tokens for a prompt with one answer."""
        self._pack, self.tokenizer, self._limit = pack, tokenizer, max_length
        self._on_overflow = on_overflow

    def check(self, record: Preference | Judgement) -> None:
        """Refuse a record that makes no row; one that is only too long passes if such ones are left out later."""
        try:
            self.pair(record) if isinstance(record, Preference) else self.thumb(record)
        except TooLong:
            if self._on_overflow != "drop":
                raise

    def pair(self, record: Preference) -> PairRow:
        """Return a preference in tokens."""
        prompt = self._prompt(record.input)
        chosen, rejected = (self._answer(prompt, getattr(record, name), name) for name in ("chosen", "rejected"))
        if chosen == rejected:
            raise ValueError("chosen and rejected are the same answer")
        return PairRow(record.id, prompt, chosen, rejected)

    def thumb(self, record: Judgement) -> ThumbRow:
        """Return a judgement in tokens."""
        prompt = self._prompt(record.input)
        return ThumbRow(record.id, prompt, self._answer(prompt, record.output, "judged"), record.good)

    def _prompt(self, value: dict[str, Any]) -> list[int]:
        return prompt_ids(self.tokenizer, self._pack.messages(self._pack.Input.model_validate(value)))

    def _answer(self, prompt: list[int], value: dict[str, Any], name: str) -> list[int]:
        text = completion_text(self._pack.Output.model_validate(value))
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        total = len(prompt) + len(ids) + 1
        if total > self._limit:
            raise TooLong(
                f"needs {total} tokens with its {name} answer and train.max_length is {self._limit}: raise it, or "
                "shorten the input"
            )
        return [*ids, int(self.tokenizer.eos_token_id)]


def made_up_pairs(pack: Pack, examples: Sequence[Example], seed: int, limit: int | None = None) -> list[Preference]:
    """Return one pair for each example of which the pack can make a plausible wrong answer.

    What is made of an example depends on its id and the seed only, not on its neighbours.
    """
    pairs = []
    for example in drawn(examples, seed, limit):
        wrong = pack.corrupt(example, random.Random(f"{seed}:{example.id}"))
        right = pack.Output.model_validate(example.output)
        if wrong is not None and wrong != right:
            pairs.append(pair_of(example, wrong.model_dump(mode="json"), "corrupt"))
    return pairs


def pair_of(example: Example, rejected: dict[str, Any], reason: str) -> Preference:
    """Return the preference of an example's right answer over ``rejected``."""
    return Preference(
        id=f"{example.id}-{reason.partition(':')[0]}",
        pack=example.pack,
        group=example.group,
        input=example.input,
        chosen=example.output,
        rejected=rejected,
        reason=reason,
        source=example.source,
    )


def drawn(examples: Sequence[Example], seed: int, limit: int | None) -> list[Example]:
    """Return the examples by id, at most ``limit`` of them, drawn by ``seed``."""
    ordered = sorted(examples, key=lambda example: example.id)
    if limit is None or len(ordered) <= limit:
        return ordered
    return sorted(random.Random(seed).sample(ordered, limit), key=lambda example: example.id)


def read_pairs(path: Path, pack: Pack, maker: RowMaker, *, redact: bool = True) -> list[Preference]:
    """Return the preferences of a file, secrets and personal data replaced.

    Raises:
        BadInput: naming the line: a broken one, equal answers, no prompt, a chosen answer that the pack's checks
            refuse, too many tokens, or the opposite of another line.
    """
    verdicts = _Verdicts()

    def refine(record: Preference, number: int) -> Preference:
        kept = _redacted(record, ("input", "chosen", "rejected")) if redact else record
        _checked(pack, kept.input, kept.chosen, "chosen")
        maker.check(kept)
        verdicts.add([kept.input, kept.chosen, kept.rejected], [kept.input, kept.rejected, kept.chosen], number)
        return kept

    return list(read_preferences(path, pack, refine))


def read_thumbs(path: Path, pack: Pack, maker: RowMaker, *, redact: bool = True) -> list[Judgement]:
    """Return the judgements of a file, secrets and personal data replaced.

    Raises:
        BadInput: as for :func:`read_pairs`; the opposite is the same answer judged the other way.
    """
    verdicts = _Verdicts()

    def refine(record: Judgement, number: int) -> Judgement:
        kept = _redacted(record, ("input", "output")) if redact else record
        if kept.good:
            _checked(pack, kept.input, kept.output, "liked")
        maker.check(kept)
        said = [kept.input, kept.output]
        verdicts.add([*said, kept.good], [*said, not kept.good], number)
        return kept

    return list(read_judgements(path, pack, refine))


def remembered_pairs(
    pack: Remembers, context: BuildContext, maker: RowMaker, *, redact: bool = True
) -> list[Preference]:
    """Return the preferences in a pack's own raw material, secrets and personal data replaced.

    Raises:
        BadInput: the material is broken, or one of them makes no row; it is named.
    """
    kept = []
    for record in pack.remembered(context):
        clean = _redacted(record, ("input", "chosen", "rejected")) if redact else record
        try:
            maker.check(clean)
        except ValueError as error:
            raise BadInput(f"preference {record.id} {error}") from error
        kept.append(clean)
    return kept


class _Verdicts:
    """Remembers what lines have said, and refuses one that says the opposite of an earlier one."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}

    def add(self, said: Any, opposite: Any, number: int) -> None:
        earlier = self._lines.get(canonical_json(opposite))
        if earlier is not None:
            raise ValueError(f"says the opposite of line {earlier}; keep the one that is right")
        self._lines.setdefault(canonical_json(said), number)


def _redacted(record: ModelT, names: tuple[str, ...]) -> ModelT:
    clean, counts = redact_value({name: getattr(record, name) for name in names})
    return record.model_copy(update=clean) if counts else record


def _checked(pack: Pack, value: dict[str, Any], answer: dict[str, Any], name: str) -> None:
    problems = pack.check(pack.Input.model_validate(value), pack.Output.model_validate(answer))
    if problems:
        raise ValueError(f"the {name} answer is refused by the pack: {problems[0].field}: {problems[0].message}")


def held_out(records: Sequence[T], share: float, seed: int) -> tuple[list[T], list[T]]:
    """Return (records to learn from, records to watch); a group stands on one side only, whatever order it came in."""
    groups = sorted({record.group for record in records})
    random.Random(seed).shuffle(groups)
    count = min(len(groups) - 1, max(1, round(share * len(groups)))) if share else 0
    watched = set(groups[: max(0, count)])
    return [r for r in records if r.group not in watched], [r for r in records if r.group in watched]


def preferences_digest(splits: Iterable[Sequence[Preference | Judgement]]) -> str:
    """Return the SHA-256 over the canonical lines of each split, sorted."""
    lines = (
        f"{number}\t{line}"
        for number, split in enumerate(splits)
        for line in sorted(canonical_json(record.model_dump(mode="json")) for record in split)
    )
    return sha256_bytes("\n".join(lines).encode())
