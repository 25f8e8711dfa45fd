"""What a code-review model finds, how often it disturbs, and what its numbers are worth beside baselines.

Run ``python benchmarks/reviews.py [--model VERSION] [--held-out FILE]`` in a folder with a trained code-review model
(``understudy demo code-review`` leaves one). Without a model only the judged comments are measured. The threshold is
chosen on the validation split alone, so that at most 0.1 comments a clean change are made there; the test split holds
modules, the file (``.jsonl`` of cases) kinds of defects that training never saw.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from understudy.core.bases import load_tokenizer, resolve_base, token_counter
from understudy.core.datasets import load_version
from understudy.core.errors import UnderstudyError
from understudy.core.hardware import resolve
from understudy.core.models import version_engine
from understudy.core.pack import BuildContext
from understudy.core.records import Example
from understudy.core.registry import CHAMPION, Registry
from understudy.core.settings import load_settings
from understudy.templates.code_review import reader
from understudy.templates.code_review.calibration import Scored, measured, scored
from understudy.templates.code_review.data import cases, examples_of
from understudy.templates.code_review.labels import category_of, severity_of
from understudy.templates.code_review.metrics import text_scores
from understudy.templates.code_review.numbered import place_of
from understudy.templates.code_review.schema import CATEGORIES, SEVERITIES, Remark, ReviewInput

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_NOISE = 0.1
"""Comments a clean change that are wanted at most."""
_FOUND = 0.5
"""Share of defects that is wanted."""

_HEDGE = re.compile(
    r"\b(?:might|may\b|could|consider|perhaps|maybe|potential|possibl|seems?|suggest|prefer|would be)", re.I
)
_CONSEQUENCE = re.compile(
    r"\b(?:will|causes?|raises?|throws?|returns?|breaks?|fails?|never|always|leads? to|results? in|instead of)", re.I
)
_IDENTIFIER = re.compile(r"`[^`]+`|\b\w+(?:_\w+)+\b|\b[a-z]+[A-Z]\w*\b|\b\w+\(\)")


def features(message: str) -> list[float]:
    """Return what a comment's words say of its necessity, for a linear model: no change is needed to read it.

    In order: characters, words, identifiers, hedges, stated consequences, question marks, digits, severity (0 to 3),
    and one 0 or 1 for each category.
    """
    category = category_of(message)
    return [
        float(len(message)),
        float(len(message.split())),
        float(len(_IDENTIFIER.findall(message))),
        float(len(_HEDGE.findall(message))),
        float(len(_CONSEQUENCE.findall(message))),
        float(message.count("?")),
        float(sum(character.isdigit() for character in message)),
        float(SEVERITIES.index(severity_of(message))),
        *(float(category == name) for name in CATEGORIES),
    ]


def judged_comments(path: Path) -> None:
    """True and false comments of commercial tools, told apart by their words: leave one repository out."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not path.is_file():
        print(f"skipped: the judged comments are not at {path}")
        return
    with gzip.open(path, "rt", encoding="utf-8") as source:
        rows = [json.loads(line) for line in source]
    texts = [row.get("matched_candidate") or row.get("candidate") for row in rows]
    truth = [row["label"] == "tp" for row in rows]
    groups = [row["pr"].split("/")[-3].split("-")[0] for row in rows]
    for name, scale, table in (
        ("length only", StandardScaler(), [[float(len(text))] for text in texts]),
        ("category, severity and wording", StandardScaler(), [features(text) for text in texts]),
        ("words and pairs of words", TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True), texts),
    ):
        model = make_pipeline(scale, LogisticRegression(C=0.1, max_iter=1000, class_weight="balanced"))
        guess = cross_val_predict(model, table, truth, groups=groups, cv=LeaveOneGroupOut(), method="predict_proba")[
            :, 1
        ]
        inside = [
            roc_auc_score([t for t, g in zip(truth, groups, strict=True) if g == one],
                          [p for p, g in zip(guess, groups, strict=True) if g == one])
            for one in sorted(set(groups))
        ]  # fmt: skip
        print(
            f"judged comments, {len(rows)} of {len(set(groups))} repositories: {name} AUC "
            f"{roc_auc_score(truth, guess):.3f} (mean over repositories {sum(inside) / len(inside):.3f})"
        )


def quiet_threshold(examples: Sequence[Example], found: Sequence[Scored], noise: float = _NOISE) -> float:
    """Return the lowest threshold that keeps to a noise, in comments a clean change, on validation data."""
    tried = sorted({one.necessity for one in found})
    return next((one for one in tried if measured(examples, found, one)["comments_per_clean"] <= noise), 1.0)


def curve(
    name: str, known: tuple[Sequence[Example], Sequence[Scored]], new: tuple[Sequence[Example], Sequence[Scored]]
) -> None:
    """Print what is found of new examples at thresholds that keep to several noises on the known ones."""
    for noise in (0.01, 0.02, 0.05, 0.1, 0.2):
        threshold = quiet_threshold(*known, noise)
        result = measured(*new, threshold)
        print(
            f"   {name}, threshold for {noise} on validation: found {result['recall']:.3f}, precision "
            f"{result['precision']:.3f}, {result['comments_per_clean']:.3f} comments per clean change"
        )


def by_reader(examples: Sequence[Example]) -> list[Scored]:
    """Return what the linear reader alone would comment on: its most suspicious line of each change."""
    found = []
    for index, example in enumerate(examples):
        piece = ReviewInput.model_validate(example.input)
        for one in reader.read(piece)[:1]:
            true = [Remark.model_validate(remark) for remark in example.output["comments"]]
            places = [place_of(piece, remark.lines) for remark in true]
            place = place_of(piece, str(one.position))
            hit = any(
                place is not None
                and right is not None
                and place.side == right.side
                and right.start <= place.line <= right.line
                for right in places
            )
            found.append(Scored(index, one.chance, hit, one.kind))
    return found


def report(name: str, examples: Sequence[Example], found: Sequence[Scored], threshold: float) -> None:
    result = measured(examples, found, threshold)
    print(
        f"{name}: {len(examples)} changes, {sum(bool(e.output['comments']) for e in examples)} with a defect; found "
        f"{result['recall']:.3f}, precision {result['precision']:.3f}, {result['comments_per_clean']:.3f} comments per "
        f"clean change (threshold {threshold:.4f})"
    )
    kept = [one for one in found if one.necessity >= threshold]
    hits = Counter(examples[one.example].meta["operator"] for one in kept if one.is_right)
    totals = Counter(example.meta["operator"] for example in examples if example.output["comments"])
    print("   by operator: " + ", ".join(f"{one} {hits[one]}/{total}" for one, total in sorted(totals.items())))
    noise: defaultdict[str, int] = defaultdict(int)
    for one in kept:
        if not examples[one.example].output["comments"]:
            noise[examples[one.example].meta["operator"]] += 1
    print("   disturbed: " + (", ".join(f"{one} {count}" for one, count in sorted(noise.items())) or "never"))


def necessity(name: str, examples: Sequence[Example], found: Sequence[Scored]) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    best: defaultdict[int, float] = defaultdict(float)
    for one in found:
        best[one.example] = max(best[one.example], one.necessity)
    truth = [bool(example.output["comments"]) for example in examples]
    scores = [best[index] for index in range(len(examples))]
    print(
        f"{name}: necessity PR-AUC {average_precision_score(truth, scores):.3f} (chance "
        f"{sum(truth) / len(truth):.3f}), ROC-AUC {roc_auc_score(truth, scores):.3f}"
    )


def texts(examples: Sequence[Example], found: Sequence[Scored], training: Sequence[Example]) -> None:
    """BLEU and chrF of the best candidate's words on defective changes, never without the baselines."""
    best: dict[int, Scored] = {}
    for one in sorted(found, key=lambda one: one.necessity):
        best[one.example] = one
    defective = [index for index, example in enumerate(examples) if example.output["comments"]]
    wanted = [examples[index].output["comments"][0]["message"] for index in defective]
    given = [best[index].message if index in best else "" for index in defective]
    common = Counter(one["message"] for example in training for one in example.output["comments"]).most_common(1)
    if wanted and common:
        for name, (bleu, chrf) in text_scores(wanted, given, common[0][0]).items():
            print(f"   words of {len(wanted)} comments, {name}: BLEU {bleu:.1f}, chrF {chrf:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=f"code-review@{CHAMPION}")
    parser.add_argument("--registry", type=Path, default=Path(".understudy"))
    parser.add_argument("--held-out", type=Path, action="append", default=[])
    parser.add_argument("--data", type=Path, default=_DATA)
    parser.add_argument("--limit", type=int, help="examples of each kind at most")
    options = parser.parse_args()
    judged_comments(options.data / "reviews" / "martian_judged_comments.jsonl.gz")
    registry = Registry(options.registry)
    try:
        version = registry.get(options.model)
    except UnderstudyError as error:
        print(f"skipped: {error}")
        return
    _, splits = load_version(version.dataset, options.registry)
    engine = version_engine(registry, version, resolve())
    known, test = (splits[name][: options.limit] for name in ("validation", "test"))
    validation = scored(known, engine.generate)
    threshold = quiet_threshold(known, validation)
    report("validation", known, validation, threshold)
    found = scored(test, engine.generate)
    report(f"test (modules never trained on; wanted {_FOUND} found at {_NOISE})", test, found, threshold)
    curve("test", (known, validation), (test, found))
    necessity("test", test, found)
    curve("test, the reader alone", (known, by_reader(known)), (test, by_reader(test)))
    texts(test, found, splits["train"])
    settings = load_settings(None).model_validate(version.settings)
    count = token_counter(load_tokenizer(resolve_base("seedling")))
    for path in options.held_out:
        context = BuildContext(count_tokens=count, prompt_budget=settings.data.prompt_budget)
        held = list(examples_of(list(cases(path)), context, "held-out"))[: options.limit]
        made = scored(held, engine.generate)
        report(f"{path.name} (kinds of defects never trained on)", held, made, threshold)
        necessity(path.name, held, made)
        curve(f"{path.name}, the reader alone", (known, by_reader(known)), (held, by_reader(held)))


if __name__ == "__main__":
    main()
