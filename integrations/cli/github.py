"""``understudy github``: the packs at work on pull requests, failed runs and tickets; a plan first, then --apply."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

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

__all__ = ["app"]

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Model version, alias, or 'rules' [default: the champion, else rules]"),
]
ProtectedOption = Annotated[
    list[str] | None, typer.Option("--protected", metavar="LABEL", help="A label that is never written")
]
RequestChangesOption = Annotated[
    bool, typer.Option("--request-changes", help="Let a review request changes, not only comment")
]

app = typer.Typer(
    help="Review, explain and label on GitHub; shows a plan, writes only with --apply.", no_args_is_help=True
)


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
    from understudy.integrations.github import planning
    from understudy.integrations.github.ask import Asking

    asking = Asking(model, settings_arguments(settings, overrides))
    if log is not None:
        plan = planning.explanation_at_hand(log, green, junit or [], asking)
        finish(plan, None, apply=apply, as_json=as_json, save=save)
        return
    github = connect(login)
    plan = planning.explanation(github, repo_of(repo), asking, run_id=run_id, job_id=job, comment=comment)
    finish(plan, github, apply=apply, as_json=as_json, save=save)


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
    request_changes: RequestChangesOption = False,
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
    from understudy.integrations.github import planning
    from understudy.integrations.github.ask import Asking
    from understudy.integrations.github.pulls import pull_at
    from understudy.integrations.github.review import Found

    place, _, commit = pull.partition("@")
    repo, number = ticket_of(place)
    if (number is None) == (not commit) or not re.fullmatch("([0-9a-f]{40,64})?", commit):
        raise BadInput(f"{pull!r} names no pull request; write OWNER/REPO#N, or OWNER/REPO@ and the whole commit")
    given = None if findings is None else read_json(findings, Found, "what `understudy review --json` printed")
    github = connect(login)
    number = pull_at(github, repo, commit) if number is None else number
    if number is None:
        raise BadInput(f"no open pull request of {repo} has the head {commit[:12]}; nothing is reviewed")
    asking = Asking(model, settings_arguments(settings, overrides))
    event: Literal["COMMENT", "REQUEST_CHANGES"] = "REQUEST_CHANGES" if request_changes else "COMMENT"
    plan = planning.review(github, repo, number, asking, given=given, whole=whole, most=most, event=event)
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
    protected: ProtectedOption = None,
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
    from understudy.integrations.github import planning
    from understudy.integrations.github.ask import Asking, labels_of, read_answers
    from understudy.integrations.github.tickets import Backfill, one_ticket, tickets_since

    repo, number = ticket_of(target)
    if (number is None) == (since is None):
        raise BadInput(f"name one ticket as OWNER/REPO#N, or OWNER/REPO with --since DATE; not {target!r}")
    given = None if answers is None else read_answers(read_text(answers), str(answers))
    github = connect(login)
    backfill = Backfill(Path(read_settings(settings, overrides).registry), repo)
    issues = [one_ticket(github, repo, number)] if number else list(tickets_since(github, repo, str(since), pulls))
    said = labels_of(repo, issues, Asking(None, settings_arguments(settings, overrides))) if given is None else given
    finished = backfill.finished() if since else set()
    wanted = [
        (issue, said[issue["number"]])
        for issue in issues
        if issue["number"] in said and (issue["number"], said[issue["number"]].model) not in finished
    ]
    if number is not None and not wanted:
        raise BadInput(f"there is no answer for #{number}")
    never = frozenset(name.lower() for name in protected or ())
    plan = planning.labels(github, repo, wanted, never)
    tell = backfill.watch(plan, {issue["number"]: answer for issue, answer in wanted}) if apply and since else None
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
    protected: ProtectedOption = None,
    request_changes: RequestChangesOption = False,
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
