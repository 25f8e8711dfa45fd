"""Base models: the embedded seedling, a model on the hub, or a local folder; all are loaded by the same lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core.errors import BadInput, Unavailable
from understudy.core.files import canonical_json, sha256_bytes, sha256_file
from understudy.core.presets import PRESETS, preset_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "Base",
    "check_folder",
    "load_model",
    "load_tokenizer",
    "resolve_base",
    "template_digest",
    "token_counter",
]

SEEDLING = "seedling"

_SAME_DAY = '{%- macro strftime_now(format) -%}{{ "01 Jan 2026" }}{%- endmacro -%}'
"""Put before a chat template that prints the date (Llama 3, SmolLM3, Granite): a prompt is then the same on every day,
in training and in use."""
_UNSAFE = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


@dataclass(frozen=True)
class Base:
    """A base that has been found: where it is and exactly which one it is."""

    name: str
    """As the user gave it."""
    location: str
    """Local folder, or hub id."""
    revision: str
    """Commit on the hub, or ``sha256:`` digest of a local folder's weights and configuration."""
    trust_remote_code: bool = False


def resolve_base(name: str, *, revision: str | None = None, trust_remote_code: bool = False) -> Base:
    """Find a base by name and pin it.

    Args:
        name: ``seedling``, a key of :data:`~understudy.core.presets.PRESETS`, a path to a folder, or a hub id
            ``owner/model``.
        revision: branch, tag or commit on the hub; resolved to a commit.
        trust_remote_code: run code that a hub model brings along; off unless the settings say so.

    Raises:
        BadInput: a local folder that is no safe model folder, or a name that can be neither.
        Unavailable: the hub cannot be reached and the model is not in its cache.
    """
    if name == SEEDLING:
        folder = Path(str(files("understudy.core") / "seedling"))
        return Base(name, str(folder), folder_digest(folder))
    local = Path(name).expanduser()
    if local.is_dir():
        check_folder(local)
        return Base(name, str(local), folder_digest(local), trust_remote_code)
    if name not in PRESETS and (name.startswith((".", "/", "~")) or name.count("/") != 1):
        raise BadInput(
            f"base {name!r} is neither a folder, nor a hub id owner/model, nor one of: {SEEDLING}, {', '.join(PRESETS)}"
        )
    hub_id = PRESETS[name].hub_id if name in PRESETS else name
    return Base(name, hub_id, _hub_commit(hub_id, revision), trust_remote_code)


def _hub_commit(hub_id: str, revision: str | None) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(hub_id, revision=revision, allow_patterns=["config.json"])
    except HFValidationError as error:
        raise BadInput(f"base {hub_id!r} is no hub id owner/model: {error}") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise Unavailable(
            f"base {hub_id} cannot be fetched from the hub ({type(error).__name__}); check the name and the network"
        ) from error
    return Path(folder).name


def check_folder(folder: Path) -> None:
    """Refuse a model folder that is incomplete or holds pickled weights.

    Raises:
        BadInput: ``config.json`` or safetensors weights are missing, or the only weights are pickles, which run code.
    """
    if not (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        raise BadInput(f"{folder} is no model folder: it has no config.json")
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _UNSAFE)
    if pickles:
        raise BadInput(
            f"{folder / pickles[0]} is a pickle, which can run code when loaded; convert the model to safetensors"
        )
    raise BadInput(f"{folder} has no weights: expected at least one .safetensors file")


def folder_digest(folder: Path) -> str:
    """Return ``sha256:...`` over the names and contents of a model folder's weights, configuration and tokenizer."""
    kept = sorted(path for path in folder.iterdir() if path.suffix in {".safetensors", ".json", ".jinja"})
    if not kept:
        raise BadInput(f"{folder} holds no model files")
    return "sha256:" + sha256_bytes(canonical_json({path.name: sha256_file(path) for path in kept}).encode())


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """Load a base's fast tokenizer, set up for generation (padding on the left).

    A preset's stop token becomes the end of sequence, and a chat template that prints today's date prints the same one
    every day; both are saved with a tuned model.

    Raises:
        BadInput: it has no chat template, so prompts could not be rendered the same way twice, or it lacks the token
            that ends an answer.
    """
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        base.location, revision=_revision(base), trust_remote_code=base.trust_remote_code
    )
    if not tokenizer.chat_template:
        raise BadInput(f"base {base.name} has no chat template; choose an instruct model or add chat_template.jinja")
    if isinstance(tokenizer.chat_template, str) and "strftime_now" in tokenizer.chat_template:
        tokenizer.chat_template = _SAME_DAY + tokenizer.chat_template.removeprefix(_SAME_DAY)
    preset = preset_of(base.name)
    if preset is not None:
        if preset.stop not in tokenizer.get_vocab():
            raise BadInput(
                f"base {base.name} has no token {preset.stop}, which ends its answers; name it by its hub id"
            )
        tokenizer.eos_token = preset.stop
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def token_counter(tokenizer: PreTrainedTokenizerBase) -> Callable[[str], int]:
    """Return a function from a text to its length in tokens, special ones left out."""

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    return count


def load_model(base: Base, *, device: str = "cpu", dtype: str = "auto", quantisation: Any = None) -> PreTrainedModel:
    """Load a base's weights, from safetensors only, onto ``device``.

    Args:
        base: as :func:`resolve_base` found it.
        device: torch device.
        dtype: ``auto`` for the stored one, or ``float32``, ``bfloat16``.
        quantisation: transformers' configuration of a quantiser that rounds the weights while they are loaded.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            base.location,
            revision=_revision(base),
            trust_remote_code=base.trust_remote_code,
            use_safetensors=True,
            dtype=dtype,
            **({"quantization_config": quantisation, "device_map": {"": device}} if quantisation is not None else {}),
        )
    except (OSError, SafetensorError) as error:
        raise BadInput(
            f"base {base.name} cannot be loaded from {base.location}: {str(error).split(chr(10))[0]}"
        ) from error
    if quantisation is None:
        model.to(device)  # type: ignore[arg-type]
    return model


def _revision(base: Base) -> str | None:
    return None if base.revision.startswith("sha256:") else base.revision


def template_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the SHA-256 of the chat template, which must be the same in training, evaluation and serving."""
    return sha256_bytes(str(tokenizer.chat_template).encode())
