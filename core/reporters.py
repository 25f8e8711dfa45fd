"""Libraries that figures of training can be sent to, besides our own ``events.jsonl``."""

from __future__ import annotations

from importlib.util import find_spec

from understudy.core.errors import BadInput
from understudy.core.settings import TrainSettings

__all__ = ["check_reporter"]

_LIBRARIES = {"tensorboard": ("tensorboard", "tensorboardX"), "mlflow": ("mlflow",), "wandb": ("wandb",)}
"""Modules of which one is needed, the usual one first."""


def check_reporter(settings: TrainSettings) -> None:
    """Refuse a ``report_to`` whose library is not there, before anything is loaded.

    Raises:
        BadInput: naming what to install.
    """
    names = _LIBRARIES.get(settings.report_to, ())
    if names and not any(find_spec(name) for name in names):
        raise BadInput(
            f"train.report_to is {settings.report_to}, which needs `pip install {names[0]}`; or set it to none, "
            "events.jsonl holds the same figures"
        )
