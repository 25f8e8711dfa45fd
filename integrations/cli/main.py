"""``understudy``: the commands, their exit codes, and one sentence for every error."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from understudy.core.errors import UnderstudyError
from understudy.integrations.cli import (
    data,
    demo,
    diff,
    evaluate,
    explain,
    github,
    init,
    label,
    models,
    monitor,
    rate,
    review,
    select,
    serve,
    train,
)

__all__ = ["app", "main"]

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
_PATH = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}
"""Errors of the disk, its permissions and of paths people give, not of the program."""

app = typer.Typer(
    name="understudy",
    help="Turn a small open language model into a developer assistant that learned your team's history, "
    "and prove that it got better.",
    epilog="Exit codes: 0 done, 1 gate failed, 2 usage or bad input, 3 inconclusive, "
    "4 a model or service is out of reach.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    from importlib.metadata import version

    if asked:
        typer.echo(f"understudy {version('understudy')}")
        raise typer.Exit


@app.callback()
def _before_every_command(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command("demo")(demo.demo)
app.command("init")(init.init)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(models.app, name="models")
app.add_typer(rate.app, name="rate")
app.command("monitor")(monitor.monitor)
app.command("ab")(monitor.ab)
app.command("explain")(explain.explain)
app.command("select")(select.select)
app.command("review")(review.review)
app.command("diff")(diff.diff)
app.command("label")(label.label)
app.add_typer(github.app, name="github")
app.command("serve")(serve.serve)


def main() -> None:
    """Run the command line; deliberate errors become one sentence on stderr and their exit code."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except UnderstudyError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in _DISK | _PATH:
            raise
        _complain(
            f"{error.filename or 'a file'} cannot be used ({error.strerror}); mend that and run the same command again"
        )
        sys.exit(2)
    except KeyboardInterrupt:
        _complain("interrupted; run the same command again to go on")
        sys.exit(130)


def _complain(message: str) -> None:
    from understudy.core.outside import plain

    print(f"understudy: {plain(message)}", file=sys.stderr)


if __name__ == "__main__":
    main()
