"""Every method with every stage, from a base and from the version that the stage before made."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core import grpo
from understudy.core.bases import Base, load_tokenizer, resolve_base
from understudy.core.dpo import train_dpo
from understudy.core.errors import BadInput
from understudy.core.grpo import make_prompts, train_grpo
from understudy.core.hardware import Hardware
from understudy.core.kto import train_kto
from understudy.core.models import version_engine
from understudy.core.pack import Pack
from understudy.core.preferences import PairRow, ThumbRow
from understudy.core.records import Example
from understudy.core.registry import Registry
from understudy.core.rows import answer_row
from understudy.core.settings import PreferenceSettings, RewardSettings, TrainSettings
from understudy.core.sft import Outcome, train_sft
from understudy.core.starts import Start, prepared_model, start_from

from .tiny import EACH_METHOD, tiny_base, vowels, weights

CPU = Hardware("cpu", False, 1, ())
PREFER = PreferenceSettings(epochs=1, learning_rate=1e-3)
REWARD = RewardSettings(epochs=1, learning_rate=1e-3, generations=2, max_new_tokens=24)
LOG_2 = 0.6931
"""The loss of dpo where nothing is preferred yet."""


def settings_of(method: str, **changes: Any) -> TrainSettings:
    return TrainSettings.model_validate(
        {"method": method, "epochs": 1, "learning_rate": 3e-3, "batch_size": 2, "max_length": 128} | changes
    )


def pairs(count: int) -> list[PairRow]:
    rng = random.Random(count)

    def some(length: int) -> list[int]:
        return [rng.randrange(3, 5000) for _ in range(length)]

    return [PairRow(f"p{n}", some(12 + n), [*some(4), 2], [*some(5), 2]) for n in range(count)]


PAIRS = pairs(4), pairs(2)
ROWS = tuple([answer_row(pair.prompt, pair.chosen) for pair in part] for part in PAIRS)
THUMBS = tuple([ThumbRow(p.id, p.prompt, p.chosen, n % 2 == 0) for n, p in enumerate(part)] for part in PAIRS)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return resolve_base(str(tiny_base(tmp_path_factory.mktemp("base"), "qwen3")))


class Stages:
    """Trains and registers in one folder."""

    def __init__(self, folder: Path, settings: TrainSettings, toy: Pack, examples: Callable[..., Example]) -> None:
        self.folder, self.settings, self.pack = folder, settings, toy
        self.examples = [examples(f"e{n}", "more " * n) for n in range(3)]
        self.registry = Registry(folder / "registry")

    def __call__(self, stage: str, start: Start) -> tuple[Outcome, Start]:
        """Train, and return the outcome with the start that its registered version is."""
        folder = self.folder / f"{stage}-{'next' if start.version else 'first'}"
        tokenizer = load_tokenizer(start.base)
        if stage == "sft":
            outcome = train_sft(start, tokenizer, *ROWS, self.settings, CPU, folder)  # type: ignore[misc]
        elif stage == "grpo":
            prompts, _ = make_prompts(self.pack, self.examples, tokenizer, 128, REWARD.max_new_tokens, "error")
            parts = prompts[:2], prompts[2:]
            outcome = train_grpo(start, tokenizer, self.pack, *parts, self.settings, REWARD, CPU, folder)
        else:
            train: Any = {"dpo": (train_dpo, PAIRS), "kto": (train_kto, THUMBS)}[stage]
            kept = self.folder / "references"
            outcome = train[0](start, tokenizer, *train[1], self.settings, PREFER, CPU, folder, kept)
        root = start.root(outcome.kind)
        version = self.registry.register(
            outcome.folder,
            pack="toy",
            kind=outcome.kind,  # type: ignore[arg-type]
            base=root.name,
            base_revision=root.revision,
            dataset="d",
            dataset_digest="0",
            settings={"train": self.settings.model_dump(mode="json")},
            parent=start.version.id if start.version else None,
        )
        return outcome, start_from(self.registry, version)


@pytest.fixture
def stages(tmp_path: Path, toy: Pack, toy_example: Callable[..., Example]) -> Callable[[TrainSettings], Stages]:
    return lambda settings: Stages(tmp_path, settings, toy, toy_example)


@pytest.mark.parametrize("method", EACH_METHOD)
def test_a_method_goes_through_every_stage(
    method: str, base: Base, stages: Callable[[TrainSettings], Stages], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(grpo, "judged", vowels)
    train = stages(settings_of(method))
    sft, start = train("sft", Start(base))
    fresh, _ = train("dpo", Start(base))
    dpo, further = train("dpo", start)
    kto, liked = train("kto", further)
    rewarded, last = train("grpo", liked)
    assert all(outcome.checks["reload_difference"] < 1e-3 for outcome in (sft, fresh, dpo, kto, rewarded))
    for outcome in (dpo,) if method == "prefix" else (dpo, fresh):  # a new prefix is random: it starts elsewhere
        first = outcome.events[0]
        assert first.step == 1 and first.loss == pytest.approx(LOG_2, abs=2e-3), "it compares with where it started"
    assert rewarded.events[0].divergence == pytest.approx(0, abs=1e-6), "it compares with where it started, too"
    for before, after in ((sft, dpo), (dpo, kto), (kto, rewarded)):
        one, other = weights(before), weights(after)
        assert one.keys() == other.keys(), "it learns on as the same weights"
        assert any(not torch.equal(one[name], other[name]) for name in one)
    assert last.version is not None and liked.version is not None and last.version.parent == liked.version.id
    assert version_engine(train.registry, last.version, CPU).context_length == 2048


@pytest.mark.parametrize(
    ("method", "made", "asked"),
    [
        ("lora", {"rank": 4}, {"rank": 4, "rslora": True}),
        ("prefix", {"tokens": 4}, {"tokens": 5}),
        ("adapter", {"width": 4}, {"width": 4, "dropout": 0.1}),
        ("ia3", {}, {"target_modules": ["q_proj"]}),
    ],
)
def test_an_adapter_learns_on_with_the_whole_shape_it_was_made_with(
    method: str,
    made: dict[str, Any],
    asked: dict[str, Any],
    base: Base,
    stages: Callable[[TrainSettings], Stages],
) -> None:
    _, start = stages(settings_of(method, **{method: made}))("sft", Start(base))
    assert start.version is not None
    start.version.settings["train"]["what_an_older_understudy_knew"] = 1
    with pytest.raises(BadInput, match=r"with other settings; set train.method and its section as they were"):
        prepared_model(start, settings_of(method, **{method: asked}), CPU)
    with pytest.raises(BadInput, match="with other settings"):
        prepared_model(start, settings_of("lora" if method != "lora" else "adapter"), CPU)
    if method in ("prefix", "adapter"):
        with pytest.raises(BadInput, match="cannot be merged"):
            prepared_model(start, settings_of("full"), CPU)
    else:
        assert prepared_model(start, settings_of("full"), CPU)[1] is None
