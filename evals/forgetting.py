"""What tuning did to everything else: general text, other packs' tasks, general questions, and safety."""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from understudy.core.nursery._corpus import MAX_FILE
from understudy.core.pack import Pack
from understudy.core.records import Example
from understudy.evals.arms import Engine, model_arm, prediction
from understudy.evals.results import Before, Estimate, General, OpenField
from understudy.evals.statistics import Draws, tango, wilson
from understudy.evals.suites import SuiteName, requests_of, scores_of, suite

if TYPE_CHECKING:
    from understudy.core.engines import Generation, Request

__all__ = ["Tell", "before", "general_texts", "measure", "open_fields", "planted"]

Loss = Callable[[str], tuple[float, int]]
"""Summed nats and tokens of a text."""
Tell = Callable[[str, int, int], None]
"""Told what runs, how much of it is done, and how much there is."""

_CHUNK = 1_200
"""Characters of one piece of general text: some 300 tokens."""
_PIECES = 24
_BATCH = 16
_SUITES: tuple[SuiteName, ...] = ("choices", "instructions", "harmful", "benign")
_NOTE = (
    "General text is Python code and prose of those files of the running Python's standard library that were too long "
    "for the seedling's corpus, so it never read them; bases of others mostly have. A refusal is recognised by its "
    "words; whatever is not one counts as complied with, sense or not."
)


def measure(
    pack: Pack,
    base: Engine,
    tuned: Engine,
    losses: tuple[Loss, Loss] | None,
    examples: Sequence[Example],
    others: Mapping[str, tuple[Pack, Sequence[Example]]],
    tell: Tell,
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> General:
    """Compare base and tuned model on everything but the task itself.

    Args:
        pack: the task, whose own input also carries the harmful requests.
        base: the model before tuning.
        tuned: the model after.
        losses: of base and tuned; None where a model shows no probabilities.
        examples: of the task, to plant harmful requests in.
        others: other packs with examples of theirs.
        tell: told (what runs, done, in all).
        alpha: intervals have level ``1 - alpha``.
        seed: of the bootstrap.
    """
    forgetting: list[Before] = []
    if losses is not None:
        forgetting += _losses(losses, tell, alpha, seed)
    for name, (other, theirs) in others.items():
        pair = [_correct(other, engine, theirs, tell, f"{name}, {which}") for which, engine in _both(base, tuned)]
        forgetting.append(before(f"task {name}", "share right", pair, alpha, seed))
    scores = {name: _scores(name, base, tuned, tell) for name in _SUITES}
    general = [scores["choices"][at] + scores["instructions"][at] for at in (0, 1)]
    complied = [[1 - score for score in row] for row in scores["harmful"]]
    forgetting += [
        before("multiple choice", "share right", scores["choices"], alpha, seed),
        before("instructions", "share followed", scores["instructions"], alpha, seed),
        before("general questions", "share right", general, alpha, seed, gated=True),
    ]
    safety = [
        before("harmful requests complied with", "share", complied, alpha, seed, up=False, gated=True),
        before("benign requests refused", "share", scores["benign"], alpha, seed, up=False),
    ]
    hostile = [one for item in suite("harmful") if (one := planted(pack, examples, item.text)) is not None]
    made = _planted_answers(pack, tuned, hostile, lambda done, total: tell("planted, tuned", done, total))
    valid = wilson(sum(made), len(made), alpha) if made else None
    return General(
        forgetting=forgetting,
        safety=safety,
        open_fields=open_fields(pack.grammar(pack.Input.model_validate(examples[0].input))),
        hostile_n=len(made),
        hostile_valid=None if valid is None else Estimate.of(*valid),
        note=_NOTE,
    )


@lru_cache(maxsize=1)
def general_texts() -> dict[str, list[str]]:
    """Return pieces of general text by bucket, the same ones on every machine with the same Python.

    All come from files too long for the seedling's corpus (:data:`understudy.core.nursery._corpus.MAX_FILE`): of the
    kind it was raised on, and never read. Where a Python comes without its own tests, the code is of one module.
    """
    standard = Path(sysconfig.get_paths()["stdlib"])
    long = [path for path in standard.rglob("*.py") if path.stat().st_size > MAX_FILE and not _installed(path)]
    topics: dict[str, str] = import_module("pydoc_data.topics").topics
    code = [path.read_text("utf-8", "replace") for path in sorted(long) if path.parent.name != "pydoc_data"]
    prose = [topics[name] for name in sorted(topics) if len(topics[name]) > _CHUNK]
    random.Random(11).shuffle(prose)
    return {"Python code": _pieces(code), "English prose": _pieces(prose)}


def planted(pack: Pack, examples: Sequence[Example], text: str) -> Example | None:
    """Return a sample of the task whose longest piece of text is ``text``; None where no input takes it."""
    for example in examples:
        value, place = example.input, _longest(example.input)
        if place is None:
            continue
        candidate = example.model_copy(update={"input": _replaced(value, place, text)})
        try:
            pack.Input.model_validate(candidate.input)
        except ValidationError:
            continue
        return candidate
    return None


def open_fields(schema: Mapping[str, Any]) -> list[OpenField]:
    """Return the fields of a JSON schema that can hold text beyond fixed words, with their longest length."""
    return list(_open(schema, schema, ""))


def _losses(losses: tuple[Loss, Loss], tell: Tell, alpha: float, seed: int) -> list[Before]:
    found = []
    for bucket, texts in general_texts().items():
        rows: list[list[float]] = [[], []]
        for at, text in enumerate(texts):
            for row, loss in zip(rows, losses, strict=True):
                nats, tokens = loss(text)
                row.append(nats / max(1, tokens))
            tell(f"loss, {bucket}", at + 1, len(texts))
        found.append(before(f"loss on {bucket}", "nats per token", rows, alpha, seed, up=False))
    return found


def before(
    name: str,
    unit: str,
    rows: Sequence[Sequence[float]],
    alpha: float,
    seed: int,
    *,
    up: bool = True,
    gated: bool = False,
) -> Before:
    """Return the means of base and tuned (the two ``rows``) and their paired difference, with intervals.

    Of items that are right or wrong, these are score intervals (Wilson's, and Tango's for the difference), otherwise
    percentile intervals of a bootstrap. A bootstrap of shares of which none changed has no width, however few they
    are; the interval is then that of items of which none went from right to wrong.
    """
    theirs, ours = (np.asarray(row, dtype=np.float64) for row in rows)
    n, change, both = len(ours), ours - theirs, np.concatenate([theirs, ours])
    draws = Draws(n, seed=seed)
    right_or_wrong = bool(np.isin(both, (0.0, 1.0)).all())
    unchanged_shares = not change.any() and bool(((both >= 0) & (both <= 1)).all())

    def estimate(values: Any) -> Estimate:
        if right_or_wrong:
            return Estimate.of(*wilson(int(values.sum()), n, alpha))
        return Estimate.of(*draws.interval(float(values.mean()), draws.values(values), alpha))

    counted = right_or_wrong or unchanged_shares
    delta = tango(int((change > 0).sum()), int((change < 0).sum()), n, alpha) if counted else None
    return Before(
        name=name,
        n=n,
        unit=unit,
        base=estimate(theirs),
        tuned=estimate(ours),
        delta=estimate(change) if delta is None else Estimate.of(*delta),
        higher_is_better=up,
        gated=gated,
    )


def _scores(name: SuiteName, base: Engine, tuned: Engine, tell: Tell) -> list[list[float]]:
    items = suite(name)
    requests = requests_of(items)
    found = []
    for which, engine in _both(base, tuned):

        def progress(done: int, total: int, label: str = f"{name}, {which}") -> None:
            tell(label, done, total)

        found.append(scores_of(items, _ask(engine, requests, progress)))
    return found


def _both(base: Engine, tuned: Engine) -> tuple[tuple[str, Engine], tuple[str, Engine]]:
    return ("base", base), ("tuned", tuned)


def _ask(engine: Engine, requests: Sequence[Request], tell: Callable[[int, int], None]) -> list[Generation]:
    found: list[Generation] = []
    for start in range(0, len(requests), _BATCH):
        found += engine.generate(requests[start : start + _BATCH])
        tell(len(found), len(requests))
    return found


def _correct(pack: Pack, engine: Engine, examples: Sequence[Example], tell: Tell, label: str) -> list[float]:
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        tell(label, done, len(examples))

    made = model_arm(label, engine, pack, batch_size=_BATCH).predict(examples, progress)
    return list(pack.score(examples, made)["correct"].per_sample or ())


def _planted_answers(
    pack: Pack, engine: Engine, examples: Sequence[Example], tell: Callable[[int, int], None]
) -> list[bool]:
    from understudy.core.engines import Request

    values = [pack.Input.model_validate(example.input) for example in examples]
    asked = [Request(pack.messages(value), pack.grammar(value), 384) for value in values]
    answers = _ask(engine, asked, tell)
    read = (
        prediction(pack, example, "tuned", answer.text, answer.finish_reason)
        for example, answer in zip(examples, answers, strict=True)
    )
    return [one.output is not None for one in read]


def _installed(path: Path) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _pieces(texts: Sequence[str]) -> list[str]:
    """Cut the same number of pieces from every text, evenly over its length; from the first texts if there are many."""
    each = -(-_PIECES // max(1, len(texts)))
    cut = [
        text[(at := len(text) * (2 * n + 1) // (2 * each) - _CHUNK // 2) : at + _CHUNK]
        for text in texts
        for n in range(each)
    ]
    return cut[:_PIECES]


def _leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*place, key))
    elif isinstance(value, Sequence):
        for at, item in enumerate(value):
            yield from _leaves(item, (*place, at))


def _longest(value: Any) -> tuple[Any, ...] | None:
    return max(_leaves(value), key=lambda leaf: len(leaf[1]), default=((), ""))[0] or None


def _replaced(value: Any, place: tuple[Any, ...], text: str) -> Any:
    if not place:
        return text
    copy = dict(value) if isinstance(value, Mapping) else list(value)
    copy[place[0]] = _replaced(value[place[0]], place[1:], text)
    return copy


def _open(schema: Mapping[str, Any], whole: Mapping[str, Any], name: str) -> Iterator[OpenField]:
    if "$ref" in schema:
        target: Any = whole
        for step in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[step]
        yield from _open(target, whole, name)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _open(choice, whole, name)
    for key, value in schema.get("properties", {}).items():
        yield from _open(value, whole, f"{name}.{key}" if name else key)
    if isinstance(schema.get("items"), Mapping):
        yield from _open(schema["items"], whole, f"{name}[]")
    if schema.get("type") == "string" and "enum" not in schema and "const" not in schema:
        yield OpenField(name=name, most_characters=schema.get("maxLength"))
