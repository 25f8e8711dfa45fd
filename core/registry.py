"""Model versions on disk: what they are made of, where they came from, and which one is on stage.

::

    objects/ab/cdef...              every file once, under its digest
    models/<id>/manifest.json       one version; written last, so a version is there wholly or not at all
    models/<id>/manifest.sha256     seal of the manifest, to notice a later edit
    aliases/<pack>/<alias>.json     pointers; a promotion replaces one file
    promotions.jsonl                every move of a pointer, append-only
    cache/<id>/                     versions as folders, made on demand

Nothing here imports a model library.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from understudy.core._audit import audit
from understudy.core.aliases import Aliases, AliasState, Promotion, check_name
from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes, sha256_file, write_json, write_text
from understudy.core.lock import exclusive
from understudy.core.objects import ObjectStore
from understudy.core.records import ModelVersion, Problem, Stage

__all__ = ["CHAMPION", "Registry", "require_pass"]

CHAMPION = "champion"
"""The alias that serving uses unless told otherwise."""

_REPORT_BYTES = 256 << 20
# Inside the class, ``list`` is its method.
_Versions: TypeAlias = "list[ModelVersion]"
_Promotions: TypeAlias = "list[Promotion]"
_Findings: TypeAlias = "list[Problem]"
_Names: TypeAlias = "list[str]"


class Registry:
    """A folder of model versions. Several processes may use it at the same time."""

    def __init__(self, root: Path = Path(".understudy")) -> None:
        """Use the folder ``root``; it is made by the first registration."""
        self.root = root
        self.objects = ObjectStore(root / "objects")
        self.aliases = Aliases(root)

    def register(
        self,
        folder: Path,
        *,
        pack: str,
        kind: Literal["full", "adapter"],
        base: str,
        base_revision: str,
        dataset: str,
        dataset_digest: str,
        settings: Mapping[str, Any],
        parent: str | None = None,
        stage: Stage = "sft",
        preferences_digest: str = "",
        metrics: Mapping[str, float] | None = None,
        template_digest: str = "",
        environment: Mapping[str, str] | None = None,
        created: datetime | None = None,
    ) -> ModelVersion:
        """Store every file of ``folder`` and return the new version.

        Registering the same files for the same pack again returns the version that is already there, unchanged.

        Raises:
            BadInput: the folder is missing or empty, holds a link or a special file, or the disk is full; nothing
                that was registered before is affected.
        """
        check_name(pack, "a pack")
        with _disk(self.root):
            files = {name: self.objects.add(path) for name, path in _files(folder)}
            digest = _digest(files)
            time = created or datetime.now(timezone.utc)
            version = ModelVersion(
                id=f"{pack}-{time:%Y%m%d}-{digest[:8]}",
                pack=pack,
                digest=digest,
                created=time,
                kind=kind,
                base=base,
                base_revision=base_revision,
                dataset=dataset,
                dataset_digest=dataset_digest,
                parent=parent,
                stage=stage,
                preferences_digest=preferences_digest,
                files=files,
                settings=dict(settings),
                metrics=dict(metrics or {}),
                template_digest=template_digest,
                environment=dict(environment or {}),
            )
            with self._lock():
                return self._same(version) or self._write(version)

    def materialise(self, version: ModelVersion) -> Path:
        """Return a folder with the version's files, every byte checked against the manifest.

        The folder is made of hard links where possible and kept for the next call. Treat it as read-only.

        Raises:
            BadInput: an object is missing or damaged.
        """
        target = self.root / "cache" / check_name(version.id, "a model version")
        if _holds(target, version):
            return target
        with _disk(self.root), self._lock():
            if _holds(target, version):
                return target
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=".partial-"))
            try:
                for name, digest in version.files.items():
                    self.objects.place(digest, partial / _inside(name))
                if target.exists():
                    shutil.rmtree(target)
                os.replace(partial, target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return target

    def size(self, version: ModelVersion) -> int:
        """Return how many bytes the version's own files have; 0 for those that are missing."""
        paths = (self.objects.path(digest) for digest in version.files.values())
        return sum(path.stat().st_size for path in paths if path.exists())

    def get(self, reference: str) -> ModelVersion:
        """Return a version by its id, by a prefix only it has, or by ``pack@alias``.

        Raises:
            BadInput: nothing or more than one version answers to that name.
        """
        if "@" in reference:
            pack, _, alias = reference.partition("@")
            state = self.aliases.read(pack, alias)
            if state is None:
                raise BadInput(f"there is no {reference!r} in {self.root}; promote a model version first")
            return self._read(state.version)
        check_name(reference, "a model version")
        found = [name for name in self._ids() if name.startswith(reference)]
        if reference in found:
            found = [reference]
        if len(found) != 1:
            known = ", ".join(found or self._ids()) or "none"
            which = f"{len(found)} model versions in {self.root} begin with" if found else f"{self.root} has no version"
            raise BadInput(f"{which} {reference!r}; there are: {known}")
        return self._read(found[0])

    def list(self, pack: str | None = None) -> _Versions:
        """Return all versions, or those of one pack, oldest first."""
        versions = [self._read(name) for name in self._ids()]
        return sorted((v for v in versions if pack in (None, v.pack)), key=lambda v: (v.created, v.id))

    def promote(
        self,
        reference: str,
        alias: str = CHAMPION,
        report: Path | None = None,
        force_reason: str | None = None,
        expected_rev: int | None = None,
        actor: str | None = None,
    ) -> AliasState:
        """Point ``pack@alias`` at a version that passed its evaluation.

        Args:
            reference: the version, as :meth:`get` takes it.
            alias: the pointer to move; it is made when missing.
            report: ``report.json`` of the evaluation. Its ``model_digest`` must be the version's and its ``verdict``
                ``pass``. A copy is kept.
            force_reason: promote without a passing report, for this reason; it is logged.
            expected_rev: move the alias only if this is still its revision (0: there is no alias yet).
            actor: who does it, for the log; the operating system's user by default.

        Raises:
            BadInput: no passing report and no reason, a damaged version, or another revision than expected.
        """
        if force_reason is not None and not force_reason.strip():
            raise BadInput("a forced promotion needs a reason; say why in one sentence")
        version = self.get(reference)
        if report is None and force_reason is None:
            raise BadInput(f"{version.id} needs a passing evaluation report to be promoted; run `understudy evaluate`")
        if report is not None and force_reason is None:
            require_pass(report, version)
        self.materialise(version)
        with _disk(self.root), self._lock():
            before = self.aliases.read(version.pack, alias)
            rev = before.rev if before else 0
            if expected_rev not in (None, rev):
                raise BadInput(
                    f"{version.pack}@{alias} is at revision {rev}, not {expected_rev}: somebody else moved it; "
                    "look at it and decide again"
                )
            if before and before.version == version.id:
                return before
            return self.aliases.move(
                "promote",
                before,
                pack=version.pack,
                alias=alias,
                target=version.id,
                trail=[*before.trail, before.version] if before else [],
                actor=actor,
                report=self.objects.add(report) if report else "",
                forced=force_reason is not None,
                reason=(force_reason or "").strip(),
            )

    def rollback(self, pack: str, alias: str = CHAMPION, reason: str = "", actor: str | None = None) -> AliasState:
        """Point ``pack@alias`` back at the version before; again and again, back to the first one.

        Raises:
            BadInput: there is no such alias, nothing before it, or the version before is damaged.
        """
        state = self.aliases.read(pack, alias)
        if state is not None and state.previous is not None:
            self.materialise(self._read(state.previous))
        with _disk(self.root), self._lock():
            before = self.aliases.read(pack, alias)
            if before is None:
                raise BadInput(f"there is no {pack}@{alias} in {self.root} to roll back")
            if before.previous is None:
                raise BadInput(f"{pack}@{alias} points at its first version, {before.version}; nothing is before it")
            if state is None or before.rev != state.rev:
                raise BadInput(f"{pack}@{alias} was moved by somebody else; look at it and decide again")
            return self.aliases.move(
                "rollback",
                before,
                pack=pack,
                alias=alias,
                target=before.previous,
                trail=before.trail[:-1],
                actor=actor,
                reason=reason,
            )

    def history(self, pack: str | None = None, alias: str | None = None) -> _Promotions:
        """Return every promotion and rollback, oldest first."""
        return self.aliases.history(pack, alias)

    def verify(self) -> _Findings:
        """Return what is wrong with the registry; each finding's ``field`` is a path inside it. Nothing is changed."""
        return audit(self.root, self.objects, self.aliases)

    def _lock(self) -> Any:
        return exclusive(self.root / "registry.lock")

    def _ids(self) -> _Names:
        return sorted(path.parent.name for path in (self.root / "models").glob("*/manifest.json"))

    def _read(self, name: str) -> ModelVersion:
        path = self.root / "models" / check_name(name, "a model version") / "manifest.json"
        try:
            version = ModelVersion.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise BadInput(f"{path} does not exist: there is no model version {name!r}") from None
        except ValidationError as error:
            raise BadInput(f"{path} is no manifest: {error.errors()[0]['msg']}; restore it from a backup") from None
        if version.id != name or version.digest != _digest(version.files):
            raise BadInput(f"{path} was changed after it was registered; restore it from a backup")
        return version

    def _same(self, version: ModelVersion) -> ModelVersion | None:
        for name in self._ids():
            if name.startswith(f"{version.pack}-") and name.endswith(version.digest[:8]):
                known = self._read(name)
                if known.digest == version.digest and known.pack == version.pack:
                    return known
                if name == version.id:
                    raise BadInput(f"two different models would be called {name}; register this one on another day")
        return None

    def _write(self, version: ModelVersion) -> ModelVersion:
        folder = self.root / "models" / version.id
        value = version.model_dump(mode="json")
        write_text(folder / "manifest.sha256", sha256_bytes(canonical_json(value).encode("utf-8")) + "\n")
        write_json(folder / "manifest.json", value)
        return version


@contextmanager
def _disk(root: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into a sentence."""
    try:
        yield
    except OSError as error:
        where = error.filename or root
        raise BadInput(f"cannot use {where}: {error.strerror or error}; what was registered is unchanged") from error


def _digest(files: Mapping[str, str]) -> str:
    return sha256_bytes(canonical_json(dict(files)).encode("utf-8"))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield relative POSIX path and path of every file below ``folder``, sorted."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder; give the folder that training wrote")
    found = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    if not found:
        raise BadInput(f"{folder} is empty; give the folder that training wrote")
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise BadInput(f"{path} is a link or no regular file; a model version holds plain files only")
        yield path.relative_to(folder).as_posix(), path


def _inside(name: str) -> PurePosixPath:
    """Return a manifest's file name if it stays inside its folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name or "\0" in name:
        raise BadInput(f"the manifest names a file outside its folder: {name!r}")
    return path


def _holds(folder: Path, version: ModelVersion) -> bool:
    """Whether the folder has exactly the version's files, byte by byte."""
    if not folder.is_dir() or folder.is_symlink():
        return False
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    return names == set(version.files) and all(
        not (folder / name).is_symlink() and sha256_file(folder / name) == digest
        for name, digest in version.files.items()
    )


def require_pass(path: Path, version: ModelVersion) -> None:
    """Refuse a report that is not this version's, or that did not pass.

    Raises:
        BadInput: it is neither.
    """
    try:
        if path.stat().st_size > _REPORT_BYTES:
            raise BadInput(f"{path} is too large for an evaluation report")
        report = json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise BadInput(f"{path} is no JSON; give the report.json that `understudy evaluate` wrote") from None
    if not isinstance(report, dict) or report.get("model_digest") != version.digest:
        raise BadInput(
            f"{path} is not a report on {version.id}: its model_digest is another one; evaluate this version"
        )
    if report.get("verdict") != "pass":
        raise BadInput(
            f"{path}: the verdict on {version.id} is {report.get('verdict')!r}, not 'pass'; evaluate on more samples "
            "where these did not decide it, improve the model, or force the promotion and say why"
        )
