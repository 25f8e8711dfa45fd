from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.engines import LocalEngine, prompt_ids
from understudy.core.records import Message
from understudy.core.scoring import ClosedQuestion, Interview

from .tiny import tiny_model


@pytest.fixture(scope="module", params=["lfm2", "qwen3", "gemma3_text"])
def parts(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return tiny_model(request.param), load_tokenizer(resolve_base("seedling"))


def said(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


def one_by_one(questions: Sequence[ClosedQuestion]) -> Interview[list[list[float]]]:
    """Ask each question in a turn of its own."""
    found = []
    for question in questions:
        found += yield [question]
    return found


def at_once(questions: Sequence[ClosedQuestion]) -> Interview[list[list[float]]]:
    return (yield questions)


def by_hand(model: Any, tokenizer: Any, text: str, question: ClosedQuestion) -> list[float]:
    """The definition, without batches or sharing: at each token, normalise over tokens that lead to a choice."""
    import torch

    prompt = prompt_ids(tokenizer, said(text))
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


def asked(before: str, *choices: str) -> ClosedQuestion:
    return ClosedQuestion(before, choices)


TYPE = asked('{"type":"', 'bug"', 'feature"', 'question"')
AREA = asked('{"type":"bug","area":"', 'perf"', 'performance"', 'permission"', 'permissions and more"')
ODD = asked('{"type":"feature","area":"', '🚀 speed"', 'docs / help"', 'ui"')
ONLY = asked('{"area":"', 'ui"')
EMPTY = asked("", "yes", "no")
INTERVIEWS = [
    ("a short one", [TYPE, AREA]),
    ("a longer ticket " * 20, [TYPE]),
    ("emoji and blanks", [TYPE, ODD, AREA]),
    ("nothing before the answer", [EMPTY, TYPE]),
    ("only one choice", [ONLY]),
    ("a second turn of nothing", []),
]


@pytest.mark.parametrize("ask", [one_by_one, at_once])
def test_probabilities_are_those_of_the_definition_whatever_shares_a_batch_or_a_prompt(
    parts: tuple[Any, Any], ask: Callable[[Sequence[ClosedQuestion]], Interview[list[list[float]]]]
) -> None:
    model, tokenizer = parts
    engine = LocalEngine(model, tokenizer, batch_size=3)
    together = engine.score([said(text) for text, _ in INTERVIEWS], [ask(own) for _, own in INTERVIEWS])
    for (text, own), found in zip(INTERVIEWS, together, strict=True):
        assert len(found) == len(own)
        for question, values in zip(own, found, strict=True):
            assert sum(values) == pytest.approx(1, abs=1e-6)
            assert values == pytest.approx(by_hand(model, tokenizer, text, question), abs=2e-4)


def test_a_turn_may_depend_on_what_was_answered() -> None:
    def interview(wanted: str) -> Interview[str]:
        ((first, *_),) = yield [TYPE]
        (second,) = yield [AREA] if first > 2 else [ODD]
        return f"{wanted} {len(second)}"

    engine = LocalEngine(tiny_model(), load_tokenizer(resolve_base("seedling")))
    assert engine.score([said("b" * 50), said("a")], [interview("b"), interview("a")]) == ["b 3", "a 3"]


def test_an_adapter_of_virtual_tokens_is_scored_with_them() -> None:
    from peft import PrefixTuningConfig, get_peft_model

    model, tokenizer = tiny_model("qwen3"), load_tokenizer(resolve_base("seedling"))
    plain = LocalEngine(model, tokenizer).score([said("x")], [one_by_one([TYPE, AREA])])[0]
    tuned = get_peft_model(model, PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")).eval()
    found = LocalEngine(tuned, tokenizer).score(
        [said("x"), said("y " * 9)], [one_by_one([TYPE, AREA]), one_by_one([TYPE])]
    )
    assert found[0][0] == pytest.approx(by_hand(tuned, tokenizer, "x", TYPE), abs=2e-4)
    assert found[0][1] == pytest.approx(by_hand(tuned, tokenizer, "x", AREA), abs=2e-4)
    assert found[0][0] != pytest.approx(plain[0], abs=1e-3), "the prefix must count"


def test_a_label_of_many_forced_tokens_is_as_probable_as_a_short_one(parts: tuple[Any, Any]) -> None:
    engine = LocalEngine(*parts)
    ways = [asked('"', "ui", "docs"), asked('"', "ui", "docs and everything around them, examples included")]
    short, long = engine.score([said("a ticket")], [at_once(ways)])[0]
    assert long == pytest.approx(short, abs=1e-4)


def test_a_prompt_is_read_once_and_questions_of_one_turn_share_a_row() -> None:
    model, shapes = tiny_model(), []
    model.register_forward_pre_hook(lambda _, args, kwargs: shapes.append(kwargs["input_ids"].shape), with_kwargs=True)
    engine = LocalEngine(model, load_tokenizer(resolve_base("seedling")), batch_size=4)
    before, multi = '{"area":{', []
    for name in ("ui", "docs", "speed", "api"):
        multi.append(asked(f'{before}"{name}":', "true,", "false,"))
        before += f'"{name}":false,'

    def interview() -> Interview[int]:
        first = yield [TYPE]
        return len(first) + len((yield multi))

    counted: list[int] = []
    assert engine.score([said("a ticket " * 30)] * 2, [interview(), interview()], counted.append) == [5, 5]
    assert counted == [2]
    assert [rows for rows, _ in shapes[-2:]] == [2, 2], "the first turn, the second: a row for each prompt"
    assert sum(rows * width for rows, width in shapes[:-2]) < 1.5 * len(
        prompt_ids(engine.tokenizer, said("a ticket " * 30))
    )


def test_choices_that_cannot_be_told_apart_are_refused() -> None:
    engine = LocalEngine(tiny_model(), load_tokenizer(resolve_base("seedling")))
    for choices in (("bug", "bug"), ()):
        with pytest.raises(ValueError, match="different"):
            engine.score([said("x")], [at_once([asked('"', *choices)])])
    with pytest.raises(ValueError, match="beginning of another"):
        engine.score([said("x")], [at_once([asked('"', "bug report", "bug report form")])])


def test_nothing_asked_is_nothing_answered() -> None:
    assert LocalEngine(tiny_model(), load_tokenizer(resolve_base("seedling"))).score([], []) == []
