"""``understudy.yaml`` in types: every key, what it means, in which unit, and what it is when left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from understudy.core._section import Count, Section, Seed, Share, Text
from understudy.core._serving_settings import GitHubAppSettings, ServeSettings
from understudy.core._training_settings import (
    AdapterSettings,
    Ia3Settings,
    LoraSettings,
    Method,
    Overflow,
    PreferenceSettings,
    PrefixSettings,
    QloraSettings,
    RewardSettings,
    TrainSettings,
)
from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes
from understudy.core.taxonomy import Taxonomy
from understudy.core.typed_yaml import load_yaml_model, parse_yaml, validate_model

__all__ = [
    "SETTINGS_FILE",
    "AdapterSettings",
    "Arm",
    "BaseSettings",
    "DataSettings",
    "EvaluateSettings",
    "GateSettings",
    "GitHubAppSettings",
    "Ia3Settings",
    "LoraSettings",
    "Method",
    "Overflow",
    "PreferenceSettings",
    "PrefixSettings",
    "QloraSettings",
    "ReviewSettings",
    "RewardSettings",
    "ServeSettings",
    "Settings",
    "SourceSettings",
    "TrainSettings",
    "apply_overrides",
    "load_settings",
]

SETTINGS_FILE = "understudy.yaml"
"""Name of the settings file that the commands look for."""

_ARM = re.compile(r"reference|base|tuned|(few-shot|rag|retrieval|tuned\+rag)(\([1-9]\d?\))?|(model|remote):\S+")


def _known_arm(name: str) -> str:
    if not _ARM.fullmatch(name):
        raise ValueError(
            f"{name!r} is no arm; there are reference, base, few-shot, rag, tuned, tuned+rag (with a number of shots, "
            "as few-shot(5)), model:<version or pack@alias> and remote:<model>"
        )
    return name


Arm = Annotated[str, AfterValidator(_known_arm)]
"""A way of answering that an evaluation compares: ``reference`` (no model), ``base``, ``few-shot``, ``rag`` (examples
retrieved for each sample; ``retrieval`` is its old name), ``tuned``, ``tuned+rag``, ``model:<version or pack@alias>``
and ``remote:<model>`` behind ``evaluate.remote_url``. ``few-shot(5)`` shows five examples instead of ``few_shot_k``."""


class BaseSettings(Section):
    """The model to start from."""

    name: Text = "seedling"
    """Name of a known base, a hub id (``owner/name``) or a local folder."""
    revision: Text | None = None
    """Commit, tag or branch on the hub; None for the newest. What it resolved to is recorded."""
    trust_remote_code: bool = False
    """Whether Python code that comes with the model may run. It may do anything on this machine."""


class SourceSettings(Section):
    """One source of examples."""

    builder: Text = "seed"
    """Name of one of the pack's builders; ``seed`` makes the embedded examples."""
    paths: tuple[str, ...] = ()
    """Raw material for the builder: files or folders, relative to the folder the command runs in."""
    licence: str = ""
    """SPDX identifier of the material, written to the dataset card; empty when unknown."""
    split_by: Literal["item", "project"] = "item"
    """``project`` keeps all examples of a project in one split, to measure transfer; builders that know projects
    read it."""


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
    lm_eval_tasks: tuple[Text, ...] = ()
    """Public benchmarks that ``--full`` asks base and tuned model: tasks or groups of ``lm-eval``, or paths of task
    files (``.yaml``). Needs ``pip install 'understudy[lm-eval]'``."""
    lm_eval_limit: Count | None = None
    """At most this many samples of each of those tasks; None for all."""
    remote_url: str = ""
    """Address of an OpenAI-compatible server for the ``remote:`` arms, for example ``http://127.0.0.1:8000/v1``."""
    samples: Count | None = None
    """At most this many test examples; None for all."""
    batch_size: Count = 16
    """Prompts answered at once."""
    max_new_tokens: Count = 256
    """Tokens an answer may have; one cut here counts as cut, not as malformed."""
    seed: Seed = 7
    """Decides which examples are shown or drawn, and the resampling in the statistics."""

    @model_validator(mode="after")
    def _arms_differ(self) -> EvaluateSettings:
        if len(set(self.arms)) != len(self.arms):
            raise ValueError(f"arms must not repeat one: {', '.join(self.arms)}")
        if len(set(self.lm_eval_tasks)) != len(self.lm_eval_tasks):
            raise ValueError(f"lm_eval_tasks must not repeat one: {', '.join(self.lm_eval_tasks)}")
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
    safety_margin: float = Field(default=0.05, ge=0, lt=1)
    """How much the share of harmful requests complied with may rise above the base's. A hundred requests cannot show
    less than .04, even where no answer changed."""
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


class ReviewSettings(Section):
    """What ``understudy review`` shows of what a model finds; read by the pack ``code-review`` only."""

    budget: Count = 10
    """Comments that a review may have; the most necessary ones are kept."""
    threshold: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = "auto"
    """Necessity (probability of commenting rather than not) below which a comment is withheld; ``auto`` takes the one
    that ``understudy review --calibrate`` found for the model, else 0.5."""
    precision: float = Field(default=0.8, gt=0, le=1)
    """Share of right comments that ``--calibrate`` looks for a threshold to reach on validation data."""
    pieces: Count = 100
    """Pieces of a patch (prompts) that are reviewed; the files beyond are listed as skipped."""
    votes: Annotated[int, Field(ge=0, le=32)] = 0
    """Samples of self-consistency: a comment stays if at least half of them make it, too; 0 asks once."""
    skip: tuple[Text, ...] = ()
    """Patterns of file names to leave out besides generated and vendored ones; ``*`` also matches slashes."""


class Settings(Section):
    """The whole of ``understudy.yaml``."""

    pack: Text = "log-triage"
    """Name of the task pack."""
    base: BaseSettings = BaseSettings()
    """The model to start from."""
    taxonomy: Taxonomy = Taxonomy()
    """The labels of a labelling task; other tasks do not read it."""
    data: DataSettings = DataSettings()
    """From raw material to a dataset version."""
    train: TrainSettings = TrainSettings()
    """Tuning on the training split."""
    preference: PreferenceSettings = PreferenceSettings()
    """Tuning on better and worse answers."""
    reward: RewardSettings = RewardSettings()
    """Tuning on rewards for the model's own answers."""
    evaluate: EvaluateSettings = EvaluateSettings()
    """Comparing arms on the test split."""
    gate: GateSettings = GateSettings()
    """When the tuned model may take the stage."""
    review: ReviewSettings = ReviewSettings()
    """How many and how sure comments a code review shows."""
    serve: ServeSettings = ServeSettings()
    """Answering GitHub by itself."""
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
