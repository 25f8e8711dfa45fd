"""Whether the test split is really unseen, and whether the model learned the task or its training targets by heart."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.core._cleaning import Removal
from understudy.core._duplicates import remove_near_duplicates
from understudy.core.errors import BadInput
from understudy.core.files import canonical_json
from understudy.core.pack import Pack
from understudy.core.records import Example, Prediction
from understudy.evals.results import Estimate, Memorisation, Overlap
from understudy.evals.statistics import wilson

__all__ = ["memorisation", "overlap_of", "require_clean"]

_PAIRS = 10


def overlap_of(training: Sequence[Example], test: Sequence[Example], threshold: float = 0.9) -> Overlap:
    """Return what training and test have in common: inputs, near-duplicates, groups; and how their times lie.

    Args:
        training: the training split.
        test: the samples of the evaluation.
        threshold: Jaccard similarity of word triples, as the dataset was cleaned with.
    """
    seen = {canonical_json(example.input) for example in training}
    removals: list[Removal] = []
    remove_near_duplicates({"train": _apart(training), "test": test}, threshold, removals)
    leaks = [one for one in removals if one.step == "leakage"]
    return Overlap(
        exact=sum(canonical_json(example.input) in seen for example in test),
        near=len(leaks),
        groups=sorted({example.group for example in training} & {example.group for example in test}),
        pairs=[f"{one.id.removeprefix(_TRAIN)}: {one.detail}" for one in leaks[:_PAIRS]],
        threshold=threshold,
        times=_times(training, test),
    )


def require_clean(overlap: Overlap, force: bool) -> Overlap:
    """Return the overlap, marked when it was forced.

    Raises:
        BadInput: test and training overlap and nobody forced the evaluation.
    """
    if overlap.clean:
        return overlap
    if force:
        return overlap.model_copy(update={"forced": True})
    parts = [
        f"{overlap.exact} test samples stand in training" if overlap.exact else "",
        f"{overlap.near} training examples are near-duplicates of test samples" if overlap.near else "",
        f"{len(overlap.groups)} groups are on both sides ({overlap.groups[0]!r})" if overlap.groups else "",
    ]
    found = ", ".join(part for part in parts if part)
    raise BadInput(f"the test split overlaps training: {found}; build the dataset again, or force it with --force")


def memorisation(
    pack: Pack,
    training: Sequence[Example],
    answered: Sequence[Prediction],
    test: Sequence[Example],
    predictions: Sequence[Prediction],
    alpha: float = 0.05,
) -> Memorisation:
    """Return how often the model repeats a target word for word, and is right, on training and on test samples.

    Args:
        pack: writes targets and scores.
        training: some training examples.
        answered: the model's answers to them.
        test: the test samples.
        predictions: the model's answers to those.
        alpha: Wilson intervals have level ``1 - alpha``.
    """

    def verbatim(examples: Sequence[Example], made: Sequence[Prediction]) -> Estimate:
        targets = [pack.Output.model_validate(example.output).model_dump_json() for example in examples]
        return _share([one.text == target for one, target in zip(made, targets, strict=True)], alpha)

    def right(examples: Sequence[Example], made: Sequence[Prediction]) -> Estimate:
        return _share([value == 1 for value in pack.score(examples, made)["correct"].per_sample or ()], alpha)

    return Memorisation(
        n=len(training),
        train_verbatim=verbatim(training, answered),
        test_verbatim=verbatim(test, predictions),
        train_right=right(training, answered),
        test_right=right(test, predictions),
    )


_TRAIN = "train/"


def _apart(training: Sequence[Example]) -> list[Example]:
    """Return the examples under ids that no test sample has, so that an example on both sides is found, too."""
    return [example.model_copy(update={"id": f"{_TRAIN}{example.id}"}) for example in training]


def _share(hits: Sequence[bool], alpha: float) -> Estimate:
    value, low, high = wilson(sum(hits), len(hits), alpha)
    return Estimate(value=value, low=low, high=high)


def _times(training: Sequence[Example], test: Sequence[Example]) -> str:
    try:
        latest = max(example.source.time for example in training if example.source.time is not None)
        times = [example.source.time for example in test if example.source.time is not None]
        earlier = sum(time < latest for time in times)
    except (ValueError, TypeError):
        return "The examples carry no comparable times; the split is by group only."
    if not times:
        return "The test samples carry no times; the split is by group only."
    if not earlier:
        return f"All test samples are later than the newest training example ({latest:%Y-%m-%d})."
    return f"{earlier} of {len(times)} test samples are older than the newest training example ({latest:%Y-%m-%d})."
