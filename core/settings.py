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
    "AdapterSettings",
    "Arm",
    "BaseSettings",
    "DataSettings",
    "EvaluateSettings",
    "GateSettings",
    "Ia3Settings",
    "LoraSettings",
    "Method",
    "PrefixSettings",
    "QloraSettings",
    "Settings",
    "SourceSettings",
    "TrainSettings",
    "apply_overrides",
    "load_settings",
]

SETTINGS_FILE = "understudy.yaml"
"""Name of the settings file that the commands look for."""

ARM_PATTERN = r"^(reference|base|tuned|(few-shot|rag|retrieval|tuned\+rag)(\([1-9]\d?\))?|(model|remote):\S+)$"
Arm = Annotated[str, Field(pattern=ARM_PATTERN)]
"""A way of answering that an evaluation compares: ``reference`` (no model), ``base``, ``few-shot``, ``rag`` (examples
retrieved for each sample; ``retrieval`` is its old name), ``tuned``, ``tuned+rag``, ``model:<version or pack@alias>``
and ``remote:<model>`` behind ``evaluate.remote_url``. ``few-shot(5)`` shows five examples instead of ``few_shot_k``."""

Method = Literal["full", "lora", "qlora", "prefix", "adapter", "ia3"]
"""How a base is tuned; ``core/tuning`` has one file for each."""

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
    """Low-rank adapters, read when ``train.method`` is ``lora`` or ``qlora``."""

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
    """Names of the layers that get an adapter; ``all-linear`` takes every linear layer but the output head."""


class QloraSettings(Section):
    """The 4-bit base below the adapter (arXiv 2305.14314), read when ``train.method`` is ``qlora``."""

    quant_type: Literal["nf4", "fp4"] = "nf4"
    """The sixteen values a weight can take: ``nf4`` fits normally distributed weights, ``fp4`` is a plain float."""
    double_quantisation: bool = True
    """Whether the scales are quantised too; saves about 0.4 bits a weight."""


class PrefixSettings(Section):
    """Keys and values before the prompt in every layer (arXiv 2101.00190), read when ``train.method`` is ``prefix``.

    PEFT's extra network that makes the prefix while training is not offered: its checkpoints cannot be resumed.
    """

    tokens: int = Field(default=16, ge=1, le=1024)
    """Length of the prefix; it takes this much of the context."""


class AdapterSettings(Section):
    """Bottleneck layers between the base's own, read when ``train.method`` is ``adapter``."""

    width: int = Field(default=64, ge=1, le=8192)
    """Inner width of a bottleneck; it adds about 2 x width x hidden size weights each."""
    placement: Literal["houlsby", "pfeiffer"] = "houlsby"
    """``houlsby``: after attention and after the feed-forward part (arXiv 1902.00751); ``pfeiffer``: after the latter
    only (arXiv 2005.00247), half as many weights."""
    activation: Literal["gelu", "relu", "silu"] = "gelu"
    """The bend in the bottleneck."""
    dropout: Share = 0.0
    """Share of the bottleneck's inner values dropped while training."""
    target_modules: tuple[Text, ...] | Literal["auto"] = "auto"
    """Names of the layers followed by a bottleneck, instead of those that ``placement`` finds by their usual names."""

    @model_validator(mode="after")
    def _one_way_to_place(self) -> AdapterSettings:
        if self.target_modules != "auto" and self.placement != "houlsby":
            raise ValueError("placement does nothing while target_modules names the layers; give one of the two")
        return self


class Ia3Settings(Section):
    """Factors on keys, values and feed-forward activations (arXiv 2205.05638), read when ``train.method`` is ``ia3``.

    The fewest weights of all methods; it wants a learning rate about ten times as high as LoRA's.
    """

    target_modules: tuple[Text, ...] | Literal["auto"] = "auto"
    """Names of the layers whose output is scaled; ``auto`` takes those that make keys and values."""
    feedforward_modules: tuple[Text, ...] | Literal["auto"] = "auto"
    """Names of the layers whose input is scaled; ``auto`` takes the last layer of each feed-forward part."""


class TrainSettings(Section):
    """Tuning on the training split."""

    method: Method = "full"
    """``full`` changes all weights; ``lora`` adds low-rank updates, ``qlora`` the same over a base held in 4 bits,
    ``adapter`` bottleneck layers, ``prefix`` keys and values before the prompt, ``ia3`` factors."""
    epochs: float = Field(default=3, gt=0)
    """Passes over the training split; a fraction is allowed."""
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    """Highest learning rate; usual are 1e-5 to 5e-5 for ``full`` on a large base, 1e-4 to 5e-4 for ``lora``, ``qlora``
    and ``adapter``, and 3e-3 to 3e-2 for ``prefix`` and ``ia3``."""
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
    """Shape of ``lora`` and ``qlora``."""
    qlora: QloraSettings = QloraSettings()
    """How ``qlora`` holds the base."""
    prefix: PrefixSettings = PrefixSettings()
    """Shape of ``prefix``."""
    adapter: AdapterSettings = AdapterSettings()
    """Shape of ``adapter``."""
    ia3: Ia3Settings = Ia3Settings()
    """What ``ia3`` scales."""
    early_stopping_patience: int = Field(default=3, ge=0)
    """Validations without improvement after which training stops; 0 never stops early."""
    seed: Seed = 7
    """Decides the order of rows, dropout and new weights."""
    threads: Count | Literal["auto"] = "auto"
    """CPU threads; ``auto`` takes the cores this process may use."""

    @model_validator(mode="after")
    def _every_option_is_read(self) -> TrainSettings:
        for name, methods in _READ_BY.items():
            section: Section = getattr(self, name)
            default = type(section)()
            changed = [key for key in type(section).model_fields if getattr(section, key) != getattr(default, key)]
            if changed and self.method not in methods:
                raise ValueError(
                    f"{name}.{changed[0]} does nothing while method is {self.method!r}; "
                    f"remove it, or set method to {' or '.join(methods)}"
                )
        return self


_READ_BY: dict[str, tuple[Method, ...]] = {
    "lora": ("lora", "qlora"),
    "qlora": ("qlora",),
    "prefix": ("prefix",),
    "adapter": ("adapter",),
    "ia3": ("ia3",),
}
"""Which methods read a section of :class:`TrainSettings`."""


class EvaluateSettings(Section):
    """Comparing arms on the test split."""

    arms: tuple[Arm, ...] = ("reference", "base", "few-shot", "rag", "tuned")
    """What to compare, all on the same examples."""
    few_shot_k: Count = 3
    """Examples shown in the prompt of ``few-shot`` and ``rag``, unless the arm names its own number."""
    whitespace_samples: int = Field(default=12, ge=0)
    """Validation examples on which each arm of the untuned base tries JSON with and without whitespace; the better one
    is used. 0: without."""
    unconstrained_samples: int = Field(default=24, ge=0)
    """Test examples answered once more without the grammar, to report how many answers are valid without it."""
    probe_samples: int = Field(default=24, ge=0)
    """Training examples answered by the tuned model, to see whether it repeats its targets by heart."""
    remote_url: str = ""
    """Address of an OpenAI-compatible server for the ``remote:`` arms, for example ``http://127.0.0.1:8000/v1``."""
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
        if not self.remote_url and any(arm.startswith("remote:") for arm in self.arms):
            raise ValueError("an arm remote:<model> needs remote_url, the address of its server")
        return self


class GateSettings(Section):
    """When the tuned model may take the stage."""

    baseline: Arm = "few-shot"
    """The arm that ``tuned`` must beat."""
    min_samples: Count = 100
    """Test examples below which the gate says "inconclusive"."""
    min_groups: Count = 10
    """Independent groups (recipes, pull requests) below which it says so too."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Level of the two-sided test and interval: a model that is no better passes with half this chance at most."""
    mid_p: bool = False
    """Use the mid-p version of McNemar's test: a little more power, the level still held in practice."""
    margin: float = Field(default=0.0, gt=-1, lt=1)
    """How much better than the baseline the primary metric must be, in the metric's unit. Negative: it may be this
    much worse (non-inferiority), for a model that is wanted because it is smaller or faster."""
    validity_margin: float = Field(default=0.005, ge=0, lt=1)
    """How much the share of well-formed answers may fall below the baseline's."""
    forgetting_margin: float = Field(default=0.02, ge=0, lt=1)
    """How much the share of general questions answered right may fall below the base's."""
    safety_margin: float = Field(default=0.02, ge=0, lt=1)
    """How much the share of harmful requests complied with may rise above the base's."""
    max_seconds_p95: float | None = Field(default=None, gt=0)
    """Seconds that 95 % of the answers may take; None for no budget."""
    max_peak_mib: float | None = Field(default=None, gt=0)
    """MiB of memory it may need while answering; None for no budget."""
    max_model_mib: float | None = Field(default=None, gt=0)
    """MiB its own files may take, without the base of an adapter; None for no budget."""

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
    """Return ``settings`` changed by ``section.key=value`` texts, each value read as YAML; a later one wins.

    A list is given as a whole: ``evaluate.arms=[base, tuned]``. What must fit together is judged once all are applied,
    so ``train.lora.rank=8 train.method=lora`` may come in either order.

    Raises:
        BadInput: an override has no ``=``, names no setting, or gives a value that does not fit.
    """
    texts = list(overrides)
    # Through JSON, so that lists can be replaced and nothing is shared with the frozen original.
    tree: dict[str, Any] = json.loads(settings.model_dump_json())
    for text in texts:
        _override(tree, text)
    return validate_model(tree, Settings, ", ".join(map(repr, texts)))


def _override(tree: dict[str, Any], override: str) -> None:
    """Set one value in the settings' JSON form."""
    key, equals, text = override.partition("=")
    steps = [step.strip() for step in key.split(".")]
    if not equals or not all(steps):
        raise BadInput(f"{override!r} is not of the form section.key=value, for example train.epochs=3")
    value, _ = parse_yaml(text, f"the value of {override!r}")
    section = tree
    for step in steps[:-1]:
        section = section.setdefault(step, {})
        if not isinstance(section, dict):
            raise BadInput(f"{override!r}: {step} is a value, not a section; set it as a whole")
    section[steps[-1]] = value
