"""The steps of the life cycle as plain functions: what ``understudy data build`` and ``train`` do.

Commands and the demo call these; nothing here prints.
"""

from __future__ import annotations

import platform
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from understudy.core.bases import Base, load_tokenizer, resolve_base, template_digest, token_counter
from understudy.core.datasets import build_version
from understudy.core.engines import borrowed_engine
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.models import version_engine
from understudy.core.pack import BuildContext, Pack, TokenCounter
from understudy.core.preferences import drawn
from understudy.core.ranks import count, once
from understudy.core.records import DatasetVersion, Example, ModelVersion, Stage
from understudy.core.registry import Registry
from understudy.core.rows import completion_text, fit_rows
from understudy.core.runs import check_begun, find_run, run_of, settings_of, version_of, work_of, write_version
from understudy.core.settings import Settings, SourceSettings
from understudy.core.sft import Event, Outcome, finished_outcome, train_sft
from understudy.core.smoke import smoke
from understudy.core.starts import Start, start_from, start_tokenizer
from understudy.evals.arms import model_arm

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "DECIDING",
    "base_of",
    "build_dataset",
    "commit",
    "context_of",
    "curve_of",
    "environment",
    "named",
    "register",
    "renderer",
    "resumed",
    "runs_of",
    "start_of",
    "train",
    "try_out",
    "writing",
]

DECIDING = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "llguidance", "understudy")
_UNWRITTEN = ("I/O error", "PytorchStreamWriter", "inline_container")
"""What safetensors and torch say of a file that they could not write."""


def base_of(settings: Settings) -> Base:
    """Return the base the settings name, found and pinned."""
    base = settings.base
    return resolve_base(base.name, revision=base.revision, trust_remote_code=base.trust_remote_code)


def build_dataset(
    settings: Settings, pack: Pack, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> DatasetVersion:
    """Run every source's builder and freeze the examples as a dataset version in the registry.

    ``on_progress`` is called with (examples made, examples expected) where a builder can tell.

    Raises:
        BadInput: a source names no builder of the pack, its material cannot be read, or nothing is left.
    """
    count = token_counter(load_tokenizer(base_of(settings)))
    examples: list[Example] = []
    for source in settings.data.sources:
        builder = pack.builders.get(source.builder)
        if builder is None:
            raise BadInput(
                f"data.sources: {pack.name} has no builder {source.builder!r}; it has: {', '.join(pack.builders)}"
            )
        examples += builder(context_of(settings, source, count, on_progress))

    return build_version(pack, examples, settings.data, Path(settings.registry), count, renderer(pack))


def context_of(
    settings: Settings,
    source: SourceSettings,
    count: TokenCounter,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> BuildContext:
    """Return what a builder is given for one source of the settings."""
    return BuildContext(
        count_tokens=count,
        prompt_budget=settings.data.prompt_budget,
        taxonomy=settings.taxonomy,
        licence=source.licence,
        split_by=source.split_by,
        paths=[Path(path) for path in source.paths],
        limit=settings.data.max_examples,
        rng=random.Random(settings.data.seed),
        on_progress=on_progress,
    )


def renderer(pack: Pack) -> Callable[[Example], tuple[str, str]]:
    """Return a function from an example to its prompt text and its completion text, for length reports."""

    def render(example: Example) -> tuple[str, str]:
        prompt = "".join(message.content for message in pack.messages(pack.Input.model_validate(example.input)))
        return prompt, completion_text(pack.Output.model_validate(example.output))

    return render


def named(settings: Settings, reference: str) -> ModelVersion:
    """Return the registered version that a stage is to start from; its files are not looked at.

    Raises:
        BadInput: there is no such version, or it belongs to another pack.
    """
    version = Registry(Path(settings.registry)).get(reference)
    if version.pack != settings.pack:
        raise BadInput(f"model {version.id} is of the pack {version.pack}, and the settings are for {settings.pack}")
    return version


def start_of(settings: Settings, version: ModelVersion | None) -> Start:
    """Return what a stage starts from: a registered version, or the settings' base when there is None.

    Raises:
        BadInput: the version is damaged.
    """
    return start_from(Registry(Path(settings.registry)), version) if version else Start(base_of(settings))


def resumed(
    settings: Settings, stage: Stage, begin: ModelVersion | None, dataset: DatasetVersion | None, name: str
) -> tuple[ModelVersion, Outcome] | None:
    """Return what the run that somebody wants to go on with has made, None if it has not come to its end.

    It is compared with the work in question as far as that is known before a library for models is read:
    :meth:`~understudy.core.runs.Work.must_be` does the rest, for a run that is to go on.

    Raises:
        BadInput: there is no such run, or it was begun as other work.
    """
    run = find_run(runs_of(settings), name)
    known: dict[str, Any] = {
        "stage": stage,
        "start": f"sha256:{begin.digest}" if begin else base_of(settings).revision,
        "settings": settings_of(settings.train, **_sections(settings, stage)),
    }
    if dataset is not None and stage in ("sft", "grpo"):
        known["data"] = dataset.digest
    check_begun(run, known)
    made, outcome = version_of(run), finished_outcome(run)
    return (Registry(Path(settings.registry)).get(made), outcome) if made and outcome else None


def _sections(settings: Settings, stage: Stage) -> dict[str, Any]:
    """Return the sections that a stage reads besides ``train``."""
    return {"sft": {}, "grpo": {"reward": settings.reward}}.get(stage, {"preference": settings.preference})


def train(
    settings: Settings,
    pack: Pack,
    dataset: DatasetVersion,
    splits: Mapping[str, Sequence[Example]],
    hardware: Hardware,
    on_event: Callable[[Event], None],
    start: Start | None = None,
    resume: str | None = None,
) -> tuple[ModelVersion, Outcome]:
    """Fine-tune the base, or ``start``, on a dataset version and register the best checkpoint.

    Called again after a kill it resumes; called again after it finished it returns the same version. ``resume`` names
    the run that this must be (see :meth:`understudy.core.runs.Work.must_be`).

    Raises:
        BadInput: there are no rows, the run to resume was begun otherwise, the loss is no number any more, or the disk
            is full; what was registered stays.
    """
    start = start or Start(base_of(settings))
    work = work_of("sft", settings.train, start, dataset.digest)
    work.must_be(runs_of(settings), resume)
    tokenizer = start_tokenizer(start)
    length, overflow = settings.train.max_length, settings.train.on_overflow
    training, notes = fit_rows(pack, splits["train"], tokenizer, length, overflow)
    validation, more = fit_rows(pack, splits["validation"], tokenizer, length, overflow)
    with writing(runs_of(settings)):
        folder = once(lambda: work.begin(runs_of(settings)))
        task = _task(settings, pack, splits["validation"], tokenizer)
        outcome = train_sft(start, tokenizer, training, validation, settings.train, hardware, folder, on_event, task)
    version = once(lambda: register(settings, pack, dataset, start, outcome, hardware))
    tried = once(lambda: try_out(settings, pack, version, splits, hardware))
    return version, replace(outcome, notes=(*notes, *more, *outcome.notes, tried))


def _task(
    settings: Settings, pack: Pack, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
) -> Callable[[Any], float] | None:
    """Return the score of answers to the watched examples, always the same ones, or None when there are none."""
    watched = drawn(examples, settings.train.seed, settings.train.watch_examples)
    if not watched:
        return None
    chosen = settings.evaluate

    def score(model: Any) -> float:
        with borrowed_engine(model, tokenizer, chosen.batch_size) as engine:
            arm = model_arm(
                "watched", engine, pack, (), max_new_tokens=chosen.max_new_tokens, batch_size=chosen.batch_size
            )
            metric = pack.score(watched, arm.predict(watched))[pack.primary]
        return metric.value if metric.higher_is_better else -metric.value

    return score


def try_out(
    settings: Settings, pack: Pack, version: ModelVersion, splits: Mapping[str, Sequence[Example]], hardware: Hardware
) -> str:
    """Load a registered version, let it answer one validation example, and return in a sentence how that went."""
    example = next(iter(splits.get("validation", ())), None)
    if example is None:
        return "not tried out: there is no validation example to ask it"
    engine = version_engine(Registry(Path(settings.registry)), version, hardware, batch_size=1)
    wrong = smoke(engine, pack, example, settings.evaluate.max_new_tokens)
    return f"tried out without a grammar: {wrong or 'it stops by itself and passes the checks'}"


def register(
    settings: Settings,
    pack: Pack,
    dataset: DatasetVersion | None,
    start: Start,
    outcome: Outcome,
    hardware: Hardware,
    stage: Stage = "sft",
    preferences_digest: str = "",
) -> ModelVersion:
    """Put a run's best checkpoint into the registry, with where it came from.

    A run without a dataset of its own names that of the version it started from, if there is one.
    """
    if dataset is not None:
        data = (dataset.id, dataset.digest)
    else:
        data = (start.version.dataset, start.version.dataset_digest) if start.version else ("", "")
    kind: Literal["full", "adapter"] = "full" if outcome.kind == "full" else "adapter"
    root = start.root(kind)
    version = Registry(Path(settings.registry)).register(
        outcome.folder,
        pack=pack.name,
        kind=kind,
        base=root.name,
        base_revision=root.revision,
        dataset=data[0],
        dataset_digest=data[1],
        parent=start.version.id if start.version else None,
        stage=stage,
        preferences_digest=preferences_digest,
        settings=settings.model_dump(mode="json"),
        metrics={"validation_loss": outcome.best_validation_loss, **outcome.checks},
        template_digest=template_digest(start_tokenizer(start)),
        environment=environment(hardware),
    )
    write_version(outcome.folder.parent, version.id)
    return version


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a checkpoint that cannot be written into a sentence; each library says it in its own way."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if not isinstance(error, OSError) and not any(sign in str(error) for sign in _UNWRITTEN):
            raise
        raise BadInput(
            f"training cannot write to {folder} ({str(error).split(chr(10))[0]}); make room and run the same command "
            "again, what was registered is unchanged"
        ) from error


def curve_of(settings: Settings, version: ModelVersion) -> Path | None:
    """Return the loss curve of the run that made ``version``, if it was made here."""
    run = run_of(runs_of(settings), version.id)
    return run / "curve.png" if run and (run / "curve.png").exists() else None


def runs_of(settings: Settings) -> Path:
    """Return the folder in which every run of training has one of its own."""
    return Path(settings.registry) / "runs"


def environment(hardware: Hardware) -> dict[str, str]:
    """Return what decides a result besides data and settings: versions, commit, machine and what was chosen on it."""
    return {
        "python": platform.python_version(),
        **{name: package_version(name) for name in DECIDING},
        "commit": commit(),
        "machine": platform.machine(),
        "hardware": "; ".join(hardware.reasons),
        "processes": str(count()),
    }


def commit() -> str:
    """Return the commit of the code in use, empty when it is no checkout."""
    here = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
