from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from understudy.core.records import Example, Prediction, Source
from understudy.templates.log_triage.metrics import score
from understudy.templates.log_triage.schema import CATEGORIES


def sample(category: str = "lint_failure", evidence: tuple[int, ...] = (20,), subject: str = "F401") -> Example:
    """A log of which lines 10, 20 and 30 were shown; ``evidence`` holds source line numbers."""
    return Example(
        id="e",
        pack="log-triage",
        group="g",
        input={"lines": [{"number": n, "text": f"line {n}"} for n in (10, 20, 30)], "total_lines": 99},
        output={"category": category},
        meta={"evidence": list(evidence), "subject": subject, "tool": "t"},
        source=Source(origin="test"),
    )


def said(
    category: str = "lint_failure", evidence: tuple[int, ...] = (2,), cause: str = "`F401` is violated.", **more: Any
) -> Prediction:
    output = {"category": category, "evidence": list(evidence), "root_cause": cause}
    return Prediction(example_id="e", arm="a", text="", finish_reason="stop", **{"output": output, **more})


def value(metric: str, example: Example, prediction: Prediction) -> float:
    return score([example], [prediction])[metric].value


@pytest.mark.parametrize(
    ("true", "cited", "f1"),
    [
        ((20,), (2,), 1.0),
        ((20,), (1,), 0.0),
        ((20,), (1, 2), 2 / 3),
        ((20, 77), (2,), 2 / 3),  # line 77 did not fit the prompt and is missed all the same
        ((20,), (), 0.0),
        ((), (), 1.0),
        ((), (2,), 0.0),
        ((20,), (2, 2), 1.0),
        ((20,), (2, 9), 0.0),  # a position that does not exist spoils the answer
    ],
)
def test_evidence_is_compared_in_source_lines(true: tuple[int, ...], cited: tuple[int, ...], f1: float) -> None:
    assert value("evidence_f1", sample(evidence=true), said(evidence=cited)) == pytest.approx(f1)


def test_correct_wants_the_category_and_a_true_line() -> None:
    assert value("correct", sample(), said()) == 1
    assert value("correct", sample(), said("type_error")) == 0
    assert value("correct", sample(), said(evidence=(1,))) == 0
    assert value("correct", sample("unknown", ()), said("unknown", ())) == 1
    assert value("correct", sample("unknown", ()), said("unknown", (1,))) == 0


def test_an_answer_that_does_not_parse_is_wrong_everywhere() -> None:
    found = score([sample()], [said(output=None)])
    assert {name: metric.value for name, metric in found.items()} == {
        "correct": 0,
        "category_macro_f1": 0,
        "evidence_f1": 0,
        "names_entity": 0,
    }


@pytest.mark.parametrize(
    ("subject", "cause", "named"),
    [
        ("F401", "Rule `F401` is violated.", 1),
        ("F401", "Rule `F4012` is violated.", 0),
        ("foo", "`foo-bar` is missing.", 0),
        ("foo", "`barfoo` is missing.", 0),
        ("a.b(c)+", "`a.b(c)+` fails.", 1),
        ("./x.sh", "Run `./x.sh`.", 1),
    ],
)
def test_an_entity_is_named_as_a_whole_word(subject: str, cause: str, named: float) -> None:
    assert value("names_entity", sample(subject=subject), said(cause=cause)) == named


def test_samples_without_an_entity_are_left_out_of_the_mean() -> None:
    found = score([sample(), sample(subject="")], [said(), said(cause="x")])["names_entity"]
    assert found.value == 1 and found.recompute is not None
    assert (found.recompute([1, 1]), found.recompute([0, 1, 0])) == (0, 1)


def test_a_confident_error_is_a_wrong_category_with_high_probability() -> None:
    wrong = "type_error"
    for confidence, counted in ((0.8, 1), (0.79, 0)):
        assert value("confident_error", sample(), said(wrong, confidence=confidence)) == counted
    assert value("confident_error", sample(), said(confidence=0.99)) == 0
    assert not score([sample()], [said(confidence=0.5)])["confident_error"].higher_is_better
    assert "confident_error" not in score([sample()], [said(wrong)]), "rules state no probability"


_LABEL = st.sampled_from(CATEGORIES[:5])


@given(st.lists(st.tuples(_LABEL, _LABEL), min_size=1, max_size=30), st.data())
def test_macro_f1_is_scikit_learn_s_over_the_true_categories(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    found = score([sample(true) for true, _ in pairs], [said(given) for _, given in pairs])["category_macro_f1"]

    def oracle(positions: list[int]) -> float:
        true, given = [pairs[i][0] for i in positions], [pairs[i][1] for i in positions]
        return float(f1_score(true, given, labels=sorted(set(true)), average="macro", zero_division=0))

    everything = list(range(len(pairs)))
    drawn = data.draw(st.lists(st.sampled_from(everything), min_size=1, max_size=30))
    assert found.recompute is not None
    assert found.value == pytest.approx(oracle(everything))
    assert found.recompute(drawn) == pytest.approx(oracle(drawn))


@given(st.lists(st.tuples(_LABEL, _LABEL, st.sampled_from([(), (1,), (2,), (9,)])), max_size=12))
def test_values_are_shares_and_means_are_over_the_samples_in_order(rows: list[Any]) -> None:
    found = score([sample(true) for true, _, _ in rows], [said(given, cited) for _, given, cited in rows])
    for metric in found.values():
        assert 0 <= metric.value <= 1
        if metric.per_sample is not None:
            assert len(metric.per_sample) == len(rows)
            assert metric.value == pytest.approx(np.mean(metric.per_sample) if rows else 0)
        else:
            assert metric.recompute is not None
            assert metric.recompute(range(len(rows))) == metric.value
    assert found["correct"].per_sample == [float(true == given and cited == (2,)) for true, given, cited in rows]
