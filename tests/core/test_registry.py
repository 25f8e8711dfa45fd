"""The registry keeps its promises through kills, races, full disks and tampering, with real processes and files."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from understudy.core.errors import BadInput, UnderstudyError
from understudy.core.files import sha256_file
from understudy.core.records import ModelVersion
from understudy.core.registry import Registry


def model_folder(path: Path, content: str = "weights", size: int = 2_000) -> Path:
    (path / "nested").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(content.encode() * size)
    (path / "nested" / "config.json").write_text('{"a": 1}')
    return path


def register(registry: Registry, folder: Path, pack: str = "toy") -> ModelVersion:
    return registry.register(
        folder,
        pack=pack,
        kind="full",
        base="seedling",
        base_revision="r0",
        dataset="toy-000000000000",
        dataset_digest="0" * 64,
        settings={"epochs": 1},
        metrics={"loss": 0.5},
    )


def report(path: Path, version: ModelVersion, verdict: str = "pass") -> Path:
    path.write_text(json.dumps({"model_digest": version.digest, "verdict": verdict}))
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def three(registry: Registry, tmp_path: Path) -> list[ModelVersion]:
    return [register(registry, model_folder(tmp_path / f"m{number}", f"w{number}")) for number in range(3)]


def promote(registry: Registry, version: ModelVersion, tmp_path: Path) -> None:
    registry.promote(version.id, report=report(tmp_path / "report.json", version))


def run(code: str, *arguments: object, limit: str = "") -> subprocess.Popen[bytes]:
    prelude = f"{limit}\nimport sys\nfrom pathlib import Path\nfrom understudy.core.registry import Registry\n"
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


REGISTER = """
Registry(Path(sys.argv[1])).register(Path(sys.argv[2]), pack="toy", kind="full", base="b", base_revision="r",
    dataset="d", dataset_digest="0" * 64, settings={})
"""
PROMOTE = """
registry = Registry(Path(sys.argv[1]))
for turn in range(10_000):
    for name in sys.argv[2:]:
        registry.promote(name, force_reason="because")
"""


def test_a_registered_version_materialises_to_the_same_files(registry: Registry, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    version = register(registry, folder)
    copy = registry.materialise(version)
    assert {name: sha256_file(copy / name) for name in version.files} == version.files
    assert (copy / "nested" / "config.json").read_text() == '{"a": 1}'
    assert version.id == f"toy-{version.created:%Y%m%d}-{version.digest[:8]}"
    assert registry.get(version.id) == version
    assert registry.verify() == []


def test_registering_the_same_files_twice_stores_them_once_and_gives_the_same_version(
    registry: Registry, tmp_path: Path
) -> None:
    first = register(registry, model_folder(tmp_path / "a"))
    assert register(registry, model_folder(tmp_path / "b")) == first
    assert len(registry.list()) == 1
    assert len(list(registry.objects.digests())) == 2


def test_versions_are_found_by_id_unique_prefix_and_alias_only(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    promote(registry, three[1], tmp_path)
    assert registry.get("toy@champion") == three[1]
    assert registry.get(three[0].id[:-2]) == three[0]
    with pytest.raises(BadInput, match=r"3 model versions in .* begin with"):
        registry.get("toy-")
    with pytest.raises(BadInput, match="has no version 'other'; there are: "):
        registry.get("other")
    with pytest.raises(BadInput, match="promote a model version first"):
        registry.get("toy@staging")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\0b", "..", "x" * 200, "a\nb"])
def test_names_that_could_leave_the_folder_are_refused(
    registry: Registry, three: list[ModelVersion], name: str
) -> None:
    with pytest.raises(BadInput):
        registry.get(name)
    with pytest.raises(BadInput):
        registry.get(f"toy@{name}")
    with pytest.raises(BadInput):
        registry.promote(three[0].id, alias=name, force_reason="x")
    with pytest.raises(BadInput):
        register(registry, registry.root, pack=name)


def test_a_manifest_that_names_a_file_outside_its_folder_is_not_materialised(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    digest = next(iter(three[0].files.values()))
    evil = three[0].model_copy(update={"id": "toy-evil", "files": {"../../../escaped": digest}})
    with pytest.raises(BadInput, match="outside its folder"):
        registry.materialise(evil)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("kind", ["missing", "empty", "link"])
def test_a_folder_that_is_no_plain_model_is_refused(registry: Registry, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "m"
    if kind != "missing":
        folder.mkdir()
    if kind == "link":
        (folder / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="m"):
        register(registry, folder)
    assert registry.list() == []


def test_promotion_demands_a_passing_report_on_exactly_this_version(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    with pytest.raises(BadInput, match="needs a passing evaluation report"):
        registry.promote(three[0].id)
    for verdict in ("fail", "inconclusive", "PASS"):
        with pytest.raises(BadInput, match="verdict"):
            registry.promote(three[0].id, report=report(path, three[0], verdict))
    with pytest.raises(BadInput, match="not a report on"):
        registry.promote(three[0].id, report=report(path, three[1]))
    path.write_text("[]")
    with pytest.raises(BadInput):
        registry.promote(three[0].id, report=path)
    path.write_text("{")
    with pytest.raises(BadInput, match="no JSON"):
        registry.promote(three[0].id, report=path)
    with pytest.raises(BadInput, match="needs a reason"):
        registry.promote(three[0].id, force_reason="  ")
    assert registry.aliases.read("toy", "champion") is None
    assert registry.history() == []


def test_every_move_is_logged_with_who_what_and_why(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    path = report(tmp_path / "report.json", three[0])
    registry.promote(three[0].id, report=path, actor="ada")
    registry.promote(three[1].id, force_reason="a hotfix", actor="bob")
    registry.rollback("toy", reason="worse in production", actor="ada")
    log = [json.loads(line) for line in (registry.root / "promotions.jsonl").read_text().strip().split("\n")]
    assert [(e["actor"], e["source"], e["target"], e["rev"], e["forced"], e["reason"]) for e in log] == [
        ("ada", None, three[0].id, 1, False, ""),
        ("bob", three[0].id, three[1].id, 2, True, "a hotfix"),
        ("ada", three[1].id, three[0].id, 3, False, "worse in production"),
    ]
    assert log[0]["report"] == sha256_file(path)
    assert registry.objects.path(log[0]["report"]).read_bytes() == path.read_bytes()
    assert [move.model_dump(mode="json") for move in registry.history("toy")] == log
    assert registry.verify() == []


def test_rollbacks_walk_back_to_the_first_version_and_stop_there(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="to roll back"):
        registry.rollback("toy")
    for version in three:
        promote(registry, version, tmp_path)
    assert registry.rollback("toy").version == three[1].id
    assert registry.rollback("toy").version == three[0].id
    with pytest.raises(BadInput, match="nothing is before it"):
        registry.rollback("toy")
    assert registry.get("toy@champion") == three[0]
    assert registry.verify() == []


def test_promoting_what_is_on_stage_already_moves_nothing(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    promote(registry, three[0], tmp_path)
    promote(registry, three[0], tmp_path)
    assert len(registry.history()) == 1


def test_a_promotion_with_another_revision_than_expected_is_refused(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    registry.promote(three[0].id, force_reason="x", expected_rev=0)
    with pytest.raises(BadInput, match="revision 1, not 0"):
        registry.promote(three[1].id, force_reason="x", expected_rev=0)
    assert registry.promote(three[1].id, force_reason="x", expected_rev=1).rev == 2


def test_of_two_processes_that_expect_the_same_revision_exactly_one_wins(registry: Registry, tmp_path: Path) -> None:
    versions = [register(registry, model_folder(tmp_path / f"m{number}", f"w{number}")) for number in range(10)]
    code = """
go = Path(sys.argv[3])
registry = Registry(Path(sys.argv[1]))
print("ready", flush=True)
while not go.exists(): pass
registry.promote(sys.argv[2], force_reason="race", expected_rev=int(sys.argv[4]))
"""
    for rev in range(5):
        go = tmp_path / f"go{rev}"
        racers = [run(code, registry.root, versions[2 * rev + at].id, go, rev) for at in (0, 1)]
        for racer in racers:
            assert racer.stdout is not None and racer.stdout.readline() == b"ready\n"
        go.touch()
        errors = [racer.communicate()[1] for racer in racers]
        assert sorted(racer.returncode == 0 for racer in racers) == [False, True]
        assert sum(b"somebody else moved it" in error for error in errors) == 1
        state = registry.aliases.read("toy", "champion")
        assert state is not None and state.rev == rev + 1
    assert [move.rev for move in registry.history()] == [1, 2, 3, 4, 5]
    assert registry.verify() == []


def kill_at_random(process: subprocess.Popen[bytes], rng: random.Random, longest: float) -> None:
    time.sleep(rng.random() * longest)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_kill_9_during_register_leaves_the_version_wholly_there_or_not_at_all(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    rng = random.Random(7)
    folder = tmp_path / "big"
    folder.mkdir()
    for number in range(40):
        (folder / f"part{number}").write_bytes(rng.randbytes(200_000))
    known = {version.id for version in three}
    for turn in range(12):
        (folder / "part20").write_bytes(rng.randbytes(200_000))
        process = run("print('up', flush=True)\n" + REGISTER, registry.root, folder)
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        kill_at_random(process, rng, 0.05 * turn)
        assert registry.verify() == []
        found = {version.id for version in registry.list()}
        assert found >= known and len(found) <= len(known) + 1
        for version in registry.list():
            registry.materialise(version)
        known = found
    final = run(REGISTER, registry.root, folder)
    assert final.communicate()[1] == b"" and final.returncode == 0
    assert len(registry.list()) in (len(known), len(known) + 1)
    assert registry.verify() == []


def test_kill_9_during_promote_leaves_the_old_or_the_new_state_and_a_whole_log(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    rng = random.Random(11)
    registry.promote(three[2].id, force_reason="start")
    for _ in range(15):
        before = registry.aliases.read("toy", "champion")
        process = run("print('up', flush=True)\n" + PROMOTE, registry.root, three[0].id, three[1].id)
        assert process.stdout is not None
        process.stdout.readline()
        kill_at_random(process, rng, 0.25)
        after = registry.aliases.read("toy", "champion")
        assert before is not None and after is not None and after.rev >= before.rev
        assert registry.verify() == []
        assert [move.rev for move in registry.history()] == list(range(1, after.rev + 1))
    state = registry.promote(three[2].id, force_reason="end")
    assert state.rev > 1
    log = (registry.root / "promotions.jsonl").read_text()
    assert [json.loads(line)["rev"] for line in log.strip().split("\n")] == list(range(1, state.rev + 1))
    assert registry.verify() == []


def test_a_torn_last_line_is_tolerated_and_repaired_by_the_next_promotion(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    log = registry.root / "promotions.jsonl"
    for version in three[:2]:
        promote(registry, version, tmp_path)
    whole = log.read_bytes()
    for cut in (1, 20, len(whole.split(b"\n")[1])):
        log.write_bytes(whole[:-cut])
        assert [move.target for move in registry.history()] == [three[0].id, three[1].id]
        assert registry.verify() == []
    promote(registry, three[2], tmp_path)
    assert log.read_bytes().startswith(whole)
    assert [move.rev for move in registry.history()] == [1, 2, 3]
    assert registry.verify() == []


def test_verify_names_a_log_that_was_torn_by_something_else(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    promote(registry, three[0], tmp_path)
    log = registry.root / "promotions.jsonl"
    whole = log.read_bytes()
    for damage in (whole + b'{"half', b"not json\n" + whole, whole + whole, whole.replace(b'"rev":1', b'"rev":7')):
        log.write_bytes(damage)
        assert [finding.field for finding in registry.verify()] == ["promotions.jsonl"]


def test_a_tampered_object_is_named_and_its_version_is_neither_materialised_nor_promoted(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    path = registry.objects.path(three[0].files["model.safetensors"])
    path.chmod(0o644)
    path.write_bytes(b"evil")
    assert [finding.field for finding in registry.verify()] == [path.relative_to(registry.root).as_posix()]
    with pytest.raises(BadInput, match=path.name):
        registry.materialise(three[0])
    with pytest.raises(BadInput, match=path.name):
        promote(registry, three[0], tmp_path)
    register(registry, tmp_path / "m0")
    assert registry.verify() == [], "registering the same files again heals the object"


def test_a_materialised_folder_that_was_changed_is_not_handed_out(
    registry: Registry, three: list[ModelVersion]
) -> None:
    folder = registry.materialise(three[0])
    (folder / "extra.py").write_text("import os")
    (folder / "nested" / "config.json").unlink()
    (folder / "nested" / "config.json").write_text("{}")
    again = registry.materialise(three[0])
    assert sorted(p.name for p in again.rglob("*") if p.is_file()) == ["config.json", "model.safetensors"]
    assert (again / "nested" / "config.json").read_text() == '{"a": 1}'


def test_verify_names_a_missing_object_an_edited_manifest_and_an_alias_to_nowhere(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    promote(registry, three[2], tmp_path)
    missing = registry.objects.path(three[0].files["model.safetensors"])
    missing.unlink()
    manifest = registry.root / "models" / three[1].id / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"loss": 0.5', '"loss": 0.1'))
    (registry.root / "models" / three[2].id / "manifest.json").unlink()
    assert {finding.field for finding in registry.verify()} == {
        missing.relative_to(registry.root).as_posix(),
        manifest.relative_to(registry.root).as_posix(),
        "aliases/toy/champion.json",
    }


def test_a_rollback_to_a_damaged_version_is_refused_and_changes_nothing(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    promote(registry, three[0], tmp_path)
    promote(registry, three[1], tmp_path)
    registry.objects.path(three[0].files["model.safetensors"]).unlink()
    shutil.rmtree(registry.root / "cache")
    with pytest.raises(BadInput, match="missing from the registry"):
        registry.rollback("toy")
    assert registry.get("toy@champion") == three[1]


def snapshot(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.parts[len(root.parts)] in ("models", "aliases", "promotions.jsonl")
    }


@pytest.mark.parametrize("bytes_allowed", [0, 30, 5_000])
def test_a_file_that_cannot_grow_leaves_the_old_state_and_one_sentence(
    registry: Registry, three: list[ModelVersion], tmp_path: Path, bytes_allowed: int
) -> None:
    promote(registry, three[0], tmp_path)
    folder = model_folder(tmp_path / "new", "new", size=4_000)
    before = snapshot(registry.root)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_allowed}, {bytes_allowed}))"
    register_error = run(REGISTER, registry.root, folder, limit=limit).communicate()[1].decode()
    assert "BadInput: cannot use" in register_error and "File too large" in register_error
    if bytes_allowed < 1_000:
        code = "Registry(Path(sys.argv[1])).promote(sys.argv[2], force_reason='x')"
        promote_error = run(code, registry.root, three[1].id, limit=limit).communicate()[1].decode()
        assert "BadInput: cannot use" in promote_error
    assert snapshot(registry.root) == before
    assert registry.verify() == []
    assert not list(registry.root.rglob("*.tmp"))


def test_a_full_disk_leaves_the_old_state_and_one_sentence(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs privileges")
    try:
        registry = Registry(disk / "registry")
        first = register(registry, model_folder(tmp_path / "small", "s", size=500))
        promote(registry, first, tmp_path)
        before = snapshot(registry.root)
        with pytest.raises(BadInput, match="No space left"):
            register(registry, model_folder(tmp_path / "big", "b", size=400_000))
        assert snapshot(registry.root) == before
        second = register(registry, model_folder(tmp_path / "other", "o", size=500))
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as out, pytest.raises(OSError, match="No space left"):
            while True:
                out.write(b"x" * 1_000)
        before = snapshot(registry.root)
        with pytest.raises(UnderstudyError, match="No space left"):
            registry.promote(second.id, force_reason="x")
        assert snapshot(registry.root) == before
        assert registry.get("toy@champion") == first
        assert registry.verify() == []
        filler.unlink()
        assert registry.promote(second.id, force_reason="x").version == second.id
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_registry_imports_no_model_library() -> None:
    code = "print(sorted({'torch', 'transformers', 'numpy', 'datasets'} & set(sys.modules)))"
    assert run(code).communicate()[0] == b"[]\n"


def test_a_stale_lock_of_a_killed_process_does_not_block(
    registry: Registry, three: list[ModelVersion], tmp_path: Path
) -> None:
    holder = run(
        "from understudy.core.lock import exclusive\nimport time\n"
        "with exclusive(Path(sys.argv[1]) / 'registry.lock'):\n print('held', flush=True)\n time.sleep(60)",
        registry.root,
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    assert (registry.root / "registry.lock").exists()
    promote(registry, three[0], tmp_path)
    assert not (registry.root / "registry.lock").exists()
