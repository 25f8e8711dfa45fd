"""Every preset's architecture, as a tiny random model: one training step, save, load, merge, answer."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.bases import Base, load_model, load_tokenizer, resolve_base, template_digest
from understudy.core.engines import LocalEngine, Request, prompt_ids
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.pack import Pack
from understudy.core.presets import PRESETS, preset_of
from understudy.core.records import Message
from understudy.core.rows import make_rows
from understudy.core.settings import Method, TrainSettings
from understudy.core.sft import train_sft
from understudy.core.starts import Start
from understudy.core.tuning.loading import load_merged, load_tuned

from .tiny import EACH_METHOD, tiny_base

CPU = Hardware("cpu", False, 1, ())
TYPES = sorted({preset.model_type for preset in PRESETS.values()})
HELLO = [Message(role="system", content="Label it."), Message(role="user", content="hello")]


def test_presets_name_hub_models_of_every_family() -> None:
    for name, preset in PRESETS.items():
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", preset.hub_id) and name == name.lower()
        assert preset_of(name) == preset_of(preset.hub_id) == preset
    families = {
        "qwen3-",
        "qwen2.5-coder-",
        "llama-3",
        "mistral-",
        "gemma-3-",
        "smollm2-",
        "smollm3-",
        "granite-",
        "phi-",
    }
    assert all(any(name.startswith(family) for name in PRESETS) for family in families)
    assert len({preset.hub_id for preset in PRESETS.values()}) == len(PRESETS)
    assert preset_of("seedling") is None


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("method", EACH_METHOD)
def test_every_architecture_is_tuned_saved_loaded_merged_and_answers(
    method: Method, model_type: str, toy: Pack, toy_example: Callable[..., Any], tmp_path: Path
) -> None:
    base = resolve_base(str(tiny_base(tmp_path / "base", model_type)))
    tokenizer = load_tokenizer(resolve_base("seedling"))  # Qwen 2's own class would add a token to the folder's
    assert load_model(base).config.model_type == model_type
    rows = make_rows(toy, [toy_example(f"e{n}", f"thing {n}") for n in range(4)], tokenizer, 128)
    settings = TrainSettings(method=method, epochs=1, learning_rate=1e-2, batch_size=3, early_stopping_patience=0)
    if (method, model_type) == ("prefix", "gemma3_text"):
        with pytest.raises(
            BadInput, match=r"layers see only the last 24 tokens and lose the prefix; .* lora or adapter"
        ):
            train_sft(Start(base), tokenizer, rows[:3], rows[3:], settings, CPU, tmp_path / "run")
        return
    outcome = train_sft(Start(base), tokenizer, rows[:3], rows[3:], settings, CPU, tmp_path / "run")
    assert outcome.events[-1].steps == 1
    assert outcome.checks["reload_difference"] < 1e-3
    tuned = load_tuned(base, outcome.folder, settings, CPU, dtype="float32")
    if method in ("lora", "qlora", "ia3"):
        assert outcome.checks["merge_difference"] < 1e-2
        assert type(load_merged(base, outcome.folder, settings, CPU)) is type(load_model(base))
    engine = LocalEngine(tuned, tokenizer)
    requests = [Request(HELLO, toy.grammar(toy.Input(text="x")), 60), Request([*HELLO, *HELLO], max_new_tokens=9)]
    together = engine.generate(requests)
    assert toy.Output.model_validate_json(together[0].text)
    assert [answer.text for answer in together] == [engine.generate([request])[0].text for request in requests]


@pytest.fixture
def gemma(tmp_path: Path) -> Path:
    """A folder whose tokenizer ends sequences with ``<|end|>`` and has Gemma's ``<end_of_turn>`` too."""
    folder = tiny_base(tmp_path / "gemma", "gemma3_text")
    tokenizer = load_tokenizer(resolve_base(str(folder)))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<end_of_turn>"]})
    tokenizer.save_pretrained(folder)
    return folder


def test_a_preset_s_stop_token_ends_training_rows_and_generation_and_is_saved(
    gemma: Path, toy: Pack, toy_example: Callable[..., Any], tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(Base("gemma-3-1b", str(gemma), "sha256:"))
    assert tokenizer.eos_token == "<end_of_turn>"
    assert load_tokenizer(resolve_base(str(gemma))).eos_token != "<end_of_turn>"
    (row,) = make_rows(toy, [toy_example("e", "thing")], tokenizer, 128)
    assert row.labels[-1] == tokenizer.convert_tokens_to_ids("<end_of_turn>")
    engine = LocalEngine(load_model(resolve_base(str(gemma))), tokenizer)
    assert row.labels[-1] in engine._stops and len(engine._stops) == 2
    tokenizer.save_pretrained(tmp_path / "saved")
    shutil.copy(gemma / "config.json", tmp_path / "saved")
    assert load_tokenizer(Base("tuned-1", str(tmp_path / "saved"), "sha256:")).eos_token == "<end_of_turn>"


def test_a_preset_without_its_stop_token_is_refused(gemma: Path) -> None:
    with pytest.raises(BadInput, match=r"base phi-4-mini has no token .*which ends its answers"):
        broken = json.loads((gemma / "tokenizer.json").read_text().replace("<|end|>", "<|fin|>"))
        (gemma / "tokenizer.json").write_text(json.dumps(broken))
        config = (gemma / "tokenizer_config.json").read_text().replace("<|end|>", "<|fin|>")
        (gemma / "tokenizer_config.json").write_text(config)
        load_tokenizer(Base("phi-4-mini", str(gemma), "sha256:"))


def test_a_template_that_prints_the_date_prints_the_same_one_every_day(gemma: Path, tmp_path: Path) -> None:
    template = gemma / "chat_template.jinja"
    plain = template.read_text()
    dated = '{%- if strftime_now is defined %}{%- set today = strftime_now("%d %b %Y") %}{%- endif %}{{ today }}'
    template.write_text(dated + plain)
    tokenizer = load_tokenizer(resolve_base(str(gemma)))
    text = str(tokenizer.decode(prompt_ids(tokenizer, HELLO)))
    assert text.startswith("01 Jan 2026<|system|>")
    tokenizer.save_pretrained(tmp_path / "saved")
    shutil.copy(gemma / "config.json", tmp_path / "saved")
    again = load_tokenizer(Base("tuned-1", str(tmp_path / "saved"), "sha256:"))
    assert template_digest(again) == template_digest(tokenizer)
    assert str(again.decode(prompt_ids(again, HELLO))) == text
