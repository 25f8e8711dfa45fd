"""Where a stage of training starts: a base as it is, or any registered version, adapters included."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.bases import Base, check_folder, load_model, load_tokenizer, resolve_base, template_digest
from understudy.core.errors import BadInput
from understudy.core.golden import check_golden
from understudy.core.hardware import Hardware
from understudy.core.ranks import whole
from understudy.core.records import ModelVersion
from understudy.core.registry import Registry
from understudy.core.settings import TrainSettings
from understudy.core.tuning import attach, prepare
from understudy.core.tuning.loading import load_merged, load_to_tune

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Start", "prepared_model", "start_from", "start_model", "start_tokenizer"]


@dataclass(frozen=True)
class Start:
    """Weights to start from."""

    base: Base
    """Whole weights: a base, or a registered version that is a whole model (its name is then that version's id)."""
    adapter: Path | None = None
    """Folder of the adapter that a registered version puts on top of ``base``."""
    version: ModelVersion | None = None
    """The registered version, None for a base as it is."""

    @property
    def revision(self) -> str:
        """Digest of all the weights."""
        return self.base.revision if self.version is None else f"sha256:{self.version.digest}"

    def root(self, kind: str) -> Base:
        """Return what a version of ``kind`` trained from here names as its base.

        A whole model names the base at the root of its line, an adapter the whole weights it must be put on.
        """
        if kind == "adapter" or self.version is None:
            return self.base
        return Base(self.version.base, self.version.base, self.version.base_revision)


def start_from(registry: Registry, version: ModelVersion) -> Start:
    """Return the start that ``version`` is.

    Raises:
        BadInput: the folder is incomplete or holds pickles, the base is not the one the adapter was trained on, or
            the chat template or the token ids are not those of training.
    """
    folder = registry.materialise(version)
    check_folder(folder)
    if version.kind == "full":
        start = Start(Base(version.id, str(folder), f"sha256:{version.digest}"), version=version)
    else:
        start = Start(_base_of(registry, version), folder, version)
    tokenizer = start_tokenizer(start)
    if version.template_digest and template_digest(tokenizer) != version.template_digest:
        raise BadInput(f"model {version.id} was trained with another chat template than its folder holds")
    check_golden(folder, tokenizer, version.id)
    return start


def _base_of(registry: Registry, version: ModelVersion) -> Base:
    """Return the whole weights under an adapter: another registered version, or the base it names."""
    whole = next((v for v in registry.list(version.pack) if v.id == version.base), None)
    if whole is not None:
        base = Base(whole.id, str(registry.materialise(whole)), f"sha256:{whole.digest}")
    else:
        pinned = None if version.base_revision.startswith("sha256:") else version.base_revision
        base = resolve_base(version.base, revision=pinned)
    if base.revision != version.base_revision:
        raise BadInput(
            f"model {version.id} is an adapter for {version.base} at {version.base_revision[:19]}, "
            f"and that base is now {base.revision[:19]}: restore it or train again"
        )
    return base


def start_tokenizer(start: Start) -> PreTrainedTokenizerBase:
    """Load the tokenizer a version was trained with, or the base's."""
    if start.adapter is None or start.version is None:
        return load_tokenizer(start.base)
    return load_tokenizer(Base(start.version.id, str(start.adapter), start.revision))


def start_model(start: Start, hardware: Hardware, *, dtype: str = "auto", trainable: bool = False) -> PreTrainedModel:
    """Load the weights, an adapter on top of its base; ``trainable`` lets that adapter learn on."""
    if start.adapter is None:
        return load_model(start.base, device=hardware.device, dtype=dtype)
    model = load_to_tune(start.base, _made_with(start), hardware, dtype=dtype)
    adapted: PreTrainedModel = attach(model, start.adapter, trainable=trainable)  # type: ignore[assignment]
    return adapted


def prepared_model(
    start: Start, settings: TrainSettings, hardware: Hardware
) -> tuple[PreTrainedModel, PeftConfig | None]:
    """Return (model, PEFT configuration of a new adapter or None) to hand to a trainer, in float32.

    From whole weights ``full`` trains all of them and any other method a new adapter. From an adapter the same adapter
    learns on, and ``full`` merges it into its base first.

    Raises:
        BadInput: the method does not fit the model, the settings describe another adapter than the one to go on with,
            or that one cannot be merged.
    """
    hardware = whole(hardware)
    if start.adapter is None:
        model = load_to_tune(start.base, settings, hardware)
        return model, prepare(model, settings)
    if settings.method == "full":
        merged = load_merged(start.base, start.adapter, _made_with(start), hardware)
        merged.requires_grad_(True)  # the adapter had frozen them
        return merged, None
    _same_adapter(start, settings)
    return start_model(start, hardware, dtype="float32", trainable=True), None


def _made_with(start: Start) -> TrainSettings:
    """Return the settings the adapter of ``start`` was trained with."""
    assert start.version is not None
    return TrainSettings.model_validate(start.version.settings.get("train", {"method": "lora"}), extra="ignore")


def _same_adapter(start: Start, settings: TrainSettings) -> None:
    """Refuse settings that would be ignored: an adapter that learns on keeps its shape."""
    assert start.version is not None
    made = _made_with(start)
    if made.shape() != settings.shape():
        raise BadInput(
            f"model {start.version.id} is an adapter made by train.method {made.method} with other settings; set "
            "train.method and its section as they were, or train.method to full, which merges the adapter first"
        )
