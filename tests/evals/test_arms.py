"""Arms answer under equal rules: same inputs, strict reading, shots from training data that fit the prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from understudy.core.engines import Request
from understudy.core.errors import BadInput
from understudy.core.records import Message
from understudy.evals.arms import Engine, model_arm, parse_output, prediction, reference_arm
from understudy.evals.rendered import remembering
from understudy.evals.shots import diverse_shots, kept_shots, similar_shots
from understudy.evals.whitespace import choose_compact
from understudy.evals.words import words

from .toy import PACK, TableEngine, ToyPack, answer, example, examples, predictions


def engine_that_knows() -> TableEngine:
    return TableEngine(lambda text: answer(text.split()[-1]))


def test_the_reference_arm_asks_no_model_and_costs_no_tokens() -> None:
    done: list[int] = []
    made = reference_arm(PACK).predict(examples(4), done.append)
    assert [one.output["colour"] for one in made if one.output] == ["red"] * 4
    assert {one.finish_reason for one in made} == {"none"}
    assert {one.prompt_tokens for one in made} == {0}
    assert sum(done) == 4


def test_a_model_arm_answers_in_the_samples_order_though_it_batches_by_length() -> None:
    samples = [example(at, text="word " * (20 - at) + ["red", "green", "blue"][at % 3]) for at in range(10)]
    engine, done = engine_that_knows(), []
    made = model_arm("tuned", engine, PACK, batch_size=4, max_new_tokens=50).predict(samples, done.append)
    assert [one.example_id for one in made] == [one.id for one in samples]
    assert [one.output["colour"] for one in made if one.output] == [one.output["colour"] for one in samples]
    assert [len(batch) for batch in engine.batches] == [4, 4, 2] and done == [4, 4, 2]
    first = engine.requests[0]
    assert isinstance(first, Request) and first.max_new_tokens == 50
    assert first.schema == PACK.grammar(PACK.Input(text=""))
    assert (made[0].confidence, made[0].completion_tokens, made[0].seconds) == (0.75, 9, 0.5)


def test_an_arm_may_allow_whitespace() -> None:
    engine = engine_that_knows()
    model_arm("base", engine, PACK, compact=False).predict(examples(1))
    model_arm("base", engine, PACK).predict(examples(1))
    assert [request.compact for request in engine.requests] == [False, True]


def test_an_unconstrained_arm_hands_over_no_schema() -> None:
    engine = engine_that_knows()
    model_arm("base", engine, PACK, constrained=False).predict(examples(1))
    assert engine.requests[0].schema is None


def test_the_engine_protocol_is_met_by_the_local_engine() -> None:
    from understudy.core.engines import LocalEngine

    assert all(hasattr(LocalEngine, name) for name in ("context_length", "generate", "count_tokens"))
    assert set(dir(Engine)) >= {"context_length", "generate", "count_tokens"}


def test_shots_stand_between_the_system_turn_and_the_samples_own_as_compact_json() -> None:
    engine = engine_that_knows()
    shots = [example(100, "blue"), example(101, "green")]
    model_arm("few-shot", engine, PACK, shots).predict([example(1)])
    turns = engine.requests[0].messages
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert turns[2].content == '{"colour":"blue","sure":true,"why":"it looks so"}'
    assert turns[-1].content == "sample 1 looks green"


def test_shots_are_left_out_from_the_last_on_until_the_prompt_fits() -> None:
    shots = [example(100 + at, text="word " * 30) for at in range(4)]
    for limit, kept in ((1_000, 4), (180, 3), (100, 1), (30, 0)):
        engine = engine_that_knows()
        model_arm("few-shot", engine, PACK, shots, max_prompt_tokens=limit).predict([example(1)])
        turns = engine.requests[0].messages
        assert sum(turn.role == "assistant" for turn in turns) == kept
        assert kept == 0 or sum(engine.count_tokens(turn.content) + 8 for turn in turns) <= limit


def test_the_default_prompt_limit_leaves_room_for_the_answer() -> None:
    engine = TableEngine(lambda text: answer("red"), context_length=200)
    shots = [example(100 + at, text="word " * 30) for at in range(4)]
    model_arm("few-shot", engine, PACK, shots, max_new_tokens=100).predict([example(1)])
    assert sum(turn.role == "assistant" for turn in engine.requests[0].messages) == 1


def test_a_shot_of_an_evaluated_samples_group_is_refused_before_anything_is_generated() -> None:
    engine = engine_that_knows()
    samples = examples(5)
    for leak in (example(3, group="elsewhere"), example(900, group="g3")):
        with pytest.raises(BadInput, match="choose shots from the training split"):
            model_arm("few-shot", engine, PACK, [leak]).predict(samples)
    with pytest.raises(BadInput, match="choose shots"):
        model_arm("few-shot", engine, PACK, lambda sample: [sample]).predict(samples)
    assert engine.batches == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "red",
        "```json\n" + answer("red") + "\n```",
        answer("red") + "}",
        answer("red")[:-1],
        '{"colour":"red","sure":"true","why":"x"}',
        '{"colour":"red","sure":1,"why":"x"}',
        '{"colour":"mauve","sure":true,"why":"x"}',
        '{"colour":"red","sure":true,"why":"x","more":1}',
        '{"colour":"red","sure":true}',
        '{"colour":"red","sure":true,"why":"\\ud800"}',
    ],
)
def test_text_that_is_not_exactly_the_output_is_not_repaired(text: str) -> None:
    made = prediction(PACK, example(0), "tuned", text, "stop")
    assert made.output is None and made.text == text and made.problems == []


@given(st.text(max_size=60))
def test_reading_an_answer_never_raises(text: str) -> None:
    parse_output(PACK, text)
    assert parse_output(PACK, json.dumps({"colour": "red", "sure": True, "why": text})) is not None


def test_checks_are_recorded_beside_the_answer_they_object_to() -> None:
    made = prediction(PACK, example(0), "tuned", answer("red", why=""), "stop")
    assert [problem.field for problem in made.problems] == ["why"] and made.output is not None


def test_an_example_that_is_no_input_of_the_pack_is_named() -> None:
    broken = example(7).model_copy(update={"input": {"txt": "x"}})
    with pytest.raises(BadInput, match="e0007"):
        reference_arm(PACK).predict([broken])


def test_diverse_shots_take_every_stratum_before_a_second_one_and_prefer_the_short() -> None:
    training = [example(at, colour, text="long " * (at + 1)) for at, colour in enumerate(["red"] * 5 + ["blue"] * 3)]
    chosen = diverse_shots(training, 3)
    assert [one.id for one in chosen] == ["e0000", "e0005", "e0001"]
    assert diverse_shots(list(reversed(training)), 3) == chosen
    assert len(diverse_shots(training, 50)) == 8
    assert diverse_shots([], 3) == []


def test_diverse_shots_prefer_a_group_they_do_not_have_yet() -> None:
    training = [
        example(0, "red", group="a", text="s"),
        example(1, "blue", group="a", text="s"),
        example(2, "blue", group="b", text="a longer one"),
    ]
    assert [one.id for one in diverse_shots(training, 2)] == ["e0001", "e0000"]
    training.append(example(3, "red", group="c", text="the longest one of all of them"))
    assert [one.id for one in diverse_shots(training, 4)] == ["e0001", "e0003", "e0002", "e0000"]


def test_similar_shots_find_the_example_that_shares_rare_words_but_never_the_samples_own_group() -> None:
    training = [
        example(0, text="the build failed with KeyError in cart"),
        example(1, text="the build failed with ModuleNotFoundError numpy"),
        example(2, text="the build failed with a timeout"),
    ]
    choose = similar_shots(training, 1)
    assert [one.id for one in choose(example(50, text="ModuleNotFoundError: scipy"))] == ["e0001"]
    own = example(51, group="g1", text="ModuleNotFoundError: scipy")
    assert "e0001" not in [one.id for one in similar_shots(training, 3)(own)]
    with pytest.raises(BadInput, match="empty"):
        similar_shots([], 1)


def test_similar_shots_leave_out_near_duplicates_of_the_sample() -> None:
    log = "pip could not find a version that satisfies the requirement torch for python 3 on linux runner"
    training = [
        example(0, text=f"{log} number 17"),
        example(1, text="pip could not find torch"),
        example(2, text="a timeout"),
    ]
    sample = example(50, text=f"{log} number 18")
    assert [one.id for one in similar_shots(training, 2)(sample)] == ["e0001", "e0002"]
    assert [one.id for one in similar_shots(training, 1, near_duplicate=1.1)(sample)] == ["e0000"]
    other = example(51, text="could not find a version that satisfies the requirement numpy")
    assert [one.id for one in similar_shots(training, 1)(other)] == ["e0000"]


def test_kept_shots_are_the_similar_ones_and_a_damaged_line_is_chosen_anew(tmp_path: Path) -> None:
    training = [example(at, text=f"{'pip' if at % 2 else 'npm'} failed with code {at}") for at in range(6)]
    samples = [example(50 + at, text=f"pip failed with code {at}") for at in range(3)]
    wanted = [similar_shots(training, 2)(sample) for sample in samples]
    path = tmp_path / "deep" / "shots.jsonl"
    assert [kept_shots(training, 2, path)(sample) for sample in samples] == wanted
    path.write_bytes(path.read_bytes()[:-9])
    before = path.read_bytes().count(b"\n")
    assert [kept_shots(training, 2, path)(sample) for sample in samples] == wanted
    assert [kept_shots(training, 2, path)(sample) for sample in samples] == wanted
    assert path.read_bytes().count(b"\n") <= before + 2
    changed = samples[0].model_copy(update={"input": {"text": "npm failed"}})
    assert kept_shots(training, 2, path)(changed) == similar_shots(training, 2)(changed)
    assert kept_shots(training[1:], 2, path)(samples[0]) == similar_shots(training[1:], 2)(samples[0])


def test_words_keep_codes_and_parts_and_drop_what_differs_between_runs() -> None:
    found = words(
        "2026-01-01T00:00:00.123Z 12:30:01 error[E0308] in ModuleNotFoundError at_line 4f5a6b7c8d ERESOLVE 42"
    )
    expected = "error e0308 in modulenotfounderror module not found error at_line at line eresolve"
    assert found == expected.split()


@given(st.text(max_size=80))
def test_words_never_raise_and_are_lower_case(text: str) -> None:
    assert all(word and word == word.lower() for word in words(text))


@pytest.mark.parametrize("spaced_right, compact", [(3, True), (4, False)])
def test_the_whitespace_that_answers_better_is_chosen_and_compact_on_a_tie(spaced_right: int, compact: bool) -> None:
    samples = examples(6)
    runs = {
        True: predictions(samples, "base", lambda at: at < 3),
        False: predictions(samples, "base", lambda at: at < spaced_right),
    }
    assert choose_compact(PACK, samples, runs.__getitem__) is compact


def test_a_remembering_pack_renders_each_input_once_and_is_otherwise_the_pack() -> None:
    rendered = []

    class Counting(ToyPack):
        def messages(self, input: BaseModel) -> list[Message]:
            rendered.append(input)
            return super().messages(input)

    pack = remembering(Counting())
    one, other = PACK.Input(text="a"), PACK.Input(text="b")
    assert pack.messages(one) == pack.messages(PACK.Input(text="a")) == PACK.messages(one)
    assert pack.messages(other) == PACK.messages(other) and rendered == [one, other]
    pack.messages(one).clear()
    assert pack.messages(one) and pack.name == "toy" and pack.primary == PACK.primary
