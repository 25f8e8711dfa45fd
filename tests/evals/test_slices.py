"""Slices cut the samples by stratum, length and project, and none of them hides in the whole."""

from __future__ import annotations

import numpy as np

from understudy.core.records import Source
from understudy.evals.slices import slices_of
from understudy.evals.statistics import holm

from .toy import PACK, example, examples


def test_every_sample_is_in_one_slice_of_each_kind() -> None:
    samples = [example(at, text="word " * (1 + at)) for at in range(30)]
    found = slices_of(PACK, samples, np.ones(30), np.zeros(30))
    sizes = {(one.by, one.name): one.n for one in found}
    assert sizes == {
        **{("stratum", colour): 10 for colour in ("red", "green", "blue")},
        **{("length", f"{name} third"): 10 for name in ("shortest", "middle", "longest")},
    }
    assert all((one.wins, one.losses, one.candidate, one.baseline) == (one.n, 0, 1.0, 0.0) for one in found)


def test_a_loss_on_long_prompts_stands_first_and_is_corrected_for_all_slices() -> None:
    samples = [example(at, text="word " * (1 + at)) for at in range(90)]
    ours = np.array([float(at < 60) for at in range(90)])
    found = slices_of(PACK, samples, ours, np.ones(90))
    assert (found[0].by, found[0].name, found[0].losses) == ("length", "longest third", 30)
    assert sorted(one.p_adjusted for one in found) == sorted(holm([one.p for one in found]))
    assert found[0].p_adjusted < 0.001


def test_projects_are_slices_when_there_are_a_few() -> None:
    def of(count: int) -> set[str]:
        samples = [
            one.model_copy(update={"source": Source(origin="test", project=f"p{at % count}")})
            for at, one in enumerate(examples(60))
        ]
        return {one.name for one in slices_of(PACK, samples, np.ones(60), np.ones(60)) if one.by == "project"}

    assert (of(1), of(3), of(40)) == (set(), {"p0", "p1", "p2"}, set())


def test_two_samples_have_no_thirds() -> None:
    found = slices_of(PACK, examples(2), np.ones(2), np.ones(2))
    assert {one.by for one in found} == {"stratum"}
