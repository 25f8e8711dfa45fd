"""``understudy models``: what is promoted, refused, taken back and found damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.core.records import ModelVersion
from understudy.core.registry import Registry
from understudy.evals.gate import GateSettings, apply_gate

from ..evals.test_gate import mostly, report
from .conftest import Cli


@pytest.fixture
def versions(cli: Cli) -> list[ModelVersion]:
    """Two registered versions; their files need not be models for any of this."""
    return [_register(cli.folder, content) for content in ("first", "second")]


def _register(folder: Path, content: str) -> ModelVersion:
    made = folder / f"made-{content}"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").write_text(content)
    return Registry(folder / ".understudy").register(
        made,
        pack="log-triage",
        kind="full",
        base="seedling",
        base_revision="sha256:0",
        dataset="log-triage-000000000000",
        dataset_digest="0" * 64,
        settings={},
    )


def _report(folder: Path, version: ModelVersion, verdict: str) -> Path:
    arms = {
        "pass": (mostly(0.9), mostly(0.6)),
        "fail": (mostly(0.6), mostly(0.9)),
        "inconclusive": (mostly(0.72), lambda at: (at * 31) % 100 < 66),
    }[verdict]
    made = apply_gate(report(150, *arms), GateSettings())
    assert made.verdict == verdict
    path = folder / f"{verdict}.json"
    path.write_text(made.model_copy(update={"model_digest": version.digest}).model_dump_json())
    return path


def _champion(cli: Cli) -> str | None:
    listed = json.loads(cli("models", "list", "--json").out)
    return next((one["id"] for one in listed if "log-triage@champion" in one["aliases"]), None)


def test_without_a_report_nothing_is_promoted(cli: Cli, versions: list[ModelVersion]) -> None:
    assert "understudy evaluate" in cli.refused("models", "promote", versions[0].id)


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_a_report_that_did_not_pass_promotes_nothing(cli: Cli, versions: list[ModelVersion], verdict: str) -> None:
    sheet = _report(cli.folder, versions[0], verdict)
    assert f"{verdict!r}, not 'pass'" in cli.refused("models", "promote", versions[0].id, "--report", sheet)


def test_a_report_on_another_version_promotes_nothing(cli: Cli, versions: list[ModelVersion]) -> None:
    sheet = _report(cli.folder, versions[1], "pass")
    assert "is not a report on" in cli.refused("models", "promote", versions[0].id, "--report", sheet)


def test_a_verdict_that_somebody_wrote_into_a_report_promotes_nothing(cli: Cli, versions: list[ModelVersion]) -> None:
    sheet = _report(cli.folder, versions[0], "inconclusive")
    sheet.write_text(sheet.read_text().replace('"verdict":"inconclusive"', '"verdict":"pass"'))
    said = cli.refused("models", "promote", versions[0].id, "--report", sheet)
    assert "the verdict does not follow from the report's own figures" in said


def test_force_needs_a_reason(cli: Cli, versions: list[ModelVersion]) -> None:
    assert "--reason" in cli.refused("models", "promote", versions[0].id, "--force")
    assert "--reason" in cli.refused("models", "promote", versions[0].id, "--force", "--reason", " ")


def test_promotions_and_a_rollback_are_followed_and_logged(cli: Cli, versions: list[ModelVersion]) -> None:
    first, second = versions
    assert cli("models", "promote", first.id, "--report", _report(cli.folder, first, "pass")).code == 0
    assert _champion(cli) == first.id
    assert cli("models", "promote", second.id, "--force", "--reason", "the gate is too strict today").code == 0
    assert _champion(cli) == second.id
    assert cli("models", "rollback", "log-triage", "--reason", "it was not").code == 0
    assert _champion(cli) == first.id
    assert "first version" in cli.refused("models", "rollback", "log-triage")
    lines = (cli.folder / ".understudy" / "promotions.jsonl").read_text().split("\n")[:-1]
    moves = [json.loads(line) for line in lines]
    assert [(move["action"], move["forced"], move["reason"]) for move in moves] == [
        ("promote", False, ""),
        ("promote", True, "the gate is too strict today"),
        ("rollback", False, "it was not"),
    ]


def test_verify_names_the_object_that_was_changed(cli: Cli, versions: list[ModelVersion]) -> None:
    assert cli("models", "verify").code == 0
    digest = versions[0].files["model.safetensors"]
    place = f"objects/{digest[:2]}/{digest[2:]}"
    target = cli.folder / ".understudy" / place
    target.chmod(0o644)
    target.write_text("tampered")
    ran = cli("models", "verify")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"{place}: ")
    assert [finding["field"] for finding in json.loads(cli("models", "verify", "--json").out)] == [place]
    promotion = cli("models", "promote", versions[0].id, "--force", "--reason", "x")
    assert (promotion.code, promotion.out) == (2, "")
    assert "was changed after it was stored" in promotion.complaint
    assert _champion(cli) is None


def test_a_damaged_champion_is_an_error_and_not_a_reason_to_use_rules(
    cli: Cli, versions: list[ModelVersion], failed_log: Path
) -> None:
    assert cli("models", "promote", versions[0].id, "--force", "--reason", "x").code == 0
    manifest = cli.folder / ".understudy" / "models" / versions[0].id / "manifest.json"
    manifest.write_text(manifest.read_text().replace("model.safetensors", "another.safetensors"))
    assert "was changed after it was registered" in cli.refused("explain", failed_log.name)


def test_export_writes_the_files_and_never_over_a_folder(cli: Cli, versions: list[ModelVersion]) -> None:
    assert cli("models", "export", versions[1].id, "out").code == 0
    assert (cli.folder / "out" / "model.safetensors").read_text() == "second"
    assert "out exists already" in cli.refused("models", "export", versions[1].id, "out")


def test_a_version_that_is_not_there_is_refused(cli: Cli, versions: list[ModelVersion]) -> None:
    assert versions[0].id in cli.refused("models", "show", "log-triage-20200101")
    assert "2 model versions" in cli.refused("models", "show", "log-triage-")


@pytest.mark.parametrize("command", [("review",), ("explain", "build.log")])
def test_a_model_of_another_pack_answers_nothing(
    cli: Cli, versions: list[ModelVersion], command: tuple[str, ...]
) -> None:
    (cli.folder / "build.log").write_text("error: it broke\n")
    other = Registry(cli.folder / ".understudy").register(
        cli.folder / "made-first",
        pack="bug-classification",
        kind="full",
        base="seedling",
        base_revision="sha256:0",
        dataset="bug-classification-000000000000",
        dataset_digest="0" * 64,
        settings={},
    )
    ran = cli(*command, "--model", other.id, stdin=b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    assert ran.code == 2 and f"{other.id} is a model of bug-classification" in ran.err
