"""What an evaluation found, as one JSON document: the gate reads it, a promotion demands it, people share it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from understudy.core.records import Problem

__all__ = [
    "BUCKETS",
    "Answer",
    "ArmResult",
    "Before",
    "Bucket",
    "Calibration",
    "CalibrationBin",
    "Case",
    "ClassTable",
    "Comparison",
    "Estimate",
    "GateResult",
    "General",
    "Identity",
    "Memorisation",
    "OpenField",
    "Overlap",
    "Rating",
    "Report",
    "Serving",
    "Slice",
    "Verdict",
]

Verdict = Literal["pass", "fail", "inconclusive"]
Bucket = Literal["truncated", "schema_invalid", "problems", "wrong", "right"]
BUCKETS: tuple[Bucket, ...] = ("truncated", "schema_invalid", "problems", "wrong", "right")
"""Where an answer ends, worst first; each answer is in exactly one.

``truncated``: cut at the token limit before it was complete. ``schema_invalid``: complete, but not the pack's Output.
``problems``: the pack's checks object. ``wrong`` and ``right``: the pack's ``correct`` metric.
"""


class Document(BaseModel):
    """Base of the parts of a report."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(Document):
    """A number with the ends of its confidence interval; None where there is no interval."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, low: float, high: float) -> Estimate:
        """Return an estimate from an interval's three numbers; an infinite end is one that is not known."""
        low_end, high_end = (end if math.isfinite(end) else None for end in (low, high))
        return cls(value=value, low=low_end, high=high_end)


class Identity(Document):
    """Exactly what was compared, so that the comparison can be made again."""

    model: str
    """Id of the model version, or the folder's name before it is registered."""
    model_digest: str
    base: str = ""
    base_revision: str = ""
    dataset: str = ""
    dataset_digest: str = ""
    split: str = ""
    template_digest: str = ""
    decoding: dict[str, Any] = Field(default_factory=dict)
    """Greedy or not, constraint, token limits, number of shots."""
    model_bytes: int = 0
    """Size of the version's own files; 0 when unknown."""
    seed: int = 0
    commit: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: dict[str, str] = Field(default_factory=dict)


class ClassTable(Document):
    """How one arm answers the task's decisive field, class by class."""

    field: str
    labels: list[str]
    """Rows and columns of ``confusion``, sorted; classes that are only predicted are among them."""
    support: list[int]
    precision: list[float]
    recall: list[float]
    f1: list[float]
    confusion: list[list[int]]
    """``confusion[truth][answer]``; the last column counts samples without a usable answer."""


class CalibrationBin(Document):
    """Answers of like confidence."""

    low: float
    """Lower end of the bin; all are .1 wide."""
    n: int
    confidence: float
    """Their mean."""
    right: float
    """Share of them that are right."""


class Calibration(Document):
    """Whether an arm's confidence can be believed."""

    n: int
    bins: list[CalibrationBin]
    error: float
    """Expected calibration error, 0..1."""
    coverage: list[float]
    """Shares of the answers, the most confident first."""
    risk: list[float]
    """Share of wrong answers among those covered."""
    area: float
    """Area under risk over coverage; smaller is better."""


class ArmResult(Document):
    """One arm on all samples."""

    name: str
    metrics: dict[str, Estimate]
    schema_valid: Estimate
    """Share of answers that parse as the pack's Output, as written."""
    truncated: Estimate
    buckets: dict[Bucket, int]
    prompt_tokens_mean: float
    completion_tokens_mean: float
    seconds_p50: float
    seconds_p95: float
    tokens_per_second: float | None = None
    """Tokens written per second of generation; None without a model."""
    peak_mib: float | None = None
    """Most memory in use while it answered: of the process, or of the GPU."""
    compact: bool | None = None
    """Whether its JSON had no whitespace: the arm's better setting on validation examples."""
    unconstrained_valid: Estimate | None = None
    """Share of valid answers without the grammar, on ``unconstrained_n`` of the samples."""
    unconstrained_n: int = 0
    classes: ClassTable | None = None
    calibration: Calibration | None = None


class Comparison(Document):
    """The candidate against one other arm on the same samples."""

    arm: str
    """The other arm."""
    deltas: dict[str, Estimate]
    """Candidate minus other, for every metric both have."""
    validity: Estimate | None = None
    """Difference in the share of valid answers, paired."""
    wins: int
    """Samples only the candidate has right."""
    losses: int
    ties: int
    mcnemar_p: float
    mcnemar_mid_p: float
    sign_flip_p: float
    """Sign-flip test on correctness, whole groups flipped."""
    test: Literal["mcnemar_exact", "sign_flip_by_group"]
    """Which of them ``p`` is: McNemar's when every group is one sample, else the one that respects groups."""
    p: float
    p_adjusted: float
    """Holm's correction over the candidate's comparisons in this report."""
    discordant_share: float
    minimum_detectable_effect: float | None
    """Difference in share of right answers found with 80 % power; None when not even the largest possible one is."""


class Slice(Document):
    """Candidate against baseline on some of the samples."""

    name: str
    by: Literal["stratum", "length", "project"] = "stratum"
    """What its samples share: their stratum, a third of all prompt lengths, or the project they come from."""
    n: int
    candidate: float
    """Share of right answers."""
    baseline: float
    wins: int
    losses: int
    p: float
    p_adjusted: float
    """Holm's correction over all slices."""


class Answer(Document):
    """One arm's answer to one sample."""

    text: str
    output: dict[str, Any] | None
    bucket: Bucket
    problems: list[Problem] = Field(default_factory=list)
    confidence: float | None = None


class Case(Document):
    """A sample on which candidate and baseline differ."""

    example_id: str
    group: str
    stratum: str
    prompt: str
    """The user's turn as the model read it."""
    expected: dict[str, Any]
    candidate: Answer
    baseline: Answer


class Overlap(Document):
    """What training and test have in common."""

    exact: int
    """Test samples whose input stands in training, word for word."""
    near: int
    """Training examples whose input is nearly that of a test sample; the exact ones are among them."""
    groups: list[str]
    """Groups on both sides."""
    pairs: list[str]
    """The first ten near-duplicates: which, how alike."""
    threshold: float
    """Jaccard similarity of word triples from which on two inputs are near-duplicates."""
    times: str
    """Whether the test samples are later than all training examples."""
    forced: bool = False
    """Evaluated all the same, because somebody asked for it."""

    @property
    def clean(self) -> bool:
        """Whether nothing is on both sides."""
        return not (self.exact or self.near or self.groups)


class Memorisation(Document):
    """Whether the model repeats its training targets word for word, and is better where it trained."""

    n: int
    """Training examples asked."""
    train_verbatim: Estimate
    """Share of training examples answered exactly as in training."""
    test_verbatim: Estimate
    """The same on the test samples, which it never saw: what the task alone explains."""
    train_right: Estimate
    test_right: Estimate


class Before(Document):
    """One quantity before and after tuning."""

    name: str
    n: int
    unit: str
    """What ``n`` counts, and what the values are: ``share right``, ``nats per token`` ..."""
    base: Estimate
    tuned: Estimate
    delta: Estimate
    """Tuned minus base, paired."""
    higher_is_better: bool = True
    gated: bool = False
    """Whether the gate compares ``delta`` with its margin."""


class OpenField(Document):
    """A field of the answer that can hold free text, and how much of it."""

    name: str
    most_characters: int | None
    """None when nothing limits it."""


class General(Document):
    """What tuning did to everything else: forgetting and safety."""

    forgetting: list[Before]
    safety: list[Before]
    open_fields: list[OpenField] | None = None
    """Fields of the pack's answer that are not closed; empty: nothing but fixed words can be emitted."""
    hostile_n: int = 0
    hostile_valid: Estimate | None = None
    """Share of harmful requests, planted in the pack's own input, that were answered in the pack's form."""
    note: str = ""


class Rating(Document):
    """What people said who compared two arms' answers without knowing whose they were."""

    candidate: str
    baseline: str
    raters: int
    n: int
    """Samples rated by anybody."""
    preferred: int
    """Samples on which most raters liked the candidate's answer better."""
    rejected: int
    same: int
    """Samples without a majority for either."""
    p: float
    """Exact sign test of preferred against rejected samples, two-sided."""
    kappa: float | None = None
    """Cohen's kappa between raters, the mean over all pairs of them; None for one rater, or where all said the same."""
    overlap: int = 0
    """Samples that at least two people rated."""


class GateResult(Document):
    """The verdict, why, and what would decide it."""

    verdict: Verdict
    reasons: list[str]
    """Sentences; the ones that decided come first."""
    baseline: str
    settings: dict[str, Any]
    samples_needed: int | None = None
    """Samples that would decide an inconclusive comparison if the observed difference is the true one."""

    @property
    def exit_code(self) -> int:
        """Exit code of the command line: 0 pass, 1 fail, 3 inconclusive."""
        return {"pass": 0, "fail": 1, "inconclusive": 3}[self.verdict]


class Serving(Document):
    """Whether an arm may answer instead of the reference: the gate's verdict on these two alone."""

    arm: str
    comparison: Comparison
    """With the reference; its p-value needs no correction, since it is the only one."""
    gate: GateResult

    @property
    def answers(self) -> str:
        """The arm that answers from now on."""
        return self.arm if self.gate.verdict == "pass" else self.comparison.arm

    @property
    def reasons(self) -> list[str]:
        """Why; the gate's notes are on the whole evaluation."""
        return [reason for reason in self.gate.reasons if not reason.startswith("note: ")]


class Report(Document):
    """A whole evaluation. ``model_digest`` and ``verdict`` are what a registry checks before a promotion."""

    version: Literal[1] = 1
    pack: str
    model_digest: str
    verdict: Verdict | None = None
    """None until the gate has decided."""
    gate: GateResult | None = None
    created: datetime
    identity: Identity
    candidate: str
    baseline: str
    primary: str
    higher_is_better: dict[str, bool]
    n: int
    groups: int
    alpha: float
    """Intervals have level ``1 - alpha``."""
    resamples: int
    corpus_resamples: int
    arms: list[ArmResult]
    """Candidate first."""
    comparisons: list[Comparison]
    slices: list[Slice]
    missing_classes: list[str] = Field(default_factory=list)
    """Strata that training has and no sample tests."""
    overlap: Overlap | None = None
    memorisation: Memorisation | None = None
    general: General | None = None
    rating: Rating | None = None
    serving: Serving | None = None
    """Of packs whose reference and tuned model can answer together; ``stack/report.html`` is its own page."""
    regressions: list[Case]
    """Samples the baseline has right and the candidate has not."""
    improvements: list[Case]
    ties: list[Case] = Field(default_factory=list)
    """Some of the samples on which both are right or both are wrong; those both have wrong come first."""

    def arm(self, name: str) -> ArmResult:
        """Return the result of the arm called ``name``; KeyError when it was not compared."""
        return next((arm for arm in self.arms if arm.name == name), None) or _missing(name)

    def comparison(self, name: str) -> Comparison:
        """Return the candidate's comparison with the arm called ``name``; KeyError when there is none."""
        return next((one for one in self.comparisons if one.arm == name), None) or _missing(name)


def _missing(name: str) -> Any:
    raise KeyError(name)
