# ruff: noqa: E501
from __future__ import annotations

import json
import random
import re

import jsonschema
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core._constraint import SchemaConstraint, compile_schema, guidance_tokenizer
from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.engines import LocalEngine, Request
from understudy.templates.log_triage.checks import check
from understudy.templates.log_triage.grammar import MAX_SENTENCE, names_in, narrowed_schema
from understudy.templates.log_triage.prompt import messages
from understudy.templates.log_triage.schema import CATEGORIES, ORIGINS, LogInput, LogLine, RootCause

from ...core.tiny import tiny_model

STOP, PAD, SIZE = 2, 0, 5120
TOKENIZER = load_tokenizer(resolve_base("seedling"))
VIEW = guidance_tokenizer(TOKENIZER, SIZE, (STOP,))

_WORDS = st.sampled_from(
    ["tests/test_a.py::test_b[x-1]", 'assert "q" == \'r\'', "C:\\src\\a.c(3,7):", "`ticks`", "a//b", "\\d+.*?", "$HOME",
     "ünïcode", "日本語", "\u2028", "{json:[1]}", "x|y", "^start$", "don't", "\\", '"', "/", "(?=a)", "@scope/pkg~1", "#42", "0xFF",
     "a\tb", "\x00", "🦉", "-Werror=x", "<|end|>", "%s", "a&b", "E0425"]
)  # fmt: skip
_LINES = st.lists(
    st.lists(_WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=5), max_size=6
)


def log_of(*texts: str) -> LogInput:
    return LogInput(lines=[LogLine(number=10 * n, text=text) for n, text in enumerate(texts, 1)], total_lines=1000)


_LOGS = _LINES.map(lambda rows: log_of(*(" ".join(row).replace("\n", " ") for row in rows)))


def write(log: LogInput, seed: int) -> str:
    """Let random logits write one answer under the log's grammar; quotes and stops are liked, so that it ends."""
    constraint = SchemaConstraint([compile_schema(narrowed_schema(log), VIEW)], VIEW, STOP, PAD, SIZE)
    noise = np.random.default_rng(seed)
    eager = torch.zeros(1, SIZE)
    for text, weight in (('"', 3.0), ('"}', 3.0), ('",', 3.0), ("`", 6.0)):
        for token in TOKENIZER(text, add_special_tokens=False)["input_ids"]:
            eager[0, token] = weight
    ids = torch.full((1, 1), 9)
    for _ in range(1200):
        scores = torch.from_numpy(noise.normal(size=(1, SIZE)).astype(np.float32)) * 2 + eager
        token = int(constraint(ids, scores).argmax())
        if token == STOP:
            return str(TOKENIZER.decode(ids[0, 1:], clean_up_tokenization_spaces=False))
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    raise AssertionError("no end")


def _holds(log: LogInput, text: str) -> RootCause:
    value = json.loads(text)
    jsonschema.validate(value, narrowed_schema(log))
    answer = RootCause.model_validate_json(text)
    assert list(value) == list(RootCause.model_fields)
    assert all(1 <= position <= len(log.lines) for position in answer.evidence)
    for sentence in (answer.root_cause, answer.fix):
        assert len(sentence) <= MAX_SENTENCE
        parts = sentence.split("`")
        assert len(parts) % 2 == 1, "backquotes come in pairs"
        assert set(parts[1::2]) <= set(names_in(log))
        assert all(re.fullmatch(r"[A-Za-z0-9 ,.;:()'/%+=*_-]*", prose) for prose in parts[::2])
    complaints = [problem.message for problem in check(log, answer)]
    assert not [text for text in complaints if "not among" in text or "not in the log" in text or "unclosed" in text]
    return answer


@settings(max_examples=60, deadline=None)
@given(_LOGS, st.integers(0, 2**32))
def test_any_logits_write_an_answer_that_parses_and_cites_what_is_there(log: LogInput, seed: int) -> None:
    _holds(log, write(log, seed))


def test_names_are_really_written() -> None:
    log = log_of("FAILED tests/test_a.py::test_b[x+1] - C:\\a.c(3) \"quoted\" 'é' a|b $^", "日本語 @scope/pkg")
    named = {name for seed in range(20) for name in write(log, seed).split("`")[1::2]}
    assert len(named) > 5 and any(not name.isascii() for name in named)


def test_a_name_with_slashes_can_be_written() -> None:
    from llguidance import LLMatcher

    answer = {
        "category": "other",
        "origin": "code",
        "transient": False,
        "evidence": [1],
        "root_cause": "`a/b.c`",
        "fix": "",
    }
    matcher = LLMatcher(VIEW, compile_schema(narrowed_schema(log_of("src/a/b.c:3: no")), VIEW))
    ids = TOKENIZER(json.dumps(answer, separators=(",", ":")), add_special_tokens=False)["input_ids"]
    assert matcher.validate_tokens(ids) == len(ids)


@pytest.mark.parametrize("kind", ["lfm2", "llama"])
def test_a_random_model_s_answers_parse_and_cite_what_is_there(kind: str) -> None:
    model = tiny_model(kind, seed=11)
    rng = random.Random(5)
    pieces = [
        "tests/a.py::t[1]",
        "C:\\x\\y",
        '"q"',
        "é`b`",
        "a|b",
        "(x)",
        "日本語",
        "/usr/bin",
        "$^.*",
        "error:",
        "-Wl,--x",
    ]
    logs = [log_of(*(" ".join(rng.sample(pieces, 4)) for _ in range(rng.randint(1, 9)))) for _ in range(6)]
    logs.append(log_of())
    engine = LocalEngine(model, TOKENIZER)
    for log, got in zip(
        logs, engine.generate([Request(messages(x), narrowed_schema(x), 900) for x in logs]), strict=True
    ):
        assert got.finish_reason == "stop"
        assert got.confidence is not None and 0 < got.confidence <= 1
        _holds(log, got.text)


@settings(max_examples=200)
@given(_LOGS)
def test_every_name_stands_in_the_log_and_can_stand_in_backquotes(log: LogInput) -> None:
    text = "\n".join(line.text for line in log.lines)
    names = names_in(log)
    assert len(set(names)) == len(names) <= 800
    for name in names:
        assert name in text and name == name.strip()
        assert not set(name) & set("`\\\n")


def test_names_are_whole_words_and_their_parts() -> None:
    names = names_in(
        log_of("E tests/test_a.py::test_b: KeyError: 'user-id' (x) 7", "main.c:5: undefined reference to `foo'")
    )
    assert {
        "tests/test_a.py::test_b",
        "tests/test_a.py",
        "tests",
        "test_a.py",
        "test_b",
        "KeyError",
        "user-id",
        "7",
        "main.c",
        "foo",
    } <= set(names)
    assert "test_b:" not in names and "`foo'" not in names


def test_values_types_and_short_phrases_can_be_named() -> None:
    names = names_in(
        log_of("E   AssertionError: expected list[str], got ['a', 'b c'] near ;", "x: HTTP Error 403: Forbidden")
    )
    assert {"list[str]", "['a', 'b c']", ";", "HTTP Error 403"} <= set(names)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("src/lib.rs:12:5: error", "src/lib.rs"),
        ("./bin/run.sh: Permission denied", "./bin/run.sh"),
        (".github/workflows/ci.yml: invalid", ".github/workflows/ci.yml"),
        ("GET http://127.0.0.1:2526/x failed", "127.0.0.1:2526"),
        ("404 @shard/dispatch@1.2.0 is not there", "@shard/dispatch"),
        ("need left-pad@2", "left-pad"),
        ("/home/runner/work/a/a/src/b.c:3: no", "src/b.c"),
        ("raise cursor.crate.BrokerError", "BrokerError"),
    ],
)
def test_what_people_call_a_thing_is_among_its_names(text: str, name: str) -> None:
    assert name in names_in(log_of(text))


def test_a_log_with_very_many_names_keeps_the_first_and_still_compiles() -> None:
    log = log_of(*(" ".join(f"name_{row}_{n}.c" for n in range(40)) for row in range(30)))
    names = names_in(log)
    assert len(names) == 800 and names[0] == "name_0_0.c"
    compile_schema(narrowed_schema(log), VIEW)


def test_the_schema_offers_only_lines_that_exist() -> None:
    assert narrowed_schema(log_of("a", "b", "c"))["properties"]["evidence"] == {
        "type": "array",
        "maxItems": 3,
        "items": {"enum": [1, 2, 3]},
    }
    assert narrowed_schema(log_of(*"abcdefgh"))["properties"]["evidence"]["maxItems"] == 4
    assert narrowed_schema(log_of())["properties"]["evidence"]["maxItems"] == 0


def test_the_schema_and_the_type_name_the_same_fields_and_choices() -> None:
    schema = narrowed_schema(log_of("a"))
    assert list(schema["properties"]) == schema["required"] == list(RootCause.model_fields)
    assert schema["properties"]["category"]["enum"] == list(CATEGORIES)
    assert schema["properties"]["origin"]["enum"] == list(ORIGINS)
    assert len(CATEGORIES) == 13 and len(ORIGINS) == 6
