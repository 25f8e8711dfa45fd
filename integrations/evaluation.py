"""What ``understudy evaluate`` does: run the arms over the cache, compare them in pairs, let the gate decide."""

from __future__ import annotations

import os
import platform
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from itertools import islice
from pathlib import Path
from typing import Any

from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes, write_text
from understudy.core.hardware import Hardware
from understudy.core.pack import BuildContext, LearnsReference, Pack, load_pack, pack_names
from understudy.core.records import DatasetVersion, Example, ModelVersion, Prediction
from understudy.core.registry import Registry
from understudy.core.remote import RemoteEngine
from understudy.core.settings import EvaluateSettings, Settings
from understudy.evals.arms import Arm, Engine, Shots, model_arm, reference_arm
from understudy.evals.cache import CachedEngine, EngineKey
from understudy.evals.compare import compare
from understudy.evals.forgetting import measure
from understudy.evals.gate import GateSettings, apply_gate
from understudy.evals.harness import Benchmark, benchmark_rows, benchmarks_note, load_benchmarks
from understudy.evals.leakage import memorisation, overlap_of, require_clean
from understudy.evals.rendered import remembering
from understudy.evals.results import General, Identity, Memorisation, Overlap, Report
from understudy.evals.shots import diverse_shots, kept_shots
from understudy.evals.whitespace import choose_compact
from understudy.integrations.pipeline import DECIDING, base_of, commit
from understudy.integrations.stacking import JudgedStack, judged_stack

__all__ = ["Evaluated", "Plan", "Progress", "evaluate"]

Progress = Callable[[str, int, int], None]
"""Called with (what runs, samples done, samples in all)."""

KEY_VARIABLE = "UNDERSTUDY_API_KEY"
"""Environment variable with the key of the server behind ``evaluate.remote_url``."""

_SHOTS = re.compile(r"\((\d+)\)$")
_OTHERS = 24
"""Examples of every other pack, to see whether its task was forgotten."""
_UNTUNED = ("base", "few-shot", "rag", "retrieval")


@dataclass(frozen=True)
class Evaluated:
    """A report with the predictions behind it."""

    report: Report
    predictions: Mapping[str, Sequence[Prediction]]
    asked: int
    """Answers a model had to give; the others came from the cache."""
    dropped: int
    """Damaged lines of the cache that were thrown away."""
    stack: JudgedStack | None
    """None where the pack has none, or an arm of it was not run."""


@dataclass(frozen=True)
class Plan:
    """What one evaluation works with."""

    settings: Settings
    pack: Pack
    """The task, its prompts remembered; what a pack has besides only ``own`` shows."""
    own: Pack
    version: ModelVersion
    dataset: DatasetVersion
    splits: Mapping[str, Sequence[Example]]
    hardware: Callable[[], Hardware]
    """Found when a model is loaded, and not at all when every answer is known: it costs an import of torch."""
    shots: dict[str, Sequence[Example] | Shots] = field(default_factory=dict)
    """By arm, what was chosen already."""

    @property
    def chosen(self) -> EvaluateSettings:
        """The evaluation's own settings."""
        return self.settings.evaluate


def evaluate(
    settings: Settings,
    pack: Pack,
    version: ModelVersion,
    dataset: DatasetVersion,
    splits: Mapping[str, Sequence[Example]],
    hardware: Callable[[], Hardware],
    on_progress: Progress,
    *,
    full: bool = False,
    force: bool = False,
) -> Evaluated:
    """Run the arms of the settings on the test split, compare them in pairs and let the gate decide.

    Args:
        settings: arms, sample count and gate.
        pack: the task.
        version: the tuned model.
        dataset: the version whose ``test`` split is used.
        splits: its examples.
        hardware: where to run; called when the first model is loaded.
        on_progress: told about every arm.
        full: measure forgetting and safety too; minutes for a small model.
        force: go on although test and training overlap.

    Raises:
        BadInput: test and training overlap, an arm names no model of this pack, or lm-eval has no such task.
        Unavailable: the data of a task of lm-eval cannot be fetched.
    """
    plan = Plan(settings, remembering(pack), pack, version, dataset, splits, hardware)
    for wanted in ("tuned", settings.gate.baseline):
        if wanted not in plan.chosen.arms:
            raise BadInput(f"the gate compares {wanted!r}, which evaluate.arms does not name; add it")
    samples = _samples(plan)
    overlap = require_clean(_overlap(plan, samples), force)
    benchmarks = _benchmarks(plan) if full else []
    owners = {_owner(arm) for arm in plan.chosen.arms} | ({"base"} if full else set())
    engines = {name: _engine(plan, name) for name in owners - {""}}
    ran = _run(plan, engines, samples, on_progress)
    identity = _identity(plan, engines)
    stack = judged_stack(plan, engines["tuned"], samples, ran.predictions, identity)
    ran.predictions.update(stack.arms if stack else {})
    report = compare(
        plan.pack,
        samples,
        {name: ran.predictions[name] for name in [*plan.chosen.arms, *(stack.arms if stack else ())]},
        identity=identity,
        baseline=settings.gate.baseline,
        alpha=settings.gate.alpha,
        seed=plan.chosen.seed,
        unconstrained=ran.free,
        compact=ran.compact,
        known_classes={example.stratum for example in splits["train"]},
        overlap=overlap,
        memorisation=_memory(plan, engines["tuned"], samples, ran.predictions["tuned"], on_progress),
        general=_general(plan, engines, samples, benchmarks, on_progress) if full else None,
    )
    used = engines.values()
    return Evaluated(
        apply_gate(
            report.model_copy(update={"serving": stack.serving if stack else None}),
            GateSettings(**settings.gate.model_dump()),
        ),
        ran.predictions,
        sum(engine.misses for engine in used),
        sum(engine.dropped for engine in used),
        stack,
    )


@dataclass(frozen=True)
class _Ran:
    """What the arms answered."""

    predictions: dict[str, list[Prediction]] = field(default_factory=dict)
    free: dict[str, list[Prediction]] = field(default_factory=dict)
    """Without the grammar, on some of the samples."""
    compact: dict[str, bool] = field(default_factory=dict)


def _run(plan: Plan, engines: Mapping[str, CachedEngine], samples: Sequence[Example], tell: Progress) -> _Ran:
    """Run every arm, engine by engine, so that only one model is in memory at a time."""
    ran = _Ran()
    for owner in sorted({_owner(arm) for arm in plan.chosen.arms}):
        for name in (arm for arm in plan.chosen.arms if _owner(arm) == owner):
            if not owner:
                own = plan.own
                knowing = own.learnt(plan.splits["train"]) if isinstance(own, LearnsReference) else plan.pack
                ran.predictions[name] = reference_arm(knowing, name).predict(samples, _counter(tell, name, samples))
                continue
            engine = engines[owner]
            ran.compact[name] = _is_compact(plan, name, engine, tell)
            made = _arm(plan, name, engine, compact=ran.compact[name])
            ran.predictions[name] = made.predict(samples, _counter(tell, name, samples))
            if some := samples[: plan.chosen.unconstrained_samples]:
                unbound = _arm(plan, name, engine, constrained=False)
                ran.free[name] = unbound.predict(some, _counter(tell, f"{name}, free", some))
        if owner not in ("", "tuned"):  # the tuned model has more to answer
            engines[owner].close()
    return ran


def _samples(plan: Plan) -> list[Example]:
    """Return the test examples to use; the same ones for the same settings."""
    samples = list(plan.splits["test"])
    wanted = plan.chosen.samples
    if wanted is not None and wanted < len(samples):
        samples = random.Random(plan.chosen.seed).sample(samples, wanted)
    return sorted(samples, key=lambda example: example.id)


def _overlap(plan: Plan, samples: Sequence[Example]) -> Overlap:
    """Return what training and the samples have in common; kept on disk, since the search takes seconds."""
    threshold = plan.settings.data.near_duplicate_threshold
    asked = canonical_json([plan.dataset.digest, threshold, [example.id for example in samples]])
    path = _kept(plan) / f"overlap-{sha256_bytes(asked.encode())[:24]}.json"
    try:
        return Overlap.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        found = overlap_of(plan.splits["train"], samples, threshold)
        write_text(path, found.model_dump_json() + "\n")
        return found


def _memory(
    plan: Plan, engine: CachedEngine, samples: Sequence[Example], made: Sequence[Prediction], tell: Progress
) -> Memorisation | None:
    """Ask the tuned model some training examples, and say whether it knows their targets by heart."""
    training = sorted(plan.splits["train"], key=lambda example: example.id)
    some = random.Random(plan.chosen.seed).sample(training, min(plan.chosen.probe_samples, len(training)))
    if not some:
        return None
    answered = _arm(plan, "tuned", engine).predict(some, _counter(tell, "tuned, training", some))
    return memorisation(plan.pack, some, answered, samples, made, plan.settings.gate.alpha)


def _benchmarks(plan: Plan) -> list[Benchmark]:
    chosen = plan.chosen
    return load_benchmarks(chosen.lm_eval_tasks, chosen.lm_eval_limit, batch_size=chosen.batch_size)


def _general(
    plan: Plan,
    engines: Mapping[str, CachedEngine],
    samples: Sequence[Example],
    benchmarks: Sequence[Benchmark],
    tell: Progress,
) -> General:
    base, tuned = engines["base"], engines["tuned"]
    others = {}
    for name in pack_names():
        if name != plan.pack.name:
            other = load_pack(name)
            context = BuildContext(base.count_tokens, plan.settings.data.prompt_budget, limit=_OTHERS)
            found = sorted(islice(other.builders["seed"](context), _OTHERS), key=lambda example: example.id)
            if found:
                others[name] = (other, found)
    alpha = plan.settings.gate.alpha
    general = measure(plan.pack, base, tuned, (base.loss, tuned.loss), samples, others, tell, alpha=alpha)
    if not benchmarks:
        return general
    rows = benchmark_rows(benchmarks, base, tuned, tell, alpha=alpha, seed=plan.chosen.seed)
    note = f"{general.note} {benchmarks_note(plan.chosen.lm_eval_limit)}"
    return general.model_copy(update={"forgetting": general.forgetting + rows, "note": note})


def _kept(plan: Plan) -> Path:
    return Path(plan.settings.registry) / "predictions"


def _owner(arm: str) -> str:
    """Return which engine answers for an arm; empty for none."""
    if arm == "reference":
        return ""
    if arm.startswith(("model:", "remote:")):
        return arm
    return "tuned" if arm.startswith("tuned") else "base"


def _arm(plan: Plan, name: str, engine: CachedEngine, **how: Any) -> Arm:
    limits: dict[str, Any] = {"max_new_tokens": plan.chosen.max_new_tokens, "batch_size": plan.chosen.batch_size}
    return model_arm(name, engine, plan.pack, _shots(plan, name), **limits, **how)


def _shots(plan: Plan, name: str) -> Sequence[Example] | Shots:
    """Return how an arm chooses its examples; made once, since an index over the training split takes seconds."""
    kind = _SHOTS.sub("", name)
    if kind not in ("few-shot", "rag", "retrieval", "tuned+rag"):
        return ()
    if name not in plan.shots:
        found = _SHOTS.search(name)
        k, training = int(found[1]) if found else plan.chosen.few_shot_k, plan.splits["train"]
        plan.shots[name] = diverse_shots(training, k) if kind == "few-shot" else _retrieved(plan, training, k)
    return plan.shots[name]


def _retrieved(plan: Plan, training: Sequence[Example], k: int) -> Shots:
    threshold = plan.settings.data.near_duplicate_threshold
    versions = {name: package_version(name) for name in ("bm25s", "understudy")}
    asked = canonical_json([plan.dataset.digest, k, threshold, versions])
    path = _kept(plan) / f"shots-{sha256_bytes(asked.encode())[:24]}.jsonl"
    return kept_shots(training, k, path, near_duplicate=threshold)


def _is_compact(plan: Plan, name: str, engine: CachedEngine, on_progress: Progress) -> bool:
    """Return whether an arm answers better in compact JSON; tuned models learned it, so they are not asked."""
    some = list(plan.splits.get("validation", ()))[: plan.chosen.whitespace_samples]
    if _SHOTS.sub("", name) not in _UNTUNED or not some:
        return True

    def run(compact: bool) -> list[Prediction]:
        label = f"{name}, {'compact' if compact else 'spaced'}"
        return _arm(plan, name, engine, compact=compact).predict(some, _counter(on_progress, label, some))

    return choose_compact(plan.pack, some, run)


def _engine(plan: Plan, owner: str) -> CachedEngine:
    """Return the engine behind arms, over the cache; nothing is loaded yet."""
    registry = Registry(Path(plan.settings.registry))
    size = plan.chosen.batch_size
    decoding: dict[str, Any] = {"greedy": True, **{name: package_version(name) for name in _ANSWERING}}
    if owner == "base":
        base = base_of(plan.settings)
        key = EngineKey(base.revision, decoding=decoding | {"base": base.name})

        def load() -> Engine:
            from understudy.core.models import base_engine

            return base_engine(base, plan.hardware(), batch_size=size)

    elif owner.startswith("remote:"):
        model = owner.partition(":")[2]
        remote = RemoteEngine(plan.chosen.remote_url, model, os.environ.get(KEY_VARIABLE, ""), concurrency=size)
        key = EngineKey(f"{plan.chosen.remote_url} {model}", decoding={"greedy": True})

        def load() -> Engine:
            return remote

    else:
        version = plan.version if owner == "tuned" else registry.get(owner.partition(":")[2])
        if version.pack != plan.pack.name:
            raise BadInput(f"the arm {owner} is a model of {version.pack}, and this evaluation is of {plan.pack.name}")
        full = version.kind == "full"
        key = EngineKey(
            version.digest if full else version.base_revision,
            "" if full else version.digest,
            version.template_digest,
            decoding,
        )

        def load() -> Engine:
            from understudy.core.models import version_engine

            return version_engine(registry, version, plan.hardware(), batch_size=size)

    return CachedEngine(key, _kept(plan), load)


_ANSWERING = ("torch", "transformers", "peft", "llguidance", "understudy")
"""Packages whose version can change an answer."""


def _counter(tell: Progress, name: str, samples: Sequence[Example]) -> Callable[[int], None]:
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        tell(name, done, len(samples))

    return progress


def _identity(plan: Plan, engines: Mapping[str, CachedEngine]) -> Identity:
    version, chosen = plan.version, plan.chosen
    machine: dict[str, str] = {}
    if engines:
        asked = engines.get("tuned") or next(iter(engines.values()))
        machine = asked.fact("machine", lambda engine: _machine(plan.hardware()))
    return Identity(
        model=version.id,
        model_digest=version.digest,
        base=version.base,
        base_revision=version.base_revision,
        dataset=plan.dataset.id,
        dataset_digest=plan.dataset.digest,
        split="test",
        template_digest=version.template_digest,
        decoding={
            "greedy": True,
            "constrained": True,
            "max_new_tokens": chosen.max_new_tokens,
            "shots": chosen.few_shot_k,
        },
        model_bytes=Registry(Path(plan.settings.registry)).size(version),
        seed=chosen.seed,
        commit=commit(),
        versions={name: package_version(name) for name in DECIDING},
        hardware=machine,
    )


def _machine(hardware: Hardware) -> dict[str, str]:
    return {"machine": platform.machine(), "device": hardware.device, "threads": str(hardware.threads)}
