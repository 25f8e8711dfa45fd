"""The contract of a task pack: what the core needs to know about a task, and nothing else.

A pack is a plain object; it need not inherit from :class:`Pack`. Third parties register theirs under the entry-point
group ``understudy.packs``; the built-in ones are registered the same way, so :func:`load_pack` knows no names.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from understudy.core.errors import BadInput
from understudy.core.records import DatasetVersion, Example, Message, Prediction, Preference, Problem
from understudy.core.taxonomy import Taxonomy

__all__ = [
    "RULES",
    "BuildContext",
    "Builder",
    "FindsCorrections",
    "LearnsReference",
    "Metric",
    "Pack",
    "Remembers",
    "Stacked",
    "Stacks",
    "TokenCounter",
    "Trims",
    "load_pack",
    "pack_names",
]

RULES = "rules"
"""What an answer's ``model`` says when no model was asked, and what ``--model`` takes to ask none."""

TokenCounter = Callable[[str], int]
"""Length of a text in tokens of the model in use."""


@dataclass(frozen=True)
class Metric:
    """One number about a set of predictions, with what a paired comparison needs to recompute it."""

    value: float
    per_sample: Sequence[float] | None = None
    """One score per example, in order, when ``value`` is their mean; None for corpus metrics such as macro-F1."""
    recompute: Callable[[Sequence[int]], float] | None = None
    """For corpus metrics: the value on the given example positions (with repetitions, as a bootstrap draws them)."""
    higher_is_better: bool = True


@dataclass(frozen=True)
class BuildContext:
    """What a builder may use besides its raw material."""

    count_tokens: TokenCounter
    """The base model's tokenizer, for packing inputs into a budget."""
    prompt_budget: int
    """Tokens the pack's input text may take in the prompt."""
    paths: Sequence[Path] = ()
    """Raw material named by the user; empty for embedded seeds."""
    taxonomy: Taxonomy = field(default_factory=Taxonomy)
    """The labels of the settings, for packs that label."""
    licence: str = ""
    """SPDX identifier of the material, as the settings give it."""
    split_by: Literal["item", "project"] = "item"
    """What may not stand on both sides of a split; builders that know projects read it."""
    limit: int | None = None
    """At most this many examples, drawn evenly over groups with ``rng``; None for all."""
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    on_progress: Callable[[int, int], None] = lambda done, total: None
    """Called now and then with (examples made, examples expected)."""


Builder = Callable[[BuildContext], Iterable[Example]]
"""Raw material to examples."""


class Pack(Protocol):
    """What every task pack provides. Methods are pure: no files, no network, no global state."""

    @property
    def name(self) -> str:
        """Name on the command line and in records, for example ``log-triage``."""
        ...

    @property
    def Input(self) -> type[BaseModel]:
        """Model of what the task reads."""
        ...

    @property
    def Output(self) -> type[BaseModel]:
        """Model of what the task writes; field order is generation order, decisive short fields first."""
        ...

    @property
    def builders(self) -> Mapping[str, Builder]:
        """Named sources of examples; ``seed`` is the embedded one."""
        ...

    @property
    def primary(self) -> str:
        """Name of the metric the gate decides on."""
        ...

    def messages(self, input: BaseModel) -> list[Message]:
        """Return the prompt; training, evaluation and serving all call this one function."""
        ...

    def grammar(self, input: BaseModel) -> dict[str, Any]:
        """Return the output's JSON schema narrowed to this input."""
        ...

    def check(self, input: BaseModel, output: BaseModel) -> list[Problem]:
        """Return what is wrong with an answer beyond its schema. Never raises, never repairs."""
        ...

    def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Metric]:
        """Return the task's metrics over predictions in the order of ``examples``."""
        ...

    def reference(self, input: BaseModel) -> BaseModel:
        """Return the answer of the best method without a model (rules or the majority class)."""
        ...

    def corrupt(self, example: Example, rng: random.Random) -> BaseModel | None:
        """Return a plausible wrong answer for a preference pair, or None when there is none."""
        ...


@runtime_checkable
class FindsCorrections(Protocol):
    """A pack that finds in its raw material where people overruled an answer."""

    def corrections(self, context: BuildContext) -> Iterable[Preference]:
        """Return what people chose over what they rejected, from the files of ``context.paths``."""
        ...


@runtime_checkable
class LearnsReference(Protocol):
    """A pack whose reference is not written down but learnt, always from the split the model is tuned on."""

    def learnt(self, training: Sequence[Example]) -> Pack:
        """Return the pack with a reference fitted on ``training``; the pack itself is unchanged."""
        ...


@runtime_checkable
class Trims(Protocol):
    """What a pack has besides if it can leave out parts of an input (``train.on_overflow: trim``)."""

    def trim(self, example: Example) -> Example | None:
        """Return ``example`` with a little less input and an answer still right, or None when nothing more can go."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """What a pack has besides if people's own decisions can be read out of its raw material."""

    def remembered(self, context: BuildContext) -> Iterable[Preference]:
        """Return what people took over what they did not, of the material in ``context.paths``."""
        ...


class Stacked(Protocol):
    """A reference and a tuned model answering together, and whether people get to see it."""

    @property
    def arms(self) -> Mapping[str, Sequence[Prediction]]:
        """By arm one answer to each sample; ``stack`` is among them."""
        ...

    def keep(self, registry: Path, *, served: bool, verdict: str) -> None:
        """Write below ``registry`` what answering this way takes, whether the gate lets it, and the gate's reasons."""
        ...

    def draw(self, folder: Path) -> None:
        """Write figures about it into ``folder``."""
        ...


@runtime_checkable
class Stacks(Protocol):
    """What a pack has besides if its reference and a tuned model can answer together.

    An evaluation that has both arms then judges ``stack`` against ``reference``, by the gate of the settings.
    """

    def stacked(
        self,
        dataset: DatasetVersion,
        splits: Mapping[str, Sequence[Example]],
        samples: Sequence[Example],
        taxonomy: Taxonomy,
        model: str,
        engine: Any,
    ) -> Stacked:
        """Return both together, fitted on ``train`` and ``validation`` of ``splits``, with its answers to ``samples``.

        Args:
            dataset: whose splits they are.
            splits: its examples.
            samples: test examples to answer.
            taxonomy: the labels of the settings.
            model: id of the tuned model's version.
            engine: that model, as in ``core.engines``.
        """
        ...


def pack_names() -> list[str]:
    """Return the names of all installed packs, sorted."""
    return sorted({entry.name for entry in entry_points(group="understudy.packs")})


def load_pack(name: str) -> Pack:
    """Return the pack registered under ``name``.

    Raises:
        BadInput: no such pack; the message lists those that exist.
    """
    for entry in entry_points(group="understudy.packs"):
        if entry.name == name:
            pack: Pack = entry.load()
            return pack
    raise BadInput(f"no task pack is called {name!r}; installed packs: {', '.join(pack_names()) or 'none'}")
