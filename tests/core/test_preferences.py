"""Better and worse answers: where they come from and what is refused of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from understudy.core.bases import load_tokenizer, resolve_base
from understudy.core.engines import Generation, Request, prompt_ids
from understudy.core.errors import BadInput
from understudy.core.jsonl import judgements_of
from understudy.core.own_answers import own_answers, own_pairs, own_thumbs
from understudy.core.pack import Pack
from understudy.core.preferences import (
    RowMaker,
    drawn,
    held_out,
    made_up_pairs,
    preferences_digest,
    read_pairs,
    read_thumbs,
)
from understudy.core.records import Example

Make = Callable[..., Example]


@pytest.fixture(scope="module")
def maker(toy: Pack) -> RowMaker:
    return RowMaker(toy, load_tokenizer(resolve_base("seedling")), 100)


def line(text: str = "it fails", better: str = "bug", worse: str = "feature", **changes: Any) -> dict[str, Any]:
    return {"prompt": {"text": text}, "chosen": {"label": better}, "rejected": {"label": worse}} | changes


def thumb(text: str = "it fails", label: str = "bug", verdict: Any = True) -> dict[str, Any]:
    return {"prompt": {"text": text}, "completion": {"label": label}, "label": verdict}


def write(folder: Path, lines: Sequence[dict[str, Any]]) -> Path:
    path = folder / "choices.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def test_a_file_of_choices_becomes_rows_with_the_ids_of_generation(toy: Pack, maker: RowMaker, tmp_path: Path) -> None:
    first, second = read_pairs(write(tmp_path, [line(), line("why?", "question", "bug", reason="by hand")]), toy, maker)
    assert (first.chosen, first.rejected, second.reason) == ({"label": "bug"}, {"label": "feature"}, "by hand")
    row, tokenizer = maker.pair(first), load_tokenizer(resolve_base("seedling"))
    assert row.prompt == prompt_ids(tokenizer, toy.messages(toy.Input.model_validate(first.input)))
    assert row.chosen[-1] == row.rejected[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(row.chosen[:-1]) == '{"label":"bug","why":""}'
    assert row.length == len(row.prompt) + len(row.chosen) + len(row.rejected)


@pytest.mark.parametrize(
    ("lines", "number", "words"),
    [
        ([line(), line("x", "bug", "bug")], 2, ["chosen and rejected are the same answer"]),
        ([line("x", "bug", "bug") | {"chosen": {"label": "bug", "why": ""}}], 1, ["the same answer"]),
        ([{"chosen": {"label": "bug"}, "rejected": {"label": "feature"}}], 1, ["has no prompt"]),
        ([line(prompt={})], 1, ["has no prompt"]),
        ([line(), line("other"), line(better="feature", worse="bug")], 3, ["says the opposite of line 1"]),
        ([line("long " * 90)], 1, ["chosen answer", "train.max_length is 100"]),
        ([line(rejected={"label": "question", "why": "Ж☃" * 30})], 1, ["rejected answer", "is 100"]),
        ([line(chosen={"label": "bug", "why": "refuse me"})], 1, ["refused by the pack", "was told to be refused"]),
        ([line(chosen={"label": "cat"})], 1, ["completion.label"]),
        ([thumb()], 1, ["an example without a choice"]),
    ],
)
def test_a_pair_that_cannot_be_used_is_refused_by_line(
    lines: list[dict[str, Any]], number: int, words: list[str], toy: Pack, maker: RowMaker, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as told:
        read_pairs(write(tmp_path, lines), toy, maker)
    assert f"choices.jsonl, line {number}: " in str(told.value)
    assert all(word in str(told.value) for word in words), told.value


def test_own_records_are_held_to_the_same_rules(toy: Pack, toy_example: Make, maker: RowMaker, tmp_path: Path) -> None:
    (pair,) = made_up_pairs(toy, [toy_example("e", "it fails")], 1)
    whole = pair.model_dump(mode="json")
    (back,) = read_pairs(write(tmp_path, [whole]), toy, maker)
    assert back == pair
    with pytest.raises(BadInput, match="line 1: chosen and rejected are the same answer"):
        read_pairs(write(tmp_path, [whole | {"rejected": whole["chosen"]}]), toy, maker)


def test_secrets_in_choices_are_replaced_before_anything_is_kept(toy: Pack, maker: RowMaker, tmp_path: Path) -> None:
    secret = "ghp_" + "a1B2" * 9
    path = write(tmp_path, [line(f"token {secret}")])
    assert secret not in read_pairs(path, toy, maker)[0].model_dump_json()
    assert secret in read_pairs(path, toy, maker, redact=False)[0].model_dump_json()


def test_thumbs_are_read_from_verdicts_and_from_pairs(toy: Pack, maker: RowMaker, tmp_path: Path) -> None:
    found = read_thumbs(write(tmp_path, [thumb(), thumb(label="feature", verdict=False), line("why?")]), toy, maker)
    assert [(one.output["label"], one.good) for one in found] == [
        ("bug", True),
        ("feature", False),
        ("bug", True),
        ("feature", False),
    ]
    assert len({one.id for one in found}) == 4
    assert maker.thumb(found[1]).good is False


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([thumb(verdict="yes")], "line 1: has no verdict: label must be true or false"),
        ([thumb(), thumb(verdict=False)], "line 2: says the opposite of line 1"),
        ([thumb(), thumb("long " * 90)], "line 2: needs"),
        ([{"completion": {"label": "bug"}, "label": True}], "line 1: has the keys completion"),
    ],
)
def test_a_thumb_that_cannot_be_used_is_refused_by_line(
    lines: list[dict[str, Any]], words: str, toy: Pack, maker: RowMaker, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=words):
        read_thumbs(write(tmp_path, lines), toy, maker)


def test_made_up_pairs_depend_on_the_example_and_the_seed_only(toy: Pack, toy_example: Make) -> None:
    examples = [toy_example(f"e{n}", f"text {n}") for n in range(30)]
    made = made_up_pairs(toy, examples, 7)
    assert made_up_pairs(toy, examples[::-1], 7) == made
    assert made_up_pairs(toy, examples[5:6], 7)[0] in made
    assert made_up_pairs(toy, examples, 8) != made
    assert all(pair.chosen != pair.rejected and pair.reason == "corrupt" for pair in made)
    few = made_up_pairs(toy, examples, 7, limit=4)
    assert len(few) == 4 and all(pair in made for pair in few)
    assert drawn(examples, 7, 4) == drawn(examples[::-1], 7, 4)


def test_an_example_without_a_plausible_mistake_makes_no_pair(toy: Pack, toy_example: Make) -> None:
    class Certain:
        corrupt = staticmethod(lambda example, rng: None if example.id == "a" else toy.Output(**example.output))
        Output = toy.Output

    assert made_up_pairs(Certain(), [toy_example("a", "x"), toy_example("b", "y")], 1) == []  # type: ignore[arg-type]


def test_groups_are_held_out_whole(toy: Pack, toy_example: Make) -> None:
    pairs = made_up_pairs(toy, [toy_example(f"e{n}", f"t{n}", group=f"g{n % 7}") for n in range(40)], 1)
    training, watched = held_out(pairs, 0.3, 5)
    assert {p.group for p in training}.isdisjoint(p.group for p in watched) and len(training) + len(watched) == 40
    assert len({p.group for p in watched}) == 2
    assert {p.id for p in held_out(pairs[::-1], 0.3, 5)[1]} == {p.id for p in watched}
    assert held_out(pairs, 0.0, 5) == (pairs, [])
    alone = [p for p in pairs if p.group == "g1"]
    assert held_out(alone, 0.3, 5) == (alone, []), "one group cannot be on both sides"
    assert held_out([], 0.3, 5) == ([], [])


def test_the_digest_is_of_the_content_and_the_side_it_stands_on(toy: Pack, toy_example: Make) -> None:
    a, b = made_up_pairs(toy, [toy_example("a", "x"), toy_example("b", "y")], 1)
    assert preferences_digest([[a, b], []]) == preferences_digest([[b, a], []])
    assert len({preferences_digest([[a, b], []]), preferences_digest([[a], [b]]), preferences_digest([[a], []])}) == 3


class Parrot:
    """Says what it is told to, one text for each request."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request], progress: Callable[[int], None] | None = None) -> list[Generation]:
        self.asked = list(requests)
        if progress is not None:
            progress(len(requests))
        return [Generation(text, "stop", 1, 1, 0.0, 0.5, 0.0) for text in self.texts]


def test_the_model_s_own_mistakes_are_found_by_the_checks_and_by_the_truth(toy: Pack, toy_example: Make) -> None:
    examples = [toy_example(f"e{n}", f"text {n}", label="bug") for n in range(4)]
    said = [
        '{"label":"bug","why":""}',
        '{"label":"feature","why":""}',
        '{"label":"bug","why":"refuse me"}',
        '{"label":"b',
    ]
    parrot, seen = Parrot(said), []
    answers = own_answers(toy, parrot, examples, 50, seen.append)
    assert [(a.example.id, a.mistake) for a in answers] == [("e0", ""), ("e1", "truth"), ("e2", "check:why")]
    assert parrot.asked[0].schema == toy.grammar(toy.Input(text="x")) and parrot.asked[0].max_new_tokens == 50
    assert seen == [4]
    assert [(p.reason, p.rejected["label"], p.chosen["label"]) for p in own_pairs(answers)] == [
        ("sampled:truth", "feature", "bug"),
        ("sampled:check:why", "bug", "bug"),
    ]
    assert [(t.good, t.reason) for t in own_thumbs(answers)] == [
        (True, "sampled:right"),
        (False, "sampled:truth"),
        (False, "sampled:check:why"),
    ]
    assert own_answers(toy, Parrot(["no json"]), examples[:1], 50) == []


def test_both_answers_of_a_pair_are_judged(toy: Pack, toy_example: Make) -> None:
    (pair,) = made_up_pairs(toy, [toy_example("a", "x")], 1)
    good, bad = judgements_of(pair)
    assert (good.output, good.good, bad.output, bad.good) == (pair.chosen, True, pair.rejected, False)
    assert good.id != bad.id and good.group == bad.group == pair.group
