"""Explanations of real failed builds: how often the cited evidence lies in the lines that people marked as the cause.

Run ``python benchmarks/explain_logs.py [--logs 150]``. Reads LogChunks in ``../shared/data/logs`` and says so when it
is absent; the promoted model of ``.understudy`` answers beside the rules when there is one (about 2 s a log on a core).
Nothing in training is made from these logs.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from pathlib import Path

from select_logs import DATA, gold_lines, log_bytes, read_rows

from understudy.core.bases import load_tokenizer, resolve_base, token_counter
from understudy.core.hardware import resolve
from understudy.core.models import version_engine
from understudy.core.registry import CHAMPION, Registry
from understudy.templates.log_triage.explain import RULES, Model, explain, log_input
from understudy.templates.log_triage.select import select

_BUDGET = 300
"""Tokens of log in the prompt, as in the demo."""


def _champion() -> tuple[Model, str] | None:
    registry = Registry(Path(".understudy"))
    if registry.aliases.read("log-triage", CHAMPION) is None:
        return None
    version = registry.get(f"log-triage@{CHAMPION}")
    engine = version_engine(registry, version, resolve())
    return (lambda request: engine.generate([request])[0]), version.id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=150)
    options = parser.parse_args()
    if not (DATA / "logchunks.jsonl.gz").exists():
        print(f"skipped: {DATA} is not here")
        return
    chosen = list(read_rows("logchunks.jsonl.gz"))
    random.Random(3).shuffle(chosen)
    count = token_counter(load_tokenizer(resolve_base("seedling")))
    answerers: list[tuple[Model | None, str]] = [(None, RULES)]
    if found := _champion():
        answerers.append(found)
    tally: dict[str, Counter[str]] = {name: Counter() for _, name in answerers}
    shown = 0
    for row in chosen[: options.logs]:
        selection = select([log_bytes(row["log"])])
        log = log_input(selection, _BUDGET, count)
        gold = gold_lines(row["log"], row["line_start"], row["line_end"])
        shown += bool(gold & {line.number for line in log.lines})
        for model, name in answerers:
            answer = explain("log", selection, log, model, name)
            cited = {n for quote in answer.evidence for n in range(quote.line_start, quote.line_end + 1)}
            kind = "abstained" if answer.abstained else "answered"
            tally[name][kind] += 1
            tally[name][f"{kind} right"] += bool(cited & gold)
            tally[name]["fell back"] += bool(answer.problems)
    print(
        f"LogChunks, {min(options.logs, len(chosen))} logs; in {_BUDGET} tokens the marked lines are shown in {shown}"
    )
    for name, seen in tally.items():
        print(
            f"  {name}: answered {seen['answered']}, of which cite a marked line {seen['answered right']}; abstained "
            f"{seen['abstained']}, of which point at a marked line {seen['abstained right']}; refused by the checks "
            f"{seen['fell back']}"
        )


if __name__ == "__main__":
    main()
