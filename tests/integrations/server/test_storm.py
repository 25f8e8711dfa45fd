"""A small storm; ``benchmarks/webhooks.py`` makes the big one."""

from __future__ import annotations

from pathlib import Path

from ...fakes.github.server import FakeGitHub
from .storm import Storm


def test_in_a_storm_with_a_killed_worker_every_delivery_is_handled_exactly_once(
    fake: FakeGitHub, tmp_path: Path
) -> None:
    verdict = Storm(fake, 80, packs=0.08).rage(tmp_path, seconds=3, workers=6, patience=120)
    assert verdict.wrong == []
    assert verdict.counts["tried again after the kill"] > 0
    assert verdict.counts["replays under another id taken"] == 0
    assert verdict.counts["doubles taken by a fresh server"] == 0
    assert verdict.counts["answers 401"] == 4
