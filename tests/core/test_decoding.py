from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LogitsProcessorList

from understudy.core._constraint import SchemaConstraint, compile_schema, guidance_tokenizer
from understudy.core._decoding import Written, write
from understudy.core.bases import load_tokenizer, resolve_base

from .tiny import VOCABULARY, tiny_model

STOP, PAD = 2, 0
PROMPTS = torch.tensor([[PAD, PAD, 41, 42], [43, 44, 45, 46], [PAD, 47, 48, 49], [50, 51, 52, 53]])


def write_with(model: Any, limits: list[int], constraint: SchemaConstraint | None = None, **how: Any) -> list[Written]:
    answers: list[Written] = model.generate(
        input_ids=PROMPTS[: len(limits)],
        attention_mask=(PROMPTS[: len(limits)] != PAD).long(),
        max_new_tokens=max(limits),
        eos_token_id=[STOP],
        pad_token_id=PAD,
        logits_processor=LogitsProcessorList([constraint] if constraint else []),
        custom_generate=write,
        limits=limits,
        stops=(STOP,),
        constraint=constraint,
        **{"do_sample": False, **how},
    )
    return answers


@pytest.mark.parametrize("how", [{}, {"repetition_penalty": 1.7}, {"do_sample": True, "temperature": 1.5, "top_k": 0}])
def test_tokens_and_log_probabilities_are_those_of_transformers_own_loop(how: dict[str, Any]) -> None:
    model = tiny_model()
    torch.manual_seed(5)
    ours = write_with(model, [12] * 4, **how)
    torch.manual_seed(5)
    theirs = model.generate(
        input_ids=PROMPTS,
        attention_mask=(PROMPTS != PAD).long(),
        max_new_tokens=12,
        eos_token_id=[STOP],
        pad_token_id=PAD,
        return_dict_in_generate=True,
        output_scores=True,
        **{"do_sample": False, **how},
    )
    logprobs = model.compute_transition_scores(theirs.sequences, theirs.scores, normalize_logits=True)
    for row, answer in enumerate(ours):
        assert answer.tokens == theirs.sequences[row, 4 : 4 + len(answer.tokens)].tolist()
        assert answer.logprobs == pytest.approx(logprobs[row, : len(answer.tokens)].tolist(), abs=1e-4)


def test_finished_rows_leave_the_batch_and_change_nothing_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    whole = write_with(model, [20] * 4)
    sizes: list[int] = []
    forward = model.forward

    def spy(input_ids: Any = None, **rest: Any) -> Any:
        sizes.append(len(input_ids))
        return forward(input_ids=input_ids, **rest)

    monkeypatch.setattr(model, "forward", spy)
    limits = [3, 20, 9, 5]
    cut = write_with(model, limits)
    assert [len(answer.tokens) for answer in cut] == limits
    for answer, full in zip(cut, whole, strict=True):
        assert answer.tokens == full.tokens[: len(answer.tokens)]
    assert sizes == [4] * 3 + [3] * 2 + [2] * 4 + [1] * 11


def test_each_row_keeps_its_own_grammar_when_others_leave() -> None:
    tokenizer = load_tokenizer(resolve_base("seedling"))
    view = guidance_tokenizer(tokenizer, VOCABULARY, (STOP,))
    grammars = [None, compile_schema({"const": "only this text"}, view), None, compile_schema({"const": 12345}, view)]
    constraint = SchemaConstraint(grammars, view, STOP, PAD, VOCABULARY)
    answers = write_with(tiny_model(), [2, 40, 1, 40], constraint)
    assert tokenizer.decode(answers[1].tokens[:-1]) == '"only this text"'
    assert tokenizer.decode(answers[3].tokens[:-1]) == "12345"
    assert [len(answers[0].tokens), len(answers[2].tokens)] == [2, 1]
