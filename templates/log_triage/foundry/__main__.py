"""Make cases: ``python -m understudy.templates.log_triage.foundry --out cases.jsonl.xz --each 25``.

Install the recipes' tools first with ``--toolbox``.
The same seed, recipes and tool versions make the same cases, but for the process ids and durations that some tools
print. A recipe that refuses its own sample (the tool passed, the evidence is not in the log) tries again with the next
seed; recipes whose tools are missing are named and skipped.
"""

from __future__ import annotations

import argparse
import fnmatch
import lzma
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

from understudy.core.files import atomic_writer, write_text
from understudy.templates.log_triage.foundry._bank import make_bank
from understudy.templates.log_triage.foundry._case import Case, make_case
from understudy.templates.log_triage.foundry._recipe import Recipe, RecipeError, all_recipes
from understudy.templates.log_triage.foundry._toolbox import install, search_path
from understudy.templates.log_triage.foundry._workshop import Step

_TRIES = 3
"""Seeds tried for one sample before the recipe is given up for it."""


def main() -> None:
    """Make the cases the options ask for and write them in one piece."""
    parser = argparse.ArgumentParser(prog="python -m understudy.templates.log_triage.foundry", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("cases.jsonl.xz"), help="case file to write")
    parser.add_argument("--each", type=int, default=25, help="samples of each recipe")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="*", help="recipes to run, as a pattern: 'pytest.*'")
    parser.add_argument("--work", type=Path, help="folder for finished recipes: a later run takes them from there")
    parser.add_argument("--toolbox", action="store_true", help="only install the recipes' tools at their pins")
    options = parser.parse_args()
    if options.toolbox:
        install()
        return
    chosen = {name: recipe for name, recipe in all_recipes().items() if fnmatch.fnmatch(name, options.only)}
    bank = make_bank(options.seed)
    made: list[Case] = []
    for name, recipe in chosen.items():
        missing = [program for program in recipe.requires if not _find(program)]
        if missing:
            print(f"{name}: skipped, {', '.join(missing)} is not installed", file=sys.stderr)
            continue
        done = options.work / f"{name}-{options.seed}-{options.each}.jsonl" if options.work else None
        if done and done.exists():
            cases = [Case.model_validate_json(line) for line in done.read_text("utf-8").split("\n") if line]
        else:
            cases = [case for number in range(options.each) if (case := _one(recipe, options.seed, number, bank))]
            if done:
                write_text(done, "".join(case.model_dump_json() + "\n" for case in cases))
        made += cases
        print(f"{name}: {len(cases)} cases", file=sys.stderr, flush=True)
    with atomic_writer(options.out) as raw, lzma.open(raw, "wb", preset=9) as out:
        for case in made:
            out.write(case.model_dump_json().encode() + b"\n")
    print(f"{len(made)} cases of {len(chosen)} recipes: {dict(Counter(case.category for case in made))}")


def _find(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join([*map(str, search_path()), os.environ.get("PATH", "")]))


def _one(recipe: Recipe, seed: int, number: int, bank: list[Step]) -> Case | None:
    for attempt in range(_TRIES):
        try:
            return make_case(recipe, (seed * 1_000 + number) * 10 + attempt, bank)
        except RecipeError as error:
            print(f"{recipe.name}: refused: {str(error).split(chr(10))[0]}", file=sys.stderr)
    return None


if __name__ == "__main__":
    main()
