"""A few of the days of ``benchmarks/github_bot.py``, which plays 200."""

from __future__ import annotations

from pathlib import Path

import pytest

from .scenarios import play


@pytest.mark.parametrize("seed", range(1000, 1012))
def test_whatever_fails_and_whoever_acts_nothing_forbidden_happens(seed: int, tmp_path: Path) -> None:
    assert play(seed, tmp_path).wrong == []
