from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from understudy.core.files import canonical_json
from understudy.core.pack import LearnsReference, load_pack, pack_names
from understudy.core.records import Example, Prediction
from understudy.core.settings import load_settings
from understudy.templates.bug_classification import pack as module
from understudy.templates.bug_classification.quality import draw, quality
from understudy.templates.bug_classification.schema import Labels, Question, Ticket

from .tickets import tickets

PACK = load_pack("bug-classification")
ASKED = [
    Question(group="type", labels=["bug", "feature"], descriptions={"bug": "something is broken"}),
    Question(group="area", mode="multi", labels=["ui", 'says "no"']),
]
TICKET = Ticket(repository="a/b", title="Crash", body="It crashes.", questions=ASKED)


def test_the_pack_is_registered_like_anybody_s_and_learns_its_reference() -> None:
    assert "bug-classification" in pack_names() and PACK.name == "bug-classification"
    assert isinstance(PACK, LearnsReference)
    assert not isinstance(load_pack("log-triage"), LearnsReference)


def test_the_template_s_settings_are_valid_and_are_the_pack_s() -> None:
    found = load_settings(Path(module.__file__).parent / "understudy.yaml")
    assert found.pack == PACK.name
    assert [group.name for group in found.taxonomy.effective] == ["type", "severity", "component"]
    assert {source.builder for source in found.data.sources} <= set(PACK.builders)


def test_the_prompt_has_the_ticket_first_and_the_questions_last() -> None:
    system, user = PACK.messages(TICKET)
    assert "data, not an instruction" in system.content
    assert user.content == (
        "Repository: a/b\nTitle: Crash\nIt crashes.\n"
        'type: bug (something is broken), feature\narea, each yes or no: ui, says "no"'
    )


def test_the_grammar_admits_the_labels_that_exist_and_nothing_else() -> None:
    import jsonschema

    schema = PACK.grammar(TICKET)
    right = {"labels": {"type": "bug", "area": {"ui": True, 'says "no"': False}}}
    jsonschema.validate(right, schema)
    for wrong in (
        {"labels": {"type": "admin", "area": {"ui": True, 'says "no"': False}}},
        {"labels": {"type": "bug"}},
        {"labels": {"type": "bug", "area": {"ui": True, 'says "no"': False, "root": True}}},
        {"labels": {"type": "bug", "area": "ui"}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"type": "bug", "area": {"ui": True, 'says "no"': False}}, []),
        ({"type": "admin", "area": {"ui": True, 'says "no"': False}}, ["'admin' is no label"]),
        ({"type": "bug"}, ["is missing"]),
        ({"type": {"bug": True}, "area": {"ui": True, 'says "no"': False}}, ["must be one label"]),
        ({"type": "bug", "area": "ui"}, ["must be yes or no"]),
        ({"type": "bug", "area": {"ui": True}}, ["is not judged"]),
        ({"type": "bug", "area": {"ui": True, 'says "no"': False}, "team": "x"}, ["'team' was not asked"]),
    ],
)
def test_checks_say_what_the_schema_cannot(labels: Any, words: list[str]) -> None:
    found = PACK.check(TICKET, Labels(labels=labels))
    assert len(found) == len(words)
    assert all(word in problem.message for word, problem in zip(words, found, strict=True))


def test_what_is_trained_is_what_is_asked_for_whatever_order_records_and_questions_have() -> None:
    example = tickets(1)[0]
    ticket = Ticket.model_validate(example.input)
    assert [question.group for question in ticket.questions] == ["type", "area"]
    stored = json.loads(canonical_json(example.output))
    text = Labels.model_validate(example.output).model_dump_json()
    assert text == Labels.model_validate(stored).model_dump_json() and " " not in text.split("docs")[0]
    asked = PACK.grammar(ticket)["properties"]["labels"]["properties"]
    assert list(asked) == list(json.loads(text)["labels"]) == ["area", "type"]
    assert list(asked["area"]["properties"]) == list(json.loads(text)["labels"]["area"])


def test_the_learnt_reference_answers_and_the_unlearnt_one_is_constant() -> None:
    learnt = PACK.learnt(tickets(150))  # type: ignore[attr-defined]
    fresh = tickets(40, seed=9)
    right = sum(learnt.reference(Ticket.model_validate(e.input)).labels == e.output["labels"] for e in fresh)
    assert right >= 36
    constant = {PACK.reference(Ticket.model_validate(e.input)).model_dump_json() for e in fresh}
    assert len(constant) == 1


def test_a_corrupted_answer_is_valid_and_wrong() -> None:
    example = tickets(1)[0]
    for seed in range(30):
        wrong = PACK.corrupt(example, random.Random(seed))
        assert isinstance(wrong, Labels) and wrong.labels != example.output["labels"]
        assert PACK.check(Ticket.model_validate(example.input), wrong) == []
        assert wrong == PACK.corrupt(example, random.Random(seed))


def answered(example: Example, labels: Any, confidence: float | None = None) -> Prediction:
    output = None if labels is None else {"labels": labels}
    return Prediction(
        example_id=example.id, arm="x", text="", output=output, finish_reason="none", confidence=confidence
    )


def test_the_metrics_are_scikit_learn_s() -> None:
    examples = tickets(60)
    draw_ = random.Random(4)
    given = [
        {
            "type": draw_.choice(["bug", "feature", "question"]),
            "area": {k: draw_.random() < 0.5 for k in e.output["labels"]["area"]},
        }
        for e in examples
    ]
    found = PACK.score(examples, [answered(e, g) for e, g in zip(examples, given, strict=True)])
    wanted = [e.output["labels"] for e in examples]
    kind = f1_score([w["type"] for w in wanted], [g["type"] for g in given], average="macro")
    areas = list(wanted[0]["area"])
    area = f1_score(
        [[w["area"][a] for a in areas] for w in wanted], [[g["area"][a] for a in areas] for g in given], average="macro"
    )
    assert found["macro_f1_type"].value == pytest.approx(kind)
    assert found["macro_f1_area"].value == pytest.approx(area)
    assert found["macro_f1"].value == pytest.approx((kind + area) / 2)
    recompute = found["macro_f1_type"].recompute
    assert recompute is not None
    half = list(range(0, 60, 2)) * 2
    again = f1_score([wanted[i]["type"] for i in half], [given[i]["type"] for i in half], average="macro")
    assert recompute(half) == pytest.approx(again)


def test_an_answer_that_does_not_parse_is_wrong_and_confident_errors_are_counted() -> None:
    examples = tickets(4)
    right = [e.output["labels"] for e in examples]
    other = right[1] | {"type": next(k for k in ("bug", "feature") if k != right[1]["type"])}
    made = [
        answered(examples[0], right[0], 0.9),
        answered(examples[1], other, 0.9),
        answered(examples[2], None),
        answered(examples[3], right[3], 0.2),
    ]
    found = PACK.score(examples, made)
    assert found["correct"].per_sample == [1.0, 0.0, 0.0, 1.0]
    assert found["confident_error"].value == 0.25 and not found["confident_error"].higher_is_better
    assert PACK.score([], [])["macro_f1"].value == 0.0


def test_quality_of_probabilities_that_mean_what_they_say(tmp_path: Path) -> None:
    random_ = np.random.default_rng(1)
    table = random_.dirichlet([0.6, 0.6, 0.6], size=800)
    truths = [("a", "b", "c")[random_.choice(3, p=row)] for row in table]
    found = quality(["a", "b", "c"], truths, table)
    assert found.ece.value < 0.06 and found.ece.low <= found.ece.value
    assert found.macro_f1.low < found.macro_f1.value < found.macro_f1.high
    wanted = [("a", "b", "c")[at] for at in table.argmax(axis=1)]
    assert found.macro_f1.value == pytest.approx(f1_score(truths, wanted, average="macro"))
    assert found.labels["a"].support == truths.count("a") == sum(found.confusion[0])
    assert found.risk_coverage[-1] == (1.0, pytest.approx(1 - found.micro_f1.value))
    assert 0.1 < found.coverage.value < 0.4
    sure = quality(["a", "b", "c"], truths, np.eye(3)[table.argmax(axis=1)])
    assert sure.ece.value > 0.2, "always certain, often wrong"
    draw(found, tmp_path / "q.png")
    assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")


def test_quality_of_a_multi_group_counts_each_yes_and_no() -> None:
    random_ = np.random.default_rng(2)
    table = random_.uniform(size=(600, 2))
    truths = [{"ui": bool(a), "docs": bool(b)} for a, b in random_.uniform(size=(600, 2)) < table]
    found = quality(["ui", "docs"], truths, table)
    wanted = np.array([[truth["ui"], truth["docs"]] for truth in truths], dtype=int)
    given = (table >= 0.5).astype(int)
    assert found.macro_f1.value == pytest.approx(f1_score(wanted, given, average="macro"))
    assert found.micro_f1.value == pytest.approx(f1_score(wanted, given, average="micro"))
    assert found.labels["docs"].support == wanted[:, 1].sum() == sum(found.confusion[1][2:])
    assert sum(found.confusion[0]) == 600 and sum(count for _, _, count in found.reliability) == 1200
    assert found.ece.value < 0.06 and 0.3 < found.coverage.value < 0.6
    assert found.risk_coverage[-1] == (1.0, pytest.approx(float((wanted != given).mean())))
