"""The cleaning steps that come before a split: refuse, redact, and take out repeats and contradictions.

Every step takes the examples in order of time and returns those it keeps; what it takes out is noted as a
:class:`Removal`, never dropped in silence.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pydantic import BaseModel, ValidationError

from understudy.core.errors import BadInput
from understudy.core.files import canonical_json
from understudy.core.pack import Pack
from understudy.core.records import Example
from understudy.core.redaction import redact, redact_value

__all__ = [
    "Removal",
    "canonical_line",
    "in_order",
    "limited",
    "moment",
    "redacted",
    "valid",
    "without_conflicts",
    "without_duplicates",
]

_NEVER = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Removal:
    """One example that a step took out."""

    id: str
    step: str
    """``invalid``, ``duplicate``, ``conflict``, ``over_limit``, ``near_duplicate`` or ``leakage``."""
    detail: str
    """Why, without any of the example's text."""


def canonical_line(example: Example) -> str:
    """Return the one line of JSON every machine writes for ``example``, without a newline."""
    return canonical_json(example.model_dump(mode="json"))


def moment(example: Example) -> datetime | None:
    """Return when the example happened; a time without a zone counts as UTC."""
    time = example.source.time
    return time.replace(tzinfo=timezone.utc) if time is not None and time.tzinfo is None else time


def in_order(examples: Iterable[Example]) -> list[Example]:
    """Return the examples by time (those without one first), then id, then content: never by order of arrival."""
    return sorted(examples, key=lambda example: (moment(example) or _NEVER, example.id, canonical_line(example)))


def valid(pack: Pack, examples: Iterable[Example], removals: list[Removal], *, why: str = "") -> list[Example]:
    """Keep the examples that satisfy the pack's ``Input``, ``Output`` and ``check``."""
    kept = []
    for example in examples:
        problem = _problem(pack, example)
        if problem:
            # Messages of custom validators may repeat the text they refuse.
            removals.append(Removal(example.id, "invalid", redact(why + problem)[0]))
        else:
            kept.append(example)
    return kept


def _problem(pack: Pack, example: Example) -> str:
    if example.pack != pack.name:
        return f"belongs to the pack {example.pack!r}, not {pack.name!r}"
    parsed: list[BaseModel] = []
    for field, model in (("input", pack.Input), ("output", pack.Output)):
        try:
            parsed.append(model.model_validate(getattr(example, field)))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            return f"{'.'.join(map(str, (field, *first['loc'])))}: {first['msg']}"
    try:
        # Not the whole record: pydantic would write NaN as null and a date as text, and another example would be read.
        canonical_json([example.input, example.output, example.meta]).encode("utf-8")
        canonical_line(example).encode("utf-8")
    except (TypeError, ValueError) as error:
        return f"cannot be written as JSON: {error}"
    problems = pack.check(parsed[0], parsed[1])
    return f"output.{problems[0].field}: {problems[0].message}" if problems else ""


def redacted(examples: Iterable[Example]) -> tuple[list[Example], Counter[str]]:
    """Return the examples with secrets and personal data replaced, and how many of each kind there were.

    Input, output and meta are treated as one text, so that a secret the input gives away by its context is also
    found where the output merely repeats it.
    """
    kept, total = [], Counter[str]()
    for example in examples:
        tree = {"input": example.input, "output": example.output, "meta": example.meta}
        clean, counts = redact_value(tree)
        kept.append(example.model_copy(update=clean) if counts else example)
        total.update(counts)
    return kept, total


def without_duplicates(pack: Pack, examples: Sequence[Example], removals: list[Removal]) -> list[Example]:
    """Keep the first of the examples with equal input and output.

    Raises:
        BadInput: two different examples have one id.
    """
    kept: dict[tuple[str, str], Example] = {}
    for example in examples:
        key = _keys(pack, example)
        if key in kept:
            removals.append(Removal(example.id, "duplicate", f"same as {kept[key].id}"))
        else:
            kept[key] = example
    repeated = [name for name, count in Counter(example.id for example in kept.values()).items() if count > 1]
    if repeated:
        origins = sorted({example.source.origin for example in kept.values() if example.id == repeated[0]})
        raise BadInput(
            f"{len(repeated)} example ids are used twice for different content, the first is {repeated[0]!r} "
            f"(from {', '.join(origins)}); give every example its own id"
        )
    return list(kept.values())


def without_conflicts(pack: Pack, examples: Sequence[Example], removals: list[Removal]) -> list[Example]:
    """Drop all examples whose input has more than one answer: no one here can say which is right."""
    alike: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        alike[_keys(pack, example)[0]].append(example)
    kept = []
    for example in examples:
        others = [other.id for other in alike[_keys(pack, example)[0]] if other is not example]
        if others:
            removals.append(Removal(example.id, "conflict", f"another output than {', '.join(sorted(others)[:5])}"))
        else:
            kept.append(example)
    return kept


def _keys(pack: Pack, example: Example) -> tuple[str, str]:
    """Return digests of input and output with all defaults filled in, so that leaving one out makes no difference."""
    forms = (pack.Input.model_validate(example.input), pack.Output.model_validate(example.output))
    return tuple(_digest(form.model_dump(mode="json")) for form in forms)  # type: ignore[return-value]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def limited(examples: Sequence[Example], limit: int | None, seed: int, removals: list[Removal]) -> list[Example]:
    """Keep at most ``limit`` examples, drawn in turn from every group; which ones depends on ``seed`` and the ids."""
    if limit is None or len(examples) <= limit:
        return list(examples)
    turn: Counter[str] = Counter()
    ranked = []
    for example in sorted(examples, key=lambda example: _rank(seed, example.id)):
        ranked.append((turn[example.group], _rank(seed, example.group), example.id))
        turn[example.group] += 1
    chosen = {name for _, _, name in sorted(ranked)[:limit]}
    removals += [
        Removal(item.id, "over_limit", f"max_examples is {limit}") for item in examples if item.id not in chosen
    ]
    return [example for example in examples if example.id in chosen]


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()
