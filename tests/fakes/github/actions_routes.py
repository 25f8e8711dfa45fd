"""The routes of Actions: runs, jobs, logs behind one-minute links, artifacts."""

from __future__ import annotations

from .routes import Answer, Asked, R, Refusal, Routes, route
from .state import Run

__all__: list[str] = []

_A = R + "/actions"


def _run(it: Routes, asked: Asked) -> Run:
    it.need("actions=read")
    run = it.repo.runs.get(int(asked.ids["run_id"]))
    if run is None:
        raise Refusal(404, "Not Found")
    return run


@route("GET", _A + "/runs")
def _runs(it: Routes, asked: Asked) -> Answer:
    it.need("actions=read")
    found = [run for run in it.repo.runs.values() if asked.query.get("status") in (None, run.conclusion, run.status)]
    found = [run for run in found if asked.query.get("head_sha") in (None, run.head_sha)]
    start, _, end = asked.query.get("created", "").removeprefix(">=").partition("..")
    found = [run for run in found if start <= run.created_at <= (end or "9")]
    newest = sorted(found, key=lambda run: run.created_at, reverse=True)
    return it.paged(asked, [it.shapes.run(run) for run in newest], "workflow_runs", most=1000)


@route("GET", _A + "/workflows/{workflow_id}/runs")
def _workflow_runs(it: Routes, asked: Asked) -> Answer:
    it.need("actions=read")
    found = [
        run
        for run in sorted(it.repo.runs.values(), key=lambda run: run.created_at, reverse=True)
        if run.workflow_id == int(asked.ids["workflow_id"])
        and asked.query.get("branch") in (None, run.head_branch)
        and asked.query.get("status") in (None, run.conclusion, run.status)
    ]
    return it.paged(asked, [it.shapes.run(run) for run in found], "workflow_runs")


@route("GET", _A + "/runs/{run_id}")
def _one_run(it: Routes, asked: Asked) -> Answer:
    return Answer(200, it.shapes.run(_run(it, asked)))


@route("GET", _A + "/runs/{run_id}/jobs")
def _jobs(it: Routes, asked: Asked) -> Answer:
    run = _run(it, asked)
    found = [it.shapes.job(job) for job in it.repo.jobs.values() if job.run_id == run.id]
    return it.paged(asked, found, "jobs")


@route("GET", _A + "/jobs/{job_id}")
def _job(it: Routes, asked: Asked) -> Answer:
    it.need("actions=read")
    job = it.repo.jobs.get(int(asked.ids["job_id"]))
    if job is None:
        raise Refusal(404, "Not Found")
    return Answer(200, it.shapes.job(job))


@route("GET", _A + "/jobs/{job_id}/logs")
def _job_log(it: Routes, asked: Asked) -> Answer:
    it.need("actions=read")
    job = it.repo.jobs.get(int(asked.ids["job_id"]))
    if job is None or job.log is None or job.conclusion is None:
        raise Refusal(404, "Not Found")
    if job.gone:
        raise Refusal(410, "Server Error: the logs for this job have expired")
    return it.link(job.log)


@route("GET", _A + "/runs/{run_id}/attempts/{attempt_number}/logs")
def _run_zip(it: Routes, asked: Asked) -> Answer:
    run = _run(it, asked)
    if run.status != "completed":
        raise Refusal(404, "Not Found")
    if run.zip_gone:
        raise Refusal(410, "The logs for this run have expired")
    return it.link(it.repo.run_zip(run.id))


@route("GET", _A + "/runs/{run_id}/artifacts")
def _artifacts(it: Routes, asked: Asked) -> Answer:
    run = _run(it, asked)
    found = [it.shapes.artifact(number) for number, held in it.repo.artifacts.items() if held[0] == run.id]
    return it.paged(asked, found, "artifacts")


@route("GET", _A + "/artifacts/{artifact_id}/{archive_format}")
def _artifact(it: Routes, asked: Asked) -> Answer:
    it.need("actions=read")
    held = it.repo.artifacts.get(int(asked.ids["artifact_id"]))
    if held is None:
        raise Refusal(404, "Not Found")
    return it.link(held[2])
