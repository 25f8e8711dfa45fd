"""``understudy init`` and the files it copies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from understudy.core.settings import load_settings

from .conftest import Cli

_NAMES = ["understudy-log-triage.md", "understudy-log-triage.yml", "understudy.yaml"]


def test_init_copies_settings_workflow_and_notes(cli: Cli) -> None:
    ran = cli("init", "log-triage", "mine")
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in (cli.folder / "mine").iterdir()) == _NAMES
    assert sorted(ran.out.split()) == [f"mine/{name}" for name in _NAMES]
    assert load_settings(cli.folder / "mine" / "understudy.yaml").pack == "log-triage"


@pytest.mark.parametrize("name", _NAMES)
def test_init_never_overwrites_and_then_copies_nothing(cli: Cli, name: str) -> None:
    (cli.folder / name).write_text("mine")
    # Of a settings file that is there already, init reads nothing.
    assert f"{name} exists already" in cli.refused("init", "log-triage")


def test_copied_files_can_be_read_by_others(cli: Cli) -> None:
    assert cli("init", "log-triage", before=_usual_umask).code == 0
    assert {(cli.folder / name).stat().st_mode & 0o777 for name in _NAMES} == {0o644}


def _usual_umask() -> None:
    import os

    os.umask(0o022)


@pytest.fixture
def workflow(cli: Cli) -> dict[Any, Any]:
    assert cli("init", "log-triage").code == 0
    loaded = yaml.safe_load((cli.folder / "understudy-log-triage.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_the_workflow_reads_after_a_failed_run_and_may_do_no_more(workflow: dict[Any, Any]) -> None:
    assert workflow[True]["workflow_run"]["types"] == ["completed"]  # YAML 1.1 reads the key "on" as true
    assert workflow["permissions"] == {"actions": "read", "contents": "read"}
    (job,) = workflow["jobs"].values()
    assert job["if"] == "github.event.workflow_run.conclusion == 'failure'"
    assert "permissions" not in job
    assert job["timeout-minutes"] <= 30


def test_the_workflow_runs_no_action_and_puts_no_expression_into_a_script(workflow: dict[Any, Any]) -> None:
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["uses"] for step in steps if "uses" in step] == []
    assert [step["run"] for step in steps if "${{" in step["run"]] == []
    for step in steps:  # every variable of a script is the runner's or the step's own
        used = set(re.findall(r"\$\{?([A-Z_]+)", step["run"]))
        assert used <= {
            *step.get("env", {}),
            "GITHUB_API_URL",
            "GITHUB_REPOSITORY",
            "GITHUB_STEP_SUMMARY",
            "RUNNER_TEMP",
        }


def test_the_workflow_asks_for_what_the_command_line_understands(workflow: dict[Any, Any], cli: Cli) -> None:
    last = workflow["jobs"]["explain"]["steps"][-1]["run"]
    assert 'github explain "$RUN_ID" --apply' in last
    assert "--apply" in cli("github", "explain", "--help").out


def test_every_command_in_the_notes_exists(cli: Cli) -> None:
    assert cli("init", "log-triage").code == 0
    notes = (cli.folder / "understudy-log-triage.md").read_text()
    named = set(re.findall(r"(?m)^ *understudy (data \w+|models \w+|\w+)", notes))
    assert len(named) >= 6
    for command in named:
        assert cli(*command.split(), "--help").code == 0, command


def test_the_notes_name_only_files_that_were_copied(cli: Cli) -> None:
    assert cli("init", "log-triage").code == 0
    notes = (cli.folder / "understudy-log-triage.md").read_text()
    assert all((cli.folder / name).exists() for name in re.findall(r"`(understudy[\w-]*\.(?:yaml|yml|md))`", notes))
    assert Path("understudy.yaml").name in notes
