"""A fake GitHub for each test, and a client whose waits are remembered instead of waited."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from understudy.integrations.github.client import GitHub, Pace

from ...fakes.github.openapi import CACHED, published
from ...fakes.github.server import TOKEN, FakeGitHub


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
