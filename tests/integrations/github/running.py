"""The command line in this process, against a fake GitHub: a new process takes a second."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from unittest import mock

from understudy.integrations.cli.main import main
from understudy.integrations.github import client

from ..conftest import Ran, environment


def run_cli(arguments: list[str], folder: Path, variables: Mapping[str, str | None], waits: list[float]) -> Ran:
    """Run ``understudy github ARGUMENTS`` in ``folder``; waits are remembered instead of waited."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    given = {name: value for name, value in {**environment(), **variables}.items() if value is not None}
    pace = partial(client.Pace, 0, 0, timeout=3, sleep=waits.append)
    before = Path.cwd()
    os.chdir(folder)
    try:
        with (
            mock.patch.object(os, "environ", given),
            mock.patch.object(sys, "argv", ["understudy", "github", *arguments]),
            mock.patch.object(client, "Pace", pace),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        os.chdir(before)
    return Ran(code, out.getvalue(), err.getvalue())
