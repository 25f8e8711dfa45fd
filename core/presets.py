"""Short names of open models people tune, and what must be known of each before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRESETS", "Preset", "preset_of"]


@dataclass(frozen=True)
class Preset:
    """One instruct model on the hub; all of them bring a chat template."""

    hub_id: str
    model_type: str
    """Architecture, as transformers calls it; every one that occurs here is trained, saved and merged in the tests."""
    stop: str
    """Token that ends an answer in the model's chat template. Where the tokenizer names another one as its end of
    sequence (Gemma: ``<eos>``, Phi: ``<|endoftext|>``), an answer trained to end in that would fight the template."""


def _family(prefix: str, hub: str, model_type: str, stop: str, sizes: str) -> dict[str, Preset]:
    """Return the presets of one family; ``{}`` in ``hub`` is the size in its official spelling."""
    return {f"{prefix}-{size.lower()}": Preset(hub.format(size), model_type, stop) for size in sizes.split()}


PRESETS: dict[str, Preset] = {
    **_family("qwen3", "Qwen/Qwen3-{}", "qwen3", "<|im_end|>", "0.6B 1.7B 4B 8B"),
    **_family("qwen2.5-coder", "Qwen/Qwen2.5-Coder-{}-Instruct", "qwen2", "<|im_end|>", "0.5B 1.5B 3B 7B"),
    **_family("llama-3.2", "meta-llama/Llama-3.2-{}-Instruct", "llama", "<|eot_id|>", "1B 3B"),
    **_family("llama-3.1", "meta-llama/Llama-3.1-{}-Instruct", "llama", "<|eot_id|>", "8B"),
    **_family("mistral", "mistralai/Mistral-{}-Instruct-v0.3", "mistral", "</s>", "7B"),
    **_family("gemma-3", "google/gemma-3-{}-it", "gemma3_text", "<end_of_turn>", "270m 1b"),
    **_family("smollm2", "HuggingFaceTB/SmolLM2-{}-Instruct", "llama", "<|im_end|>", "135M 360M 1.7B"),
    **_family("smollm3", "HuggingFaceTB/SmolLM3-{}", "smollm3", "<|im_end|>", "3B"),
    **_family("granite-3.3", "ibm-granite/granite-3.3-{}-instruct", "granite", "<|end_of_text|>", "2b 8b"),
    **_family("phi-4", "microsoft/Phi-4-{}-instruct", "phi3", "<|end|>", "mini"),
}
"""By short name, as ``base.name`` takes it."""


def preset_of(name: str) -> Preset | None:
    """Return the preset with this short name or hub id."""
    return PRESETS.get(name) or next((preset for preset in PRESETS.values() if preset.hub_id == name), None)
