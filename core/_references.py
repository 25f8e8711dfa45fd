"""Log-probabilities under the model a stage starts from: computed once, kept by content, read back bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from understudy.core.files import canonical_json, sha256_bytes, write_json
from understudy.core.ranks import count, first, gathered, once

__all__ = ["References", "as_it_began", "forget_copy", "seen_by_all"]


def as_it_began(model: Any, *, fresh: bool) -> AbstractContextManager[Any]:
    """Return a context in which ``model`` is what its stage started from, if no step was taken yet.

    A ``fresh`` adapter is switched off: it may be random. Anything else, a continued adapter too, is still as it was.
    """
    return model.disable_adapter() if fresh else nullcontext()


def forget_copy(model: Any) -> None:
    """Delete TRL's copy of a continued adapter; its log-probabilities, which are known by now, are all we need."""
    if "ref" in getattr(model, "peft_config", {}):
        model.delete_adapter("ref")


def seen_by_all(dataset: Any, folder: Path) -> Any:
    """Return ``dataset`` from a folder that all processes see, if there are several.

    In TRL the first of them writes the reference's figures beside the dataset's file, and the others read them there;
    without a file that is a temporary folder of its own for each.
    """
    from datasets import load_from_disk

    if count() == 1:
        return dataset
    once(lambda: dataset.save_to_disk(str(folder)))
    return load_from_disk(str(folder))


class References:
    """A file of reference log-probabilities for one way of computing them.

    The same tokens under the same weights are never scored twice, whichever run asks. Figures are float32 written
    exactly, so a resumed run compares with the very numbers it began with.
    """

    def __init__(self, folder: Path, revision: str, how: str) -> None:
        """Use the file in ``folder`` for the weights ``revision`` scored in the way ``how`` (precision, path)."""
        self.name = sha256_bytes(canonical_json([revision, how]).encode())[:16]
        self._path = folder / f"{self.name}.json"
        self._known: dict[str, list[float]] = {}
        self._changed = False
        if self._path.exists():
            try:
                self._known = json.loads(self._path.read_text("utf-8"))
            except ValueError:
                self._known = {}  # a damaged cache is computed again

    def key(self, *tokens: Sequence[int]) -> str:
        """Return the name of a row's tokens, unique over all files."""
        return f"{self.name}:{sha256_bytes(canonical_json([list(part) for part in tokens]).encode())[:32]}"

    def figures(self, keys: Sequence[str], score: Callable[[], list[list[float]]]) -> list[list[float]]:
        """Return the figures of ``keys`` in their order; ``score`` gives those of all when one is not known yet.

        They stay in memory until :meth:`save` writes them down.
        """
        if not self._known.keys() >= set(keys):
            self._known |= zip(keys, score(), strict=True)
            self._changed = True
        return [self._known[key] for key in keys]

    def save(self) -> None:
        """Write new figures of all processes to the file, whole or not at all."""
        for known in gathered(self._known):
            self._changed |= not self._known.keys() >= known.keys()
            self._known |= known
        if self._changed and first():
            write_json(self._path, self._known)
        self._changed = False
