"""Overlap between training and test is found, refused unless forced, and memorisation is told from skill."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from understudy.core.errors import BadInput
from understudy.core.records import Example, Source
from understudy.evals.arms import prediction
from understudy.evals.leakage import memorisation, overlap_of, require_clean

from .toy import PACK, answer, example, examples, predictions

LONG = "the build of the shop failed because the package numpy could not be found by the installer on the runner"


def dated(one: Example, year: int) -> Example:
    return one.model_copy(update={"source": Source(origin="test", time=datetime(year, 1, 1, tzinfo=timezone.utc))})


def test_disjoint_splits_are_clean() -> None:
    found = overlap_of([example(at) for at in range(10)], [example(at, text=f"other {at}") for at in range(10, 20)])
    assert found.clean and require_clean(found, force=False) == found


def test_the_same_input_a_near_one_and_a_shared_group_are_found_and_refused() -> None:
    training = [example(0, text=LONG), example(1, text="quite another thing altogether"), example(2, text="third")]
    test = [example(10, text=LONG), example(11, text=f"{LONG} 17"), example(12, group="g1", text="a test of its own")]
    found = overlap_of(training, test)
    assert (found.exact, found.near, found.groups) == (1, 1, ["g1"])
    assert "e0000" in found.pairs[0] and "1.00" in found.pairs[0]
    with pytest.raises(BadInput, match=r"1 test samples stand in training, 1 training .*'g1'.*--force"):
        require_clean(found, force=False)
    assert require_clean(found, force=True).forced


def test_an_example_under_the_same_id_on_both_sides_is_found() -> None:
    assert overlap_of([example(0, text=LONG)], [example(0, text=LONG)]).exact == 1


def test_numbers_alone_make_no_difference() -> None:
    assert overlap_of([example(0, text=f"{LONG} 1")], [example(9, text=f"{LONG} 2")]).near == 1
    assert overlap_of([example(0, text=f"{LONG} 1")], [example(9, text=f"{LONG} 2")]).exact == 0


@pytest.mark.parametrize(
    "train_year, test_year, words",
    [(2024, 2025, "All test samples are later"), (2025, 2024, "3 of 3 test samples are older")],
)
def test_the_times_of_the_split_are_stated(train_year: int, test_year: int, words: str) -> None:
    training = [dated(example(at), train_year) for at in range(3)]
    test = [dated(example(at), test_year) for at in range(10, 13)]
    assert words in overlap_of(training, test).times
    assert "no comparable times" in overlap_of(examples(2), test).times
    assert "carry no times" in overlap_of(training, [example(20)]).times


def test_targets_repeated_by_heart_are_told_from_right_answers() -> None:
    training, test = examples(10), [example(at) for at in range(100, 120)]
    targets = [PACK.Output.model_validate(one.output).model_dump_json() for one in training]
    by_heart = [prediction(PACK, one, "tuned", text, "stop") for one, text in zip(training, targets, strict=True)]
    found = memorisation(PACK, training, by_heart, test, predictions(test, "tuned", lambda at: at < 15))
    assert (found.train_verbatim.value, found.test_verbatim.value) == (1.0, 0.0)
    assert (found.train_right.value, found.test_right.value, found.n) == (1.0, 0.75, 10)
    skilled = [prediction(PACK, one, "tuned", answer(one.output["colour"]), "stop") for one in training]
    assert memorisation(PACK, training, skilled, test, skilled * 2).train_verbatim.value == 0.0
