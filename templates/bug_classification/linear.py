"""The reference: TF-IDF and linear models (scikit-learn), kept as plain arrays and read back with numpy alone.

Two logistic regressions share the work: one over the features, one over the features times their log-count ratios
(Wang and Manning 2012), which trusts words that stand almost only in one class. The mean of two linear models is
linear, so a ticket costs no more than with one of them.

Fitting imports scikit-learn; loading and answering do not, since that import takes longer than a thousand answers. A
model file is a zip of arrays and JSON, never a pickle: a hostile one can be wrong, it cannot run code.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from understudy.core.errors import BadInput
from understudy.core.files import atomic_writer
from understudy.templates.bug_classification.features import BLOCKS, Features, features
from understudy.templates.bug_classification.schema import Question

__all__ = ["Head", "LinearModel", "Target", "Text", "fit_linear"]

Text = tuple[str, str, str]
"""Project, title and body."""
Target = Mapping[str, "str | Mapping[str, bool]"]
"""What people said of a ticket: by group, its label or yes and no by label; groups nobody judged are missing."""
Array = NDArray[np.float32]

_WEIGHTS = {"words": 1.0, "raw": 0.7, "pieces": 0.3, "shape": 0.3}
"""How much each block counts; chosen on NLBSE'24 by cross-validation."""
_C, _RATIO_C = 10.0, 1.0
"""Inverse strength of the regularisation of the two, chosen likewise."""
_SMOOTHING = 0.1
"""Added to a feature's weight in a class before ratios are taken."""
_PROJECT_TICKETS = 50
"""Tickets from which on a project gets weights of its own beside the shared ones."""
_LETTERS = 3
"""Letters a word needs to be named as a reason; "0" or "to" tell people nothing."""
_COMMON = """
a about after again all also am an and any are as at be because been but by can could did do does for from get got had
has have he her here his i if in into is it its just like me more my of on one only or other our out over she so some
than that the their them then there these they this to too under up us use used using very was we were when where which
while who will with would you your
"""
"""Words that stand everywhere; alone or together they tell people nothing either."""
_MOST_BYTES = 1 << 30
"""A model file that would unpack to more is refused."""


@dataclass(frozen=True)
class Head:
    """The linear model of one group."""

    group: str
    mode: Literal["single", "multi"]
    labels: tuple[str, ...]
    """Labels seen in training, in the order of the columns."""
    counts: tuple[int, ...]
    """Tickets of each label in training."""
    weights: Array
    """(projects + 1, features, labels); the first slice is for projects not seen in training."""
    bias: Array
    """(labels,)"""

    def probabilities(self, indices: NDArray[np.int32], values: Array, project: int) -> Array:
        """Return one probability per label: they sum to 1 in a ``single`` group, each stands alone in a ``multi``."""
        scores = values @ self.weights[project].take(indices, axis=0) + self.bias
        if self.mode == "multi":
            return np.asarray(1 / (1 + np.exp(-np.clip(scores, -60, 60))), dtype=np.float32)
        powers = np.exp(scores - scores.max())
        return np.asarray(powers / powers.sum(), dtype=np.float32)


@dataclass(frozen=True)
class LinearModel:
    """Vocabulary, inverse document frequencies and one head per group."""

    vocabulary: dict[str, dict[str, int]]
    """Block to feature to column."""
    idf: Array
    projects: tuple[str, ...]
    heads: dict[str, Head] = field(default_factory=dict)

    def vector(self, found: Features) -> tuple[NDArray[np.int32], Array]:
        """Return the columns and values of one ticket: ``(1 + log tf) * idf``, each block of length 1 times its weight.

        Equal to scikit-learn's ``TfidfVectorizer(sublinear_tf=True)`` per block.
        """
        columns: list[int] = []
        counts: list[int] = []
        ends = []
        for block in BLOCKS:
            known = Counter(map(self.vocabulary[block].get, found[block]))
            known.pop(None, None)
            columns += known  # type: ignore[arg-type]
            counts += known.values()
            ends.append(len(columns))
        indices = np.array(columns, dtype=np.int32)
        values = (1 + np.log(np.array(counts, dtype=np.float32))) * self.idf[indices]
        for block, start, end in zip(BLOCKS, [0, *ends], ends, strict=False):
            if end > start:
                part = values[start:end]
                part *= _WEIGHTS[block] / math.sqrt(float(part @ part))
        return indices, values

    def predict(self, text: Text) -> dict[str, dict[str, float]]:
        """Return by group the probability of every label the model was trained on."""
        project, title, body = text
        indices, values = self.vector(features(title, body))
        return {
            group: dict(
                zip(head.labels, head.probabilities(indices, values, self._slice(project)).tolist(), strict=True)
            )
            for group, head in self.heads.items()
        }

    def reasons(self, text: Text, group: str, label: str, most: int = 5) -> list[str]:
        """Return the words that speak most for a label against the group's others, strongest first."""
        project, title, body = text
        head = self.heads[group]
        if label not in head.labels:
            return []
        indices, values = self.vector(features(title, body))
        weights = head.weights[self._slice(project), indices]
        ours = weights[:, head.labels.index(label)]
        edge = values * (ours if head.mode == "multi" else ours - weights.mean(axis=1))
        names = {column: name for block in ("words", "raw") for name, column in self.vocabulary[block].items()}
        common = set(_COMMON.split())
        speaking: dict[str, float] = {}
        for column, value in zip(indices.tolist(), edge.tolist(), strict=True):
            word = names.get(column, "").removeprefix("t_")  # the title's own copy of a word is the same word to people
            if value > 0 and sum(map(str.isalpha, word)) >= _LETTERS and not common.issuperset(word.split()):
                speaking[word] = speaking.get(word, 0.0) + value
        return sorted(speaking, key=lambda word: (-speaking[word], word))[:most]

    def _slice(self, project: str) -> int:
        return self.projects.index(project) + 1 if project in self.projects else 0

    def save(self, path: Path) -> None:
        """Write the model, atomically."""
        meta = {
            "version": 1,
            "projects": self.projects,
            "heads": [
                {"group": head.group, "mode": head.mode, "labels": head.labels, "counts": head.counts}
                for head in self.heads.values()
            ],
            "blocks": [len(self.vocabulary[block]) for block in BLOCKS],
        }
        words = "\n".join(name for block in BLOCKS for name in self.vocabulary[block])
        arrays: dict[str, Any] = {"meta": _bytes(json.dumps(meta)), "words": _bytes(words), "idf": self.idf}
        for at, head in enumerate(self.heads.values()):
            arrays |= {f"weights{at}": head.weights, f"bias{at}": head.bias}
        with atomic_writer(path) as out:
            np.savez_compressed(out, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> LinearModel:
        """Read a model.

        Raises:
            BadInput: the file is missing, damaged, far too large, or no model of ours.
        """
        try:
            data = path.read_bytes()
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                    raise BadInput(f"{path} unpacks to more than 1 GiB, which no labelling model of ours does")
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return _read(arrays)
        except OSError as error:
            raise BadInput(f"{path} cannot be read ({error.strerror or error}); fit the reference again") from None
        except (ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile, RecursionError) as error:
            raise BadInput(f"{path} is no labelling model or is damaged ({error}); fit the reference again") from None


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)


def _read(arrays: Mapping[str, Any]) -> LinearModel:
    """Build a model from a file's arrays; whatever does not fit together raises ValueError or KeyError."""
    meta = json.loads(arrays["meta"].tobytes().decode("utf-8"))
    words = arrays["words"].tobytes().decode("utf-8", "surrogatepass").split("\n")
    idf = np.asarray(arrays["idf"], dtype=np.float32)
    if meta["version"] != 1 or idf.shape != (len(words),) or sum(meta["blocks"]) != len(words):
        raise ValueError("its parts do not fit together")
    vocabulary: dict[str, dict[str, int]] = {}
    start = 0
    for block, size in zip(BLOCKS, meta["blocks"], strict=True):
        vocabulary[block] = dict(zip(words[start : start + size], range(start, start + size), strict=True))
        start += size
    heads = {}
    for at, entry in enumerate(meta["heads"]):
        labels = tuple(map(str, entry["labels"]))
        weights = np.asarray(arrays[f"weights{at}"], dtype=np.float32)
        bias = np.asarray(arrays[f"bias{at}"], dtype=np.float32)
        fits = weights.shape == (len(meta["projects"]) + 1, len(words), len(labels)) and bias.shape == (len(labels),)
        if not fits or not labels or entry["mode"] not in ("single", "multi") or len(entry["counts"]) != len(labels):
            raise ValueError("its parts do not fit together")
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise ValueError("its weights are not numbers")
        group = str(entry["group"])
        heads[group] = Head(group, entry["mode"], labels, tuple(map(int, entry["counts"])), weights, bias)
    return LinearModel(vocabulary, idf, tuple(map(str, meta["projects"])), heads)


def fit_linear(texts: Sequence[Text], targets: Sequence[Target], asked: Iterable[Question]) -> LinearModel:
    """Fit one head per question on the tickets that answer it.

    With several projects, each of at least 50 tickets has weights of its own beside the shared ones (the feature
    copies of Daume III 2007), which pooled training alone does not give.

    Args:
        texts: project, title and body of each ticket.
        targets: what is right, in the same order.
        asked: the groups; one that no ticket answers gets no head. Labels outside them are an error of the caller.
    """
    vocabulary, idf = _vocabulary([features(title, body) for _, title, body in texts])
    large = [name for name, count in Counter(text[0] for text in texts).items() if count >= _PROJECT_TICKETS]
    projects = tuple(sorted(large)) if len(large) > 1 else ()
    model = LinearModel(vocabulary, idf, projects)
    vectors = [model.vector(features(title, body)) for _, title, body in texts]
    for question in asked:
        rows = [at for at, target in enumerate(targets) if question.group in target]
        if rows:
            matrix = _stacked([vectors[at] for at in rows], [texts[at][0] for at in rows], projects, len(idf))
            model.heads[question.group] = _head(question, matrix, [targets[at][question.group] for at in rows], model)
    return model


def _vocabulary(found: Sequence[Features]) -> tuple[dict[str, dict[str, int]], Array]:
    """Return the features of at least two tickets with their inverse document frequencies."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vocabulary: dict[str, dict[str, int]] = {}
    weights = []
    start = 0
    for block in BLOCKS:

        def own(item: Features, block: str = block) -> list[str]:
            return item[block]

        vectoriser = TfidfVectorizer(analyzer=own, sublinear_tf=True, min_df=min(2, len(found)))
        try:
            vectoriser.fit(found)
        except ValueError:  # not one feature stands in two tickets
            vocabulary[block] = {}
            continue
        names = vectoriser.get_feature_names_out()
        vocabulary[block] = {str(name): start + at for at, name in enumerate(names)}
        weights.append(vectoriser.idf_.astype(np.float32))
        start += len(names)
    return vocabulary, np.concatenate(weights) if weights else np.zeros(0, dtype=np.float32)


def _stacked(
    vectors: Sequence[tuple[NDArray[np.int32], Array]], owners: Sequence[str], projects: Sequence[str], size: int
) -> Any:
    """Return the sparse matrix (tickets, features * (projects + 1)): shared columns, then a copy per project."""
    from scipy.sparse import csr_matrix

    columns, values, ends = [], [], [0]
    for (indices, own), owner in zip(vectors, owners, strict=True):
        columns.append(indices.astype(np.int64))
        values.append(own)
        if owner in projects:
            columns.append(indices.astype(np.int64) + size * (projects.index(owner) + 1))
            values.append(own)
        ends.append(ends[-1] + sum(map(len, columns[-2:] if owner in projects else columns[-1:])))
    shape = (len(vectors), size * (len(projects) + 1))
    return csr_matrix((np.concatenate(values), np.concatenate(columns), np.array(ends)), shape=shape)


def _head(question: Question, matrix: Any, truths: Sequence[str | Mapping[str, bool]], model: LinearModel) -> Head:
    """Fit the classes of a ``single`` group together, each label of a ``multi`` group alone."""
    if question.mode == "single":
        said = [str(truth) for truth in truths]
        labels = [label for label in question.labels if label in said]
        counts = [said.count(label) for label in labels]
        weights, bias = _fitted(matrix, np.array([labels.index(label) for label in said]), len(labels))
    else:
        maps = [truth for truth in truths if not isinstance(truth, str)]
        labels = [label for label in question.labels if any(label in truth for truth in maps)]
        counts = [sum(bool(truth.get(label)) for truth in maps) for label in labels]
        parts = [_fitted(matrix, np.array([int(bool(t.get(label))) for t in maps]), 2) for label in labels]
        weights = np.stack([part[0][:, 1] for part in parts], axis=1)
        bias = np.array([part[1][1] for part in parts])
    shared, *copies = np.split(weights.astype(np.float32), len(model.projects) + 1, axis=0)
    slices = np.stack([shared, *(shared + copy for copy in copies)])
    return Head(question.group, question.mode, tuple(labels), tuple(counts), slices, bias.astype(np.float32))


def _fitted(matrix: Any, classes: NDArray[np.int64], size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (features, size) and bias (size,) of a logistic regression; a class nobody has is improbable."""
    from sklearn.linear_model import LogisticRegression

    weights, bias = np.zeros((matrix.shape[1], size)), np.full(size, -math.log(len(classes) + 1.0))
    present = sorted(set(classes.tolist()))
    if len(present) == 1:
        bias[present[0]] = math.log(len(classes) + 1.0) if size == 2 else 0.0
        return weights, bias
    found = LogisticRegression(C=_C, max_iter=300, tol=1e-3).fit(matrix, classes)
    judged = present if len(present) > 2 else present[1:]  # of two classes one says it all
    ratios = [_ratio_weighted(matrix, classes == one) for one in judged]
    weights[:, judged] = (found.coef_.T + np.stack([row for row, _ in ratios], axis=1)) / 2
    bias[present] = 0.0
    bias[judged] = (found.intercept_ + np.array([intercept for _, intercept in ratios])) / 2
    return weights, bias


def _ratio_weighted(matrix: Any, inside: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Return weights and bias of one class against the others, learnt over features times their log-count ratios."""
    from sklearn.linear_model import LogisticRegression

    shares = [np.asarray(matrix[rows].sum(axis=0)).ravel() + _SMOOTHING for rows in (inside, ~inside)]
    ours, others = (share / share.sum() for share in shares)
    ratios = np.log(ours / others)
    found = LogisticRegression(C=_RATIO_C, max_iter=300, tol=1e-3).fit(matrix.multiply(ratios).tocsr(), inside)
    return found.coef_[0] * ratios, float(found.intercept_[0])
