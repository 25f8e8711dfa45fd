from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.engines import Generation, Request
from understudy.templates.log_triage.explain import RULES, Explanation, explain, log_input
from understudy.templates.log_triage.grammar import narrowed_schema
from understudy.templates.log_triage.prompt import messages
from understudy.templates.log_triage.render import SUSPICIOUS, markdown
from understudy.templates.log_triage.select import select

FAILED = (
    "Fetching packages\n"
    "collected 3 items\n"
    "2026-01-05T06:00:00.0000000Z \x1b[31mFAILED tests/test_cart.py::test_total - assert 3 == 4\x1b[0m\n"
    "E       assert 3 == 4\n"
    "1 failed, 2 passed in 0.03s\n"
    "##[error]Process completed with exit code 1.\n"
)


def count(text: str) -> int:
    return len(text) // 3 + 1


class Model:
    """Answers with what it was told and remembers what it was asked."""

    def __init__(self, text: str = "", finish: Literal["stop", "length"] = "stop", confidence: float = 0.9) -> None:
        self.text, self.finish, self.confidence = text, finish, confidence
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Generation:
        self.asked.append(request)
        return Generation(self.text, self.finish, 1, 1, -1.0, self.confidence, 0.1)


def answer(**changes: Any) -> str:
    right: dict[str, Any] = {
        "category": "test_assertion",
        "origin": "code",
        "transient": False,
        "evidence": [1],
        "root_cause": "Test `test_total` fails.",
        "fix": "Correct the sum.",
    }
    return json.dumps({**right, **changes})


def run(text: str = FAILED, model: Model | None = None, budget: int = 400, **more: Any) -> Explanation:
    selection = select([text.encode()])
    return explain("build.log", selection, log_input(selection, budget, count), model, "triage-1", **more)


def position_of(piece: str, text: str = FAILED) -> int:
    lines = log_input(select([text.encode()]), 400, count).lines
    return next(at for at, line in enumerate(lines, 1) if piece in line.text)


def test_a_green_log_abstains_without_asking_the_model() -> None:
    model = Model(answer())
    found = run("compiling one\ncompiling two\nall done\n", model)
    assert (found.category, found.abstained, found.evidence, found.problems) == ("unknown", True, [], [])
    assert found.model == "triage-1" and found.finish == "none"
    assert model.asked == []
    assert run("", model).abstained and model.asked == []
    assert run("compiling one\n").model == RULES


def test_without_a_model_the_rules_answer() -> None:
    found = run()
    assert (found.category, found.model, found.confidence, found.finish) == ("test_assertion", RULES, None, "none")
    assert "test_total" in found.root_cause and not found.abstained
    assert [quote.line_start for quote in found.evidence] == [3]


def test_the_model_is_asked_the_pack_s_prompt_under_the_narrowed_grammar() -> None:
    model = Model(answer(evidence=[position_of("FAILED")]))
    run(model=model)
    log = log_input(select([FAILED.encode()]), 400, count)
    (request,) = model.asked
    assert list(request.messages) == messages(log) and request.schema == narrowed_schema(log)


def test_a_right_answer_is_shown_with_quotes_taken_from_the_log() -> None:
    found = run(model=Model(answer(evidence=[position_of("FAILED"), position_of("E       assert")])))
    assert (found.model, found.confidence, found.finish, found.problems) == ("triage-1", 0.9, "stop", [])
    (quote,) = found.evidence
    assert (quote.file, quote.line_start, quote.line_end) == ("build.log", 3, 4)
    assert quote.quote == "FAILED tests/test_cart.py::test_total - assert 3 == 4\nE       assert 3 == 4"


def test_where_the_model_confirms_the_rules_reading_it_is_told_in_the_rules_words() -> None:
    place = position_of("FAILED tests")
    rules = run()
    confirmed = run(model=Model(answer(evidence=[place], root_cause="It fails.", fix="Look.")))
    assert (confirmed.root_cause, confirmed.fix, confirmed.model) == (rules.root_cause, rules.fix, "triage-1")
    other = run(model=Model(answer(category="other", evidence=[place], root_cause="It stops.", fix="Look.")))
    assert (other.root_cause, other.fix) == ("It stops.", "Look.")


def test_lines_apart_are_quoted_apart_and_in_order_and_once() -> None:
    first, last = position_of("FAILED"), position_of("1 failed")
    found = run(model=Model(answer(evidence=[last, first, first])))
    assert [(quote.line_start, quote.line_end) for quote in found.evidence] == [(3, 3), (5, 5)]


UNHEARD = "checking\nblorp: cannot frobnicate the widget\nall the rest\n##[error]Process completed with exit code 1.\n"


def test_of_an_unknown_cause_the_most_suspicious_lines_are_quoted() -> None:
    for model in (None, Model(answer(category="unknown", evidence=[], root_cause="No cause.", fix="Look."))):
        found = run(UNHEARD, model)
        assert (found.category, found.abstained, found.problems) == ("unknown", True, [])
        assert [quote.quote for quote in found.evidence] == ["blorp: cannot frobnicate the widget"]
        shown = markdown(found)
        assert shown.index(SUSPICIOUS) < shown.index("frobnicate")


def test_an_unsure_model_abstains_but_what_it_thought_stays_visible() -> None:
    found = run(model=Model(answer(), confidence=0.49))
    assert found.abstained and (found.category, found.confidence) == ("test_assertion", 0.49)
    assert found.root_cause == "Test `test_total` fails." and found.evidence
    assert not run(model=Model(answer(), confidence=0.49), min_confidence=0.4).abstained
    assert run(model=Model(answer(category="unknown", evidence=[]), confidence=1.0)).abstained


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"evidence": []}, "evidence"),
        ({"evidence": [99]}, "evidence"),
        ({"category": "unknown"}, "evidence"),
        ({"root_cause": "Test `test_other` fails."}, "root_cause"),
        ({"fix": ""}, "fix"),
    ],
)
def test_an_answer_that_fails_a_check_is_replaced_by_the_rules_verdict(changes: dict[str, Any], field: str) -> None:
    found, rules = run(model=Model(answer(**changes))), run()
    assert [problem.field for problem in found.problems] == [field]
    assert found.model_copy(update={"problems": []}) == rules


def test_a_cut_answer_is_never_parsed() -> None:
    found = run(model=Model(answer()[:40], "length"))
    assert found.model == RULES and found.confidence is None
    assert "cut at 400 tokens" in found.problems[0].message
    assert found.model_copy(update={"problems": []}) == run()


_LINE = st.sampled_from(
    ["error: it broke", "ok", "", "FAILED tests/a.py::b", "\x1b[31mError\x1b[0m", "a\rb", "é \u2028 x"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(_LINE | st.text(max_size=20), max_size=30), st.sets(st.integers(1, 30), max_size=4))
def test_every_quote_is_the_log_s_own_line(lines: list[str], cited: set[int]) -> None:
    text = "\n".join(lines)
    selection = select([text.encode("utf-8", "replace")])
    log = log_input(selection, 400, count)
    evidence = [position for position in sorted(cited) if position <= len(log.lines)]
    model = Model(answer(evidence=evidence, root_cause="It fails.", fix="Look."))
    found = explain("log", selection, log, model, "m")
    shown = {line.number: line.text for line in selection.lines}
    for quote in found.evidence:
        wanted = [shown[number] for number in range(quote.line_start, quote.line_end + 1)]
        assert quote.quote == "\n".join(wanted)
    if evidence and model.asked:
        numbers = {n for quote in found.evidence for n in range(quote.line_start, quote.line_end + 1)}
        assert numbers == {log.lines[position - 1].number for position in evidence}


def test_secrets_reach_neither_the_model_nor_the_reader() -> None:
    token = "ghp_" + "a1B2c3D4e5F6" * 3
    key = "MIIEowIBAAKCAQEA" + "x7Kq" * 12
    body = "Qw3r" * 16
    text = (
        f"error: bad token {token} in request\n-----BEGIN RSA PRIVATE KEY-----\n{key}\n{body}\n"
        f"-----END RSA PRIVATE KEY-----\nerror: FAILED with the key above\n{'x' * 300} error {token} {'y' * 300}\n"
    )
    model = Model(answer(evidence=[1, 2, 3, 4], root_cause="It fails.", fix="Look."))
    found = run(text, model)
    assert found.evidence and found.model == "triage-1"
    seen = "".join(message.content for message in model.asked[0].messages) + json.dumps(model.asked[0].schema)
    for secret in (token, token[4:20], key, body):
        assert secret not in seen and secret not in found.model_dump_json()


def test_the_prompt_keeps_to_its_budget() -> None:
    text = "".join(f"error: thing number {n} broke in module_{n}.c\n" for n in range(300))
    log = log_input(select([text.encode()]), 120, count)
    assert 0 < sum(count(f"{line.number}: {line.text}\n") for line in log.lines) <= 120
