"""What a bot must never do, counted over randomised days on the fake GitHub with faults at every request.

Run ``python benchmarks/github_bot.py [--scenarios 200] [--blind]``. Every scenario runs ``understudy github review``,
``label`` or ``explain`` three to five times through the command line; see ``tests/integrations/github/scenarios.py``
for what fails and what people do meanwhile. With ``--blind`` writes are repeated without looking and the head is not
read again, as bots often do: it shows that the scenarios find what they are made to find.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fakes.github.openapi import published
from tests.integrations.github.scenarios import play
from understudy.integrations.github import client

_MUST_NOT = (
    "a duplicate comment",
    "a duplicate summary comment",
    "422",
    "old head",
    "exit code 0 although",
    "a secret",
    "the token",
    "an invented label",
    "a protected label",
    "a label that somebody had removed",
    "a calm run",
    "not as described",
)


def _blind_write(self: client.GitHub, verb: str, path: str, body: Any, done: Any, still: Any = None) -> Any:
    return self._read(lambda: self._once(verb, path, {}, body)[1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenarios", type=int, default=200)
    parser.add_argument("--blind", action="store_true")
    options = parser.parse_args()
    if published() is None:
        print("without GitHub's published description (python tests/fakes/github/openapi.py): shapes are not checked")
    counts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    began = time.monotonic()
    with mock.patch.object(client.GitHub, "write", _blind_write if options.blind else client.GitHub.write):
        for seed in range(options.scenarios):
            with tempfile.TemporaryDirectory() as folder:
                verdict = play(seed, Path(folder))
            counts += verdict.counts
            for one in verdict.wrong:
                wrong[next((name for name in _MUST_NOT if one.startswith(name)), "other")] += 1
                if not options.blind:
                    print(f"  scenario {seed}: {one}")
    print(
        f"{options.scenarios} scenarios in {time.monotonic() - began:.0f} s: "
        + ", ".join(f"{what} {number}" for what, number in sorted(counts.items()))
    )
    for name in (*_MUST_NOT, "other"):
        print(f"  {name:<36} {wrong[name]}")
    if wrong and not options.blind:
        sys.exit(1)


if __name__ == "__main__":
    main()
