"""Make specimens: ``python -m understudy.templates.code_review.defects --count 1000 --seed 7 --out FILE.jsonl.xz``.

The same seed, interpreter and packages make the same file. Needs LibCST, which the ``dev`` extra brings.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import lzma
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

from understudy.core.errors import BadInput
from understudy.core.files import atomic_writer
from understudy.templates.code_review.defects import (
    Source,
    Specimen,
    Tally,
    installed_packages,
    specimens,
    standard_library,
)

__all__ = ["main", "write_specimens"]


def main() -> int:
    """Make what the options ask for, write it in one piece and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m understudy.templates.code_review.defects", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="specimens to make")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("specimens.jsonl.xz"), help="file to write")
    parser.add_argument("--only", action="append", metavar="OPERATOR", help="operator to use; may be repeated")
    parser.add_argument("--package", action="append", default=[], help="installed package to take functions from too")
    options = parser.parse_args()
    sources: list[Source] = [*standard_library(), *installed_packages(options.package)]
    tally: Tally = Counter()
    try:
        made = list(
            specimens(Random(options.seed), options.count, operators=options.only, sources=sources, tally=tally)
        )
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    write_specimens(options.out, made)
    _report(made, tally, options.count)
    return 0


def write_specimens(path: Path, made: Iterable[Specimen]) -> None:
    """Write specimens as JSON Lines behind xz, whole or not at all."""
    with atomic_writer(path) as raw, lzma.open(raw, "wb", preset=9) as out:
        for specimen in made:
            out.write(json.dumps(dataclasses.asdict(specimen), ensure_ascii=False).encode("utf-8") + b"\n")


def _report(made: list[Specimen], tally: Tally, wanted: int) -> None:
    by_operator = Counter(specimen.operator for specimen in made)
    for name, count in sorted(by_operator.items()):
        refused = {why: times for (other, why), times in sorted(tally.items()) if other == name and why != "made"}
        print(f"{name}: {count}, refused {refused}", file=sys.stderr)
    clean = sum(not specimen.comments for specimen in made)
    short = "" if len(made) == wanted else f" ({wanted} wanted; the sources hold no more)"
    print(f"{len(made)} specimens{short}, {clean} of them clean, of {len(by_operator)} operators")


if __name__ == "__main__":
    sys.exit(main())
