from __future__ import annotations

import math
from typing import Any

import pytest

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.engines import LocalEngine, prompt_ids
from understudy.core.records import Message
from understudy.core.scoring import ClosedQuestion

from .tiny import tiny_model


@pytest.fixture(scope="module", params=["lfm2", "qwen3", "gemma3_text"])
def parts(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return tiny_model(request.param), load_tokenizer(resolve_base("seedling"))


def ask(text: str, before: str, *choices: str) -> ClosedQuestion:
    return ClosedQuestion([Message(role="user", content=text)], before, choices)


def by_hand(model: Any, tokenizer: Any, question: ClosedQuestion) -> list[float]:
    """The definition, without batches or sharing: at each token, normalise over tokens that lead to a choice."""
    import torch

    prompt = prompt_ids(tokenizer, question.messages)
    paths = [tokenizer(question.before + c, add_special_tokens=False)["input_ids"] for c in question.choices]
    found = []
    for path in paths:
        total = 0.0
        for at, token in enumerate(path):
            allowed = sorted({other[at] for other in paths if other[:at] == path[:at] and len(other) > at})
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([prompt + path[:at]])).logits[0, -1].float()
            total += float(torch.log_softmax(logits[allowed], dim=0)[allowed.index(token)])
        found.append(math.exp(total))
    return found


QUESTIONS = [
    ask("a short one", '{"type":"', 'bug"', 'feature"', 'question"'),
    ask("a longer ticket " * 20, '{"type":"', 'bug"', 'feature"', 'question"'),
    ask("shared beginnings", '{"area":"', 'perf"', 'performance"', 'permission"', 'permissions and more"'),
    ask("emoji and blanks", '{"area":"', '🚀 speed"', 'docs / help"', 'ui"'),
    ask("only one", '{"area":"', 'ui"'),
]


def test_probabilities_are_those_of_the_definition_whatever_shares_a_batch(parts: tuple[Any, Any]) -> None:
    model, tokenizer = parts
    engine = LocalEngine(model, tokenizer, batch_size=3)
    together = engine.score(QUESTIONS)
    for question, found in zip(QUESTIONS, together, strict=True):
        assert sum(found) == pytest.approx(1, abs=1e-6)
        assert found == pytest.approx(by_hand(model, tokenizer, question), abs=2e-4)
        assert found == pytest.approx(engine.score([question])[0], abs=2e-4)


def test_a_label_of_many_forced_tokens_is_as_probable_as_a_short_one(parts: tuple[Any, Any]) -> None:
    model, tokenizer = parts
    engine = LocalEngine(model, tokenizer)
    short = engine.score([ask("a ticket", '"', "ui", "docs")])[0]
    long = engine.score([ask("a ticket", '"', "ui", "docs and everything around them, examples included")])[0]
    assert long == pytest.approx(short, abs=1e-4)


def test_questions_about_one_prompt_share_rows() -> None:
    counted: list[int] = []
    engine = LocalEngine(tiny_model(), load_tokenizer(resolve_base("seedling")), batch_size=4)
    messages = [Message(role="user", content="a ticket")]
    asked, before = [], "{"
    for name in ("ui", "docs", "speed", "api"):
        asked.append(ClosedQuestion(messages, f'{before}"{name}":', ["true,", "false,"]))
        before += f'"{name}":false,'
    found = engine.score(asked, counted.append)
    assert len(found) == 4 and sum(counted) == 1, "four yes or no questions, one row"


def test_choices_that_cannot_be_told_apart_are_refused() -> None:
    engine = LocalEngine(tiny_model(), load_tokenizer(resolve_base("seedling")))
    for choices in (("bug", "bug"), ()):
        with pytest.raises(ValueError, match="different"):
            engine.score([ask("x", '"', *choices)])
    with pytest.raises(ValueError, match="beginning of another"):
        engine.score([ask("x", '"', "bug report", "bug report form")])


def test_nothing_asked_is_nothing_answered() -> None:
    assert LocalEngine(tiny_model(), load_tokenizer(resolve_base("seedling"))).score([]) == []
