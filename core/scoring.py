"""Closed answers are scored, not generated: how probable is each of them, in one forward pass per batch.

An answer is one of a few texts at a known place. Its tokens form a tree with the other answers' tokens, and only where
the tree branches is there anything to decide: an answer's log-probability is the sum over its tokens, each normalised
over the tokens that lead to some answer, which is what grammar-constrained decoding samples from. Tokens without an
alternative cost nothing, so a long label is not worse than a short one: this is the length normalisation, and needs no
division by a length that would favour labels of many easy tokens.

Contexts of one prompt that begin alike share a row, so most questions cost one prompt without any generated token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from understudy.core.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["ClosedQuestion", "score_closed"]


@dataclass(frozen=True)
class ClosedQuestion:
    """One place in one answer, and the texts that may stand there."""

    messages: Sequence[Message]
    before: str
    """The answer's text up to the place."""
    choices: Sequence[str]
    """At least one; none the beginning of another, so let each hold what follows it (a closing quote)."""


@dataclass(frozen=True)
class _Branch:
    """A point where tokens of different choices differ."""

    context: tuple[int, ...]
    """Tokens from the prompt to the point."""
    tokens: dict[int, tuple[int, ...]]
    """Next token to the numbers of the choices behind it."""


def score_closed(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[ClosedQuestion],
    *,
    batch_size: int = 16,
    progress: Callable[[int], None] | None = None,
) -> list[list[float]]:
    """Return for each question the probability of each choice; they sum to 1.

    Args:
        model: any causal language model.
        tokenizer: its tokenizer.
        questions: in any order; rows of like length share a batch.
        batch_size: rows of one forward pass.
        progress: called with the number of rows just finished; there is about one per prompt.
    """
    from understudy.core.engines import prompt_ids

    prompts: dict[int, list[int]] = {}
    for question in questions:
        if id(question.messages) not in prompts:
            prompts[id(question.messages)] = prompt_ids(tokenizer, question.messages)
    branches = [_branches(prompts[id(question.messages)], question, tokenizer) for question in questions]
    logits = _logits(model, tokenizer, [one for found in branches for one in found], batch_size, progress)
    return [_probabilities(question, found, logits) for question, found in zip(questions, branches, strict=True)]


def _branches(prompt: Sequence[int], question: ClosedQuestion, tokenizer: Any) -> list[_Branch]:
    """Return the branching points of the choices' token tree.

    Choices are tokenised with what stands before them, as the whole answer was in training: a tokenizer may merge
    across the border.
    """
    if len(set(question.choices)) != len(question.choices) or not question.choices:
        raise ValueError("choices must be different texts, at least one")
    texts = [question.before + choice for choice in question.choices]
    paths = [tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    found: list[_Branch] = []
    pending: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), tuple(range(len(paths))))]
    while pending:
        start, members = pending.pop()
        following: dict[int, list[int]] = {}
        for member in members:
            if len(paths[member]) == len(start):
                raise ValueError(f"the choice {question.choices[member]!r} is the beginning of another one")
            following.setdefault(paths[member][len(start)], []).append(member)
        if len(following) > 1:
            tokens = {token: tuple(behind) for token, behind in following.items()}
            found.append(_Branch((*prompt, *start), tokens))
        for token, behind in following.items():
            if len(behind) > 1:
                pending.append(((*start, token), tuple(behind)))
    return found


def _rows(contexts: set[tuple[int, ...]]) -> list[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """Return the rows to compute, short ones first, each with the contexts it begins with, itself included."""
    rows: list[tuple[tuple[int, ...], list[tuple[int, ...]]]] = []
    for context in sorted(contexts, reverse=True):  # what begins with a context comes right before it
        if rows and rows[-1][0][: len(context)] == context:
            rows[-1][1].append(context)
        else:
            rows.append((context, [context]))
    return sorted(rows, key=lambda row: len(row[0]))


def _logits(
    model: Any,
    tokenizer: Any,
    branches: Sequence[_Branch],
    batch_size: int,
    progress: Callable[[int], None] | None,
) -> dict[tuple[int, ...], dict[int, float]]:
    """Return by context the logits of the tokens asked there.

    Rows are padded on the right, which a causal model never sees, so neither positions nor convolutions need care.
    """
    import torch

    asked: dict[tuple[int, ...], set[int]] = {}
    for branch in branches:
        asked.setdefault(branch.context, set()).update(branch.tokens)
    rows = _rows(set(asked))
    result: dict[tuple[int, ...], dict[int, float]] = {}
    pad = int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id)
    for at in range(0, len(rows), batch_size):
        block = rows[at : at + batch_size]
        ids = torch.full((len(block), max(len(tokens) for tokens, _ in block)), pad)
        mask = torch.zeros_like(ids)
        for row, (tokens, _) in enumerate(block):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        places = sorted({len(context) - 1 for _, contexts in block for context in contexts})
        with torch.inference_mode():
            logits = model(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                use_cache=False,
                logits_to_keep=torch.tensor(places, device=model.device),
            ).logits
        for row, (_, contexts) in enumerate(block):
            for context in contexts:
                tokens_asked = sorted(asked[context])
                values = logits[row, places.index(len(context) - 1), tokens_asked].float().tolist()
                result[context] = dict(zip(tokens_asked, values, strict=True))
        if progress is not None:
            progress(len(block))
    return result


def _probabilities(
    question: ClosedQuestion, branches: Sequence[_Branch], logits: dict[tuple[int, ...], dict[int, float]]
) -> list[float]:
    logs = [0.0] * len(question.choices)
    for branch in branches:
        known = logits[branch.context]
        highest = max(known[token] for token in branch.tokens)
        total = math.log(sum(math.exp(known[token] - highest) for token in branch.tokens))
        for token, members in branch.tokens.items():
            for member in members:
                logs[member] += known[token] - highest - total
    return [math.exp(value) for value in logs]
