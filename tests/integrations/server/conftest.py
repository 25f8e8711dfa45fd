"""A fake GitHub with the App installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ...fakes.github.server import FakeGitHub
from .serving import Payloads, install


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub() as running:
        install(running)
        running.repo.permissions |= {"ann": "write", "root": "admin", "bob": "read"}
        yield running
        assert running.violations == []
        assert running.leaks == []


@pytest.fixture
def say(fake: FakeGitHub) -> Payloads:
    return Payloads(fake)
