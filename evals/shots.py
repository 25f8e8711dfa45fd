"""Choosing solved examples for a few-shot prompt, from training data only."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from understudy.core.errors import BadInput
from understudy.core.pack import Pack
from understudy.core.records import Example
from understudy.evals.arms import shot_turns

if TYPE_CHECKING:
    from understudy.evals.arms import Shots

__all__ = ["diverse_shots", "similar_shots"]

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def diverse_shots(pack: Pack, training: Sequence[Example], k: int) -> list[Example]:
    """Return ``k`` examples: one per stratum and group in turn, the commonest stratum first, short ones first.

    The choice depends on the examples alone, not on their order: ties are broken by id. Fewer come back when there
    are fewer.
    """
    sized = sorted(training, key=lambda example: (_characters(pack, example), example.id))
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


def similar_shots(pack: Pack, training: Sequence[Example], k: int) -> Shots:
    """Return a chooser of the ``k`` training examples most like a sample: the retrieval arm, by BM25 (bm25s).

    Words are split at case changes and digits, so that ``TypeErrorFoo`` meets ``TypeError``. Examples of the
    sample's own group are left out, whatever split they come from.
    """
    if not training:
        raise BadInput("the retrieval arm needs training examples to search in; the training split is empty")
    import bm25s  # type: ignore[import-untyped]

    index = bm25s.BM25()
    index.index([_words(_prompt(pack, example)) for example in training], show_progress=False)

    def choose(sample: Example) -> list[Example]:
        words = _words(_prompt(pack, sample))
        scores = index.get_scores(words) if words else [0.0] * len(training)
        order = sorted(range(len(training)), key=lambda at: (-float(scores[at]), training[at].id))
        return [training[at] for at in order if training[at].group != sample.group][:k]

    return choose


def _prompt(pack: Pack, example: Example) -> str:
    turns = pack.messages(pack.Input.model_validate(example.input))
    return "\n".join(turn.content for turn in turns if turn.role == "user")


def _characters(pack: Pack, example: Example) -> int:
    return sum(len(turn.content) for turn in shot_turns(pack, example))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
