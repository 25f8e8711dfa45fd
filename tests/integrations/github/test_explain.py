"""``github explain``: on a run, on a job, and on a log at hand without any token."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.errors import BadInput
from understudy.integrations.github import commands as workflow
from understudy.integrations.github.apply import apply
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.explain import Explained, plan_explanation
from understudy.integrations.github.junit import failed_tests
from understudy.integrations.github.plan import MOST_SUMMARY, AnnotateStep, Plan, SummaryStep, cut
from understudy.integrations.github.runs import fetch
from understudy.integrations.github.scrub import Scrubber
from understudy.templates.log_triage.explain import Evidence, Explanation

from ...fakes.github.server import FakeGitHub
from ...fakes.github.state import Run, zipped
from ..conftest import FAILED
from .conftest import Commands

GREEN = FAILED.replace(b"assert 41 == 42", b"ok").replace(b"##[error]Process completed with exit code 1.", b"done")
SECRET = b"AKIAQ3EGUZ7BQ4YHRWTX"


def explanation(**changes: object) -> Explanation:
    known = {
        "category": "test_assertion",
        "origin": "code",
        "transient": False,
        "root_cause": "The test `test_total` fails.",
        "fix": "Mend it.",
        "confidence": None,
        "abstained": False,
        "evidence": [Evidence(file="build", line_start=4, line_end=4, quote="assert 41 == 42")],
        "model": "rules",
        "problems": [],
    }
    return Explanation.model_validate({**known, **changes})


def failed_run(fake: FakeGitHub, jobs: int = 1, **changes: object) -> Run:
    run = fake.repo.add_run(**changes)
    for number in range(jobs):
        fake.repo.add_job(run, f"build ({number})", "failure", FAILED, "Run pytest")
    fake.repo.add_job(run, "docs", "success", b"all fine\n")
    return run


def test_a_run_is_explained_on_its_page_and_in_annotations(fake: FakeGitHub, commands: Commands) -> None:
    run = failed_run(fake)
    ran = commands.in_workflow("explain", run.id, "--apply")
    assert ran.code == 0, ran.err
    page = commands.page.read_text()
    assert "A test failed" in page
    assert "E       assert 41 == 42" in page
    assert "docs" not in page
    assert ran.out.startswith("::error title=build (0)%3A A test failed::")
    assert len(ran.out.rstrip("\n").split("\n")) == 1
    assert fake.writes() == []


def test_without_apply_nothing_is_written_anywhere(fake: FakeGitHub, commands: Commands) -> None:
    run = failed_run(fake, head_sha="a" * 40)
    ran = commands.in_workflow("explain", run.id)
    assert ran.code == 0
    assert not commands.page.exists()
    assert ran.out.startswith("::stop-commands::")
    assert "nothing was written" in ran.err


def test_one_job_is_explained_while_the_run_goes_on(fake: FakeGitHub, commands: Commands) -> None:
    run = fake.repo.add_run(None)
    job = fake.repo.add_job(run, "build", "failure", FAILED)
    fake.repo.add_job(run, "slow", None, None)
    ran = commands("explain", "--job", job.id, "--json")
    assert ran.code == 0, ran.err
    plan = Plan.model_validate_json(ran.out)
    assert "the run is still in progress; only jobs that have ended are explained" in plan.left_out


def test_a_run_in_progress_without_a_failure_is_exit_4_and_a_green_one_exit_2(
    fake: FakeGitHub, commands: Commands
) -> None:
    running, passed = fake.repo.add_run(None), fake.repo.add_run("success")
    fake.repo.add_job(running, "build", None, None)
    fake.repo.add_job(passed, "build", "success", b"ok\n")
    ran = commands("explain", running.id)
    assert (ran.code, ran.out) == (4, "")
    assert "still in progress" in ran.complaint
    ran = commands("explain", passed.id)
    assert (ran.code, ran.out) == (2, "")
    assert "did not fail" in ran.complaint


def test_expired_logs_are_said_and_fail_the_command_although_the_rest_is_shown(
    fake: FakeGitHub, commands: Commands
) -> None:
    run = failed_run(fake, jobs=2)
    job = next(iter(fake.repo.jobs.values()))
    job.gone = run.zip_gone = True
    ran = commands.in_workflow("explain", run.id, "--apply")
    assert ran.code == 4
    assert "its logs have expired" in ran.complaint
    page = commands.page.read_text()
    assert "No explanation" in page
    assert "A test failed" in page


def test_where_the_job_route_fails_the_archive_is_read(fake: FakeGitHub, github: GitHub, tmp_path: Path) -> None:
    run = failed_run(fake)
    next(iter(fake.repo.jobs.values())).gone = True
    found = fetch(github, "team/app", tmp_path, run_id=run.id)
    assert [log.name for log in found.jobs[0].logs] == ["build (0) / 0_build (0).txt"]


def test_the_last_green_run_of_the_same_workflow_and_branch_is_compared(
    fake: FakeGitHub, github: GitHub, tmp_path: Path
) -> None:
    for branch, workflow_id in (("main", 7), ("other", 7), ("main", 8)):
        passed = fake.repo.add_run("success", head_branch=branch, workflow_id=workflow_id)
        fake.repo.add_job(passed, "build (0)", "success", f"green of {branch} {workflow_id}\n".encode())
    found = fetch(github, "team/app", tmp_path, run_id=failed_run(fake).id)
    assert found.jobs[0].green is not None
    assert b"".join(found.jobs[0].green.chunks()) == b"green of main 7\n"


def test_failed_tests_of_a_report_stand_on_the_page(fake: FakeGitHub, commands: Commands) -> None:
    run = failed_run(fake)
    report = b"<testsuite><testcase classname='t' name='x'><failure message='@ann 1 != 2'/></testcase></testsuite>"
    fake.repo.add_artifact(run, "junit", {"a.xml": report, "notes.txt": b"?"})
    assert commands.in_workflow("explain", run.id, "--apply").code == 0
    assert "- t.x: @&#8203;ann 1 \\!= 2" in commands.page.read_text()


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>'


@pytest.mark.parametrize("data", [BOMB, b"<testsuite><testcase", b"", b"no xml", b"\xff\xfe<a/>"])
def test_hostile_and_broken_reports_are_refused_by_name(tmp_path: Path, data: bytes) -> None:
    for name, content in {"a.xml": data, "a.zip": zipped({"a.xml": data})}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=r"a\.xml"):
            failed_tests(tmp_path / name)


def test_a_report_archive_that_is_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", b" " * (65 << 20))
    (tmp_path / "a.zip").write_bytes(packed.getvalue())
    with pytest.raises(BadInput, match="more reports than are read"):
        failed_tests(tmp_path / "a.zip")


def test_in_the_same_job_a_log_at_hand_needs_no_token(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "build.log").write_bytes(FAILED + b"::error::forged\n::set-output name=a::b\n")
    ran = commands(
        "explain", "--log", "build.log", "--apply", GITHUB_TOKEN=None, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=None
    )
    assert ran.code == 0, ran.err
    lines = ran.out.split("\n")
    word = next(line for line in lines if line.startswith("::stop-commands::")).removeprefix("::stop-commands::")
    inside = lines[lines.index(f"::stop-commands::{word}") + 1 : lines.index(f"::{word}::")]
    outside = [line for line in lines if line not in inside and line.startswith("::")]
    assert [line.partition(" ")[0] for line in outside if not line.startswith("::stop")] == [f"::{word}::", "::error"]
    assert commands.fake.asked == []


def test_a_comment_is_edited_in_place_and_not_about_an_old_head(fake: FakeGitHub, commands: Commands) -> None:
    pull = fake.repo.open_pull([])
    run = failed_run(fake, head_sha=pull.head)
    for _ in range(2):
        assert commands.in_workflow("explain", run.id, "--comment", "--apply").code == 0
    assert len(fake.repo.comments) == 1
    before = fake.repo.comments[0].body
    fake.repo.push(pull.number)
    fake.repo.add_job(run, "lint", "failure", FAILED)
    ran = commands.in_workflow("explain", run.id, "--comment", "--apply")
    assert ran.code == 4
    assert "no open pull request has the head" in ran.complaint
    run.pulls = [pull.number]
    ran = commands.in_workflow("explain", run.id, "--comment", "--apply")
    assert ran.code == 4
    assert "was pushed to in the meantime" in ran.complaint
    assert [comment.body for comment in fake.repo.comments] == [before]


def test_at_most_three_annotations_and_the_rest_is_counted() -> None:
    jobs = [Explained(f"job {number}", "", "", (explanation(),)) for number in range(5)]
    plan = plan_explanation("Why", jobs, Scrubber({}))
    assert sum(isinstance(step, AnnotateStep) for step in plan.steps) == 3
    assert plan.left_out == ["2 annotations: more than 3 are noise"]


def test_no_secret_of_a_log_or_the_environment_is_in_the_plan() -> None:
    quote = Evidence(file="build", line_start=1, line_end=1, quote=f"key {SECRET.decode()} and correct horse battery")
    hostile = explanation(root_cause=f"It printed {SECRET.decode()}.", evidence=[quote])
    scrubber = Scrubber({"SIGNING_KEY": "correct horse battery"})
    job = Explained("build", "", "", (), missing="the word correct horse battery")
    text = plan_explanation("Why", [Explained("b", "", "", (hostile,)), job], scrubber).model_dump_json()
    assert SECRET.decode() not in text
    assert "correct horse" not in text


def test_a_summary_never_exceeds_what_github_takes_even_with_what_is_there_already(tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    page.write_bytes(b"x" * (MOST_SUMMARY - 5000))
    plan = Plan(command="explain", repo="", model="rules", steps=[SummaryStep(body="é\n" * 9000, why="")])
    environment = {"GITHUB_STEP_SUMMARY": str(page)}
    assert apply(plan, None, environment=environment).failed == []
    assert page.stat().st_size <= MOST_SUMMARY
    assert apply(plan, None, environment=environment).failed != []
    assert page.stat().st_size <= MOST_SUMMARY


@given(st.text(max_size=300), st.integers(60, 300))
def test_cutting_keeps_the_limit_and_closes_code_blocks(text: str, most: int) -> None:
    done = cut(f"````text\n{text}\n````\n" * 3, most)
    assert len(done.encode("utf-8", "surrogatepass")) <= most


@given(st.text(), st.text())
def test_an_annotation_is_one_line_and_one_command(title: str, message: str) -> None:
    line = workflow.annotation("error", title, message)
    assert "\n" not in line
    assert "\r" not in line
    properties, _, data = line.removeprefix("::error title=").partition("::")
    assert not re.search("[,:]", properties)
    back = data.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    assert back == message


def test_a_run_that_is_not_there_and_a_missing_permission_are_sentences(
    fake: FakeGitHub, github: GitHub, tmp_path: Path
) -> None:
    with pytest.raises(ServiceError, match="actions/runs/5: not found"):
        fetch(github, "team/app", tmp_path, run_id=5)
    fake.routes.missing_permissions = {"actions=read"}
    with pytest.raises(ServiceError, match="needs the permission actions: read"):
        fetch(github, "team/app", tmp_path, run_id=5)


@pytest.mark.parametrize("arguments", [(), ("1", "--job", "2"), ("--job", "1", "--log", "x")])
def test_what_to_explain_must_be_named_once(commands: Commands, arguments: tuple[str, ...]) -> None:
    ran = commands("explain", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "name one of" in ran.complaint


def test_without_a_token_the_sentence_says_how_to_give_one(commands: Commands) -> None:
    ran = commands("explain", 1, GITHUB_TOKEN=None)
    assert ran.code == 2
    assert "GITHUB_TOKEN is not set" in ran.complaint
