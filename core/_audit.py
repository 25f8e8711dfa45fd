"""The registry's self-examination: everything on disk compared with everything that refers to it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from understudy.core.aliases import Aliases, AliasState
from understudy.core.errors import BadInput
from understudy.core.files import canonical_json, sha256_bytes, sha256_file
from understudy.core.objects import ObjectStore
from understudy.core.records import ModelVersion, Problem

__all__ = ["audit"]


def audit(root: Path, objects: ObjectStore, aliases: Aliases) -> list[Problem]:
    """Return what is wrong below ``root``; ``field`` of a finding is the path of the file at fault, relative to it.

    What an interrupted command leaves behind (temporary files, a version without a manifest, a log that lacks the
    move its alias file records) is not wrong: nothing refers to it, or the next command completes it.
    """
    findings = _objects(root, objects)
    versions: dict[str, ModelVersion] = {}
    for path in sorted((root / "models").glob("*/manifest.json")):
        version, faults = _manifest(root, path)
        findings += faults
        if version is not None:
            versions[path.parent.name] = version
            findings += _missing(root, objects, version, path)
    return findings + _aliases(root, aliases, versions)


def _objects(root: Path, objects: ObjectStore) -> list[Problem]:
    return [
        Problem(field=_name(root, objects.path(digest)), message="its content was changed after it was stored")
        for digest in objects.digests()
        if sha256_file(objects.path(digest)) != digest
    ]


def _manifest(root: Path, path: Path) -> tuple[ModelVersion | None, list[Problem]]:
    try:
        version = ModelVersion.model_validate_json(path.read_bytes())
    except ValidationError as error:
        return None, [Problem(field=_name(root, path), message=f"no manifest: {error.errors()[0]['msg']}")]
    text = canonical_json(version.model_dump(mode="json")).encode("utf-8")
    seal = path.with_name("manifest.sha256")
    if not seal.is_file():
        return version, [Problem(field=_name(root, seal), message="missing, so edits of the manifest would pass")]
    files_digest = sha256_bytes(canonical_json(version.files).encode("utf-8"))
    consistent = version.id == path.parent.name and version.digest == files_digest
    consistent = consistent and version.id.endswith(version.digest[:8])
    if not consistent or seal.read_text("utf-8", "replace").strip() != sha256_bytes(text):
        return version, [Problem(field=_name(root, path), message="edited after it was registered")]
    return version, []


def _missing(root: Path, objects: ObjectStore, version: ModelVersion, manifest: Path) -> list[Problem]:
    findings = []
    for name, digest in version.files.items():
        try:
            path = objects.path(digest)
        except BadInput as error:
            findings.append(Problem(field=_name(root, manifest), message=str(error)))
            continue
        if not path.is_file():
            findings.append(Problem(field=_name(root, path), message=f"missing; it is {name!r} of {version.id}"))
    return findings


def _aliases(root: Path, aliases: Aliases, versions: dict[str, ModelVersion]) -> list[Problem]:
    findings, states = [], []
    for pack, alias in aliases.names():
        path = aliases.root / pack / f"{alias}.json"
        try:
            state = aliases.read(pack, alias)
        except BadInput as error:
            findings.append(Problem(field=_name(root, path), message=str(error)))
            continue
        if state is None:
            continue
        states.append(state)
        for version in [state.version, *state.trail]:
            if version not in versions:
                findings.append(Problem(field=_name(root, path), message=f"points at {version!r}, which is not there"))
            elif versions[version].pack != pack:
                findings.append(Problem(field=_name(root, path), message=f"points at {version!r} of another pack"))
        if (state.move.target, state.move.rev) != (state.version, state.rev):
            findings.append(Problem(field=_name(root, path), message="edited by hand: its last move leads elsewhere"))
    return findings + _log(root, aliases, states)


def _log(root: Path, aliases: Aliases, states: list[AliasState]) -> list[Problem]:
    """Compare the log with the aliases: revisions without gaps up to the alias's own, which may still be lacking."""
    where = _name(root, aliases.log.path)
    try:
        entries = aliases.log.read()
    except BadInput as error:
        return [Problem(field=where, message=str(error))]
    findings = []
    logged: dict[tuple[str, str], list[object]] = {}
    for entry in entries:
        logged.setdefault((str(entry.get("pack")), str(entry.get("alias"))), []).append(entry.get("rev"))
    pending = []
    for state in states:
        revs = logged.pop((state.pack, state.alias), [])
        whole = list(range(1, state.rev + 1))
        if revs == whole[:-1]:
            pending.append(aliases.log.line(state.move.model_dump(mode="json")))
        elif revs != whole:
            name = f"{state.pack}@{state.alias}"
            findings.append(Problem(field=where, message=f"has revisions {revs} of {name}, which is at {state.rev}"))
    for pack, alias in logged:
        findings.append(Problem(field=where, message=f"moves {pack}@{alias}, which is not there"))
    torn = aliases.log.torn()
    if torn and not any(line.startswith(torn) for line in pending):
        findings.append(Problem(field=where, message="the last line is torn, and no alias file holds it"))
    return findings


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
