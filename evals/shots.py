"""Choosing solved examples for a few-shot prompt, from training data only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core._duplicates import shingles
from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes
from understudy.core.records import Example
from understudy.evals.words import words

if TYPE_CHECKING:
    from understudy.evals.arms import Shots

__all__ = ["diverse_shots", "kept_shots", "similar_shots"]


def diverse_shots(training: Sequence[Example], k: int) -> list[Example]:
    """Return ``k`` examples: one per stratum and group in turn, the commonest stratum first, short ones first.

    The choice depends on the examples alone, not on their order: ties are broken by id. Fewer come back when there
    are fewer.
    """
    sized = sorted(training, key=lambda example: (_characters([example.input, example.output]), example.id))
    strata: dict[str, list[Example]] = defaultdict(list)
    for example in sized:
        strata[example.stratum].append(example)
    queues = [strata[name] for name in sorted(strata, key=lambda name: (-len(strata[name]), name))]
    chosen: list[Example] = []
    groups: set[str] = set()
    while len(chosen) < k and any(queues):
        for queue in queues:
            if queue and len(chosen) < k:
                fresh = next((example for example in queue if example.group not in groups), queue[0])
                queue.remove(fresh)
                chosen.append(fresh)
                groups.add(fresh.group)
    return chosen


def similar_shots(training: Sequence[Example], k: int, *, near_duplicate: float = 0.9) -> Shots:
    """Return a chooser of the ``k`` training examples most like a sample: the retrieval arm, by BM25 (bm25s).

    Left out, whatever split they come from, are examples of the sample's own group, and those whose input is nearly
    the sample's: copying a twin's answer shows nothing about the task.

    Args:
        training: where to search, by the words of the inputs (see :func:`understudy.evals.words.words`).
        k: examples to return.
        near_duplicate: Jaccard similarity of word triples from which on two inputs are twins.
    """
    if not training:
        raise BadInput("the retrieval arm needs training examples to search in; the training split is empty")
    import bm25s  # type: ignore[import-untyped]

    texts = [_text(example) for example in training]
    index = bm25s.BM25()
    index.index([words(text) for text in texts], show_progress=False)

    def choose(sample: Example) -> list[Example]:
        text = _text(sample)
        asked = words(text)
        scores = index.get_scores(asked) if asked else [0.0] * len(training)
        own = shingles(text)
        found: list[Example] = []
        for at in sorted(range(len(training)), key=lambda at: (-float(scores[at]), training[at].id)):
            if len(found) == k:
                break
            if training[at].group == sample.group or _alike(own, shingles(texts[at])) >= near_duplicate:
                continue
            found.append(training[at])
        return found

    return choose


def kept_shots(training: Sequence[Example], k: int, path: Path, *, near_duplicate: float = 0.9) -> Shots:
    """Return the same chooser, which keeps what it chose in ``path``: an index takes seconds, and a cached run none.

    The file belongs to ``training``, ``k`` and ``near_duplicate``: name it by them. One line a sample, found again by
    its whole input; what cannot be read is chosen anew.
    """
    examples = {example.id: example for example in training}
    known = _read_choices(path, examples)
    index: list[Shots] = []

    def choose(sample: Example) -> list[Example]:
        key = sha256_bytes(canonical_json([sample.id, sample.group, sample.input]).encode("utf-8", "surrogatepass"))
        if key not in known:
            if not index:
                index.append(similar_shots(training, k, near_duplicate=near_duplicate))
            known[key] = [shot.id for shot in index[0](sample)]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as out:
                out.write(json.dumps({"sample": key, "shots": known[key]}).encode("ascii") + b"\n")
        return [examples[name] for name in known[key]]

    return choose


def _read_choices(path: Path, examples: Mapping[str, Example]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            value = json.loads(line)
            if all(name in examples for name in value["shots"]):
                found[value["sample"]] = value["shots"]
        except (ValueError, TypeError, KeyError):  # cut off or damaged
            continue
    return found


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the Jaccard similarity of two sets, 0..1."""
    return len(one & other) / max(1, len(one | other))


def _text(example: Example) -> str:
    """Return the texts of an example's input: what a sample says, without the prompt that is the same for all."""
    return "\n".join(_strings(example.input))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _strings(item)


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, Sequence) else ()
    return sum(map(_characters, inner))
