"""``understudy github``: the packs at work on pull requests, failed runs and tickets; a plan first, then --apply."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from understudy.core.errors import BadInput
from understudy.integrations.cli._console import (
    JsonOption,
    SetOption,
    SettingsOption,
    print_json,
    read_settings,
    stdout,
)
from understudy.integrations.cli._github import (
    ApplyOption,
    LoginOption,
    PlanOption,
    RepoOption,
    connect,
    counting,
    finish,
    read_json,
    read_text,
    repo_of,
    settings_arguments,
    ticket_of,
)

if TYPE_CHECKING:
    from understudy.core.settings import Settings
    from understudy.integrations.github.explain import Explained
    from understudy.integrations.github.runs import FailedJob

__all__ = ["app"]

app = typer.Typer(
    help="Review, explain and label on GitHub; shows a plan, writes only with --apply.", no_args_is_help=True
)

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Model version, alias, or 'rules' [default: the champion, else rules]"),
]


@app.command("explain")
def explain(
    run_id: Annotated[int | None, typer.Argument(help="Id of the failed run", metavar="[RUN_ID]")] = None,
    job: Annotated[int | None, typer.Option("--job", help="Id of one failed job")] = None,
    log: Annotated[
        str | None, typer.Option("--log", help="A log that an earlier step of this job wrote; needs no token")
    ] = None,
    green: Annotated[str | None, typer.Option("--green", help="With --log: log of the last run that passed")] = None,
    junit: Annotated[list[Path] | None, typer.Option("--junit", help="With --log: a JUnit report")] = None,
    comment: Annotated[bool, typer.Option("--comment", help="Also comment on the run's pull request")] = False,
    repo: RepoOption = None,
    model: ModelOption = None,
    apply: ApplyOption = False,
    as_json: JsonOption = False,
    save: PlanOption = None,
    login: LoginOption = None,
    settings: SettingsOption = None,
    overrides: SetOption = None,
) -> None:
    """Say why a run failed: on its summary page, in annotations and, if asked for, in a comment."""
    if sum(given is not None for given in (run_id, job, log)) != 1:
        raise BadInput("name one of RUN_ID, --job ID and --log FILE")
    if comment and log is not None:
        raise BadInput("--comment needs a run: a log at hand does not say which pull request it is about")
    chosen = read_settings(settings, overrides)
    if log is not None:
        _explain_log(log, green, junit or [], chosen, model, apply=apply, as_json=as_json, save=save)
        return
    from understudy.integrations.github.explain import plan_explanation
    from understudy.integrations.github.pulls import pull_at
    from understudy.integrations.github.runs import fetch

    github, name = connect(login), repo_of(repo)
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        run = fetch(github, name, Path(folder), run_id=run_id, job_id=job)
        explained = _explained(list(run.jobs), chosen, model)
    pulls = list(run.pulls)
    if comment and not pulls and (number := pull_at(github, name, run.head)) is not None:
        pulls = [number]
    plan = plan_explanation(
        f"Why {run.workflow} failed",
        explained,
        github.scrubber,
        tests=run.tests,
        notes=run.notes,
        repo=name,
        comment_on=pulls[0] if comment and pulls else None,
        head=run.head,
        workflow_id=run.workflow_id,
    )
    if comment and not pulls:
        missing = f"comment: no open pull request has the head {run.head[:7]} that failed"
        plan = plan.model_copy(update={"failed": [*plan.failed, missing]})
    finish(plan, github, apply=apply, as_json=as_json, save=save)


def _explain_log(
    log: str,
    green: str | None,
    junit: list[Path],
    settings: Settings,
    model: str | None,
    *,
    apply: bool,
    as_json: bool,
    save: Path | None,
) -> None:
    """Explain a log at hand: no network, no token."""
    from understudy.integrations.github.explain import plan_explanation
    from understudy.integrations.github.junit import failed_tests
    from understudy.integrations.github.runs import FailedJob
    from understudy.integrations.github.scrub import Scrubber
    from understudy.templates.log_triage.sources import open_logs, same_job

    passed = open_logs(green) if green is not None else None
    jobs = [FailedJob(one.name, "", "", (one,), same_job(one, passed) if passed else None) for one in open_logs(log)]
    tests = [test for path in junit for test in failed_tests(path)]
    plan = plan_explanation("Why this job failed", _explained(jobs, settings, model), Scrubber(), tests=tests)
    finish(plan, None, apply=apply, as_json=as_json, save=save)


def _explained(jobs: list[FailedJob], settings: Settings, model: str | None) -> list[Explained]:
    """Ask the log-triage pack about each log."""
    from understudy.integrations.cli._engine import engine_of
    from understudy.integrations.github.explain import Explained
    from understudy.templates.log_triage.explain import explain as answer
    from understudy.templates.log_triage.explain import log_input
    from understudy.templates.log_triage.select import select

    engine, model_id = engine_of(settings, model, "log-triage")
    count = engine.count_tokens if engine else (lambda text: len(text) // 3 + 1)
    ask = (lambda request: engine.generate([request])[0]) if engine else None
    found = []
    for job in jobs:
        answers = []
        for log in job.logs:
            selection = select(log, green=job.green)
            seen = log_input(selection, settings.data.prompt_budget, count)
            answers.append(answer(log.name, selection, seen, ask, model_id))
        found.append(Explained(job.name, job.step, job.url, tuple(answers), job.missing))
    return found


@app.command("review")
def review(
    pull: Annotated[
        str, typer.Argument(metavar="OWNER/REPO#N", help="The pull request, or OWNER/REPO@COMMIT of its head")
    ],
    findings: Annotated[
        Path | None, typer.Option("--findings", help="What `understudy review --json` printed of it [default: ask now]")
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help="Also files that did not change since the last review")] = False,
    model: ModelOption = None,
    most: Annotated[int, typer.Option("--max-comments", min=1, max=100, help="New comments at most")] = 30,
    request_changes: Annotated[
        bool, typer.Option("--request-changes", help="Request changes, not only comment")
    ] = False,
    apply: ApplyOption = False,
    as_json: JsonOption = False,
    save: PlanOption = None,
    login: LoginOption = None,
    settings: SettingsOption = None,
    overrides: SetOption = None,
) -> None:
    """Comment on the changed lines of a pull request; a second run posts only what is new.

    One review with all comments, one summary comment that is edited in place, and threads resolved whose code is gone.
    Nothing is posted when somebody pushes in the meantime. Never approves.
    """
    from understudy.integrations.github.ask import review_of
    from understudy.integrations.github.pulls import fetch_pull, pull_at
    from understudy.integrations.github.review import Found, plan_review

    place, _, commit = pull.partition("@")
    repo, number = ticket_of(place)
    if (number is None) == (not commit) or not re.fullmatch("([0-9a-f]{40,64})?", commit):
        raise BadInput(f"{pull!r} names no pull request; write OWNER/REPO#N, or OWNER/REPO@ and the whole commit")
    given = None if findings is None else read_json(findings, Found, "what `understudy review --json` printed")
    github = connect(login)
    number = pull_at(github, repo, commit) if number is None else number
    if number is None:
        raise BadInput(f"no open pull request of {repo} has the head {commit[:12]}; nothing is reviewed")
    facts = fetch_pull(github, repo, number)
    found = given or review_of(facts, model, whole, settings_arguments(settings, overrides))
    event: Literal["COMMENT", "REQUEST_CHANGES"] = "REQUEST_CHANGES" if request_changes else "COMMENT"
    plan = plan_review(facts, found, github.scrubber, most=most, event=event)
    finish(plan, github, apply=apply, as_json=as_json, save=save, request_changes=request_changes)


@app.command("label")
def label(
    target: Annotated[str, typer.Argument(metavar="OWNER/REPO[#N]", help="One ticket, or with --since a repository")],
    answers: Annotated[
        Path | None,
        typer.Option("--answers", help="What `understudy label --json` printed [default: ask now]"),
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="All tickets opened on or after this day")] = None,
    pulls: Annotated[bool, typer.Option("--pulls", help="With --since: pull requests, too")] = False,
    protected: Annotated[list[str] | None, typer.Option("--protected", help="A label that is never written")] = None,
    apply: ApplyOption = False,
    as_json: JsonOption = False,
    save: PlanOption = None,
    login: LoginOption = None,
    settings: SettingsOption = None,
    overrides: SetOption = None,
) -> None:
    """Add labels to a ticket, or to all tickets since a day; an interrupted run goes on where it stopped.

    Labels are only added, and only those that the repository has. What a person removed is not added again; a group in
    which a person chose is left alone.
    """
    from understudy.integrations.github.ask import labels_of, read_answers
    from understudy.integrations.github.label import plan_labels
    from understudy.integrations.github.tickets import Backfill, events_of, one_ticket, tickets_since

    repo, number = ticket_of(target)
    if (number is None) == (since is None):
        raise BadInput(f"name one ticket as OWNER/REPO#N, or OWNER/REPO with --since DATE; not {target!r}")
    given = None if answers is None else read_answers(read_text(answers), str(answers))
    github = connect(login)
    backfill = Backfill(Path(read_settings(settings, overrides).registry), repo)
    issues = [one_ticket(github, repo, number)] if number else list(tickets_since(github, repo, str(since), pulls))
    said = labels_of(repo, issues, settings_arguments(settings, overrides)) if given is None else given
    finished = backfill.finished() if since else set()
    wanted = [
        (issue, said[issue["number"]])
        for issue in issues
        if issue["number"] in said and (issue["number"], said[issue["number"]].model) not in finished
    ]
    if number is not None and not wanted:
        raise BadInput(f"there is no answer for #{number}")
    tickets = [events_of(github, repo, issue, answer) for issue, answer in wanted]
    known = [one["name"] for one in github.pages(f"/repos/{repo}/labels")]
    never = frozenset(name.lower() for name in protected or ())
    here = {issue["number"]: answer for issue, answer in wanted}
    plan = plan_labels(repo, tickets, here, known, github.login, github.scrubber, protected=never)
    tell = backfill.watch(plan, here) if apply and since else None
    finish(plan, github, apply=apply, as_json=as_json, save=save, protected=never, tell=tell)


@app.command("history")
def history(
    repo: Annotated[str, typer.Argument(metavar="OWNER/REPO", help="Whose history")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to collect it in; goes on where it stopped")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="reviews, labels or runs [default: all three]")
    ] = None,
    since: Annotated[str, typer.Option("--since", help="Nothing older than this day")] = "2008-01-01",
    bots: Annotated[list[str] | None, typer.Option("--bot", help="An account that is a bot, not a person")] = None,
    as_json: JsonOption = False,
    login: LoginOption = None,
) -> None:
    """Collect review threads, labelled tickets and failed runs to learn from, redacted, as JSON Lines.

    reviews.jsonl, tickets.jsonl and failed_runs.jsonl are what the packs' builders read. Interrupted, out of limit or
    a week later: the same command goes on.
    """
    from datetime import date

    from understudy.core.lock import exclusive
    from understudy.integrations.github.history import KINDS, History

    name, number = ticket_of(repo)
    kinds = tuple(dict.fromkeys(kind or KINDS))
    if number is not None or not set(kinds) <= set(KINDS):
        raise BadInput(f"name OWNER/REPO, and as --kind only {', '.join(KINDS)}")
    try:
        day = date.fromisoformat(since).isoformat()
    except ValueError:
        raise BadInput(f"--since: {since!r} is no date; write it as 2026-11-30") from None
    github = connect(login)
    made: dict[str, int] = {}
    with counting() as tell, exclusive(out / ".lock"):
        collector = History(github, name, out, tell, bots or ())
        for one in kinds:
            made[one] = collector.collect(one, day)
    if as_json:
        print_json({"repo": name, "folder": str(out), "lines": made})
    else:
        for one, count in made.items():
            stdout().print(f"{one:<8} {count:>7} lines")


@app.command("apply")
def apply_plan(
    plan: Annotated[Path, typer.Argument(help="A plan that --plan or --json of another command wrote")],
    repo: RepoOption = None,
    head: Annotated[str | None, typer.Option("--head", help="Refuse a plan for another commit than this")] = None,
    protected: Annotated[list[str] | None, typer.Option("--protected", help="A label that is never written")] = None,
    request_changes: Annotated[bool, typer.Option("--request-changes", help="Let a review request changes")] = False,
    as_json: JsonOption = False,
    login: LoginOption = None,
) -> None:
    """Carry out a plan made by another job, which needs no right to write.

    The plan must be for the repository named here; everything it rests on is read again before each write.
    """
    from understudy.integrations.github.plan import Plan

    found = read_json(plan, Plan, "a plan")
    name = repo_of(repo)
    if found.repo.lower() != name.lower():
        raise BadInput(f"{plan}: is a plan for {found.repo or 'no repository'}, not for {name}")
    heads = {getattr(step, "head", None) for step in found.steps} - {None}
    if head is not None and heads - {head}:
        raise BadInput(f"{plan}: is a plan for another commit than {head[:12]}")
    names = frozenset(label.lower() for label in protected or ())
    finish(
        found, connect(login), apply=True, as_json=as_json, save=None, protected=names, request_changes=request_changes
    )
