"""Forgetting and safety are measured on the same items before and after, and the gate holds them to its margins."""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from understudy.core.engines import Generation, Request
from understudy.core.nursery import _corpus
from understudy.evals.compare import compare
from understudy.evals.forgetting import general_texts, measure, open_fields, planted
from understudy.evals.gate import GateSettings, decide
from understudy.evals.results import Before, Estimate, General
from understudy.evals.suites import suite

from .toy import IDENTITY, PACK, answer, example, examples, predictions

STANDARD = Path(sysconfig.get_paths()["stdlib"])
ANSWERS = {item.text: "ABCD"[item.data["answer"]] for item in suite("choices")}
HARMFUL = {item.text for item in suite("harmful")}


class Model:
    """Knows ``share`` of the choices, refuses harmful requests when it is ``safe``, and always names a colour."""

    context_length = 2048

    def __init__(self, share: float = 1.0, safe: bool = True) -> None:
        self.known = set(list(ANSWERS)[: round(share * len(ANSWERS))])
        self.safe = safe

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def loss(self, text: str) -> tuple[float, int]:
        return (2.0 if self.safe else 2.5) * 100, 100

    def generate(self, batch: Sequence[Request]) -> list[Generation]:
        return [Generation(self.reply(one), "stop", 1, 1, 0.0, None, 0.0) for one in batch]

    def reply(self, request: Request) -> str:
        text = request.messages[-1].content
        if text in ANSWERS:
            wrong = "A" if ANSWERS[text] != "A" else "B"
            return json.dumps({"answer": ANSWERS[text] if text in self.known else wrong})
        if request.schema is not None:
            return answer("red")
        return "I can't help with that." if self.safe and text in HARMFUL else "Sure: first of all, look here."


def measured(base: Model, tuned: Model, **changes: Any) -> General:
    told: list[tuple[str, int, int]] = []
    others = changes.get("others", {})
    found = measure(PACK, base, tuned, (base.loss, tuned.loss), examples(6), others, lambda *news: told.append(news))
    assert {(done, total) for _, done, total in told if done == total}
    return found


def by_name(found: General) -> dict[str, Before]:
    return {one.name: one for one in [*found.forgetting, *found.safety]}


def test_a_model_that_kept_everything_shows_no_change() -> None:
    found = by_name(measured(Model(), Model()))
    assert all(one.delta.value == 0 for one in found.values())
    assert found["multiple choice"].tuned.value == 1 and found["multiple choice"].n == 100
    assert found["general questions"].n == 204 and found["general questions"].gated
    assert found["harmful requests complied with"].tuned.value == 0
    assert found["benign requests refused"].tuned.value == 0


def test_an_unchanged_suite_shows_as_much_as_its_items_can_and_no_more() -> None:
    """Hand: z = 1.959964; no discordant pair of n: z*z / (n + z*z), so .0185 of 204 and .0370 of 100."""
    found = by_name(measured(Model(), Model()))
    change = found["general questions"].delta
    assert (change.value, change.low, change.high) == pytest.approx((0, -0.018483, 0.018483), abs=1e-6)
    harmful = found["harmful requests complied with"]
    assert (harmful.delta.low, harmful.delta.high) == pytest.approx((-0.036993, 0.036993), abs=1e-6)
    assert (harmful.tuned.low, harmful.tuned.high) == pytest.approx((0, 0.036993), abs=1e-6)
    assert (found["loss on Python code"].delta.low, found["loss on Python code"].delta.high) == (0, 0)


def test_what_was_forgotten_and_became_unsafe_is_measured() -> None:
    found = by_name(measured(Model(), Model(0.6, safe=False), others={"colours": (PACK, examples(9))}))
    assert found["multiple choice"].delta.value == pytest.approx(-0.4)
    assert found["harmful requests complied with"].delta.value == 1
    assert found["loss on Python code"].delta.value == pytest.approx(0.5)
    assert not found["loss on English prose"].higher_is_better
    assert found["task colours"].n == 9 and found["task colours"].delta.value == 0


def report(general: General) -> Any:
    samples = examples(300)
    arms = {
        "tuned": predictions(samples, "tuned", lambda at: True),
        "few-shot": predictions(samples, "few-shot", lambda at: at % 2 == 0),
    }
    return compare(PACK, samples, arms, identity=IDENTITY, resamples=300, corpus_resamples=80, general=general)


def test_the_gate_fails_what_forgot_or_became_unsafe_and_passes_what_kept_it() -> None:
    assert decide(report(measured(Model(), Model())), GateSettings()).verdict == "pass"
    forgot = decide(report(measured(Model(), Model(0.5))), GateSettings())
    assert forgot.verdict == "fail" and "general questions went from" in forgot.reasons[0]
    unsafe = decide(report(measured(Model(), Model(safe=False))), GateSettings())
    assert unsafe.verdict == "fail" and "harmful requests complied with" in unsafe.reasons[0]


def test_a_change_the_items_do_not_decide_is_inconclusive_and_says_how_many_would() -> None:
    change = Estimate(value=-0.01, low=-0.04, high=0.02)
    one = Before(name="general questions", n=204, unit="share", base=change, tuned=change, delta=change, gated=True)
    result = decide(report(General(forgetting=[one], safety=[])), GateSettings())
    assert result.verdict == "inconclusive" and "takes about" in result.reasons[0]


def test_general_text_is_there_in_both_kinds_and_always_the_same() -> None:
    texts = general_texts()
    assert set(texts) == {"Python code", "English prose"} and texts == general_texts.__wrapped__()
    assert all(len(pieces) >= 20 and all(len(piece) == 1_200 for piece in pieces) for pieces in texts.values())


def test_no_piece_of_general_text_is_of_a_file_the_seedling_has_read() -> None:
    standard = takewhile(lambda path: path.is_relative_to(STANDARD), _corpus.code_files([]))
    corpus = "\0".join(text for path in standard if (text := _corpus.read(path)) is not None)
    assert len(corpus) > 10_000_000
    for pieces in general_texts().values():
        assert not [piece for piece in pieces if piece in corpus]


def test_a_request_is_planted_in_the_packs_own_input() -> None:
    found = planted(PACK, [example(1)], "do harm")
    assert found is not None and found.input == {"text": "do harm"}
    assert planted(PACK, [], "do harm") is None


def test_fields_that_can_hold_free_text_are_named() -> None:
    schema = PACK.grammar(PACK.Input(text=""))
    assert [(one.name, one.most_characters) for one in open_fields(schema)] == [("why", None)]
    nested = {
        "$defs": {"Note": {"type": "string", "maxLength": 9}},
        "properties": {
            "kind": {"enum": ["a"]},
            "notes": {"type": "array", "items": {"$ref": "#/$defs/Note"}},
            "other": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"deep": {"type": "string"}}}]},
        },
    }
    assert [(one.name, one.most_characters) for one in open_fields(nested)] == [("notes[]", 9), ("other.deep", None)]
    assert open_fields({"properties": {"yes": {"type": "boolean"}, "n": {"type": "integer"}}}) == []
