"""Engines turn messages plus a JSON schema into text, token counts, probabilities and a finish reason."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from understudy.core._prompt_cache import PromptReader
from understudy.core.bases import token_counter
from understudy.core.peak import peak_memory, reset_peak
from understudy.core.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from understudy.core._decoding import Written
    from understudy.core.scoring import Interview

__all__ = ["Generation", "LocalEngine", "Request", "borrowed_engine", "conversation", "prompt_ids", "stop_ids"]

T = TypeVar("T")

_EAGER_HEADS = 8
"""Up to this many heads a CPU generates with plain attention: with a padding mask, torch 2.13's fused kernel takes four
to six times as long for one new token (bf16, 32 rows). Larger models keep it, since it saves memory in the prefill."""


@dataclass(frozen=True)
class Request:
    """One question for a model."""

    messages: Sequence[Message]
    schema: dict[str, Any] | None = None
    """JSON schema the answer must satisfy, enforced token by token; None for free text."""
    max_new_tokens: int = 256
    compact: bool = True
    """Whether the schema allows no whitespace between JSON tokens; a base that was never tuned may want some."""
    temperature: float = 0.0
    """0 takes the likeliest token every time; above, tokens are drawn."""
    seed: int = 0
    """Decides what is drawn; requests of one batch are drawn with the seed of the first."""


@dataclass(frozen=True)
class Generation:
    """One answer, exactly as written."""

    text: str
    finish_reason: Literal["stop", "length"]
    """``length``: the token limit was reached, so the text is cut off."""
    prompt_tokens: int
    completion_tokens: int
    logprob: float
    """Sum of the token log-probabilities, under the constraint (natural logarithm)."""
    confidence: float | None
    """Probability of the first property's value in a JSON answer, 0..1; None for free text."""
    seconds: float
    """Wall time of the batch divided by its size."""
    peak_bytes: int = 0
    """Most memory in use while the batch ran; 0 when unknown."""
    steps: tuple[tuple[int, float], ...] = ()
    """For each token the length of ``text`` up to its end, in characters, and its log-probability."""

    def __post_init__(self) -> None:
        """Take the steps as JSON gives them back, too: as lists."""
        object.__setattr__(self, "steps", tuple((int(end), float(logprob)) for end, logprob in self.steps))

    def span_logprob(self, start: int, end: int) -> float:
        """Return the sum of the log-probabilities of the tokens that overlap ``text[start:end]``."""
        total, begin = 0.0, 0
        for stop, logprob in self.steps:
            if begin < end and stop > start:
                total += logprob
            begin = stop
        return total


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Return a prompt's token ids; training, evaluation and serving all come through here."""
    turns = conversation(tokenizer, messages)
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    return cast("list[int]", ids)


def conversation(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return a prompt as chat templates take it.

    A control token's text inside a message (``<|end|>`` in a log) is broken by a blank after its first character:
    tokenizers read it as the control token otherwise, and a log could end its own turn.
    """
    control = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special and len(str(token)) > 1]
    turns = []
    for message in messages:
        content = message.content
        for token in control:
            content = content.replace(token, f"{token[0]} {token[1:]}")
        turns.append({"role": message.role, "content": content})
    return turns


def stop_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the tokens that end an answer: the tokenizer's end of sequence and those of the generation settings."""
    stops: Any = model.generation_config.eos_token_id
    ids = stops if isinstance(stops, list) else [stops if stops is not None else tokenizer.eos_token_id]
    return tuple(sorted({int(stop) for stop in [*ids, tokenizer.eos_token_id]}))


class LocalEngine:
    """A transformers model in this process: batched, left-padded, greedy unless a request says otherwise.

    Not thread-safe; loading costs seconds, so keep one.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, batch_size: int = 16) -> None:
        """Generate with ``model``, at most ``batch_size`` requests at a time."""
        self._model = model.eval()
        if model.device.type == "cpu" and model.config.num_attention_heads <= _EAGER_HEADS:
            model.set_attn_implementation("eager")
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._count = token_counter(tokenizer)
        self._stops = stop_ids(model, tokenizer)
        self._reader = PromptReader(model)

    @property
    def model(self) -> PreTrainedModel:
        """The model itself, for a library that asks in its own way."""
        model: PreTrainedModel = self._model
        return model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's tokenizer."""
        return self._tokenizer

    @property
    def context_length(self) -> int:
        """Longest prompt plus answer, in tokens."""
        return int(getattr(self._model.config, "max_position_embeddings", 2048))

    def count_tokens(self, text: str) -> int:
        """Return the length of ``text`` in tokens, without special ones."""
        return self._count(text)

    def loss(self, text: str) -> tuple[float, int]:
        """Return the summed loss on ``text`` (nats) and over how many tokens; what exceeds the context is cut."""
        import torch

        ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"][: self.context_length]
        if len(ids) < 2:
            return 0.0, 0
        row = torch.tensor([ids], device=self._model.device)
        with torch.inference_mode():
            logits = self._model(input_ids=row).logits[0, :-1].float()
        return float(torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum")), len(ids) - 1

    def generate(self, requests: Sequence[Request], progress: Callable[[int], None] | None = None) -> list[Generation]:
        """Answer every request, in order; batches are formed by length so that little is padded.

        ``progress`` is called with the number of requests finished since its last call.
        """
        prompts = [prompt_ids(self._tokenizer, request.messages) for request in requests]
        order = sorted(range(len(requests)), key=lambda index: (requests[index].temperature, len(prompts[index])))
        results: dict[int, Generation] = {}
        for _, alike in groupby(order, key=lambda index: requests[index].temperature):
            same = list(alike)
            for at in range(0, len(same), self._batch_size):
                chosen = same[at : at + self._batch_size]
                answers = self._batch([requests[index] for index in chosen], [prompts[index] for index in chosen])
                results.update(zip(chosen, answers, strict=True))
                if progress is not None:
                    progress(len(chosen))
        return [results[index] for index in range(len(requests))]

    def score(
        self,
        prompts: Sequence[Sequence[Message]],
        interviews: Sequence[Interview[T]],
        progress: Callable[[int], None] | None = None,
    ) -> list[T]:
        """Return what each prompt's interview returns (see ``scoring.py``); nothing is written."""
        from understudy.core.scoring import score_closed

        how: dict[str, Any] = {"reader": self._reader, "batch_size": self._batch_size, "progress": progress}
        return score_closed(self._model, self._tokenizer, prompts, interviews, **how)

    def _batch(self, requests: list[Request], prompts: list[list[int]]) -> list[Generation]:
        import torch
        from transformers import LogitsProcessorList

        from understudy.core._decoding import write

        started = time.perf_counter()
        device = self._model.device
        reset_peak(device.type)
        pad = int(self._tokenizer.pad_token_id)
        width = max(map(len, prompts))
        rows = torch.full((len(prompts), width), pad)
        mask = torch.zeros_like(rows)
        for row, ids in enumerate(prompts):
            rows[row, width - len(ids) :] = torch.tensor(ids)
            mask[row, width - len(ids) :] = 1
        constraint = self._constraint(requests, pad) if any(r.schema is not None for r in requests) else None
        drawing: dict[str, Any] = {"do_sample": False}
        if temperature := requests[0].temperature:
            drawing = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        with torch.inference_mode(), torch.random.fork_rng(enabled=bool(temperature)):
            if temperature:
                torch.manual_seed(requests[0].seed)
            answers = self._model.generate(
                input_ids=rows.to(device),
                attention_mask=mask.to(device),
                past_key_values=self._reader.read(prompts),
                max_new_tokens=max(request.max_new_tokens for request in requests),
                num_beams=1,
                **drawing,
                eos_token_id=list(self._stops),
                pad_token_id=pad,
                logits_processor=LogitsProcessorList([constraint] if constraint else []),
                custom_generate=write,
                limits=[request.max_new_tokens for request in requests],
                stops=self._stops,
                constraint=constraint,
            )
        seconds = (time.perf_counter() - started) / len(requests)
        peak = peak_memory(device.type)
        return [
            replace(self._answer(request, len(ids), answer, seconds), peak_bytes=peak)
            for request, ids, answer in zip(requests, prompts, answers, strict=True)
        ]

    def _constraint(self, requests: list[Request], pad: int) -> Any:
        from understudy.core._constraint import SchemaConstraint, compile_schema, guidance_tokenizer

        size = int(self._model.config.vocab_size)
        view = guidance_tokenizer(self._tokenizer, size, self._stops)
        grammars = [None if r.schema is None else compile_schema(r.schema, view, compact=r.compact) for r in requests]
        return SchemaConstraint(grammars, view, self._stops[0], pad, size)

    def _answer(self, request: Request, prompt_tokens: int, answer: Written, seconds: float) -> Generation:
        stopped = answer.tokens[-1] in self._stops
        ids = answer.tokens[:-1] if stopped else answer.tokens
        text = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        confidence = None
        if request.schema is not None:
            confidence = math.exp(sum(answer.logprobs[: self._first_field(ids)]))
        return Generation(
            text=str(text),
            finish_reason="stop" if stopped else "length",
            prompt_tokens=prompt_tokens,
            completion_tokens=len(ids),
            logprob=sum(answer.logprobs),
            confidence=confidence,
            seconds=seconds,
            steps=tuple(zip(self._ends(ids), answer.logprobs, strict=False)),
        )

    def _ends(self, ids: list[int]) -> list[int]:
        """Return the length of the text up to each token; one token is seldom a text of its own."""
        decode = self._tokenizer.decode
        return [len(decode(ids[: n + 1], clean_up_tokenization_spaces=False)) for n in range(len(ids))]

    def _first_field(self, ids: list[int]) -> int:
        """Return how many tokens it takes to write the first property's value (to the first comma after a string)."""
        for count in range(1, len(ids) + 1):
            text = str(self._tokenizer.decode(ids[:count], clean_up_tokenization_spaces=False))
            if '",' in text or text.endswith("}"):
                return count
        return len(ids)


@contextmanager
def borrowed_engine(model: Any, tokenizer: PreTrainedTokenizerBase, batch_size: int) -> Iterator[LocalEngine]:
    """Yield an engine over a model that is being trained, which afterwards computes attention as it did before."""
    implementation = model.config._attn_implementation
    try:
        yield LocalEngine(model, tokenizer, batch_size=batch_size)
    finally:
        model.set_attn_implementation(implementation)
