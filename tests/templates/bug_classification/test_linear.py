from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.errors import BadInput
from understudy.core.taxonomy import Taxonomy
from understudy.templates.bug_classification.features import BLOCKS, features
from understudy.templates.bug_classification.labeller import samples_of
from understudy.templates.bug_classification.linear import _WEIGHTS, LinearModel, Target, Text, fit_linear
from understudy.templates.bug_classification.schema import Question, questions

from .tickets import AREAS, TAXONOMY, WORDS, tickets

ASKED = questions(TAXONOMY)


@pytest.fixture(scope="module")
def fitted() -> LinearModel:
    return fit_linear(*samples_of(tickets()), ASKED)


def test_it_learns_what_the_words_tell_in_both_kinds_of_groups(fitted: LinearModel) -> None:
    texts, targets = samples_of(tickets(60, seed=2))
    for text, target in zip(texts, targets, strict=True):
        found = fitted.predict(text)
        assert max(found["type"], key=lambda label: found["type"][label]) == target["type"]
        assert sum(found["type"].values()) == pytest.approx(1, abs=1e-5)
        assert {label: p > 0.5 for label, p in found["area"].items()} == target["area"]


def test_the_vector_is_scikit_learn_s_own() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts, targets = samples_of(tickets(40))
    model = fit_linear(texts, targets, ASKED)
    read = [features(title, body) for _, title, body in texts]
    for block in BLOCKS:
        own = TfidfVectorizer(analyzer=lambda found, block=block: found[block], sublinear_tf=True, min_df=2).fit(read)
        theirs = own.transform(read[:1]).toarray()[0] * _WEIGHTS[block]
        columns = model.vocabulary[block]
        assert {name: at for at, name in enumerate(own.get_feature_names_out())}.keys() == columns.keys()
        ours = np.zeros(len(model.idf), dtype=np.float32)
        indices, values = model.vector(read[0])
        ours[indices] = values
        first = min(columns.values())
        assert ours[first : first + len(columns)] == pytest.approx(theirs, abs=1e-5)


def test_a_saved_model_answers_alike(fitted: LinearModel, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m.npz")
    again = LinearModel.load(tmp_path / "m.npz")
    for text in samples_of(tickets(10, seed=3))[0]:
        assert again.predict(text) == fitted.predict(text)
    assert again.heads["type"].counts == fitted.heads["type"].counts
    assert set(again.heads["area"].labels) == set(AREAS)


def test_reasons_are_the_ticket_s_own_words_for_the_label(fitted: LinearModel) -> None:
    text = ("team/0", "crash when saving", "a traceback and a segfault with the list")
    said = fitted.reasons(text, "type", "bug")
    assert said and set(said[:2]) <= {word for word in WORDS["bug"]} | {"crash when"}
    assert fitted.reasons(text, "type", "nonsense") == []


def test_words_that_stand_everywhere_are_no_reasons() -> None:
    texts: list[Text] = [("", "it is the app", f"{'crash and' if n % 2 else 'wish for'} it n{n}") for n in range(40)]
    model = fit_linear(texts, [{"type": "bug" if n % 2 else "feature"} for n in range(40)], ASKED[:1])
    said = model.reasons(("", "it is the app", "crash and it"), "type", "bug")
    assert "crash" in said and not {"is the", "it is", "the", "and it", "and"} & set(said)


def test_one_linear_model_is_the_mean_of_the_two_that_were_fitted(fitted: LinearModel) -> None:
    from sklearn.linear_model import LogisticRegression

    texts, targets = samples_of(tickets(90, seed=4))
    one = [("", title, body) for _, title, body in texts]
    model = fit_linear(one, targets, ASKED[:1])
    matrix = np.zeros((len(one), len(model.idf)))
    for row, (_, title, body) in enumerate(one):
        indices, values = model.vector(features(title, body))
        matrix[row, indices] = values
    said = np.array([model.heads["type"].labels.index(str(target["type"])) for target in targets])
    plain = LogisticRegression(C=10, max_iter=300, tol=1e-3).fit(matrix, said).decision_function(matrix)
    weighted = np.zeros_like(plain)
    for column in range(3):
        inside, outside = (matrix[rows].sum(axis=0) + 0.1 for rows in (said == column, said != column))
        ratios = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
        found = LogisticRegression(max_iter=300, tol=1e-3).fit(matrix * ratios, said == column)
        weighted[:, column] = found.decision_function(matrix * ratios)
    ours = matrix @ model.heads["type"].weights[0] + model.heads["type"].bias
    assert ours == pytest.approx((plain + weighted) / 2, abs=0.02)


class Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/understudy-pickle-ran"),))


def hostile(kind: str, whole: bytes) -> bytes:
    out = io.BytesIO()
    if kind == "pickle":
        return pickle.dumps(Bomb())
    if kind == "pickled array":
        np.savez(out, meta=np.array([Bomb()], dtype=object), words=np.zeros(1), idf=np.zeros(1))
        return out.getvalue()
    if kind == "cut":
        return whole[:-200]
    if kind == "text":
        return b"not a model at all"
    with np.load(io.BytesIO(whole)) as arrays:
        held = dict(arrays)
    meta = json.loads(held["meta"].tobytes())
    if kind == "shape":
        held["weights0"] = held["weights0"][:, :-1]
    if kind == "labels":
        meta["heads"][0]["labels"].append("admin")
    if kind == "nan":
        held["bias0"] = held["bias0"] * np.nan
    if kind == "mode":
        meta["heads"][0]["mode"] = "eval"
    if kind == "missing":
        del held["bias0"]
    held["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    np.savez(out, **held)
    return out.getvalue()


@pytest.mark.parametrize(
    "kind", ["pickle", "pickled array", "cut", "text", "shape", "labels", "nan", "mode", "missing", "empty"]
)
def test_a_hostile_or_damaged_file_is_a_sentence_and_runs_nothing(
    kind: str, fitted: LinearModel, tmp_path: Path
) -> None:
    mark = Path("/tmp/understudy-pickle-ran")
    mark.unlink(missing_ok=True)
    path = tmp_path / "m.npz"
    fitted.save(path)
    path.write_bytes(b"" if kind == "empty" else hostile(kind, path.read_bytes()))
    with pytest.raises(BadInput, match=r"m\.npz is no labelling model or is damaged"):
        LinearModel.load(path)
    assert not mark.exists()


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        LinearModel.load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("said", [["bug"], ["bug", "bug", "bug"], ["bug", "bug", "feature"]])
def test_one_class_or_one_example_is_no_error(said: list[str]) -> None:
    texts: list[Text] = [("", f"title {at}", f"body {word}") for at, word in enumerate(said)]
    targets: list[Target] = [{"type": word} for word in said]
    model = fit_linear(texts, targets, [Question(group="type", labels=["bug", "feature", "question"])])
    found = model.predict(texts[0])["type"]
    assert max(found, key=lambda label: found[label]) == "bug"
    assert "question" not in found, "what was never seen has no probability"


def test_tickets_without_any_word_are_answered(fitted: LinearModel) -> None:
    for title, body in (
        ("", ""),
        ("🙂🙂", "\u202e"),
        ("   ", "\n\n"),
        ("日本語", "起動しない"),
        ("x", "<div><p></p></div>"),
    ):
        assert sum(fitted.predict(("", title, body))["type"].values()) == pytest.approx(1, abs=1e-5)


def test_projects_with_enough_tickets_have_weights_of_their_own() -> None:
    texts, targets = samples_of(tickets(240))
    model = fit_linear(texts, targets, ASKED)
    assert model.projects == ("team/0", "team/1")
    few = fit_linear(texts[:60], targets[:60], ASKED)
    assert few.projects == ()


def test_loading_and_answering_import_neither_torch_nor_scikit_learn(fitted: LinearModel, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m.npz")
    code = (
        "import sys; from pathlib import Path\n"
        "from understudy.templates.bug_classification.linear import LinearModel\n"
        f"print(LinearModel.load(Path({str(tmp_path / 'm.npz')!r})).predict(('', 'crash', 'traceback'))['type'])\n"
        "print(sorted({'torch', 'sklearn', 'transformers', 'scipy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]"), done.stdout


def test_a_huge_body_is_read_at_its_ends_only() -> None:
    long = "head " * 200_000 + "tail"
    found = features("title", long)
    assert sum(map(len, found.values())) < 5_000
    assert "tail" in found["words"]


def test_labels_outside_the_seen_ones_do_not_appear(fitted: LinearModel) -> None:
    wider = Taxonomy.model_validate({"groups": [{"name": "type", "labels": ["bug", "feature", "question", "chore"]}]})
    model = fit_linear(*samples_of(tickets(30)), questions(wider))
    assert "chore" not in model.predict(("", "crash", ""))["type"]
