"""What is embedded: every case fits the pack, hand-written ones cover what operators cannot, nothing held out leaks."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from understudy.core.bases import load_tokenizer, resolve_base, token_counter
from understudy.core.pack import BuildContext, load_pack
from understudy.core.records import Example
from understudy.core.settings import load_settings
from understudy.templates.code_review.data import HELD_OUT, cases, examples_of
from understudy.templates.code_review.defects import OPERATORS
from understudy.templates.code_review.diff import read_patch
from understudy.templates.code_review.reader import teaches
from understudy.templates.code_review.schema import Review, ReviewInput

from .git import numstat

PACK = load_pack("code-review")
SEED = Path(str(files("understudy.templates.code_review") / "seed"))


@pytest.fixture(scope="module")
def context() -> BuildContext:
    settings = load_settings(SEED.parent / "understudy.yaml")
    count = token_counter(load_tokenizer(resolve_base("seedling")))
    return BuildContext(count_tokens=count, prompt_budget=settings.data.prompt_budget)


def test_the_hundred_written_by_hand_all_become_examples_that_pass_the_checks(context: BuildContext) -> None:
    written = list(cases(SEED / "handwritten.jsonl"))
    made = list(examples_of(written, context, "seed"))
    assert len(written) == len(made) == 100
    assert {one.category for case in written for one in case.comments} == {
        "security", "bug", "performance", "maintainability", "test", "docs", "style",
    }  # fmt: skip
    assert len({example.input["path"].rpartition(".")[2] for example in made}) >= 8
    for example in made:
        piece, review = ReviewInput.model_validate(example.input), Review.model_validate(example.output)
        assert PACK.check(piece, review) == [], example.id


def test_git_applies_what_was_written_by_hand(tmp_path: Path) -> None:
    for case in cases(SEED / "handwritten.jsonl"):
        assert numstat(tmp_path, case.patch.encode()) is not None
        assert read_patch(case.patch.encode()).refused == []


def test_the_specimens_hold_defects_and_clean_changes_and_nothing_that_is_held_out(context: BuildContext) -> None:
    made = list(cases(SEED / "specimens.jsonl.xz"))
    assert len(made) >= 1500
    assert 0.4 < sum(not case.comments for case in made) / len(made) < 0.6
    names = {case.operator for case in made}
    assert not names & (HELD_OUT | {f"fixed_{name}" for name in HELD_OUT})
    assert names >= {one.name for one in OPERATORS if one.category} - HELD_OUT
    held = list(cases(SEED / "held_out.jsonl.xz"))
    assert {case.operator for case in held if case.comments} == HELD_OUT
    assert not any(teaches(case.project) for case in [*made, *held])
    few: list[Example] = list(examples_of(made[:60], context, "seed"))
    strata = Counter(example.stratum for example in few)
    assert strata["clean"] and len(strata) > 3
    for example in few:
        piece, review = ReviewInput.model_validate(example.input), Review.model_validate(example.output)
        assert PACK.check(piece, review) == [], example.id


def test_the_settings_that_init_copies_are_read_and_name_builders_of_the_pack() -> None:
    settings = load_settings(SEED.parent / "understudy.yaml")
    assert settings.pack == PACK.name == "code-review"
    assert {source.builder for source in settings.data.sources} <= set(PACK.builders)
    assert set(PACK.builders) == {"seed", "stdlib", "cases", "history", "codereviewer"}
