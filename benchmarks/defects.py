"""How many places each defect operator finds, how fast diffs are made, and whether their shape gives them away.

Run ``python benchmarks/defects.py [--count N]``. Takes the running interpreter's standard library; needs LibCST. For
the yield, functions that may hold a site are looked at in random order until 30 had one, the rest is estimated from
these. The last figures are the area under the ROC curve with which simple models, tested on projects that they did not
see, tell defective from clean diffs: one that sees only sizes (0.5 would be ideal), one that sees the words.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from random import Random

from understudy.templates.code_review.defects import OPERATORS, Operator, Specimen, Tally, specimens, standard_library
from understudy.templates.code_review.defects.source import Piece, pieces
from understudy.templates.code_review.defects.unit import Unit
from understudy.templates.code_review.diff import read_patch

_WANTED = 30
"""Sites that each operator must have."""


def _sites(operator: Operator, found: list[Piece]) -> tuple[int, int]:
    """Return in how many functions a site was found, at most ``_WANTED``, and an estimate for all."""
    fitting = [piece for piece in found if piece.kind in operator.kinds and operator.wants.search(piece.text)]
    hits = 0
    for looked, piece in enumerate(fitting, 1):
        hits += any(True for _ in operator.find(Unit(piece), Random(looked)))
        if hits == _WANTED:
            return hits, hits * len(fitting) // looked
    return hits, hits


def _yield(found: list[Piece]) -> None:
    short = 0
    for operator in OPERATORS:
        if operator.reverses:
            continue
        hits, estimate = _sites(operator, found)
        short += hits < _WANTED
        print(f"{operator.name:30} {operator.category or 'harmless':16} {estimate:6} functions")
    print(f"operators with fewer than {_WANTED}: {short}")


def _sizes(specimen: Specimen) -> list[float]:
    (file,) = read_patch(specimen.patch.encode()).files
    lines = list(file.lines)
    added = [line.text for line in lines if line.mark == "+"]
    removed = [line.text for line in lines if line.mark == "-"]
    width = sum(map(len, added)) - sum(map(len, removed))
    return [len(added), len(removed), len(lines), len(file.hunks), len(added) - len(removed), width]


def _given_away(made: list[Specimen]) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    truth = [bool(one.comments) for one in made]
    groups = [one.project for one in made]
    words = make_pipeline(
        TfidfVectorizer(token_pattern=r"\w+|[^\w\s]+", ngram_range=(1, 2), min_df=2), LogisticRegression(max_iter=1000)
    )
    changed = ["\n".join(line for line in one.patch.split("\n")[4:] if line[:1] in ("+", "-")) for one in made]
    for name, model, data in (
        ("sizes alone", HistGradientBoostingClassifier(random_state=0), [_sizes(one) for one in made]),
        ("words of the changed lines", words, changed),
    ):
        guess = cross_val_predict(model, data, truth, groups=groups, cv=GroupKFold(5), method="predict_proba")[:, 1]
        print(f"area under the curve, {name}: {roc_auc_score(truth, guess):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    started = time.process_time()
    sources = list(standard_library())
    found = [piece for source in sources for piece in pieces(source)]
    Random(7).shuffle(found)
    print(
        f"{len(sources)} files, {len(found)} functions, {time.process_time() - started:.1f} s of CPU time to read them"
    )
    _yield(found)
    tally: Tally = Counter()
    stream = specimens(Random(7), count, sources=sources, tally=tally)
    made = [next(stream)]
    started = time.process_time()
    made += stream
    print(
        f"{(len(made) - 1) / (time.process_time() - started):.1f} specimens per second of CPU time, after the reading"
    )
    reasons = Counter({why: 0 for _, why in tally})
    for (_, why), times in tally.items():
        reasons[why] += times
    print("outcomes:", ", ".join(f"{why} {times}" for why, times in reasons.most_common()))
    defects = [one for one in made if one.comments]
    sides = Counter(one.comments[0].side for one in defects)
    mended = sum(one.comments[0].suggestion is not None for one in defects)
    print(f"{len(made)} specimens, {len(defects)} defective, {dict(sides)}, {mended} with a suggestion")
    print(f"{len({one.operator for one in made})} operators, {len({one.project for one in made})} projects")
    _given_away(made)


if __name__ == "__main__":
    main()
