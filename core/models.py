"""From a registered model version to an engine that answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.bases import Base, check_folder, load_model, load_tokenizer, resolve_base, template_digest
from understudy.core.engines import LocalEngine
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.records import ModelVersion
from understudy.core.registry import Registry
from understudy.core.settings import TrainSettings
from understudy.core.tuning import attach
from understudy.core.tuning.loading import load_to_tune

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["base_engine", "version_engine"]


def base_engine(base: Base, hardware: Hardware, *, batch_size: int = 16) -> LocalEngine:
    """Load an untuned base; seconds for a small one, so keep the engine."""
    return LocalEngine(load_model(base, device=hardware.device), load_tokenizer(base), batch_size=batch_size)


def version_engine(
    registry: Registry, version: ModelVersion, hardware: Hardware, *, batch_size: int = 16
) -> LocalEngine:
    """Load a registered version: its own weights, or its base with the adapter on top.

    Raises:
        BadInput: the folder is incomplete or holds pickles, the base is not the one the adapter was trained on, or
            the chat template is not the one of training.
    """
    folder = registry.materialise(version)
    check_folder(folder)
    own = Base(version.id, str(folder), f"sha256:{version.digest}")
    tokenizer = load_tokenizer(own)
    if version.template_digest and template_digest(tokenizer) != version.template_digest:
        raise BadInput(f"model {version.id} was trained with another chat template than its folder holds")
    model = (
        load_model(own, device=hardware.device) if version.kind == "full" else _with_adapter(version, folder, hardware)
    )
    return LocalEngine(model, tokenizer, batch_size=batch_size)


def _with_adapter(version: ModelVersion, folder: Path, hardware: Hardware) -> PreTrainedModel:
    base = resolve_base(
        version.base, revision=None if version.base_revision.startswith("sha256:") else version.base_revision
    )
    if base.revision != version.base_revision:
        raise BadInput(
            f"model {version.id} is an adapter for {version.base} at {version.base_revision[:19]}, "
            f"and that base is now {base.revision[:19]}: restore it or train again"
        )
    settings = TrainSettings.model_validate(version.settings.get("train", {"method": "lora"}))
    adapted: PreTrainedModel = attach(load_to_tune(base, settings, hardware, dtype="auto"), folder)  # type: ignore[assignment]
    return adapted
