"""The steps of the life cycle as plain functions: what ``understudy data build`` and ``train`` do.

Commands and the demo call these; nothing here prints.
"""

from __future__ import annotations

import platform
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version as package_version
from pathlib import Path

from understudy.core.bases import Base, load_tokenizer, resolve_base, template_digest, token_counter
from understudy.core.datasets import build_version
from understudy.core.errors import BadInput
from understudy.core.hardware import Hardware
from understudy.core.pack import BuildContext, Pack
from understudy.core.records import DatasetVersion, Example, ModelVersion
from understudy.core.registry import Registry
from understudy.core.rows import completion_text, make_rows
from understudy.core.settings import Settings
from understudy.core.sft import Event, Outcome, run_key, train_sft

__all__ = ["DECIDING", "base_of", "build_dataset", "curve_of", "commit", "environment", "renderer", "train"]

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
        context = BuildContext(
            count_tokens=count,
            prompt_budget=settings.data.prompt_budget,
            paths=[Path(path) for path in source.paths],
            limit=settings.data.max_examples,
            rng=random.Random(settings.data.seed),
            on_progress=on_progress,
        )
        examples += builder(context)

    return build_version(pack, examples, settings.data, Path(settings.registry), count, renderer(pack))


def renderer(pack: Pack) -> Callable[[Example], tuple[str, str]]:
    """Return a function from an example to its prompt text and its completion text, for length reports."""

    def render(example: Example) -> tuple[str, str]:
        prompt = "".join(message.content for message in pack.messages(pack.Input.model_validate(example.input)))
        return prompt, completion_text(pack.Output.model_validate(example.output))

    return render


def train(
    settings: Settings,
    pack: Pack,
    dataset: DatasetVersion,
    splits: Mapping[str, Sequence[Example]],
    hardware: Hardware,
    on_event: Callable[[Event], None],
) -> tuple[ModelVersion, Outcome]:
    """Fine-tune the base on a dataset version and register the best checkpoint.

    Called again after a kill it resumes; called again after it finished it returns the same version.

    Raises:
        BadInput: there are no rows, the loss is no number any more, or the disk is full; what was registered stays.
    """
    base = base_of(settings)
    tokenizer = load_tokenizer(base)
    rows = {
        "train": make_rows(pack, splits["train"], tokenizer, settings.train.max_length),
        "validation": make_rows(pack, splits["validation"], tokenizer, settings.train.max_length),
    }
    folder = _run_folder(settings, base, dataset)
    with _writing(folder):
        outcome = train_sft(
            base, tokenizer, rows["train"], rows["validation"], settings.train, hardware, folder, on_event
        )
    version = Registry(Path(settings.registry)).register(
        outcome.folder,
        pack=pack.name,
        kind="full" if outcome.kind == "full" else "adapter",
        base=base.name,
        base_revision=base.revision,
        dataset=dataset.id,
        dataset_digest=dataset.digest,
        settings=settings.model_dump(mode="json"),
        metrics={"validation_loss": outcome.best_validation_loss, **outcome.checks},
        template_digest=template_digest(tokenizer),
        environment=environment(hardware),
    )
    return version, outcome


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
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


def curve_of(settings: Settings, version: ModelVersion, dataset: DatasetVersion) -> Path | None:
    """Return the loss curve of the run that made ``version``, if that run was made here with its own settings."""
    made = Settings.model_validate(version.settings)
    curve = _run_folder(settings.model_copy(update={"train": made.train}), base_of(made), dataset) / "curve.png"
    return curve if curve.exists() else None


def _run_folder(settings: Settings, base: Base, dataset: DatasetVersion) -> Path:
    return Path(settings.registry) / "runs" / run_key(settings.train, base, dataset.digest)


def environment(hardware: Hardware) -> dict[str, str]:
    """Return what decides a result besides data and settings: versions, commit, machine and what was chosen on it."""
    return {
        "python": platform.python_version(),
        **{name: package_version(name) for name in DECIDING},
        "commit": commit(),
        "machine": platform.machine(),
        "hardware": "; ".join(hardware.reasons),
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
