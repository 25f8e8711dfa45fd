"""Answers kept on disk, so that a killed evaluation goes on where it was and a repeated one asks no model.

An answer is found again only by everything that decides it: the model's and the adapter's digest, the chat template,
the decoding settings, the grammar and the prompt. (A key of the prompt alone silently gives a tuned model its base's
answers when both share a cache.) One file per model and decoding, one JSON line per answer, appended in one write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes, write_text

if TYPE_CHECKING:
    from understudy.core.engines import Generation, Request
    from understudy.core.records import Message
    from understudy.core.scoring import ClosedQuestion, Interview
    from understudy.evals.arms import Engine

__all__ = ["CachedEngine", "EngineKey", "question_key", "request_key"]

T = TypeVar("T")


@dataclass(frozen=True)
class EngineKey:
    """Which model answers, and how it decodes."""

    model: str
    """Digest of the weights, or the address and name of a remote model."""
    adapter: str = ""
    """Digest of the adapter on top of them."""
    template: str = ""
    """Digest of the chat template."""
    decoding: Mapping[str, Any] | None = None
    """Everything else that can change an answer: sampling, number format, versions of the libraries."""

    def digest(self) -> str:
        """Return the SHA-256 of the key as 64 hex digits."""
        return sha256_bytes(canonical_json(asdict(self)).encode())


def request_key(request: Request) -> str:
    """Return the SHA-256 of a request: all that decides its answer, its grammar in property order."""
    value: dict[str, Any] = {
        "messages": [[turn.role, turn.content] for turn in request.messages],
        "schema": None if request.schema is None else json.dumps(request.schema),
        "max_new_tokens": request.max_new_tokens,
        "compact": request.compact,
    }
    if request.temperature:  # a drawn answer; the seed says nothing of any other
        value |= {"temperature": request.temperature, "seed": request.seed}
    return sha256_bytes(canonical_json(value).encode("utf-8", "surrogatepass"))


def question_key(messages: Sequence[Message], question: ClosedQuestion) -> str:
    """Return the SHA-256 of a closed question: the prompt, what stands before the place, and the choices."""
    turns = [[turn.role, turn.content] for turn in messages]
    value = {"messages": turns, "before": question.before, "choices": list(question.choices)}
    return sha256_bytes(canonical_json(value).encode("utf-8", "surrogatepass"))


class CachedEngine:
    """An engine that answers from its file what it was asked before, and opens the model only for the rest."""

    def __init__(self, key: EngineKey, folder: Path, open_engine: Callable[[], Engine]) -> None:
        """Use the file of ``key`` in ``folder``; a damaged or cut-off line is dropped and asked again.

        Args:
            key: which model and how it decodes.
            folder: of the cache; made when missing.
            open_engine: loads the model; called when the first unknown answer is wanted, if ever.
        """
        self.path = folder / f"{key.digest()[:24]}.jsonl"
        self.hits = 0
        self.misses = 0
        self.dropped = 0
        """Lines of the file that could not be used."""
        self._key = key
        self._open = open_engine
        self._engine: Engine | None = None
        self._answers: dict[str, Generation] = {}
        self._scores: dict[str, list[float]] = {}
        self._lengths: dict[str, int] = {}
        self._facts: dict[str, Any] = {}
        self._read()

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer together."""
        return int(self.fact("context_length", lambda engine: engine.context_length))

    def fact(self, name: str, ask: Callable[[Engine], Any]) -> Any:
        """Return something of the engine that never changes (a JSON value), remembered under ``name``."""
        if name not in self._facts:
            self._facts[name] = ask(self._opened())
            self._append([{"fact": name, "value": self._facts[name]}])
        return self._facts[name]

    def count_tokens(self, text: str) -> int:
        """Return the length of ``text`` in the model's tokens."""
        name = sha256_bytes(text.encode("utf-8", "surrogatepass"))[:24]
        if name not in self._lengths:
            self._lengths[name] = self._opened().count_tokens(text)
            self._append([{"text": name, "tokens": self._lengths[name]}])
        return self._lengths[name]

    def generate(self, batch: Sequence[Request]) -> list[Generation]:
        """Answer every request, in order; those never asked before go to the model together and are kept."""
        keys = [request_key(request) for request in batch]
        fresh = {key: request for key, request in zip(keys, batch, strict=True) if key not in self._answers}
        self.misses += len(fresh)
        self.hits += len(batch) - len(fresh)
        if fresh:
            made = self._opened().generate(list(fresh.values()))
            lines = []
            for key, generation in zip(fresh, made, strict=True):
                self._answers[key] = generation
                value = {field.name: getattr(generation, field.name) for field in fields(generation)}
                lines.append({"request": key, "answer": value, "check": _check(value)})
            self._append(lines)
        return [self._answers[key] for key in keys]

    def score(
        self,
        prompts: Sequence[Sequence[Message]],
        interviews: Sequence[Interview[T]],
        progress: Callable[[int], None] | None = None,
    ) -> list[T]:
        """Return what each prompt's interview returns; those with a question never asked before go to the model.

        Raises:
            BadInput: the engine shows no probabilities, as a remote one.
        """
        results: dict[int, T] = {}
        open_ones: dict[int, Interview[T]] = {}
        fresh: dict[str, list[float]] = {}
        for at, (messages, interview) in enumerate(zip(prompts, interviews, strict=True)):
            relayed = self._relayed(messages, interview, fresh)
            try:
                open_ones[at] = _begun(next(relayed), relayed)
            except StopIteration as end:
                results[at] = end.value
        self.misses += len(open_ones)
        self.hits += len(results)
        if open_ones:
            ask = getattr(self._opened(), "score", None)
            if ask is None:
                raise BadInput("this model shows no probabilities; labels can be scored by a local one only")
            made = ask([prompts[at] for at in open_ones], list(open_ones.values()), progress)
            results |= zip(open_ones, made, strict=True)
            self._append([{"question": key, "scores": row, "check": _check({key: row})} for key, row in fresh.items()])
        return [results[at] for at in range(len(prompts))]

    def _relayed(
        self, messages: Sequence[Message], interview: Interview[T], fresh: dict[str, list[float]]
    ) -> Interview[T]:
        """Answer an interview from what is known, ask only for the rest, and note that in ``fresh``."""
        try:
            asked = next(interview)
            while True:
                keys = [question_key(messages, question) for question in asked]
                unknown = {key: one for key, one in zip(keys, asked, strict=True) if key not in self._scores}
                if unknown:
                    found = dict(zip(unknown, (yield list(unknown.values())), strict=True))
                    self._scores |= found
                    fresh |= found
                asked = interview.send([self._scores[key] for key in keys])
        except StopIteration as end:
            result: T = end.value
            return result

    def loss(self, text: str) -> tuple[float, int]:
        """Return the summed loss on a text (nats) and over how many tokens, of an engine that can tell.

        Raises:
            BadInput: the engine shows no probabilities, as a remote one.
        """
        name = f"loss:{sha256_bytes(text.encode('utf-8', 'surrogatepass'))[:24]}"
        nats, tokens = self.fact(name, _loss_of(text))
        return float(nats), int(tokens)

    def close(self) -> None:
        """Let go of the model; asked again, it is loaded again."""
        self._engine = None

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = self._open()
        return self._engine

    def _read(self) -> None:
        if not self.path.exists():
            return
        whole = self.path.read_bytes()
        lines = [line for line in whole.split(b"\n") if line]
        ours = bool(lines) and lines[0] == self._first_line()
        kept = [line.decode("utf-8") for line in lines if ours and self._take(line)]
        self.dropped = len(lines) - len(kept)
        if self.dropped or not whole.endswith(b"\n"):
            write_text(self.path, "".join(f"{line}\n" for line in kept or [self._first_line().decode()]))

    def _first_line(self) -> bytes:
        return json.dumps({"key": asdict(self._key)}, sort_keys=True).encode("ascii")

    def _take(self, line: bytes) -> bool:
        """Remember what a line says; False when it is damaged."""
        from understudy.core.engines import Generation

        try:
            value = json.loads(line.decode("utf-8"))
            if "request" in value and value["check"] == _check(value["answer"]):
                self._answers[value["request"]] = Generation(**value["answer"])
            elif "question" in value and value["check"] == _check({value["question"]: value["scores"]}):
                self._scores[value["question"]] = value["scores"]
            elif "text" in value:
                self._lengths[value["text"]] = int(value["tokens"])
            elif "fact" in value:
                self._facts[value["fact"]] = value["value"]
            else:
                return "key" in value
        except (ValueError, TypeError, KeyError):
            return False
        return True

    def _append(self, values: Sequence[Mapping[str, Any]]) -> None:
        """Add whole lines in one write, so that a kill leaves at most one cut line, at the end."""
        text = "".join(json.dumps(value) + "\n" for value in values).encode("ascii")
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = self._first_line() + b"\n" + text
        with self.path.open("ab") as out:
            out.write(text)


def _begun(asked: Sequence[ClosedQuestion], interview: Interview[T]) -> Interview[T]:
    """Return an interview that was begun already, as if it were about to begin with what it asked first."""
    try:
        while True:
            asked = interview.send((yield asked))
    except StopIteration as end:
        result: T = end.value
        return result


def _loss_of(text: str) -> Callable[[Engine], list[float]]:
    def ask(engine: Engine) -> list[float]:
        loss = getattr(engine, "loss", None)
        if loss is None:
            raise BadInput("this model shows no probabilities; the loss on general text needs a local one")
        return list(loss(text))

    return ask


def _check(value: Mapping[str, Any]) -> str:
    return sha256_bytes(json.dumps(value, sort_keys=True).encode())[:16]
