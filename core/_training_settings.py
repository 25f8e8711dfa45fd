"""The sections of ``understudy.yaml`` about training: ``train`` with one for each method, and ``preference``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from understudy.core._section import Count, Section, Seed, Share, Text

__all__ = [
    "AdapterSettings",
    "Ia3Settings",
    "LoraSettings",
    "Method",
    "Overflow",
    "PreferenceSettings",
    "PrefixSettings",
    "QloraSettings",
    "RewardSettings",
    "TrainSettings",
]

Method = Literal["full", "lora", "qlora", "prefix", "adapter", "ia3"]
"""How a base is tuned; ``core/tuning`` has one file for each."""

Overflow = Literal["error", "drop", "trim"]
"""What becomes of an example that is too long."""

AutoOrOff = Annotated[Literal["auto", "off"], BeforeValidator(lambda value: "off" if value is False else value)]
"""A switch; YAML reads a plain ``off`` as false."""


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
    on_overflow: Overflow = "error"
    """What becomes of a longer one: ``error`` refuses it by name, ``drop`` leaves it out and says how many, ``trim``
    lets the pack leave out parts of the input (``--stage sft``). An answer is never cut."""
    packing: AutoOrOff = "auto"
    """For ``--stage sft``: rows of a batch share lines, so that less is padding, where that gives the same logits
    (measured at the start); ``off`` pads every row. Rows are grouped by length either way."""
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
    watch_examples: int = Field(default=0, ge=0)
    """Validation examples that the model answers after each epoch of ``--stage sft``, scored by the pack's primary
    metric, which then decides on the best checkpoint and on stopping early; 0 lets the validation loss decide. Some
    fifty are needed for a metric that is not mostly chance."""
    seed: Seed = 7
    """Decides the order of rows, dropout and new weights."""
    threads: Count | Literal["auto"] = "auto"
    """CPU threads; ``auto`` takes the cores this process may use."""
    report_to: Literal["none", "tensorboard", "mlflow", "wandb"] = "none"
    """Where figures go besides ``events.jsonl``; ``tensorboard`` writes into the run's folder, the other two send them
    where their own environment variables say."""

    def shape(self) -> dict[str, Any]:
        """Return what decides the weights that are trained: the method and the sections it reads."""
        names = ["method", *(name for name, methods in _READ_BY.items() if self.method in methods)]
        return {name: getattr(self, name) for name in names}

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


class PreferenceSettings(Section):
    """Tuning on better and worse answers, ``--stage dpo`` and ``--stage kto``; what is not here is as in ``train``."""

    sources: tuple[Literal["corrupt", "sampled", "history"], ...] = ("corrupt",)
    """Where worse answers come from: the pack's made-up ones, the model's own wrong ones on the training split, or what
    people turned down in the material of ``data.sources`` that the pack's builder ``history`` reads."""
    paths: tuple[Text, ...] = ()
    """JSON Lines files of people's choices, used besides ``sources``."""
    max_examples: Count | None = None
    """At most this many examples of a split are made into pairs by ``sources``; None for all."""
    validation: Share = 0.1
    """Share of the groups in those files, and of ``history``, that watches training."""
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


class RewardSettings(Section):
    """Tuning on rewards for the model's own answers, ``--stage grpo``; what is not here is as in ``train``.

    The reward of an answer is the weighted mean of three parts, 0 to 1 (see ``core/rewards.py``).
    """

    prompts: Count | None = None
    """At most this many examples of the training split are asked, drawn by ``train.seed``; None for all."""
    watched: Count = 32
    """At most this many validation examples are answered after each epoch, without drawing; their mean reward decides
    on the best checkpoint and on stopping early."""
    generations: int = Field(default=8, ge=2, le=256)
    """Answers drawn for each prompt and compared with one another. ``train.batch_size`` counts answers, and times
    ``train.gradient_accumulation`` it must be a multiple of this."""
    temperature: float = Field(default=1.0, gt=0, le=5)
    """How freely answers are drawn; where all answers to a prompt earn the same, nothing is learnt from it."""
    max_new_tokens: Count = 256
    """Tokens an answer may have; one that is cut off is not valid."""
    epochs: float = Field(default=1, gt=0)
    """Passes over the prompts; a fraction is allowed."""
    learning_rate: float = Field(default=1e-5, gt=0, le=1)
    """Highest learning rate; rewards take a tenth to a hundredth of what ``train`` takes."""
    beta: float = Field(default=0.04, ge=0)
    """Price of a nat of divergence from the model it started from (arXiv 2402.03300); 0 leaves that model out, which
    saves its memory and a third of the time, and lets the model drift."""
    valid_weight: float = Field(default=1.0, ge=0)
    """Weight of stopping by itself with the pack's fields and nothing else."""
    checks_weight: float = Field(default=1.0, ge=0)
    """Weight of passing the pack's checks."""
    task_weight: float = Field(default=2.0, ge=0)
    """Weight of the pack's primary metric."""

    @model_validator(mode="after")
    def _rewards_something(self) -> RewardSettings:
        if not self.valid_weight + self.checks_weight + self.task_weight:
            raise ValueError("valid_weight, checks_weight and task_weight must not all be 0")
        return self
