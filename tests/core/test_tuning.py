"""Every tuning method: trained, saved, loaded again, merged where that is legal, answered with and registered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.bases import Base, load_model, load_tokenizer, resolve_base, template_digest
from understudy.core.engines import LocalEngine, Request
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.models import version_engine
from understudy.core.pack import Pack
from understudy.core.records import Message
from understudy.core.registry import Registry
from understudy.core.rows import Row, make_rows
from understudy.core.settings import AdapterSettings, LoraSettings, PrefixSettings, TrainSettings
from understudy.core.sft import Outcome, train_sft
from understudy.core.starts import Start
from understudy.core.tuning import adapter_config, attach, merge, mergeable, prepare, trainable_share
from understudy.core.tuning.checks import check_saved, row_logits
from understudy.core.tuning.loading import load_merged, load_to_tune, load_tuned
from understudy.core.tuning.qlora import quantisation

from .tiny import EACH_METHOD, needs_bitsandbytes, tiny_base

CPU = Hardware("cpu", False, 1, ())
QUICK: dict[str, Any] = {
    "epochs": 1,
    "learning_rate": 3e-2,
    "batch_size": 4,
    "max_length": 128,
    "early_stopping_patience": 0,
}
METHODS: dict[str, TrainSettings] = {
    "full": TrainSettings(method="full", **{**QUICK, "learning_rate": 3e-3}),
    "lora": TrainSettings(method="lora", lora=LoraSettings(rank=4, alpha=8), **QUICK),
    "dora": TrainSettings(method="lora", lora=LoraSettings(rank=4, alpha=8, dora=True, rslora=True), **QUICK),
    "qlora": TrainSettings(method="qlora", lora=LoraSettings(rank=4, alpha=8), **QUICK),
    "prefix": TrainSettings(method="prefix", prefix=PrefixSettings(tokens=5), **QUICK),
    "adapter": TrainSettings(method="adapter", adapter=AdapterSettings(width=8), **QUICK),
    "ia3": TrainSettings(method="ia3", **QUICK),
}
MERGEABLE = {"lora", "dora", "qlora", "ia3"}
SMALL = [each for each in EACH_METHOD if each.values != ("full",)]


@pytest.fixture(scope="module", params=["lfm2", "llama"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Base:
    return resolve_base(str(tiny_base(tmp_path_factory.mktemp("base"), request.param)))


@pytest.fixture(scope="module")
def rows(base: Base, toy: Pack, toy_example: Callable[..., Any]) -> list[Row]:
    words = ("crash", "please add", "how do I")
    made = [
        toy_example(f"e{n}", f"{words[n % 3]} thing {n} " * (1 + n % 4), label=("bug", "feature", "question")[n % 3])
        for n in range(16)
    ]
    return make_rows(toy, made, load_tokenizer(base), 128)


Tuned = Callable[[str], Outcome]


@pytest.fixture(scope="module")
def tuned(base: Base, rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """Train by a method, once."""
    made: dict[str, Outcome] = {}

    def train(name: str) -> Outcome:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = train_sft(Start(base), load_tokenizer(base), rows[:12], rows[12:], METHODS[name], CPU, folder)
        return made[name]

    return train


def distance(one: Any, other: Any, row: Row) -> float:
    """Largest difference of two models' logits on a row."""
    return float((row_logits(one, row) - row_logits(other, row)).abs().max())


@pytest.mark.parametrize("name", EACH_METHOD)
def test_what_was_saved_is_what_was_trained(name: str, tuned: Tuned, base: Base, rows: list[Row]) -> None:
    outcome = tuned(name)
    assert outcome.checks["reload_difference"] < 1e-4
    assert outcome.kind == ("full" if name == "full" else "adapter")
    assert ("merge_difference" in outcome.checks) == (name in MERGEABLE)
    again = json.loads((outcome.folder.parent / "outcome.json").read_text())
    assert again["checks"] == outcome.checks
    loaded = load_tuned(base, outcome.folder, METHODS[name], CPU, dtype="float32")
    untuned = load_to_tune(base, METHODS[name], CPU)
    assert distance(loaded, untuned, rows[0]) > 1e-3, "it learnt something"


@pytest.mark.parametrize("name", SMALL)
def test_a_saved_adapter_is_a_plain_peft_folder(name: str, tuned: Tuned, base: Base, rows: list[Row]) -> None:
    from peft import PeftModel

    outcome = tuned(name)
    config = json.loads((outcome.folder / "adapter_config.json").read_text())
    kind = {"dora": "LORA", "qlora": "LORA", "prefix": "PREFIX_TUNING", "adapter": "BOTTLENECK"}
    assert config["peft_type"] == kind.get(name, name.upper())
    assert (outcome.folder / "adapter_model.safetensors").exists()
    assert 0 < outcome.trainable < outcome.parameters / 2
    attached = attach(load_to_tune(base, METHODS[name], CPU), outcome.folder)
    assert isinstance(attached, PeftModel)


@pytest.mark.parametrize("name", [p for p in EACH_METHOD if p.values[0] in MERGEABLE | {"full"}])
def test_a_merged_model_is_an_ordinary_one_with_the_same_logits(
    name: str, tuned: Tuned, base: Base, rows: list[Row], tmp_path: Path
) -> None:
    outcome = tuned(name)
    merged = load_merged(base, outcome.folder, METHODS[name], CPU)
    assert type(merged) is type(load_model(base)), "no trace of PEFT is left"
    merged.save_pretrained(tmp_path)
    again = load_model(resolve_base(str(tmp_path)), dtype="float32")
    unmerged = load_tuned(base, outcome.folder, METHODS[name], CPU, dtype="float32")
    size = float(row_logits(unmerged, rows[0]).abs().max())
    # The quantised product is computed in another order than the dequantised one.
    assert distance(again, unmerged, rows[0]) < size * (2e-2 if name == "qlora" else 1e-4)


@pytest.mark.parametrize("name", ["prefix", "adapter"])
def test_what_cannot_be_merged_is_refused_with_the_reason(name: str, tuned: Tuned, base: Base) -> None:
    outcome = tuned(name)
    model = attach(load_model(base, dtype="float32"), outcome.folder)
    assert not mergeable(model)
    with pytest.raises(BadInput, match=r"cannot be merged.*serve it beside its base"):
        merge(model)


@needs_bitsandbytes
def test_merging_into_a_quantised_base_is_refused(tuned: Tuned, base: Base) -> None:
    model = attach(load_to_tune(base, METHODS["qlora"], CPU), tuned("qlora").folder)
    with pytest.raises(BadInput, match="dequantise it first"):
        merge(model)


@pytest.mark.parametrize("name", EACH_METHOD)
def test_answers_do_not_depend_on_cache_padding_or_company(name: str, tuned: Tuned, base: Base) -> None:
    import torch

    model = load_tuned(base, tuned(name).folder, METHODS[name], CPU, dtype="float32")
    tokenizer = load_tokenizer(base)
    engine = LocalEngine(model, tokenizer, batch_size=4)
    texts = ["short", "a much longer ticket " * 6, "two\nlines", "x" * 90]
    requests = [Request([Message(role="user", content=text)], max_new_tokens=12) for text in texts]
    together = engine.generate(requests)
    for request, answer in zip(requests, together, strict=True):
        (alone,) = engine.generate([request])
        assert (alone.text, alone.finish_reason) == (answer.text, answer.finish_reason)
        assert alone.logprob == pytest.approx(answer.logprob, abs=1e-2)
    ids = torch.randint(10, 5000, (1, 9), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        cached = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        grown = ids
        while grown.shape[1] < cached.shape[1]:
            logits = model(grown, attention_mask=torch.ones_like(grown), use_cache=False).logits
            grown = torch.cat([grown, logits[:, -1:].argmax(-1)], dim=1)
    assert cached.tolist() == grown.tolist()


@pytest.mark.parametrize("name", SMALL)
def test_the_registry_stores_and_serves_it(
    name: str, tuned: Tuned, base: Base, rows: list[Row], tmp_path: Path
) -> None:
    outcome = tuned(name)
    registry = Registry(tmp_path / "registry")
    version = registry.register(
        outcome.folder,
        pack="toy",
        kind="adapter",
        base=base.name,
        base_revision=base.revision,
        dataset="toy-1",
        dataset_digest="0",
        settings={"train": METHODS[name].model_dump(mode="json")},
        template_digest=template_digest(load_tokenizer(base)),
    )
    served = version_engine(registry, version, CPU)._model
    loaded = load_tuned(base, outcome.folder, METHODS[name], CPU, dtype="float32")
    loaded.set_attn_implementation("eager")
    assert distance(served, loaded, rows[0]) < 1e-4
    assert registry.verify() == []


def test_a_damaged_adapter_is_refused_with_the_measured_difference(
    tuned: Tuned, base: Base, rows: list[Row], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    settings, outcome = METHODS["lora"], tuned("lora")
    trained = row_logits(load_tuned(base, outcome.folder, settings, CPU, dtype="float32"), rows[0])
    folder = tmp_path / "best"
    shutil.copytree(outcome.folder, folder)
    weights = load_file(folder / "adapter_model.safetensors")
    name = next(name for name in weights if "lora_B" in name)
    save_file({**weights, name: weights[name] * 0}, folder / "adapter_model.safetensors")
    with pytest.raises(BadInput, match=r"loaded again, is not the model that was trained: its logits differ by"):
        check_saved(trained, base, folder, settings, CPU, rows[0])
    save_file({"nothing": weights[name]}, folder / "adapter_model.safetensors")
    with pytest.raises(BadInput, match="loaded again"):
        check_saved(trained, base, folder, settings, CPU, rows[0])
    (folder / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(BadInput, match="holds no adapter for this"):
        check_saved(trained, base, folder, settings, CPU, rows[0])


@pytest.mark.parametrize("name", SMALL)
def test_only_the_adapter_s_own_weights_move(name: str, tuned: Tuned, base: Base, rows: list[Row]) -> None:
    """With the adapter switched off, the tuned model is its base."""
    import torch

    model = attach(load_to_tune(base, METHODS[name], CPU), tuned(name).folder)
    bare = load_to_tune(base, METHODS[name], CPU)
    with model.disable_adapter():
        assert torch.equal(row_logits(model, rows[0]), row_logits(bare, rows[0]))  # type: ignore[arg-type]


@needs_bitsandbytes
def test_a_validation_between_steps_does_not_change_the_gradients_of_a_4_bit_base(base: Base, rows: list[Row]) -> None:
    """Bitsandbytes would rearrange the weights in it, and its backward pass would read them in the wrong order."""
    import torch
    from peft import get_peft_model

    settings = METHODS["qlora"]
    model = load_to_tune(base, settings, CPU)
    config = prepare(model, settings)
    assert config is not None
    torch.manual_seed(1)
    tuned = get_peft_model(model, config)
    ids = torch.tensor([rows[0].input_ids])

    def gradient() -> float:
        tuned.train()
        tuned.zero_grad()
        tuned(ids, labels=ids).loss.backward()
        return sum(float(p.grad.abs().sum()) for p in tuned.parameters() if p.grad is not None)

    before = gradient()
    row_logits(tuned, rows[0])  # type: ignore[arg-type]
    assert gradient() == pytest.approx(before, rel=1e-6)


@needs_bitsandbytes
def test_a_4_bit_base_takes_less_memory_and_every_option_changes_it(base: Base, rows: list[Row]) -> None:
    def load(**options: Any) -> Any:
        return load_to_tune(base, TrainSettings(method="qlora", qlora=options), CPU)

    nf4 = load()
    whole = load_to_tune(base, METHODS["lora"], CPU)
    # The tiny model is mostly embedding, which stays as it is.
    assert nf4.get_memory_footprint() < whole.get_memory_footprint() * 0.95
    assert trainable_share(nf4)[1] == trainable_share(whole)[1], "four bits are a whole weight"
    assert distance(nf4, load(quant_type="fp4"), rows[0]) > 1e-3
    assert distance(nf4, load(double_quantisation=False), rows[0]) > 0


def test_without_bitsandbytes_qlora_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.core.tuning.qlora.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'bitsandbytes>=0.46'"):
        quantisation(METHODS["qlora"], bf16=False)
    assert quantisation(METHODS["lora"], bf16=False) is None


def matched(base: Base, **options: Any) -> set[str]:
    """Names, without their place, of the layers that a method's options reach."""
    from peft import get_peft_model
    from peft.tuners.tuners_utils import BaseTunerLayer

    model = load_model(base, dtype="float32")
    config = prepare(model, TrainSettings(**options))
    assert config is not None
    tuned = get_peft_model(model, config)
    return {name.rpartition(".")[2] for name, layer in tuned.named_modules() if isinstance(layer, BaseTunerLayer)}


def test_methods_reach_the_layers_they_are_meant_for(base: Base) -> None:
    lfm2 = load_model(base).config.model_type == "lfm2"
    attention, feed_forward = ({"out_proj"}, {"w2"}) if lfm2 else ({"o_proj"}, {"down_proj"})
    assert matched(base, method="adapter") == attention | feed_forward
    assert matched(base, method="adapter", adapter={"placement": "pfeiffer"}) == feed_forward
    assert matched(base, method="adapter", adapter={"target_modules": ["q_proj"]}) == {"q_proj"}
    assert matched(base, method="ia3") == {"k_proj", "v_proj"} | feed_forward
    assert matched(base, method="ia3", ia3={"target_modules": ["q_proj"]}) == {"q_proj"} | feed_forward
    only = {"feedforward_modules": [*attention], "target_modules": ["v_proj"]}
    assert matched(base, method="ia3", ia3=only) == {"v_proj"} | attention
    assert "lm_head" not in matched(base, method="lora") and len(matched(base, method="lora")) >= 7


def test_every_option_of_a_bottleneck_and_of_a_prefix_reaches_peft() -> None:
    adapter = {"width": 3, "activation": "relu", "dropout": 0.25}
    made = adapter_config(TrainSettings(method="adapter", adapter=adapter))
    assert (made.width, made.activation, made.dropout) == (3, "relu", 0.25)
    assert adapter_config(TrainSettings(method="prefix", prefix={"tokens": 9})).num_virtual_tokens == 9
    made = adapter_config(TrainSettings(method="qlora", lora={"rank": 3}))
    assert (made.r, made.peft_type) == (3, "LORA")


def test_a_bottleneck_starts_at_its_base_and_bends_and_drops(base: Base, rows: list[Row]) -> None:
    import torch
    from peft import get_peft_model

    def build(**options: Any) -> Any:
        torch.manual_seed(2)
        settings = TrainSettings(method="adapter", adapter={"width": 8, **options})
        model = load_model(base, dtype="float32")
        return get_peft_model(model, prepare(model, settings))  # type: ignore[arg-type]

    def shake(model: Any) -> Any:
        torch.manual_seed(3)
        for name, parameter in model.named_parameters():
            if "bottleneck_" in name:
                torch.nn.init.normal_(parameter, std=0.2)
        return model

    bare = load_model(base, dtype="float32")
    assert distance(build(), bare, rows[0]) == 0
    outputs = [row_logits(shake(build(activation=name)), rows[0]) for name in ("gelu", "relu", "silu")]
    assert all((outputs[0] - other).abs().max() > 1e-3 for other in outputs[1:])
    dropping = shake(build(dropout=0.5)).train()
    ids = torch.tensor([rows[0].input_ids])
    assert (dropping(ids).logits - dropping(ids).logits).abs().max() > 1e-3
    assert distance(dropping, shake(build()), rows[0]) == 0, "nothing is dropped when answering"


@pytest.mark.parametrize("method", ["lora", "qlora", "adapter", "ia3"])
def test_an_adapter_on_the_output_head_is_refused_with_the_way_out(method: str, base: Base) -> None:
    section = "lora" if method == "qlora" else method
    model = load_model(base)
    why = "shares its weights with the embedding" if model.config.tie_word_embeddings else "is read by the loss"
    settings = TrainSettings(method=method, **{section: {"target_modules": ["lm_head", "q_proj"]}})
    with pytest.raises(BadInput, match=rf"train\.{section}\.target_modules names the output head lm_head, which {why}"):
        prepare(model, settings)


def test_a_layer_that_is_nowhere_is_refused_though_peft_would_pass_over_it(base: Base) -> None:
    model = load_model(base)
    for section in ("lora", "adapter"):
        settings = TrainSettings(method=section, **{section: {"target_modules": ["q_proj", "q_pro"]}})
        with pytest.raises(BadInput, match=r"has no layer 'q_pro'; its linear layers are called .*q_proj"):
            prepare(model, settings)
    with pytest.raises(BadInput, match="no layer 'embed_tokens'"):
        prepare(model, TrainSettings(method="lora", lora={"target_modules": ["embed_tokens"]}))


def test_a_model_whose_layers_have_unknown_names_is_refused_with_their_names(base: Base) -> None:
    import torch

    class Strange(torch.nn.Module):
        config = load_model(base).config

        def __init__(self) -> None:
            super().__init__()
            self.odd = torch.nn.Linear(4, 4)

        def get_output_embeddings(self) -> None:
            return None

    strange: Any = Strange()
    for method in ("ia3", "adapter"):
        with pytest.raises(BadInput, match=f"none called as method {method} expects; its linear layers are called odd"):
            prepare(strange, TrainSettings(method=method))
