"""A failed run of Actions fetched to a folder: the logs of its failed jobs, the last green ones, its test reports."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from understudy.core.errors import BadInput, Unavailable
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.junit import FailedTest, failed_tests
from understudy.templates.log_triage.sources import NamedLog, open_logs

__all__ = ["MOST_JOBS", "FailedJob", "FailedRun", "fetch"]

MOST_JOBS = 5
"""Failed jobs of one run that are explained; what fails in more of them usually has one cause."""

_FAILED = ("failure", "timed_out")
_MOST_LOG = 1 << 30
_MOST_ARTIFACT = 64 << 20
_MOST_ARTIFACTS = 3
_REPORT = re.compile(r"(?i)junit|test|report|xunit")


@dataclass(frozen=True)
class FailedJob:
    """One failed job with its logs; ``logs`` is empty where they cannot be had, and ``missing`` says why."""

    name: str
    step: str
    """The first step that failed; empty if GitHub does not say."""
    url: str
    logs: tuple[NamedLog, ...] = ()
    green: NamedLog | None = None
    missing: str = ""


@dataclass(frozen=True)
class FailedRun:
    """What is known of a run."""

    id: int
    workflow: str
    workflow_id: int
    head: str
    pulls: tuple[int, ...]
    jobs: tuple[FailedJob, ...]
    tests: tuple[FailedTest, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What was not looked at and why."""


def fetch(
    github: GitHub, repo: str, folder: Path, *, run_id: int | None = None, job_id: int | None = None
) -> FailedRun:
    """Fetch a run's failed jobs, or one job.

    Args:
        github: needs ``actions: read`` only.
        repo: ``owner/name``.
        folder: for the logs; the caller removes it.
        run_id: of the run; not needed with ``job_id``.
        job_id: of one job, which may be explained as soon as it has ended.

    Raises:
        ServiceError: GitHub cannot be reached, or the run has not failed yet.
        BadInput: the run or job passed.
    """
    root = f"/repos/{repo}/actions"
    if job_id is not None:
        jobs = [github.get(f"{root}/jobs/{job_id}")]
        run_id = jobs[0]["run_id"]
    run = github.get(f"{root}/runs/{run_id}")
    if job_id is None:
        jobs = list(github.pages(f"{root}/runs/{run_id}/jobs", "jobs", filter="latest"))
    failed = [job for job in jobs if job["conclusion"] in _FAILED]
    _refuse_unfailed(run, jobs, failed, job_id)
    notes = [f"{len(failed) - MOST_JOBS} more failed jobs were not looked at"] if len(failed) > MOST_JOBS else []
    if run["status"] != "completed":
        notes.append("the run is still in progress; only jobs that have ended are explained")
    green_jobs, why = _green_jobs(github, root, run)
    notes += [why] if why else []
    found = [_job(github, root, run, job, green_jobs, folder) for job in failed[:MOST_JOBS]]
    tests, more = _reports(github, root, run["id"], folder)
    return FailedRun(
        id=run["id"],
        workflow=str(run["name"] or "workflow"),
        workflow_id=run["workflow_id"],
        head=run["head_sha"],
        pulls=tuple(pull["number"] for pull in run.get("pull_requests") or ()),
        jobs=tuple(found),
        tests=tests,
        notes=(*notes, *more),
    )


def _refuse_unfailed(run: dict[str, Any], jobs: list[Any], failed: list[Any], job_id: int | None) -> None:
    if failed:
        return
    what = f"run {run['id']}" if job_id is None else f"job {job_id} of run {run['id']}"
    if any(job["status"] != "completed" for job in jobs) or run["status"] != "completed":
        raise ServiceError(f"{what} is still in progress and nothing of it has failed yet; run the command again later")
    raise BadInput(f"{what} did not fail (it ended with {run['conclusion']}); there is nothing to explain")


def _job(
    github: GitHub, root: str, run: dict[str, Any], job: dict[str, Any], green: dict[str, int], folder: Path
) -> FailedJob:
    """Fetch a job's log, by the job's own route or out of the run's archive."""
    steps = [str(step["name"]) for step in job.get("steps") or () if step.get("conclusion") in _FAILED]
    found = FailedJob(str(job["name"]), steps[0] if steps else "", str(job.get("html_url") or ""))
    shown = f"{found.name} / {found.step}" if found.step else found.name
    path = folder / f"{job['id']}.log"
    try:
        _save(github, f"{root}/jobs/{job['id']}/logs", path)
        logs = [replace(open_logs(str(path))[0], name=shown)]
    except (ServiceError, BadInput) as first:
        try:
            logs = _from_archive(github, root, run, found.name, folder)
        except (ServiceError, BadInput) as second:
            return replace(found, missing=_why(folder, first, second))
    return replace(found, logs=tuple(logs), green=_green_log(github, root, green.get(found.name), folder))


def _save(github: GitHub, route: str, path: Path, most: int = _MOST_LOG) -> None:
    with path.open("wb") as out:
        github.download(route, out, most)


def _why(folder: Path, first: Exception, second: Exception) -> str:
    texts = dict.fromkeys(str(error).replace(f"{folder}/", "") for error in (first, second))
    return "; ".join(texts)


def _from_archive(github: GitHub, root: str, run: dict[str, Any], job: str, folder: Path) -> list[NamedLog]:
    """Find a job in the run's archive, where its folder or file has its name without slashes and colons, cut off."""
    path = folder / f"run-{run['id']}.zip"
    if not path.exists():
        if run["status"] != "completed":
            raise ServiceError("the run's archive exists only when the run has ended")
        _save(github, f"{root}/runs/{run['id']}/attempts/{run['run_attempt']}/logs", path)
    wanted = _plain(job)
    found = []
    for log in open_logs(str(path)):
        member = log.name.removeprefix(f"{path}:")
        names = (member.partition("/")[0], re.sub(r"^\d+_", "", member).removesuffix(".txt"))
        if wanted in map(_plain, names):
            found.append(replace(log, name=f"{job} / {member.rpartition('/')[2]}"))
    if not found:
        raise ServiceError(f"the run's archive holds no log of {job!r}")
    return found


def _plain(job: str) -> str:
    return re.sub(r"[/: ]+", "", job)[:80]


def _green_jobs(github: GitHub, root: str, run: dict[str, Any]) -> tuple[dict[str, int], str]:
    """Return name to id of the jobs of the last green run of the same workflow and branch, or why there are none."""
    path = f"{root}/workflows/{run['workflow_id']}/runs"
    try:
        query = {"branch": run["head_branch"]} if run.get("head_branch") else {}
        runs = github.get(path, status="success", per_page=1, **query)["workflow_runs"]
        if not runs:
            return {}, f"no green run of this workflow on {run.get('head_branch')!r} to compare with"
        jobs = github.pages(f"{root}/runs/{runs[0]['id']}/jobs", "jobs", filter="latest")
        return {str(job["name"]): job["id"] for job in jobs}, ""
    except ServiceError as error:
        return {}, f"no green run to compare with: {error}"


def _green_log(github: GitHub, root: str, job_id: int | None, folder: Path) -> NamedLog | None:
    """Return the green log; it only helps to choose lines, so its absence stops nothing."""
    if job_id is None:
        return None
    path = folder / f"{job_id}.log"
    try:
        _save(github, f"{root}/jobs/{job_id}/logs", path)
        return open_logs(str(path))[0]
    except (Unavailable, BadInput):
        return None


def _reports(github: GitHub, root: str, run_id: int, folder: Path) -> tuple[tuple[FailedTest, ...], list[str]]:
    """Read the JUnit reports among the run's artifacts; what cannot be read is noted."""
    tests: list[FailedTest] = []
    notes: list[str] = []
    try:
        artifacts = list(github.pages(f"{root}/runs/{run_id}/artifacts", "artifacts"))
    except ServiceError as error:
        return (), [f"no test reports: {error}"]
    named = [one for one in artifacts if _REPORT.search(one["name"]) and not one["expired"]]
    for artifact in named[:_MOST_ARTIFACTS]:
        path = folder / f"artifact-{artifact['id']}.zip"
        try:
            _save(github, f"{root}/artifacts/{artifact['id']}/zip", path, _MOST_ARTIFACT)
            tests += failed_tests(path)
        except (ServiceError, BadInput, zipfile.BadZipFile) as error:
            notes.append(f"the artifact {artifact['name']!r} was not read: {str(error).replace(f'{folder}/', '')}")
    return tuple(tests), notes
