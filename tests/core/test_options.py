"""Every option of training changes something that can be seen; one that is added without a line here fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core import dpo, grpo, kto
from understudy.core._running import callbacks
from understudy.core.hardware import Hardware
from understudy.core.runs import stage_settings
from understudy.core.settings import (
    AdapterSettings,
    Ia3Settings,
    LoraSettings,
    PreferenceSettings,
    PrefixSettings,
    QloraSettings,
    RewardSettings,
    TrainSettings,
)
from understudy.core.sft import _config
from understudy.core.tuning import adapter_config

CPU = Hardware("cpu", False, 1, ())
Seen = Callable[[Any, Path], Any]


def arguments(settings: TrainSettings, folder: Path) -> Any:
    """What TRL is told."""
    told = _config(settings, CPU, folder, 800).to_dict()
    return {key: value for key, value in told.items() if key not in ("logging_dir", "run_name")}


def peft(settings: TrainSettings, folder: Path) -> Any:
    config = adapter_config(settings)
    return config and (type(config).__name__, config.to_dict())


def preference(settings: PreferenceSettings, folder: Path) -> Any:
    """What TRL is told by dpo and by kto."""
    train = TrainSettings()
    staged = stage_settings(train, settings)
    return [module._config(staged, settings, CPU, folder, 800).to_dict() for module in (dpo, kto)]


def reward(settings: RewardSettings, folder: Path) -> Any:
    """What TRL is told by grpo."""
    return grpo._config(stage_settings(TrainSettings(), settings), settings, CPU, folder, 800).to_dict()


TRAIN: dict[str, tuple[Any, Seen | str]] = {
    "method": ("lora", peft),
    "epochs": (7.0, arguments),
    "learning_rate": (1e-5, arguments),
    "batch_size": (3, arguments),
    "gradient_accumulation": (5, arguments),
    "max_length": (99, arguments),
    "on_overflow": ("drop", "test_rows"),
    "packing": ("off", "test_packing"),
    "warmup": (0.5, arguments),
    "weight_decay": (0.3, arguments),
    "lora": (LoraSettings(rank=3), "test_sft"),
    "qlora": (QloraSettings(quant_type="fp4"), "test_tuning"),
    "prefix": (PrefixSettings(tokens=3), "test_tuning"),
    "adapter": (AdapterSettings(width=3), "test_tuning"),
    "ia3": (Ia3Settings(target_modules=("q_proj",)), "test_tuning"),
    "early_stopping_patience": (0, lambda settings, folder: len(callbacks(settings, folder, print))),
    "watch_examples": (3, "test_sft"),
    "seed": (8, arguments),
    "threads": (2, "test_hardware"),
    "report_to": ("tensorboard", arguments),
}
PREFER: dict[str, tuple[Any, Seen | str]] = {
    "sources": (("sampled",), "test_preferences"),
    "paths": (("x",), "test_preferences"),
    "max_examples": (3, "test_preferences"),
    "validation": (0.4, "test_preferences"),
    "epochs": (7.0, preference),
    "learning_rate": (1e-3, preference),
    "loss": ("ipo", preference),
    "beta": (0.7, preference),
    "label_smoothing": (0.2, preference),
    "share_prefixes": (False, "test_dpo"),
    "desirable_weight": (2.0, preference),
    "undesirable_weight": (2.0, preference),
}
REWARD: dict[str, tuple[Any, Seen | str]] = {
    "prompts": (3, "../integrations/test_stages"),
    "watched": (3, "../integrations/test_stages"),
    "generations": (4, reward),
    "temperature": (0.5, reward),
    "max_new_tokens": (99, reward),
    "epochs": (7.0, reward),
    "learning_rate": (1e-3, reward),
    "beta": (0.7, "test_grpo"),
    "valid_weight": (2.0, "test_grpo"),
    "checks_weight": (2.0, "test_grpo"),
    "task_weight": (1.0, "test_grpo"),
}
SECTIONS: tuple[tuple[Any, dict[str, tuple[Any, Seen | str]]], ...] = (
    (TrainSettings, TRAIN),
    (PreferenceSettings, PREFER),
    (RewardSettings, REWARD),
)


@pytest.mark.parametrize(("section", "options"), SECTIONS)
def test_every_option_is_looked_at_here(section: Any, options: dict[str, tuple[Any, Seen | str]]) -> None:
    assert list(options) == list(section.model_fields)
    for _, seen in options.values():
        assert callable(seen) or (Path(__file__).parent / f"{seen}.py").exists()


@pytest.mark.parametrize(
    ("section", "name", "value", "seen"),
    [
        pytest.param(section, name, value, seen, id=f"{section.__name__}.{name}")
        for section, options in SECTIONS
        for name, (value, seen) in options.items()
        if callable(seen)
    ],
)
def test_an_option_changes_what_trl_or_peft_is_told(
    section: Any, name: str, value: Any, seen: Seen, tmp_path: Path
) -> None:
    before = seen(section(), tmp_path)
    assert seen(section(), tmp_path) == before, "or else anything would pass"
    assert seen(section.model_validate({name: value}), tmp_path) != before
