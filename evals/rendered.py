"""A pack that renders each input once: arms, slices and the report ask for the same prompts and grammars again."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel

from understudy.core.pack import Pack
from understudy.core.records import Message

__all__ = ["remembering"]


def remembering(pack: Pack) -> Pack:
    """Return ``pack`` with prompts and grammars remembered by their input; everything else is the pack's own."""
    return cast(Pack, _Remembering(pack))


class _Remembering:
    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._prompts: dict[str, list[Message]] = {}
        self._grammars: dict[str, dict[str, Any]] = {}

    def messages(self, input: BaseModel) -> list[Message]:
        """Return the pack's own messages for this input."""
        key = input.model_dump_json()
        if key not in self._prompts:
            self._prompts[key] = self._pack.messages(input)
        return list(self._prompts[key])

    def grammar(self, input: BaseModel) -> dict[str, Any]:
        """Return the pack's own schema for this input; leave it as it is."""
        key = input.model_dump_json()
        if key not in self._grammars:
            self._grammars[key] = self._pack.grammar(input)
        return self._grammars[key]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pack, name)
