"""The stack of reference and tuned model is judged over the cache, kept, and serves only when it is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from understudy.core.datasets import load_version
from understudy.core.pack import load_pack
from understudy.core.records import DatasetVersion, Example
from understudy.core.scoring import ClosedQuestion
from understudy.core.settings import Settings, load_settings
from understudy.evals.cache import CachedEngine, EngineKey
from understudy.evals.results import Identity, Report
from understudy.integrations.evaluation import follow_up
from understudy.integrations.labelling import PACK, labeller_folder
from understudy.integrations.pipeline import build_dataset
from understudy.templates.bug_classification.labeller import Labeller

KEY = EngineKey("m" * 64, decoding={"greedy": True})


class Oracle:
    """Knows the right labels of every ticket, or nothing."""

    context_length = 2048

    def __init__(self, known: dict[str, set[str]]) -> None:
        self.known = known
        self.asked = 0

    def score(self, questions: Sequence[ClosedQuestion], progress: Any = None) -> list[list[float]]:
        self.asked += len(questions)
        return [self._one(question) for question in questions]

    def _one(self, question: ClosedQuestion) -> list[float]:
        labels = next((found for text, found in self.known.items() if text in question.messages[-1].content), set())
        weights = [9.0 if choice.split('"')[0] in labels else 1.0 for choice in question.choices]
        return [weight / sum(weights) for weight in weights]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, DatasetVersion, dict[str, list[Example]]]:
    root = tmp_path_factory.mktemp("tickets")
    own = load_settings(Path("templates/bug_classification/understudy.yaml"))
    settings = own.model_copy(update={"registry": str(root)})
    built = build_dataset(settings, load_pack(PACK), lambda done, total: None)
    return settings, *load_version(built.id, root)


def judge(parts: Any, engine: Callable[[], Any], folder: Path) -> tuple[Report, CachedEngine]:
    settings, manifest, splits = parts
    found = follow_up(PACK)
    assert found is not None
    cached = CachedEngine(KEY, folder / "cache", engine)
    identity = Identity(model="bug-classification-1", model_digest="0" * 64)
    return found(settings, manifest, splits, identity, cached, folder), cached


def test_a_stack_with_a_model_that_knows_more_passes_and_is_scored_once(parts: Any, tmp_path: Path) -> None:
    settings, manifest, splits = parts
    known = {
        example.input["title"]: {str(label) for label in example.output["labels"].values()}
        for name in ("validation", "test")
        for example in splits[name]
    }
    report, cached = judge(parts, lambda: Oracle(known), tmp_path)
    assert report.candidate == "stack" and report.baseline == "reference"
    assert [arm.name for arm in report.arms] == ["stack", "scored", "reference"]
    assert report.gate is not None and report.gate.verdict == "pass" and cached.misses > 0
    stack = Labeller.load(labeller_folder(settings, manifest.id)).card.stack
    assert stack is not None and stack.served and stack.model == "bug-classification-1"

    def never() -> Any:
        raise AssertionError("the model was loaded although every score is known")

    again, cached = judge(parts, never, tmp_path)
    assert cached.misses == 0 and again.comparisons == report.comparisons


def test_a_stack_with_a_model_that_knows_nothing_does_not_serve(parts: Any, tmp_path: Path) -> None:
    settings, manifest, _ = parts
    report, _ = judge(parts, lambda: Oracle({}), tmp_path)
    assert report.gate is not None and report.gate.verdict != "pass"
    stack = Labeller.load(labeller_folder(settings, manifest.id)).card.stack
    assert stack is not None and not stack.served
