"""From a registered model version to an engine that answers."""

from __future__ import annotations

from understudy.core.bases import Base, load_model, load_tokenizer
from understudy.core.engines import LocalEngine
from understudy.core.hardware import Hardware
from understudy.core.records import ModelVersion
from understudy.core.registry import Registry
from understudy.core.starts import Start, start_from, start_model, start_tokenizer

__all__ = ["base_engine", "start_engine", "version_engine"]


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
    return start_engine(start_from(registry, version), hardware, batch_size=batch_size)


def start_engine(start: Start, hardware: Hardware, *, batch_size: int = 16) -> LocalEngine:
    """Load what a stage of training starts from, to let it answer."""
    return LocalEngine(start_model(start, hardware), start_tokenizer(start), batch_size=batch_size)
