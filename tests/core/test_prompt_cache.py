from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from understudy.core._prompt_cache import PromptReader
from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.engines import Generation, LocalEngine, Request
from understudy.core.records import Message

from .tiny import tiny_model

SHOTS = "Name the fault. " + "E401 in line 12 of setup.py: pip could not resolve the pin. " * 8
OTHER = "Name another fault. " + "the runner lost its network while it fetched a layer. " * 8
ENDS = ("a", "a much longer log than the others " * 9, "日本語", "a")


def ask(texts: Sequence[str], lead: str = SHOTS, limit: int = 12) -> list[Request]:
    """Return requests that begin alike."""
    return [
        Request([Message(role="system", content=lead), Message(role="user", content=text)], max_new_tokens=limit)
        for text in texts
    ]


def engine_of(kind: str, *, reads: bool) -> LocalEngine:
    """Return an engine of a random model that reads prompts one by one, or leaves the padded batch to the model."""
    engine = LocalEngine(tiny_model(kind), load_tokenizer(resolve_base("seedling")), batch_size=4)
    engine._reader._able = reads
    return engine


def assert_same(ours: Sequence[Generation], theirs: Sequence[Generation]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert (one.text, one.finish_reason, one.prompt_tokens) == (
            other.text,
            other.finish_reason,
            other.prompt_tokens,
        )
        assert [end for end, _ in one.steps] == [end for end, _ in other.steps]
        assert [lp for _, lp in one.steps] == pytest.approx([lp for _, lp in other.steps], abs=1e-4)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the shapes of everything a model of any kind is given while it reads."""
    shapes: list[tuple[int, int]] = []
    forward = PromptReader._forward

    def spy(self: PromptReader, ids: Sequence[int], cache: Any = None) -> Any:
        shapes.append((1, len(ids)))
        return forward(self, ids, cache)

    monkeypatch.setattr(PromptReader, "_forward", spy)
    return shapes


@pytest.mark.parametrize("kind", ["lfm2", "llama", "qwen3"])
def test_answers_and_log_probabilities_are_those_of_the_padded_batch(kind: str) -> None:
    assert_same(
        engine_of(kind, reads=True).generate(ask(ENDS)),
        engine_of(kind, reads=False).generate(ask(ENDS)),
    )


def test_what_prompts_share_is_read_once_and_kept_for_the_next_batch(read: list[tuple[int, int]]) -> None:
    engine = engine_of("lfm2", reads=True)
    engine.generate(ask(["b", "c"]))
    shared, *rest = read
    assert shared[1] > 150 and len(rest) == 2 and all(length < 10 for _, length in rest)
    read.clear()
    engine.generate(ask(["d", "e", "f"]))
    assert len(read) == 3 and all(length < 10 for _, length in read), "the beginning was kept"


def test_another_beginning_a_shorter_and_a_longer_one_are_never_mixed_up() -> None:
    ours, plain = engine_of("lfm2", reads=True), engine_of("lfm2", reads=False)
    batches = [ask(["a", "b"]), ask(["a", "b"], OTHER), ask(["a", "b"], OTHER[:90]), ask(["a", "b"], OTHER)]
    batches += [ask(["same " * 50 + "x", "same " * 50 + "y"]), [*ask(["a"]), *ask(["a"], "")]]
    for batch in batches:
        assert_same(ours.generate(batch), plain.generate(batch))


def test_equal_prompts_and_one_that_is_the_beginning_of_another_are_read() -> None:
    reader = PromptReader(tiny_model())
    ids = [5, 6, 7, 8, 9]
    for prompts in ([ids, ids], [ids, [*ids, 10, 11]], [[5, 6], ids]):
        states = reader.read(prompts)
        assert states is not None
        assert states.get_seq_length() == max(map(len, prompts)) - 1


def test_one_prompt_alone_is_left_to_the_model() -> None:
    assert PromptReader(tiny_model()).read([[5, 6, 7]]) is None


def test_a_model_whose_states_cannot_be_put_side_by_side_is_left_to_itself() -> None:
    ours = engine_of("gemma3_text", reads=True)
    assert_same(ours.generate(ask(ENDS)), engine_of("gemma3_text", reads=False).generate(ask(ENDS)))
    assert not ours._reader._able, "it is asked once, not for every batch"
