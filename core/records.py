"""Everything understudy keeps on disk, as versioned pydantic models.

One JSON object per line (JSON Lines), loadable with ``datasets.load_dataset("json", ...)``. Field names are a
contract: additions are allowed, renames are not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "DatasetVersion",
    "Example",
    "Feedback",
    "Judgement",
    "Message",
    "ModelVersion",
    "Prediction",
    "Preference",
    "Problem",
    "Source",
    "SplitInfo",
    "Stage",
]

Stage = Literal["sft", "dpo", "kto", "grpo"]
"""What a model can be trained on: right answers, pairs, lone verdicts, or rewards for its own answers."""


class Record(BaseModel):
    """Base of all records: unknown fields are refused, so that a misspelt one cannot vanish."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(Record):
    """One turn of a conversation, as chat templates take it."""

    role: Literal["system", "user", "assistant"]
    content: str


class Source(Record):
    """Where an example comes from."""

    origin: str
    """What made it: a builder's name (``seed``, ``jsonl``, ``github`` ...)."""
    project: str = ""
    """Repository or project, ``owner/name`` where there is one."""
    time: datetime | None = None
    """When the event happened (not when it was imported); orders examples inside a group-aware time split."""
    licence: str = ""
    """SPDX identifier, empty when unknown."""


class Example(Record):
    """One input with its right answer."""

    version: Literal[1] = 1
    id: str
    """Unique inside a dataset; stable across rebuilds."""
    pack: str
    """Name of the task pack whose ``Input`` and ``Output`` the two dictionaries satisfy."""
    group: str
    """Examples of one group (a recipe, a pull request, a repository) never stand on both sides of a split."""
    stratum: str = ""
    """Class for stratified splitting (for example the category); empty when it does not matter."""
    input: dict[str, Any]
    output: dict[str, Any]
    meta: dict[str, Any] = Field(default_factory=dict)
    """Facts for scoring that the model never sees (for example the entity a root cause must name)."""
    source: Source


class Preference(Record):
    """One input with a better and a worse answer."""

    version: Literal[1] = 1
    id: str
    pack: str
    group: str
    input: dict[str, Any]
    chosen: dict[str, Any]
    rejected: dict[str, Any]
    reason: str = ""
    """Why the second answer is worse (``corrupt:evidence``, ``feedback:correction`` ...)."""
    source: Source


class Judgement(Record):
    """One answer somebody liked or did not, without another one to compare it with."""

    version: Literal[1] = 1
    id: str
    pack: str
    group: str
    input: dict[str, Any]
    output: dict[str, Any]
    good: bool
    reason: str = ""
    """Where the verdict comes from (``truth``, ``corrupt``, ``sampled``, ``feedback`` ...)."""
    source: Source


class Problem(Record):
    """One thing a format validator found wrong with an answer."""

    field: str
    message: str


class Prediction(Record):
    """One arm's answer to one example, with what it cost."""

    version: Literal[1] = 1
    example_id: str
    arm: str
    text: str
    """What the model wrote, unrepaired."""
    output: dict[str, Any] | None
    """``text`` parsed against the pack's schema; None when it does not parse."""
    finish_reason: Literal["stop", "length", "none"]
    """``length``: cut at the token limit. ``none``: no model wrote it (a rule or a constant)."""
    problems: list[Problem] = Field(default_factory=list)
    confidence: float | None = None
    """Probability the model gave its decisive first field, 0..1; None without a model."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Wall time of the batch divided by its size."""
    peak_bytes: int = 0
    """Most memory in use while the batch ran; 0 when unknown."""


class Feedback(Record):
    """What a person said about one answer; append-only."""

    version: Literal[1] = 1
    inference_id: str
    time: datetime
    actor: str
    """Hash of the person's identity, never the name."""
    kind: Literal["bool", "rating", "label", "correction", "preference", "comment"]
    value: Any


class SplitInfo(Record):
    """One split of a dataset version."""

    file: str
    """Path relative to the version's folder."""
    sha256: str
    count: int
    groups: int


class DatasetVersion(Record):
    """Manifest of a frozen dataset: the same inputs and settings give the same ``digest`` on every machine."""

    version: Literal[1] = 1
    id: str
    """``<pack>-<first 12 hex digits of the digest>``."""
    pack: str
    digest: str
    """SHA-256 over the canonical lines of all examples, sorted by split and id."""
    created: datetime
    splits: dict[str, SplitInfo]
    settings: dict[str, Any]
    """The dataset settings that made it."""
    removed: dict[str, int]
    """How many examples each cleaning step took out, by the step's name."""
    warnings: list[str]
    tokens: dict[str, float] = Field(default_factory=dict)
    """Token lengths of prompt and completion: ``prompt_p50``, ``prompt_p95``, ``prompt_max`` and so on."""


class ModelVersion(Record):
    """Manifest of a registered model: what it is made of, byte by byte, and where it came from."""

    version: Literal[1] = 1
    id: str
    """``<pack>-<date>-<first 8 hex digits of the digest>``."""
    pack: str
    digest: str
    """SHA-256 over the canonical JSON of ``files``."""
    created: datetime
    kind: Literal["full", "adapter"]
    """``full``: a whole model folder; ``adapter``: a PEFT adapter that needs ``base``."""
    base: str
    """Name, hub id or path of the base, as given."""
    base_revision: str
    """Resolved commit, or the digest of a local folder."""
    dataset: str
    """Id of the dataset version it was trained on; empty if its line has seen files of preferences only."""
    dataset_digest: str
    parent: str | None = None
    """Model version this stage started from, if not from the base itself."""
    stage: Stage = "sft"
    """How it was trained last."""
    preferences_digest: str = ""
    """SHA-256 over the canonical lines of the pairs or judgements it was tuned on; empty after ``sft``."""
    files: dict[str, str]
    """Relative path to SHA-256; each file is stored once, under its digest."""
    settings: dict[str, Any]
    metrics: dict[str, float] = Field(default_factory=dict)
    template_digest: str = ""
    """SHA-256 of the chat template, equal in training, evaluation and serving."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and of the packages that decide the result, commit, hardware."""
