"""Which model answers a command: the one that was named, the champion, or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.errors import BadInput
from understudy.integrations.cli._console import stderr

if TYPE_CHECKING:
    from understudy.core.engines import LocalEngine
    from understudy.core.settings import Settings

__all__ = ["engine_of"]


def engine_of(settings: Settings, model: str | None, pack: str) -> tuple[LocalEngine | None, str]:
    """Return the engine and its version id; (None, "rules") when rules are asked for or nothing is promoted.

    Raises:
        BadInput: there is no such version, or it is another pack's.
    """
    from understudy.core.pack import RULES
    from understudy.core.registry import CHAMPION, Registry

    if model == RULES:
        return None, RULES
    registry = Registry(Path(settings.registry))
    if model is None and registry.aliases.read(pack, CHAMPION) is None:
        stderr().print(f"[dim]no model is promoted in this folder: rules answer (see `understudy demo {pack}`)[/dim]")
        return None, RULES
    version = registry.get(model or f"{pack}@{CHAMPION}")
    if version.pack != pack:
        raise BadInput(f"{version.id} is a model of {version.pack}, and this command needs one of {pack}")
    from understudy.core.models import version_engine
    from understudy.integrations.cli._console import hardware_of, quiet_libraries

    quiet_libraries()
    return version_engine(registry, version, hardware_of(settings)), version.id
