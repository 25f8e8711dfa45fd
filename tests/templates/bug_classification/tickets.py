"""A small world of tickets in which every label has words of its own, so that what is learnt is known."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any

from understudy.core.pack import BuildContext
from understudy.core.records import Example, Source
from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification.data import example_of

TAXONOMY = Taxonomy.model_validate(
    {
        "groups": [
            {"template": "type", "min_support": 5},
            {"name": "area", "mode": "multi", "labels": ["ui", "docs / help", "🚀 speed"], "min_support": 5},
        ]
    }
)

WORDS = {
    "bug": ("crash", "traceback", "broken", "regression", "segfault"),
    "feature": ("please", "add", "support", "wish", "option"),
    "question": ("how", "why", "documentation", "possible", "wondering"),
}
AREAS = {"ui": "button colour", "docs / help": "manual chapter", "🚀 speed": "slow latency"}
FILLER = ("the", "server", "client", "with", "version", "today", "when", "saving", "list", "again")


def context(**changes: Any) -> BuildContext:
    return BuildContext(
        count_tokens=lambda text: len(text.split()), **{"prompt_budget": 100, "taxonomy": TAXONOMY, **changes}
    )


def tickets(count: int = 120, seed: int = 1, noise: float = 0.0) -> list[Example]:
    """Return tickets whose type and areas their words tell, but for a share ``noise`` of wrong types."""
    draw = random.Random(seed)
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    made = []
    for number in range(count):
        kind = draw.choice(sorted(WORDS))
        areas = {name: draw.random() < 0.4 for name in AREAS}
        own = [
            *draw.sample(WORDS[kind], 3),
            *(word for name, yes in areas.items() if yes for word in AREAS[name].split()),
        ]
        words = [*own, *draw.sample(FILLER, 6), f"case{number}"]
        draw.shuffle(words)
        said = draw.choice([other for other in sorted(WORDS) if other != kind]) if draw.random() < noise else kind
        source = Source(origin="test", project=f"team/{number % 2}", time=start + timedelta(hours=number))
        example = example_of(
            source.project, " ".join(words[:4]), " ".join(words[4:]), {"type": said, "area": areas}, source, context()
        )
        assert example is not None
        made.append(example)
    return made
