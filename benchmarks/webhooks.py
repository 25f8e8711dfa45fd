"""A storm of webhook deliveries on ``understudy serve --github``, with the worker killed in the middle.

Run ``python benchmarks/webhooks.py [--deliveries 1000] [--seconds 60] [--packs 0.5]``. Of the deliveries 10 % are sent
twice and 5 % are forged; half-way the worker is killed with signal 9. The server and its worker are real processes, the
GitHub is the fake of the tests, held to GitHub's published description. Each genuine delivery is about a pull request
of its own: ``--packs`` says which share asks a pack (half reviews, half explanations, by rules); the others are
``/understudy apply`` comments that get an answer. See ``tests/integrations/server/storm.py`` for what is checked.

First, where they are there, GitHub's 273 example payloads (``../shared/data``) are read, each also under the names of
the other events: the body alone is signed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fakes.github.openapi import published
from tests.fakes.github.server import FakeGitHub
from tests.integrations.server.serving import install
from tests.integrations.server.storm import Storm
from understudy.core.settings import GitHubAppSettings
from understudy.integrations.server.github import EVENTS, Ignored, Malformed, job_of

_PAYLOADS = Path(__file__).resolve().parents[2] / "shared" / "data" / "github" / "webhook_payloads.tar.gz"


def _payloads() -> None:
    """Read GitHub's own examples, as deliveries of an installation."""
    if not _PAYLOADS.is_file():
        print(f"{_PAYLOADS} is absent: no example payloads are read")
        return
    counts: Counter[str] = Counter()
    with tarfile.open(_PAYLOADS) as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.name.endswith(".json") else None
            if opened is None:
                continue
            payload, own = json.loads(opened.read()), member.name.split("/")[-2]
            body = json.dumps(payload | {"installation": payload.get("installation") or {"id": 1}}).encode()
            for event in sorted({own, *EVENTS}):
                try:
                    result = f"asks for {job_of(event, body, 'us[bot]', 1, GitHubAppSettings()).command}"
                except Ignored:
                    result = "asks for nothing"
                except Malformed:
                    result = "is refused"
                counts[f"{'its own event' if event == own else 'another event'} {result}"] += 1
    print(
        "example payloads under the name of " + ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deliveries", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--packs", type=float, default=0.5)
    parser.add_argument("--workers", type=int, default=8)
    options = parser.parse_args()
    _payloads()
    if published() is None:
        print("without GitHub's published description (python tests/fakes/github/openapi.py): shapes are not checked")
    with FakeGitHub() as fake, tempfile.TemporaryDirectory() as folder:
        install(fake)
        fake.repo.permissions["ann"] = "write"
        storm = Storm(fake, options.deliveries, options.packs)
        verdict = storm.rage(Path(folder), options.seconds, options.workers, patience=3600)
        requests = len(fake.asked)
    genuine = len(storm.genuine)
    print(
        f"{options.deliveries} deliveries, {genuine} of them genuine and different; all handled after "
        f"{verdict.drained:.0f} s, {requests} requests to GitHub"
    )
    for name, count in sorted(verdict.counts.items()):
        print(f"  {name:<36} {count}")
    times = ", ".join(f"p{100 * share:g} {1000 * verdict.quantile(share):.0f} ms" for share in (0.5, 0.99, 0.999))
    print(f"  answer times: {times}, longest {1000 * max(verdict.seconds):.0f} ms")
    for what, count in sorted(Counter(verdict.wrong).items()):
        print(f"  WRONG: {what}: {count}")
    if verdict.wrong:
        sys.exit(1)
    print("  nothing lost, nothing twice, nothing forged taken, no planted secret in log, database or request")


if __name__ == "__main__":
    main()
