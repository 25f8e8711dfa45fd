"""Make the pack's embedded material anew: ``python -m understudy.templates.code_review.defects.seed FOLDER``.

Three files: what the reader learnt (``reader.json.xz``), the specimens that models are trained and tested on
(``specimens.jsonl.xz``), of other projects, and those of the held-out operators (``held_out.jsonl.xz``), of these other
projects too. Ten minutes on one idle core; needs LibCST.
"""

from __future__ import annotations

import argparse
import lzma
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

from understudy.core.files import atomic_writer
from understudy.templates.code_review.data import HELD_OUT, Case, case_of, write_cases
from understudy.templates.code_review.defects import OPERATORS, Source, specimens, standard_library
from understudy.templates.code_review.diff import read_patch
from understudy.templates.code_review.reader import Weights, features, teaches
from understudy.templates.code_review.schema import Category, Severity

__all__ = ["fitted", "main"]

_SPECIMENS, _HELD_OUT = 12_000, 400
"""Of the first, two thirds are of the projects that the reader learns from."""
_SEED = 7
_RAREST = 4
"""Lines that a feature must stand in."""
_SCALE = 50
_LEAST, _LEAST_ALIKE = 0.05, 0.1
"""Weights below these are left out: half a point of what is found, and three quarters of the file."""


def main() -> int:
    """Make the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    made = _made(_SPECIMENS, standard_library(), lambda name: name not in HELD_OUT)
    weights = fitted([case for case in made if teaches(case.project)])
    with atomic_writer(folder / "reader.json.xz") as out:
        out.write(lzma.compress(weights.model_dump_json().encode("utf-8"), preset=9 | lzma.PRESET_EXTREME))
    write_cases([case for case in made if not teaches(case.project)], folder / "specimens.jsonl.xz")
    others = [source for source in standard_library() if not teaches(source.project)]
    write_cases(_made(_HELD_OUT, others, HELD_OUT.__contains__), folder / "held_out.jsonl.xz")
    return 0


def _made(count: int, sources: Iterable[Source], wanted: Callable[[str], bool]) -> list[Case]:
    """Return specimens of the wanted defect operators, their counterparts, and the plain harmless ones."""
    names = [one.name for one in OPERATORS if (one.harmless and not one.reverses) or wanted(one.reverses or one.name)]
    return [case_of(one) for one in specimens(Random(_SEED), count, operators=names, sources=sources)]


def fitted(lessons: Iterable[Case]) -> Weights:
    """Return what logistic regression learns from cases: which lines are a defect's, and of which kind."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    lines: list[list[str]] = []
    kinds: list[str] = []
    for case in lessons:
        (file,) = read_patch(case.patch.encode("utf-8")).files
        places = {(one.side, one.line) for one in case.comments}
        for line, words in features(file.hunks):
            lines.append(words)
            kinds.append(case.operator if (line.side, line.number) in places else "")
    counter = CountVectorizer(analyzer=lambda words: words, binary=True, min_df=_RAREST)
    table, truth = counter.fit_transform(lines), np.array(kinds)
    names = counter.get_feature_names_out()
    smell = LogisticRegression(C=0.2, max_iter=400).fit(table, truth != "")
    kind = LogisticRegression(C=1.0, max_iter=60).fit(table[truth != ""], truth[truth != ""])
    alike: dict[str, dict[int, int]] = {}
    for number, place in zip(*np.nonzero(np.abs(kind.coef_) >= _LEAST_ALIKE), strict=True):
        alike.setdefault(str(names[place]), {})[int(number)] = round(kind.coef_[number, place] * _SCALE)
    return Weights(
        scale=_SCALE,
        bias=round(float(smell.intercept_[0]), 3),
        smell={
            str(names[place]): round(smell.coef_[0, place] * _SCALE)
            for place in np.nonzero(np.abs(smell.coef_[0]) >= _LEAST)[0]
        },
        kinds=[str(name) for name in kind.classes_],
        verdicts=_verdicts(kind.classes_),
        biases=[round(float(bias), 3) for bias in kind.intercept_],
        likeness=alike,
    )


def _verdicts(kinds: Iterable[str]) -> dict[str, tuple[Severity, Category]]:
    """Return the severity and category of operators by their name."""
    found: dict[str, tuple[Severity, Category]] = {}
    for one in OPERATORS:
        if one.name in set(kinds) and one.severity and one.category:
            found[one.name] = one.severity, one.category
    return found


if __name__ == "__main__":
    sys.exit(main())
