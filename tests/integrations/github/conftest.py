"""A fake GitHub for each test, and a client whose waits are remembered instead of waited."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import pytest

from understudy.integrations.cli.main import main
from understudy.integrations.github import client
from understudy.integrations.github.client import GitHub, Pace

from ...fakes.github.openapi import CACHED, published
from ...fakes.github.server import TOKEN, FakeGitHub
from ..conftest import Ran, environment


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub() as running:
        yield running
        assert running.violations == []
        assert running.leaks == []


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def github(fake: FakeGitHub, waits: list[float]) -> GitHub:
    fake.hang_seconds = 1.2
    return GitHub(TOKEN, fake.url, Pace(0, 0, timeout=1, sleep=waits.append))


@pytest.fixture
def description() -> None:
    if published() is None:
        pytest.skip(f"GitHub's published description is not at {CACHED}: run python tests/fakes/github/openapi.py")


class Commands:
    """``understudy github`` with a token for the fake: in this process, because a new one takes a second."""

    def __init__(self, fake: FakeGitHub, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.fake, self.folder, self._patch = fake, folder, patch
        self.page = folder / "summary.md"
        self.environment = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": fake.url, "GITHUB_REPOSITORY": "team/app"}

    def __call__(self, *arguments: object, **changes: str | None) -> Ran:
        out, err, code = io.StringIO(), io.StringIO(), 0
        given = {**environment(), **self.environment, **changes}
        with self._patch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            patch.setattr(os, "environ", {name: value for name, value in given.items() if value is not None})
            patch.setattr(sys, "argv", ["understudy", "github", *map(str, arguments)])
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Ran(code, out.getvalue(), err.getvalue())

    def in_workflow(self, *arguments: object) -> Ran:
        return self(*arguments, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(self.page))


@pytest.fixture
def commands(fake: FakeGitHub, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setattr(client, "Pace", partial(Pace, 0, 0, sleep=waits.append))
    return Commands(fake, tmp_path, monkeypatch)
