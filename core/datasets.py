"""Dataset versions: examples cleaned, divided, frozen and named by their content.

A version is a folder ``<registry>/datasets/<id>/``::

    manifest.json       the DatasetVersion: counts, digests, settings, warnings
    train.jsonl  validation.jsonl  test.jsonl
    removed.jsonl       every example that a cleaning step took out: id, step, reason
    README.md           the dataset card

It appears whole or not at all, and is never changed afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from pydantic import ValidationError

from understudy.core._cards import STEPS, card, token_lengths, token_report, warnings_about
from understudy.core._cleaning import (
    Removal,
    canonical_line,
    in_order,
    limited,
    redacted,
    valid,
    without_conflicts,
    without_duplicates,
)
from understudy.core._duplicates import remove_near_duplicates
from understudy.core._splits import SPLITS, split_examples
from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes, sync_folder, write_json, write_text
from understudy.core.pack import Pack, TokenCounter
from understudy.core.records import DatasetVersion, Example, SplitInfo
from understudy.core.settings import DataSettings

__all__ = ["build_version", "latest_version", "list_versions", "load_version"]

_FOLDER = "datasets"
_MANIFEST = "manifest.json"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*-[0-9a-f]{12}")


def build_version(
    pack: Pack,
    examples: Iterable[Example],
    settings: DataSettings,
    folder: Path,
    count_tokens: TokenCounter,
    render: Callable[[Example], tuple[str, str]],
) -> DatasetVersion:
    """Clean and divide ``examples`` and freeze them as a version.

    The steps, each counted in the manifest's ``removed``: refuse what does not satisfy the pack, redact, drop exact
    duplicates and contradictions, keep at most ``max_examples``, split, drop near-duplicates inside each split and
    those that leak from one split to another.

    Args:
        pack: the task.
        examples: in any order; the order does not change the result.
        settings: shares, thresholds and seed.
        folder: the registry; the version goes to ``datasets/<id>`` below it.
        count_tokens: the base model's tokenizer.
        render: the prompt text and the completion text of an example, as training will see them.

    Returns:
        The manifest. Examples that are frozen already are not written twice.

    Raises:
        BadInput: no example is left, two have one id, or a damaged version stands in the way.
    """
    removals: list[Removal] = []
    kept, redactions = _clean(pack, examples, settings, removals)
    splits, by_time = split_examples(kept, settings.validation, settings.test, settings.seed)
    splits = remove_near_duplicates(splits, settings.near_duplicate_threshold, removals)
    splits = {name: sorted(splits[name], key=lambda example: example.id) for name in SPLITS}
    lengths = token_lengths([example for split in splits.values() for example in split], render, count_tokens)
    digest = _digest(splits)
    counts = Counter(removal.step for removal in removals)
    version = DatasetVersion(
        id=f"{pack.name}-{digest[:12]}",
        pack=pack.name,
        digest=digest,
        created=datetime.now(timezone.utc),
        splits={name: _split_info(name, split) for name, split in splits.items()},
        settings=settings.model_dump(mode="json"),
        removed={step: counts[step] for step in STEPS},
        warnings=warnings_about(splits, lengths, settings.context_limit, removals),
        tokens=token_report(lengths),
    )
    readme = card(version, splits, removals, redactions, by_time=by_time)
    return _freeze(folder / _FOLDER / version.id, version, splits, removals, readme)


def _clean(
    pack: Pack, examples: Iterable[Example], settings: DataSettings, removals: list[Removal]
) -> tuple[list[Example], Counter[str]]:
    given = list(examples)
    if not given:
        raise BadInput("the sources gave no examples; check data.sources")
    kept = in_order(valid(pack, given, removals))
    redactions = Counter[str]()
    if settings.redact:
        kept, redactions = redacted(kept)
        # A placeholder can be longer than what it replaces, and a pack may limit lengths.
        kept = valid(pack, kept, removals, why="after redaction, ")
    kept = without_duplicates(pack, kept, removals)
    kept = without_conflicts(pack, kept, removals)
    kept = limited(kept, settings.max_examples, settings.seed, removals)
    if not kept:
        first = removals[0]
        raise BadInput(
            f"none of the {len(given)} examples can be used; the first one, {first.id!r}, was taken out as "
            f"{first.step}: {first.detail}"
        )
    return kept, redactions


def _lines(split: Sequence[Example]) -> bytes:
    return "".join(canonical_line(example) + "\n" for example in split).encode("utf-8")


def _split_info(name: str, split: Sequence[Example]) -> SplitInfo:
    groups = len({example.group for example in split})
    return SplitInfo(file=f"{name}.jsonl", sha256=sha256_bytes(_lines(split)), count=len(split), groups=groups)


def _digest(splits: Mapping[str, Sequence[Example]]) -> str:
    """Return the SHA-256 over every example's split and canonical line, sorted by split and id."""
    digest = hashlib.sha256()
    for name in sorted(splits):
        for example in sorted(splits[name], key=lambda example: example.id):
            digest.update(f"{name}\t{canonical_line(example)}\n".encode())
    return digest.hexdigest()


def _freeze(
    target: Path,
    version: DatasetVersion,
    splits: Mapping[str, Sequence[Example]],
    removals: Sequence[Removal],
    readme: str,
) -> DatasetVersion:
    """Write a version's folder whole, or refresh what is said about one that has the same examples."""
    removed = "".join(canonical_json(asdict(removal)) + "\n" for removal in removals)
    if not target.exists():
        with _new_folder(target) as folder:
            for name, split in splits.items():
                _write(folder / version.splits[name].file, _lines(split))
            _write(folder / "removed.jsonl", removed.encode("utf-8"))
            _write(folder / "README.md", readme.encode("utf-8"))
            _write(folder / _MANIFEST, (json.dumps(version.model_dump(mode="json"), indent=2) + "\n").encode("utf-8"))
    existing, _ = load_version(target)
    if existing.model_copy(update={"created": version.created}) == version:
        return existing
    # Same examples under other settings or another tokenizer: the data stay, the facts about them are renewed.
    renewed = version.model_copy(update={"created": existing.created})
    write_text(target / "removed.jsonl", removed)
    write_text(target / "README.md", readme)
    write_json(target / _MANIFEST, renewed.model_dump(mode="json"))
    return renewed


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``target`` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        sync_folder(temporary)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            # Another process froze the same examples first; the caller verifies what it wrote.
            return
        sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def load_version(version: Path | str, root: Path | None = None) -> tuple[DatasetVersion, dict[str, list[Example]]]:
    """Return a version's manifest and its examples by split, after checking every digest.

    Args:
        version: the version's folder, or its id when ``root`` is given.
        root: the registry.

    Raises:
        BadInput: there is no such version, or a file of it is missing, changed or broken.
    """
    folder = Path(version)
    if root is not None and isinstance(version, str):
        if not _ID.fullmatch(version):
            raise BadInput(f"{version!r} is not the id of a dataset version (<pack>-<12 hex digits>)")
        folder = root / _FOLDER / version
    manifest = _read_manifest(folder)
    splits = {name: _read_split(folder, info) for name, info in manifest.splits.items()}
    if _digest(splits) != manifest.digest or manifest.id != f"{manifest.pack}-{manifest.digest[:12]}":
        raise BadInput(f"{folder / _MANIFEST}: the digest is not that of the examples; build the dataset again")
    return manifest, splits


def _read_manifest(folder: Path) -> DatasetVersion:
    path = folder / _MANIFEST
    try:
        return DatasetVersion.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{folder}: is not a dataset version ({_MANIFEST}: {error.strerror})") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise BadInput(f"{path}: is damaged ({first['msg']}); move the folder away and build again") from error


def _read_split(folder: Path, info: SplitInfo) -> list[Example]:
    path = folder / info.file
    if Path(info.file).name != info.file:
        raise BadInput(f"{folder / _MANIFEST}: {info.file!r} is not a file of the version's folder")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); build the dataset again") from error
    if sha256_bytes(data) != info.sha256:
        raise BadInput(f"{path}: was changed after the version was built; move the folder away and build again")
    try:
        return [Example.model_validate_json(line) for line in data.decode("utf-8").split("\n")[:-1]]
    except ValueError as error:
        raise BadInput(f"{path}: holds a line that is not an example; build the dataset again") from error


def list_versions(root: Path, pack: str | None = None) -> list[DatasetVersion]:
    """Return the manifests of all versions in a registry, the newest first; only of one pack if it is named.

    Raises:
        BadInput: a manifest is damaged.
    """
    folder = root / _FOLDER
    found = [
        _read_manifest(path.parent) for path in sorted(folder.glob(f"*/{_MANIFEST}")) if path.parent.name[0] != "."
    ]
    chosen = [version for version in found if pack in (None, version.pack)]
    return sorted(chosen, key=lambda version: (version.created, version.id), reverse=True)


def latest_version(root: Path, pack: str) -> DatasetVersion | None:
    """Return the newest version of ``pack``'s datasets in a registry, or None when there is none yet."""
    return next(iter(list_versions(root, pack)), None)
