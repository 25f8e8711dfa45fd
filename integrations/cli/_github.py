"""What the GitHub commands share: their options, the client, and how a plan is shown or carried out."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from understudy.core.errors import BadInput, Unavailable
from understudy.integrations.cli._console import print_json, stderr, stdout

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.progress import TaskID

    from understudy.integrations.github.apply import Outcome
    from understudy.integrations.github.client import GitHub
    from understudy.integrations.github.plan import Plan, Step

__all__ = [
    "ApplyOption",
    "LoginOption",
    "PlanOption",
    "RepoOption",
    "connect",
    "counting",
    "finish",
    "read_json",
    "read_text",
    "repo_of",
    "settings_arguments",
    "ticket_of",
]

ApplyOption = Annotated[bool, typer.Option("--apply/--dry-run", help="Write on GitHub [default: only show the plan]")]
PlanOption = Annotated[
    Path | None, typer.Option("--plan", help="Also save the plan here, for `understudy github apply`")
]
LoginOption = Annotated[
    str | None, typer.Option("--login", help="Account whose comments are ours [default: the token's]")
]
RepoOption = Annotated[str | None, typer.Option("--repo", help="OWNER/REPO [default: $GITHUB_REPOSITORY]")]

_MANY = 10
"""Steps from which on a progress bar is shown."""
T = TypeVar("T", bound="BaseModel")


def connect(login: str | None = None) -> GitHub:
    """Return a client with the token of the environment.

    Raises:
        BadInput: there is no token.
    """
    from understudy.integrations.github.client import API, GitHub

    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
    if not token:
        raise BadInput("GITHUB_TOKEN is not set; in a workflow give it with `env: GITHUB_TOKEN: ${{ github.token }}`")
    return GitHub(token.strip(), os.environ.get("GITHUB_API_URL") or API, login=login)


def repo_of(given: str | None) -> str:
    """Return ``owner/name`` from an option or the environment."""
    from understudy.integrations.github.plan import REPO

    repo = given or os.environ.get("GITHUB_REPOSITORY", "")
    if not re.fullmatch(REPO, repo):
        raise BadInput(f"{repo!r} is no repository; give --repo OWNER/REPO")
    return repo


def ticket_of(given: str) -> tuple[str, int | None]:
    """Return repository and number of ``OWNER/REPO#N``; without ``#N`` the number is None."""
    from understudy.integrations.github.plan import REPO

    repo, _, number = given.partition("#")
    if not re.fullmatch(REPO, repo) or (number and not number.isascii()) or (number and not number.isdigit()):
        raise BadInput(f"{given!r} is not of the form OWNER/REPO#N")
    return repo, int(number) if number else None


def read_text(path: Path) -> str:
    """Return the text in a UTF-8 file.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not UTF-8 text (byte {error.start + 1})") from error


def read_json(path: Path, model: type[T], what: str) -> T:
    """Return the JSON value in a file.

    Args:
        path: of the file.
        model: what it must be.
        what: the same in words.

    Raises:
        BadInput: it cannot be read or is something else; the message names the field.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(json.loads(read_text(path)))
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{path}: is not {what}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is no JSON; {what} is wanted") from error


def settings_arguments(settings: Path | None, overrides: list[str] | None) -> list[str]:
    """Return the options that give another command the same settings."""
    given = [] if settings is None else ["--settings", str(settings)]
    return given + [part for text in overrides or () for part in ("--set", text)]


@contextmanager
def counting() -> Iterator[Callable[[str, int], None]]:
    """Yield ``tell(kind, count)``, which keeps one running line on stderr for each kind; nobody knows the total."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description:<8} {task.completed:>7.0f} read"), TimeElapsedColumn())
    with Progress(*columns, console=stderr()) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(kind: str, count: int) -> None:
            if kind not in tasks:
                tasks[kind] = bar.add_task(kind, total=None)
            bar.update(tasks[kind], completed=count)

        yield tell


def finish(
    plan: Plan,
    github: GitHub | None,
    *,
    apply: bool,
    as_json: bool,
    save: Path | None,
    protected: frozenset[str] = frozenset(),
    request_changes: bool = False,
    tell: Callable[[Step, bool], None] | None = None,
) -> None:
    """Show the plan, or carry it out.

    Raises:
        Unavailable: something that was asked for was not done.
    """
    from understudy.core.files import write_text

    if save is not None:
        write_text(save, json.dumps(plan.model_dump(mode="json"), indent=1) + "\n")
    if not apply:
        _show(plan, as_json)
        if plan.failed:
            raise Unavailable("; ".join(plan.failed))
        return
    outcome = _carried_out(plan, github, protected, request_changes, tell)
    if as_json:
        print_json({"done": outcome.done, "failed": outcome.failed, "left_out": plan.left_out})
    else:
        _report(plan, outcome)
    if outcome.failed:
        raise Unavailable("; ".join(outcome.failed))


def _carried_out(
    plan: Plan,
    github: GitHub | None,
    protected: frozenset[str],
    request_changes: bool,
    tell: Callable[[Step, bool], None] | None,
) -> Outcome:
    """Apply the plan, with a progress bar where it takes many steps."""
    from contextlib import ExitStack

    from understudy.integrations.cli._console import sweep
    from understudy.integrations.github.apply import apply

    count = 0
    with ExitStack() as stack:
        bar = stack.enter_context(sweep()) if len(plan.steps) > _MANY else None

        def told(step: Step, done: bool) -> None:
            nonlocal count
            count += 1
            if bar is not None:
                bar("writing", count, len(plan.steps), "")
            if tell is not None:
                tell(step, done)

        return apply(plan, github, protected=protected, request_changes=request_changes, tell=told)


def _show(plan: Plan, as_json: bool) -> None:
    from understudy.integrations.github.commands import stopped

    if as_json:
        print_json(plan.model_dump(mode="json"))
    elif os.environ.get("GITHUB_ACTIONS") == "true":
        with stopped(sys.stdout):
            _print_plan(plan)
    else:
        _print_plan(plan)


def _print_plan(plan: Plan) -> None:
    from rich.text import Text

    from understudy.core.outside import plain
    from understudy.integrations.github.marker import without_marker
    from understudy.integrations.github.preview import described

    console = stdout()
    for step in plan.steps:
        head, texts = described(step)
        console.print(Text(head, style="bold"), soft_wrap=True)
        console.print(Text(f"  {plain(step.why)}", style="dim"), soft_wrap=True)
        for text in map(without_marker, texts):
            console.print(Text("\n".join(f"  | {line}" for line in plain(text).split("\n"))), soft_wrap=True)
    for reason in plan.left_out:
        console.print(Text(f"left out: {plain(reason)}", style="yellow"), soft_wrap=True)
    if not plan.steps:
        console.print("nothing to do")
    stderr().print("[dim]nothing was written: this is the plan; --apply carries it out[/dim]")


def _report(plan: Plan, outcome: Outcome) -> None:
    """Say on stderr what was done; standard output belongs to the runner's commands."""
    from rich.markup import escape

    from understudy.core.outside import plain

    console = stderr()
    for entry in outcome.done:
        console.print(f"[green]done[/green]      {escape(plain(entry))}", soft_wrap=True)
    for entry in plan.left_out:
        console.print(f"[yellow]left out[/yellow]  {escape(plain(entry))}", soft_wrap=True)
