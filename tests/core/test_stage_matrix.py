"""Every method with every stage, from a base and from the version that the stage before made."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from understudy.core.bases import Base, load_tokenizer, resolve_base
from understudy.core.dpo import train_dpo
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.kto import train_kto
from understudy.core.models import version_engine
from understudy.core.preferences import PairRow, ThumbRow
from understudy.core.registry import Registry
from understudy.core.rows import answer_row
from understudy.core.settings import Method, PreferenceSettings, TrainSettings
from understudy.core.sft import Outcome, train_sft
from understudy.core.starts import Start, prepared_model, start_from

from .tiny import tiny_base

CPU = Hardware("cpu", False, 1, ())
PREFER = PreferenceSettings(epochs=1, learning_rate=1e-3)
EACH = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="no bitsandbytes"))
    if name == "qlora"
    else name
    for name in get_args(Method)
]
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

    def __init__(self, folder: Path, settings: TrainSettings) -> None:
        self.folder, self.settings = folder, settings
        self.registry = Registry(folder / "registry")

    def __call__(self, stage: str, start: Start) -> tuple[Outcome, Start]:
        """Train, and return the outcome with the start that its registered version is."""
        folder = self.folder / f"{stage}-{'next' if start.version else 'first'}"
        tokenizer = load_tokenizer(start.base)
        if stage == "sft":
            outcome = train_sft(start, tokenizer, *ROWS, self.settings, CPU, folder)  # type: ignore[misc]
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


def weights(outcome: Outcome) -> dict[str, Any]:
    from safetensors.torch import load_file

    (path,) = outcome.folder.glob("*.safetensors")
    return load_file(path)


@pytest.mark.parametrize("method", EACH)
def test_a_method_goes_through_every_stage(method: str, base: Base, tmp_path: Path) -> None:
    import torch

    stages = Stages(tmp_path, settings_of(method))
    sft, start = stages("sft", Start(base))
    fresh, _ = stages("dpo", Start(base))
    dpo, further = stages("dpo", start)
    kto, last = stages("kto", further)
    assert all(outcome.checks["reload_difference"] < 1e-3 for outcome in (sft, fresh, dpo, kto))
    for outcome in (dpo,) if method == "prefix" else (dpo, fresh):  # a new prefix is random: it starts elsewhere
        first = outcome.events[0]
        assert first.step == 1 and first.loss == pytest.approx(LOG_2, abs=2e-3), "it compares with where it started"
    for before, after in ((sft, dpo), (dpo, kto)):
        one, other = weights(before), weights(after)
        assert one.keys() == other.keys(), "it learns on as the same weights"
        assert any(not torch.equal(one[name], other[name]) for name in one)
    assert last.version is not None and further.version is not None and last.version.parent == further.version.id
    assert version_engine(stages.registry, last.version, CPU).context_length == 2048


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
    method: str, made: dict[str, Any], asked: dict[str, Any], base: Base, tmp_path: Path
) -> None:
    _, start = Stages(tmp_path, settings_of(method, **{method: made}))("sft", Start(base))
    with pytest.raises(BadInput, match=r"with other settings; set train.method and its section as they were"):
        prepared_model(start, settings_of(method, **{method: asked}), CPU)
    with pytest.raises(BadInput, match="with other settings"):
        prepared_model(start, settings_of("lora" if method != "lora" else "adapter"), CPU)
    if method in ("prefix", "adapter"):
        with pytest.raises(BadInput, match="cannot be merged"):
            prepared_model(start, settings_of("full"), CPU)
    else:
        assert prepared_model(start, settings_of("full"), CPU)[1] is None
