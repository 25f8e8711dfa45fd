from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from understudy.core.bases import (
    Base,
    check_folder,
    load_model,
    load_tokenizer,
    resolve_base,
    template_digest,
    token_counter,
)
from understudy.core.errors import BadInput, Unavailable
from understudy.core.presets import PRESETS
from understudy.core.settings import BaseSettings

from .tiny import tiny_base


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "model")
    return tmp_path / "model"


def test_the_seedling_is_embedded_and_needs_no_network() -> None:
    base = resolve_base(BaseSettings().name)
    assert base == resolve_base("seedling")
    assert Path(base.location).is_dir() and base.revision.startswith("sha256:") and len(base.revision) == 71
    tokenizer = load_tokenizer(base)
    model = load_model(base)
    assert len(tokenizer) <= model.config.vocab_size
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert (tokenizer.padding_side, tokenizer.pad_token_id is None) == ("left", False)


def test_a_local_folder_is_a_base_and_its_revision_is_its_content(copy: Path) -> None:
    base = resolve_base(str(copy))
    assert (base.name, base.location) == (str(copy), str(copy))
    (copy / "README.md").write_text("changes nothing")
    assert resolve_base(str(copy)).revision == base.revision
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert resolve_base(str(copy)).revision != base.revision


def test_a_folder_is_found_below_the_home_folder_and_by_relative_path(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(copy.parent))
    assert resolve_base("~/model").location == str(copy)
    monkeypatch.chdir(copy.parent)
    assert resolve_base("./model").revision == resolve_base("~/model").revision


def _refused(action: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence) as caught:
        action()
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "model.ckpt", "a.pth"])
def test_a_folder_with_pickled_weights_only_is_refused(name: str, copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / name)
    _refused(lambda: resolve_base(str(copy)), f"{name} is a pickle, which can run code")


def test_pickles_beside_safetensors_are_never_opened(copy: Path) -> None:
    (copy / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/pwned'\ntR.")
    assert load_model(resolve_base(str(copy))).config.model_type == "lfm2"


def test_missing_weights_configuration_or_everything_are_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "config.json").rename(copy / "other.txt")
    _refused(lambda: resolve_base(str(copy)), "it has no config.json")
    (copy / "other.txt").rename(copy / "config.json")
    (copy / "model.safetensors").unlink()
    _refused(lambda: check_folder(copy), "has no weights: expected at least one .safetensors")
    (tmp_path / "empty").mkdir()
    _refused(lambda: resolve_base(str(tmp_path / "empty")), "is no model folder")
    _refused(lambda: resolve_base(str(tmp_path / "nowhere")), "is neither a folder, nor a hub id")


@pytest.mark.parametrize("damage", ["weights", "config"])
def test_a_damaged_folder_is_refused_not_a_traceback(damage: str, copy: Path) -> None:
    if damage == "weights":
        (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:1000])
    else:
        (copy / "config.json").write_text('{"model_type": "lfm2", ')
    _refused(lambda: load_model(resolve_base(str(copy))), "cannot be loaded from")


@pytest.mark.parametrize("name", ["nonsense", "a/b/c", "../up", "seedlings", "a b/c", "--x/y", "owner/na..me", "/abs"])
def test_a_name_that_can_be_nothing_is_refused(name: str) -> None:
    _refused(lambda: resolve_base(name), "hub id owner/model")


def test_a_hub_model_that_cannot_be_fetched_is_unavailable_with_exit_code_4() -> None:
    for name, hub_id in (("nobody/nothing-at-all",) * 2, ("qwen3-0.6b", PRESETS["qwen3-0.6b"].hub_id)):
        with pytest.raises(Unavailable, match=f"base {hub_id} cannot be fetched") as caught:
            resolve_base(name)
        assert caught.value.exit_code == 4


def test_the_hub_s_answer_pins_the_commit(tmp_path: Path, folder: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "hub" / "models--owner--tiny"
    shutil.copytree(folder, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    base = resolve_base("owner/tiny")
    assert base == Base("owner/tiny", "owner/tiny", commit, False)
    assert resolve_base("owner/tiny", revision=commit, trust_remote_code=True).trust_remote_code


def test_a_base_without_a_chat_template_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    _refused(lambda: load_tokenizer(resolve_base(str(copy))), "has no chat template")


def test_a_tokenizer_without_padding_pads_with_its_stop_token(copy: Path) -> None:
    path = copy / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pad_token": None}))
    tokenizer = load_tokenizer(resolve_base(str(copy)))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def test_the_template_s_digest_changes_with_the_template_and_with_nothing_else(copy: Path) -> None:
    before = template_digest(load_tokenizer(resolve_base(str(copy))))
    assert before == template_digest(load_tokenizer(resolve_base("seedling"))) and len(before) == 64
    template = copy / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert template_digest(load_tokenizer(resolve_base(str(copy)))) != before


def test_counting_tokens_leaves_special_ones_out() -> None:
    tokenizer = load_tokenizer(resolve_base("seedling"))
    count = token_counter(tokenizer)
    assert [count(""), count("7"), count("1234")] == [0, 1, 4]
    assert count("a" * 5000) > 0, "a text longer than the context is no error"


def test_the_number_format_is_the_stored_one_unless_asked_for(folder: Path) -> None:
    import torch

    seedling = resolve_base("seedling")
    assert load_model(seedling).dtype == torch.bfloat16
    assert load_model(seedling, dtype="float32").dtype == torch.float32
    assert load_model(resolve_base(str(folder))).dtype == torch.float32
