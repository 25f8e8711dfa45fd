"""``understudy.yaml`` in types: every key, what it means, in which unit, and what it is when left out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes
from understudy.core.typed_yaml import load_yaml_model, parse_yaml, validate_model

__all__ = [
    "SETTINGS_FILE",
    "Arm",
    "BaseSettings",
    "DataSettings",
    "EvaluateSettings",
    "GateSettings",
    "LoraSettings",
    "PreferenceSettings",
    "Settings",
    "SourceSettings",
    "TrainSettings",
    "apply_overrides",
    "load_settings",
]

SETTINGS_FILE = "understudy.yaml"
"""Name of the settings file that the commands look for."""

Arm = Literal["reference", "base", "few-shot", "retrieval", "tuned"]
"""What an evaluation compares: no model, the base alone, with fixed examples, with retrieved examples, and tuned."""

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """Base of all sections: an unknown key is an error, and a value cannot be changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_section_is_default(cls, data: Any) -> Any:
        """Read a section whose every line is commented out (null in YAML) as one that was left out."""
        if not isinstance(data, dict):
            return data
        sections = {name for name, field in cls.model_fields.items() if isinstance(field.default, Section)}
        return {key: value for key, value in data.items() if value is not None or key not in sections}


class BaseSettings(Section):
    """The model to start from."""

    name: Text = "seedling"
    """Name of a known base, a hub id (``owner/name``) or a local folder."""
    revision: Text | None = None
    """Commit, tag or branch on the hub; None for the newest. What it resolved to is recorded."""
    trust_remote_code: bool = False
    """Whether Python code that comes with the model may run. It may do anything on this machine."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; ``auto`` keeps the one they are stored in where the machine computes in it."""


class SourceSettings(Section):
    """One source of examples."""

    builder: Text = "seed"
    """Name of one of the pack's builders; ``seed`` makes the embedded examples."""
    paths: tuple[str, ...] = ()
    """Raw material for the builder: files or folders, relative to the folder the command runs in."""
    licence: str = ""
    """SPDX identifier of the material, written to the dataset card; empty when unknown."""


class DataSettings(Section):
    """From raw material to a dataset version."""

    sources: tuple[SourceSettings, ...] = (SourceSettings(),)
    """Where examples come from."""
    validation: Share = 0.1
    """Share of the examples that watches training."""
    test: Share = 0.1
    """Share of the examples that only evaluation sees."""
    near_duplicate_threshold: float = Field(default=0.9, ge=0.5, le=1)
    """Jaccard similarity of word triples at which two inputs count as the same; 1 finds only equal ones."""
    seed: Seed = 7
    """Decides the split where times do not, and which examples ``max_examples`` keeps."""
    prompt_budget: Count = 450
    """Tokens a pack may spend on the input in the prompt."""
    context_limit: Count = 1024
    """Tokens of prompt and completion together above which a row is reported as too long."""
    max_examples: Count | None = None
    """At most this many examples, drawn evenly over groups; None for all."""
    redact: bool = True
    """Replace secrets and personal data by placeholders before anything is stored."""

    @model_validator(mode="after")
    def _leaves_training_data(self) -> DataSettings:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation ({self.validation}) and test ({self.test}) must leave a share for training")
        return self


class LoraSettings(Section):
    """Low-rank adapters, used when ``train.method`` is ``lora``."""

    rank: int = Field(default=16, ge=1, le=1024)
    """Inner width of the adapter; vLLM serves up to 16 unless told otherwise."""
    alpha: float = Field(default=32, gt=0)
    """Scale: the update is multiplied by alpha / rank (with ``rslora`` by alpha / sqrt(rank))."""
    dropout: Share = 0.0
    """Share of the adapter's inputs dropped while training."""
    rslora: bool = False
    """Rank-stabilised scaling (arXiv 2312.03732)."""
    dora: bool = False
    """Weight-decomposed adapters (arXiv 2402.09353); slower, and vLLM cannot serve them unmerged."""
    target_modules: tuple[Text, ...] | Literal["all-linear"] = "all-linear"
    """Names of the layers that get an adapter."""


class TrainSettings(Section):
    """Tuning on the training split."""

    method: Literal["full", "lora"] = "full"
    """``full`` changes all weights, ``lora`` adds a small adapter."""
    epochs: float = Field(default=3, gt=0)
    """Passes over the training split; a fraction is allowed."""
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    """Highest learning rate; usual are 1e-5 to 5e-5 for ``full`` on a large base and 1e-4 to 5e-4 otherwise."""
    batch_size: Count = 8
    """Rows per step and device."""
    gradient_accumulation: Count = 1
    """Steps added up before the weights change; the effective batch is this times ``batch_size``."""
    max_length: Count = 1024
    """Tokens of prompt and completion together that a row may have."""
    warmup: Share = 0.05
    """Share of all steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    """AdamW's decoupled weight decay."""
    lora: LoraSettings = LoraSettings()
    """Adapter's shape."""
    early_stopping_patience: int = Field(default=3, ge=0)
    """Validations without improvement after which training stops; 0 never stops early."""
    seed: Seed = 7
    """Decides the order of rows, dropout and new weights."""
    threads: Count | Literal["auto"] = "auto"
    """CPU threads; ``auto`` takes the cores this process may use."""


class PreferenceSettings(Section):
    """Tuning on better and worse answers, ``--stage dpo`` and ``--stage kto``; what is not here is as in ``train``."""

    sources: tuple[Literal["corrupt", "sampled"], ...] = ("corrupt",)
    """Where worse answers come from: the pack's made-up ones, or the model's own wrong ones on the training split."""
    paths: tuple[Text, ...] = ()
    """JSON Lines files of people's choices, used besides ``sources``."""
    max_examples: Count | None = None
    """At most this many examples of a split are made into pairs by ``sources``; None for all."""
    validation: Share = 0.1
    """Share of the groups in those files that watches training."""
    epochs: float = Field(default=1, gt=0)
    """Passes over the pairs; a fraction is allowed."""
    learning_rate: float = Field(default=1e-5, gt=0, le=1)
    """Highest learning rate; preferences take a tenth to a hundredth of what ``train`` takes."""
    loss: Literal["sigmoid", "sigmoid_norm", "ipo"] = "sigmoid"
    """For dpo. ``sigmoid`` as in arXiv 2305.18290, ``sigmoid_norm`` with log-probabilities per token, ``ipo`` as in
    arXiv 2310.12036, which does not run away on pairs that are always right."""
    beta: float = Field(default=0.1, gt=0)
    """How closely the tuned model is held to the one it started from; higher is closer."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """For dpo with the loss ``sigmoid``: the share of pairs taken to be the wrong way round (arXiv 2403.00409)."""
    share_prefixes: bool = True
    """For dpo: read each prompt once for both answers, where that gives the same log-probabilities."""
    desirable_weight: float = Field(default=1.0, gt=0)
    """For kto: weight of answers that were liked."""
    undesirable_weight: float = Field(default=1.0, gt=0)
    """For kto: weight of answers that were not."""

    @model_validator(mode="after")
    def _makes_sense(self) -> PreferenceSettings:
        if not self.sources and not self.paths:
            raise ValueError("sources and paths must not both be empty")
        if len(set(self.sources)) != len(self.sources):
            raise ValueError(f"sources must not repeat one: {', '.join(self.sources)}")
        if self.label_smoothing and self.loss != "sigmoid":
            raise ValueError(f"label_smoothing works with the loss 'sigmoid' only, and the loss is {self.loss!r}")
        return self


class EvaluateSettings(Section):
    """Comparing arms on the test split."""

    arms: tuple[Arm, ...] = ("reference", "base", "few-shot", "retrieval", "tuned")
    """What to compare, all on the same examples."""
    few_shot_k: Count = 3
    """Examples shown in the prompt of ``few-shot`` and ``retrieval``."""
    samples: Count | None = None
    """At most this many test examples; None for all."""
    batch_size: Count = 8
    """Prompts answered at once."""
    max_new_tokens: Count = 256
    """Tokens an answer may have; one cut here counts as cut, not as malformed."""
    seed: Seed = 7
    """Decides which examples are shown or drawn, and the resampling in the statistics."""

    @model_validator(mode="after")
    def _arms_differ(self) -> EvaluateSettings:
        if len(set(self.arms)) != len(self.arms):
            raise ValueError(f"arms must not repeat one: {', '.join(self.arms)}")
        return self


class GateSettings(Section):
    """When the tuned model may take the stage."""

    baseline: Arm = "few-shot"
    """The arm that ``tuned`` must beat."""
    min_samples: Count = 100
    """Test examples below which the gate says "inconclusive"."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance of passing a model that is no better."""
    margin: float = Field(default=0.0, ge=0, lt=1)
    """How much better than the baseline the primary metric must be, in the metric's unit."""
    validity_margin: float = Field(default=0.005, ge=0, lt=1)
    """How much the share of well-formed answers may fall below the baseline's."""

    @model_validator(mode="after")
    def _compares_two(self) -> GateSettings:
        if self.baseline == "tuned":
            raise ValueError("baseline must be another arm than 'tuned', which is what the gate judges")
        return self


class Settings(Section):
    """The whole of ``understudy.yaml``."""

    pack: Text = "log-triage"
    """Name of the task pack."""
    base: BaseSettings = BaseSettings()
    """The model to start from."""
    data: DataSettings = DataSettings()
    """From raw material to a dataset version."""
    train: TrainSettings = TrainSettings()
    """Tuning on the training split."""
    preference: PreferenceSettings = PreferenceSettings()
    """Tuning on better and worse answers."""
    evaluate: EvaluateSettings = EvaluateSettings()
    """Comparing arms on the test split."""
    gate: GateSettings = GateSettings()
    """When the tuned model may take the stage."""
    registry: Text = ".understudy"
    """Folder of dataset versions and models, relative to the folder the command runs in."""

    def digest(self) -> str:
        """Return the SHA-256 of the settings with all defaults filled in, as 64 hex digits."""
        return sha256_bytes(canonical_json(self.model_dump(mode="json")).encode("utf-8"))


def load_settings(path: Path | None) -> Settings:
    """Return the settings in ``path``, or all defaults when it is None or the file is empty.

    Raises:
        BadInput: the file cannot be read or understood; the message names the line and the nearest valid key.
    """
    return Settings() if path is None else load_yaml_model(path, Settings)


def apply_overrides(settings: Settings, overrides: Iterable[str]) -> Settings:
    """Return ``settings`` changed by ``section.key=value`` texts, applied in order, each value read as YAML.

    A list is given as a whole: ``evaluate.arms=[base, tuned]``.

    Raises:
        BadInput: an override has no ``=``, names no setting, or gives a value that does not fit.
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        steps = [step.strip() for step in key.split(".")]
        if not equals or not all(steps):
            raise BadInput(f"{override!r} is not of the form section.key=value, for example train.epochs=3")
        value, _ = parse_yaml(text, f"the value of {override!r}")
        # Through JSON, so that lists can be replaced and nothing is shared with the frozen original.
        tree: dict[str, Any] = json.loads(settings.model_dump_json())
        section = tree
        for step in steps[:-1]:
            inner = section.setdefault(step, {})
            if not isinstance(inner, dict):
                raise BadInput(f"{override!r}: {step} is a value, not a section; set it as a whole")
            section = inner
        section[steps[-1]] = value
        settings = validate_model(tree, Settings, repr(override))
    return settings
