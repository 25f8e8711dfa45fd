"""How much of the true evidence the selection keeps, on real logs and on the foundry's.

Run ``python benchmarks/select_logs.py [--cases FILE]``. Reads ``../shared/data/logs`` (LogChunks and cidiff, half of
each, by project; see the README there) and says so when it is absent. ``--cases`` takes JSON Lines of foundry cases.

Published and re-measured peers on the same half of LogChunks (touched / whole / median lines): the last 200 lines
.746 / .713 / 200; keyword lines with 10 around .830 / .694 / 203; keyword lines with 5 around, united with the last
200, .959 / .830 / 283. On cidiff "breakages", a normalised set difference reaches recall .97, precision .68, 9 % kept;
the gold lines alone are 9.4 % of the median log.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from understudy.templates.log_triage.rules import diagnose
from understudy.templates.log_triage.select import Selection, pack_lines, select

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "logs"


def read_rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as source:
        for line in source:
            yield json.loads(line)


def _tokens(text: str) -> int:
    """A careful guess for small vocabularies: one token for three bytes."""
    return len(text.encode()) // 3 + 1


def log_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def gold_lines(log: str, first: int, last: int) -> set[int]:
    lines = log.split("\n")
    numbers = set(range(first, last + 1))
    return {number for number in numbers if lines[number - 1].strip()} or numbers


Chooser = Callable[[bytes], set[int]]


def _numbers(chosen: Selection, tokens: int | None = None) -> set[int]:
    lines = chosen.lines if tokens is None else pack_lines(chosen, tokens, _tokens).lines
    return {line.number for line in lines}


def logchunks(rows: list[dict[str, Any]], name: str, choose: Chooser) -> None:
    touched: dict[str, list[bool]] = defaultdict(list)
    whole: dict[str, list[bool]] = defaultdict(list)
    sizes = []
    start = time.process_time()
    for row in rows:
        kept = choose(log_bytes(row["log"]))
        gold = gold_lines(row["log"], row["line_start"], row["line_end"])
        touched[row["project"]].append(bool(gold & kept))
        whole[row["project"]].append(gold <= kept)
        sizes.append(len(kept))
    seconds = time.process_time() - start

    def micro(values: dict[str, list[bool]]) -> float:
        return statistics.mean(value for project in values.values() for value in project)

    def macro(values: dict[str, list[bool]]) -> float:
        return statistics.mean(statistics.mean(project) for project in values.values())

    print(
        f"{name:32s} touched {micro(touched):.3f} whole {micro(whole):.3f}"
        f" | by project {macro(touched):.3f} {macro(whole):.3f}"
        f" | lines median {statistics.median(sizes):.0f} mean {statistics.mean(sizes):.0f} max {max(sizes)}"
        f" | {len(rows) / seconds:.0f} logs/s"
    )


def cidiff() -> None:
    groups: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for row in read_rows("cidiff.jsonl.gz"):
        failed = row["failed"]
        chosen = select([log_bytes(failed)], green=[log_bytes(row["passed"])])
        kept = _numbers(chosen)
        error: set[int] = set()
        context: set[int] = set()
        for key, numbers in (("error", error), ("context", context)):
            for first, last in row["gold"][key]:
                numbers |= gold_lines(failed, first, last)
        recall = len(error & kept) / max(1, len(error))
        precision = len(kept & (error | context)) / max(1, len(kept))
        groups[row["id"].split("/")[0]].append((recall, precision, len(kept) / chosen.total_lines))
        groups["all"].append(groups[row["id"].split("/")[0]][-1])
    for name, values in groups.items():
        recall, precision, _ = (statistics.mean(column) for column in zip(*values, strict=True))
        shares = [share for _, _, share in values]
        print(
            f"cidiff {name:25s} recall {recall:.3f} precision {precision:.3f}"
            f" | kept median {statistics.median(shares):.1%} mean {statistics.mean(shares):.1%} | {len(values)} pairs"
        )


def foundry(path: Path) -> None:
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    for tokens in (200, 300, 450, 900):
        kept = category = evidence = lines = 0
        shown = [case for case in cases if case["evidence"]]
        for case in shown:
            packed = pack_lines(select([log_bytes(case["log"])]), tokens, _tokens)
            gold = set(case["evidence"])
            lines += len(packed.lines)
            kept += gold <= {line.number for line in packed.lines}
            answer = diagnose(packed)
            category += answer.category == case["category"]
            evidence += bool(gold & {packed.lines[position - 1].number for position in answer.evidence})
        total = len(shown)
        print(
            f"foundry, {tokens:3d} tokens              all evidence kept {kept / total:.3f} ({lines / total:.0f} lines)"
            f" | rules: category {category / total:.3f}, evidence touched {evidence / total:.3f} | {total} cases"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=Path)
    options = parser.parse_args()
    if DATA.is_dir():
        rows = list(read_rows("logchunks.jsonl.gz"))
        logchunks(rows, "LogChunks, default", lambda log: _numbers(select([log])))
        for budget in (100, 200, 400):
            logchunks(rows, f"LogChunks, {budget} lines", lambda log, n=budget: _numbers(select([log], budget=n)))
        for tokens in (450, 900, 2000):
            logchunks(rows, f"LogChunks, {tokens} tokens", lambda log, n=tokens: _numbers(select([log]), n))
        cidiff()
    else:
        print(f"skipped: the real logs are not at {DATA}")
    if options.cases:
        foundry(options.cases)


if __name__ == "__main__":
    main()
