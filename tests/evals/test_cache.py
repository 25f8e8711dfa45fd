"""A cache answers what it was asked before, misses when anything changed, and survives being cut off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from understudy.core.engines import Generation, Request
from understudy.core.errors import BadInput
from understudy.core.records import Message
from understudy.core.scoring import ClosedQuestion, Interview
from understudy.evals.arms import model_arm
from understudy.evals.cache import CachedEngine, EngineKey, request_key

from .toy import PACK, answer, examples

KEY = EngineKey("m" * 64, "a" * 64, "t" * 64, {"greedy": True, "torch": "2.13.0"})


class CountingEngine:
    """Answers with real Generations and counts what it had to answer."""

    context_length = 2048

    def __init__(self, fail_after: int | None = None) -> None:
        self.asked = 0
        self.counted = 0
        self.fail_after = fail_after

    def count_tokens(self, text: str) -> int:
        self.counted += 1
        return len(text.split())

    def generate(self, batch: Sequence[Request]) -> list[Generation]:
        if self.fail_after is not None and self.asked >= self.fail_after:
            raise KeyboardInterrupt
        self.asked += len(batch)
        return [Generation(answer(r.messages[-1].content.split()[-1]), "stop", 40, 9, -1.5, 0.75, 0.5) for r in batch]


def never() -> Any:
    raise AssertionError("the model was loaded although every answer is known")


def request(text: str = "sample 1 looks green", **changes: Any) -> Request:
    plain = Request([Message(role="user", content=text)], PACK.grammar(PACK.Input(text="")), 64)
    return replace(plain, **changes)


def test_a_second_evaluation_loads_no_model_and_finds_the_same_predictions(tmp_path: Path) -> None:
    samples, shots = examples(10), [one.model_copy(update={"group": "x", "id": "x"}) for one in examples(1)]
    first = model_arm("few-shot", CachedEngine(KEY, tmp_path, CountingEngine), PACK, shots, batch_size=4)
    made = first.predict(samples)
    cached = CachedEngine(KEY, tmp_path, never)
    assert model_arm("few-shot", cached, PACK, shots, batch_size=4).predict(samples) == made
    assert (cached.hits, cached.misses, cached.dropped) == (10, 0, 0)


def test_a_killed_evaluation_goes_on_with_the_batches_it_lacks(tmp_path: Path) -> None:
    samples = examples(20)
    killed = CountingEngine(fail_after=8)
    with pytest.raises(KeyboardInterrupt):
        model_arm("tuned", CachedEngine(KEY, tmp_path, lambda: killed), PACK, batch_size=4).predict(samples)
    rest = CountingEngine()
    made = model_arm("tuned", CachedEngine(KEY, tmp_path, lambda: rest), PACK, batch_size=4).predict(samples)
    assert (killed.asked, rest.asked) == (8, 12)
    assert made == model_arm("tuned", CountingEngine(), PACK, batch_size=4).predict(samples)


@pytest.mark.parametrize(
    "changed",
    [
        replace(KEY, model="n" * 64),
        replace(KEY, adapter=""),
        replace(KEY, template="u" * 64),
        replace(KEY, decoding={"greedy": True, "torch": "2.14.0"}),
    ],
)
def test_another_model_adapter_template_or_decoding_misses(tmp_path: Path, changed: EngineKey) -> None:
    CachedEngine(KEY, tmp_path, CountingEngine).generate([request()])
    other = CachedEngine(changed, tmp_path, CountingEngine)
    other.generate([request()])
    assert (other.hits, other.misses) == (0, 1)


def test_another_prompt_grammar_limit_or_whitespace_misses(tmp_path: Path) -> None:
    cached = CachedEngine(KEY, tmp_path, CountingEngine)
    schema = PACK.grammar(PACK.Input(text=""))
    reordered = {**schema, "properties": dict(reversed(schema["properties"].items()))}
    changed = [
        request(),
        request("sample 2 looks green"),
        request(schema=None),
        request(schema=reordered),
        request(max_new_tokens=65),
        request(compact=False),
        request(messages=[Message(role="system", content="Be brief."), *request().messages]),
    ]
    assert len({request_key(one) for one in changed}) == len(changed)
    cached.generate(changed)
    assert (cached.hits, cached.misses) == (0, len(changed))
    cached.generate([request(schema=dict(schema))])
    assert cached.hits == 1


def test_a_drawn_answer_is_another_than_a_greedy_one_and_than_one_of_another_seed() -> None:
    drawn = [request(temperature=1.0), request(temperature=0.5), request(temperature=1.0, seed=1)]
    assert len({request_key(one) for one in [request(), *drawn]}) == 4
    assert request_key(request(seed=1)) == request_key(request()), "where nothing is drawn, the seed decides nothing"


def test_a_request_twice_in_a_batch_is_asked_once(tmp_path: Path) -> None:
    engine = CountingEngine()
    cached = CachedEngine(KEY, tmp_path, lambda: engine)
    assert len(cached.generate([request(), request()])) == 2
    assert engine.asked == 1


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_a_cut_off_file_loses_only_its_last_answers_and_is_mended(tmp_path: Path, cut: int) -> None:
    first = CachedEngine(KEY, tmp_path, CountingEngine)
    for number in range(3):
        first.generate([request(f"sample {number} looks red")])
    first.path.write_bytes(first.path.read_bytes()[:-cut])
    engine = CountingEngine()
    again = CachedEngine(KEY, tmp_path, lambda: engine)
    for number in range(3):
        again.generate([request(f"sample {number} looks red")])
    assert engine.asked == again.dropped == (0 if cut == 1 else 1)
    final = CachedEngine(KEY, tmp_path, never)
    assert final.dropped == 0 and len(final.generate([request(f"sample {at} looks red") for at in range(3)])) == 3


@pytest.mark.parametrize(
    "garbage", [b"\xff\xfe\x00", b"[]", b"{}", b'{"request": "x", "answer": {}, "check": ""}', b'"text"', b"NaN"]
)
def test_garbage_in_the_file_is_dropped_not_believed(tmp_path: Path, garbage: bytes) -> None:
    first = CachedEngine(KEY, tmp_path, CountingEngine)
    first.generate([request()])
    with first.path.open("ab") as out:
        out.write(garbage + b"\n")
    again = CachedEngine(KEY, tmp_path, never)
    assert again.dropped == 1 and again.generate([request()])


def test_an_edited_answer_is_asked_again(tmp_path: Path) -> None:
    first = CachedEngine(KEY, tmp_path, CountingEngine)
    first.generate([request()])
    first.path.write_text(first.path.read_text().replace("green", "blue!"))
    again = CachedEngine(KEY, tmp_path, CountingEngine)
    assert again.dropped == 1 and "green" in again.generate([request()])[0].text


def test_a_file_of_another_model_under_this_name_is_not_used(tmp_path: Path) -> None:
    other = CachedEngine(replace(KEY, model="other"), tmp_path, CountingEngine)
    other.generate([request()])
    ours = CachedEngine(KEY, tmp_path, never).path
    ours.write_bytes(other.path.read_bytes())
    again = CachedEngine(KEY, tmp_path, CountingEngine)
    again.generate([request()])
    assert again.misses == 1
    assert json.loads(again.path.read_text().split("\n")[0])["key"]["model"] == KEY.model


def test_facts_and_lengths_are_remembered_too(tmp_path: Path) -> None:
    engine = CountingEngine()
    first = CachedEngine(KEY, tmp_path, lambda: engine)
    assert (first.context_length, first.count_tokens("a b c"), first.count_tokens("a b c")) == (2048, 3, 3)
    assert first.fact("machine", lambda _: {"device": "cpu"}) == {"device": "cpu"}
    assert engine.counted == 1
    again = CachedEngine(KEY, tmp_path, never)
    assert (again.context_length, again.count_tokens("a b c")) == (2048, 3)
    assert again.fact("machine", never) == {"device": "cpu"}


class ScoringEngine(CountingEngine):
    """Is surer of the first choice the longer the answer so far, and counts the questions."""

    def score(self, prompts: Sequence[Any], interviews: Sequence[Interview[Any]], progress: Any = None) -> list[Any]:
        return [self._asked(interview) for interview in interviews]

    def _asked(self, interview: Interview[Any]) -> Any:
        try:
            asked = next(interview)
            while True:
                self.asked += len(asked)
                asked = interview.send([[1 - 0.5 ** len(one.before), 0.5 ** len(one.before)] for one in asked])
        except StopIteration as end:
            return end.value


def interview(*befores: str) -> Interview[list[list[float]]]:
    """Ask two questions a turn; the second's place depends on what was answered before."""
    found: list[list[float]] = []
    for before in befores:
        found += yield [ClosedQuestion(before, ("a", "b")), ClosedQuestion(before + "x" * len(found), ("a", "b"))]
    return found


def prompt(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


def test_scores_of_closed_questions_are_kept_and_only_new_ones_are_asked(tmp_path: Path) -> None:
    plain, engine = ScoringEngine(), ScoringEngine()
    wanted = plain.score([prompt("t")] * 2, [interview("p", "pq"), interview("r")])
    cached = CachedEngine(KEY, tmp_path, lambda: engine)
    assert cached.score([prompt("t")] * 2, [interview("p", "pq"), interview("r")]) == wanted
    assert (cached.hits, cached.misses) == (0, 2) and engine.asked == 4, "the same question twice is asked once"
    again = CachedEngine(KEY, tmp_path, never)
    assert again.score([prompt("t")] * 2, [interview("r"), interview("p", "pq")]) == wanted[::-1]
    assert (again.hits, again.misses) == (2, 0)
    more = CachedEngine(KEY, tmp_path, lambda: engine)
    assert more.score([prompt("t")], [interview("p", "other")]) == plain.score([prompt("t")], [interview("p", "other")])
    assert engine.asked == 6, "the turn that was known was not asked again"
    assert more.score([prompt("another")], [interview("p")]) == plain.score([prompt("another")], [interview("p")])
    assert engine.asked == 7


def test_an_edited_score_is_asked_again(tmp_path: Path) -> None:
    CachedEngine(KEY, tmp_path, ScoringEngine).score([prompt("t")], [interview("p")])
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"[0.5, 0.5]", b"[0.9, 0.1]", 1))
    mended = CachedEngine(KEY, tmp_path, ScoringEngine)
    assert mended.dropped == 1 and mended.score([prompt("t")], [interview("p")]) == [[[0.5, 0.5]] * 2]


def test_a_model_without_probabilities_cannot_score(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="shows no probabilities"):
        CachedEngine(KEY, tmp_path, CountingEngine).score([prompt("t")], [interview("p")])
