"""A fake GitHub for each test, and a client whose waits are remembered instead of waited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.integrations.github.client import GitHub, Pace

from ...fakes.github.openapi import CACHED, published
from ...fakes.github.server import TOKEN, FakeGitHub
from ..conftest import Ran
from .running import run_cli


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
    fake.hang_seconds = 3.3
    return GitHub(TOKEN, fake.url, Pace(0, 0, timeout=3, sleep=waits.append))


@pytest.fixture
def description() -> None:
    if published() is None:
        pytest.skip(f"GitHub's published description is not at {CACHED}: run python tests/fakes/github/openapi.py")


class Commands:
    """``understudy github`` with a token for the fake."""

    def __init__(self, fake: FakeGitHub, folder: Path, waits: list[float]) -> None:
        self.fake, self.folder, self._waits = fake, folder, waits
        self.page = folder / "summary.md"
        self.environment = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": fake.url, "GITHUB_REPOSITORY": "team/app"}

    def __call__(self, *arguments: object, **changes: str | None) -> Ran:
        return run_cli([str(one) for one in arguments], self.folder, {**self.environment, **changes}, self._waits)

    def in_workflow(self, *arguments: object) -> Ran:
        return self(*arguments, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(self.page))


@pytest.fixture
def commands(fake: FakeGitHub, tmp_path: Path, waits: list[float]) -> Commands:
    return Commands(fake, tmp_path, waits)
