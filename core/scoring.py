"""Closed answers are scored, not generated: how probable is each of them, without a single token written.

An answer is one of a few texts at a known place. Its tokens form a tree with the other answers' tokens, and only where
the tree branches is there anything to decide: an answer's log-probability is the sum over its tokens, each normalised
over the tokens that lead to some answer, which is what grammar-constrained decoding samples from. Tokens without an
alternative cost nothing, so a long label is not worse than a short one: this is the length normalisation, and needs no
division by a length that would favour labels of many easy tokens.

A prompt is read once, whatever is asked about it: its keys, values and convolution states are kept while its interview
lasts, and each turn reads only the answer so far, all contexts of a batch in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from understudy.core._prompt_cache import PromptReader
from understudy.core._reading import ReadPrompts, Tokens
from understudy.core.records import Message

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["ClosedQuestion", "Interview", "score_closed"]

T = TypeVar("T")


@dataclass(frozen=True)
class ClosedQuestion:
    """One place in an answer, and the texts that may stand there."""

    before: str
    """The answer's text up to the place."""
    choices: tuple[str, ...]
    """At least one; none the beginning of another, so let each hold what follows it (a closing quote)."""


Interview: TypeAlias = Generator[Sequence[ClosedQuestion], list[list[float]], T]
"""Questions about one prompt, turn by turn.

A turn yields questions and is sent for each the probability of each choice (they sum to 1), so that the next turn may
depend on them; what the interview returns is its result."""


@dataclass(frozen=True)
class _Branch:
    """A point where tokens of different choices differ."""

    context: Tokens
    """Tokens from the end of the prompt to the point."""
    tokens: dict[int, tuple[int, ...]]
    """Next token to the numbers of the choices behind it."""


@dataclass(frozen=True)
class _Tree:
    """The token tree of a question's choices."""

    choices: int
    branches: tuple[_Branch, ...]


def score_closed(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    interviews: Sequence[Interview[T]],
    *,
    reader: PromptReader,
    batch_size: int = 16,
    progress: Callable[[int], None] | None = None,
) -> list[T]:
    """Return what each interview returns.

    Args:
        model: any causal language model.
        tokenizer: its tokenizer.
        prompts: what is read before the answer; those of like length share a batch.
        interviews: one per prompt.
        reader: reads the prompts, and keeps what they have in common for the next call.
        batch_size: rows of one forward pass.
        progress: called with the number of prompts just finished.
    """
    from understudy.core.engines import prompt_ids

    ids = [tuple(prompt_ids(tokenizer, messages)) for messages in prompts]
    tree_of = lru_cache(maxsize=None)(lambda question: _tree(question, tokenizer))
    order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
    results: dict[int, T] = {}
    for start in range(0, len(order), batch_size):
        block = order[start : start + batch_size]
        read = ReadPrompts(model, reader, [ids[at] for at in block], batch_size)
        found = _interviewed(read, [interviews[at] for at in block], tree_of)
        results.update(zip(block, found, strict=True))
        if progress is not None:
            progress(len(block))
    return [results[at] for at in range(len(ids))]


def _interviewed(
    read: ReadPrompts, interviews: Sequence[Interview[T]], tree_of: Callable[[ClosedQuestion], _Tree]
) -> list[T]:
    """Take all interviews of a batch through their turns together."""
    results: dict[int, T] = {}
    told: dict[int, list[list[float]] | None] = dict.fromkeys(range(len(interviews)))
    while told:
        asked: dict[int, Sequence[ClosedQuestion]] = {}
        for row, values in told.items():
            try:
                asked[row] = interviews[row].send(values)  # type: ignore[arg-type]  # None begins a generator
            except StopIteration as end:
                results[row] = end.value
        trees = {row: [tree_of(question) for question in questions] for row, questions in asked.items()}
        contexts = {(row, one.context) for row, own in trees.items() for tree in own for one in tree.branches}
        logits = read.logits(contexts)
        told = {row: [_probabilities(row, tree, logits) for tree in own] for row, own in trees.items()}
    return [results[row] for row in range(len(interviews))]


def _tree(question: ClosedQuestion, tokenizer: Any) -> _Tree:
    """Return where the choices' tokens differ.

    Choices are tokenised with what stands before them, as the whole answer was in training: a tokenizer may merge
    across the border.
    """
    if len(set(question.choices)) != len(question.choices) or not question.choices:
        raise ValueError("choices must be different texts, at least one")
    texts = [question.before + choice for choice in question.choices]
    paths = [tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    found: list[_Branch] = []
    pending: list[tuple[Tokens, tuple[int, ...]]] = [((), tuple(range(len(paths))))]
    while pending:
        start, members = pending.pop()
        following: dict[int, list[int]] = {}
        for member in members:
            if len(paths[member]) == len(start):
                raise ValueError(f"the choice {question.choices[member]!r} is the beginning of another one")
            following.setdefault(paths[member][len(start)], []).append(member)
        if len(following) > 1:
            found.append(_Branch(start, {token: tuple(behind) for token, behind in following.items()}))
        for token, behind in following.items():
            if len(behind) > 1:
                pending.append(((*start, token), tuple(behind)))
    return _Tree(len(paths), tuple(found))


def _probabilities(row: int, tree: _Tree, logits: Mapping[tuple[int, Tokens], torch.Tensor]) -> list[float]:
    """Return the probability of each choice after one prompt."""
    logs = [0.0] * tree.choices
    for branch in tree.branches:
        known = logits[row, branch.context][list(branch.tokens)].log_softmax(dim=0).tolist()
        for value, members in zip(known, branch.tokens.values(), strict=True):
            for member in members:
                logs[member] += value
    return [math.exp(value) for value in logs]
