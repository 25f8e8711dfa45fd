"""``github label``: adds, never removes, never invents, and leaves to people what people decided."""

from __future__ import annotations

import json
from typing import Any

import pytest

from understudy.integrations.github import apply as carrying
from understudy.integrations.github.client import GitHub, ServiceError
from understudy.integrations.github.label import Labelled, plan_labels
from understudy.integrations.github.plan import LabelStep, Plan, SummaryStep
from understudy.integrations.github.tickets import events_of, one_ticket

from ...fakes.github.server import FakeGitHub, Fault
from ...fakes.github.state import BOT
from .conftest import Commands


def answer(number: int = 1, *labels: str, group: str = "type", **changes: Any) -> Labelled:
    chosen = [{"group": group, "label": name, "probability": 0.93, "applied": True} for name in labels or ("bug",)]
    table = {"bug": 0.93, "feature": 0.05, "question": 0.02}
    known = {"id": str(number), "labels": chosen, "abstained": False, "model": "bug-classification-1"}
    return Labelled.model_validate({**known, "groups": [{"group": group, "table": table, "untrained": []}], **changes})


def planned(github: GitHub, *answers: Labelled, protected: frozenset[str] = frozenset()) -> Plan:
    by_number = {int(one.id): one for one in answers}
    tickets = [events_of(github, "team/app", one_ticket(github, "team/app", n), one) for n, one in by_number.items()]
    known = [one["name"] for one in github.pages("/repos/team/app/labels")]
    return plan_labels("team/app", tickets, by_number, known, github.login, github.scrubber, protected=protected)


def added(plan: Plan) -> list[tuple[int, str]]:
    return [(step.number, step.label) for step in plan.steps if isinstance(step, LabelStep)]


@pytest.fixture
def issue(fake: FakeGitHub) -> int:
    fake.repo.add_label_names(*(f"label {number}" for number in range(120)), "bug", "feature", "question", "area/x y")
    return fake.repo.open_issue("It crashes", "When I press the button.").number


def test_a_sure_label_is_added_and_the_others_are_shown(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    plan = planned(github, answer())
    assert added(plan) == [(1, "bug")]
    page = next(step.body for step in plan.steps if isinstance(step, SummaryStep))
    assert "type: bug 93%, type: feature 5%, type: question 2%" in page
    assert carrying.apply(plan, github, environment={}).failed == []
    assert fake.repo.issues[issue].labels == ["bug"]
    assert [asked.method for asked in fake.writes()] == ["POST"]


def test_a_label_the_repository_lacks_is_never_created(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    plan = planned(github, answer(1, "crash"))
    assert added(plan) == []
    assert "'crash' is no label of the repository, and none is created" in plan.left_out[0]


def test_a_label_deleted_since_the_plan_is_not_created_again(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    plan = planned(github, answer())
    del fake.repo.labels["bug"]
    outcome = carrying.apply(plan, github, environment={})
    assert "none is created" in outcome.failed[0]
    assert "bug" not in fake.repo.labels


@pytest.mark.parametrize("before", [True, False], ids=["before the plan", "after it"])
def test_what_a_person_removed_is_not_added_again(fake: FakeGitHub, github: GitHub, issue: int, before: bool) -> None:
    plan = None if before else planned(github, answer())
    fake.repo.label(issue, "bug", BOT)
    fake.repo.unlabel(issue, "bug", "ann")
    if plan is None:
        plan = planned(github, answer())
        assert "somebody removed 'bug'" in plan.left_out[0]
    else:
        assert "somebody removed 'bug'" in carrying.apply(plan, github, environment={}).failed[0]
    assert fake.repo.issues[issue].labels == []


@pytest.mark.parametrize("before", [True, False], ids=["before the plan", "after it"])
def test_a_group_in_which_a_person_chose_is_left_alone(
    fake: FakeGitHub, github: GitHub, issue: int, before: bool
) -> None:
    plan = None if before else planned(github, answer())
    fake.repo.label(issue, "Feature", "ann")
    if plan is None:
        assert planned(github, answer()).left_out == ["#1: somebody labelled #1 'feature' already"]
    else:
        assert "somebody labelled" in carrying.apply(plan, github, environment={}).failed[0]
    assert fake.repo.issues[issue].labels == ["feature"]


def test_a_label_of_another_group_does_not_matter(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    fake.repo.label(issue, "area/x y", "ann")
    assert added(planned(github, answer())) == [(1, "bug")]


def test_two_labels_of_one_group_are_both_added(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    plan = planned(github, answer(1, "bug", "question"))
    assert carrying.apply(plan, github, environment={}).failed == []
    assert fake.repo.issues[issue].labels == ["bug", "question"]


def test_our_own_earlier_label_is_not_contradicted(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    carrying.apply(planned(github, answer()), github, environment={})
    assert planned(github, answer(1, "feature")).left_out == [
        "#1: we labelled it 'bug' before, and labels are only added"
    ]


def test_protected_labels_are_never_written_whatever_the_plan_says(
    fake: FakeGitHub, github: GitHub, issue: int
) -> None:
    assert planned(github, answer(), protected=frozenset({"bug"})).left_out == ["#1: 'bug' is protected"]
    outcome = carrying.apply(planned(github, answer()), github, protected=frozenset({"bug"}), environment={})
    assert outcome.failed == ["label 'bug' on #1: 'bug' is protected"]
    assert fake.writes() == []


def test_an_abstention_adds_nothing(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    unsure = answer(labels=[{"group": "type", "label": "bug", "probability": 0.4, "applied": False}], abstained=True)
    assert added(planned(github, unsure)) == []


@pytest.mark.parametrize("fault", ["502 after", "drop after", "502 before", "403 primary", "429"])
def test_a_failing_server_is_asked_once_more_only_after_a_look(
    fake: FakeGitHub, github: GitHub, issue: int, fault: Fault
) -> None:
    plan = planned(github, answer())
    fake.break_once("POST", "/labels", fault)
    assert carrying.apply(plan, github, environment={}).failed == []
    assert fake.repo.issues[issue].labels == ["bug"]
    assert len(fake.writes()) == (1 if "after" in fault else 2)


def test_deleted_moved_and_unknown_tickets_are_sentences(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    with pytest.raises(ServiceError, match="issues/9: not found"):
        one_ticket(github, "team/app", 9)
    fake.repo.issues[issue].moved_to = "other/app"
    with pytest.raises(ServiceError, match="was transferred to other/app"):
        one_ticket(github, "team/app", issue)
    fake.repo.issues[issue].deleted = True
    with pytest.raises(ServiceError, match="gone; it was deleted"):
        one_ticket(github, "team/app", issue)


def test_a_ticket_moved_after_the_plan_is_not_labelled(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    plan = planned(github, answer())
    fake.repo.issues[issue].moved_to = "other/app"
    assert "was transferred to other/app" in carrying.apply(plan, github, environment={}).failed[0]
    assert fake.writes() == []


def test_a_secret_in_a_title_is_not_shown(fake: FakeGitHub, github: GitHub, issue: int) -> None:
    fake.repo.issues[issue].title = "It prints ghp_ab_cdefghijklmnopqrstuvwxyzAB12345678"
    assert "cdefghijkl" not in planned(github, answer()).model_dump_json()


def write_answers(commands: Commands, *numbers: int) -> None:
    lines = [answer(number).model_dump_json() for number in numbers]
    (commands.folder / "answers.jsonl").write_text("\n".join(lines) + "\n")


def test_the_command_labels_one_ticket_only_with_apply(fake: FakeGitHub, commands: Commands, issue: int) -> None:
    write_answers(commands, 1)
    ran = commands("label", "team/app#1", "--answers", "answers.jsonl", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["steps"][0]["label"] == "bug"
    assert fake.repo.issues[issue].labels == []
    ran = commands.in_workflow("label", "team/app#1", "--answers", "answers.jsonl", "--apply")
    assert ran.code == 0, ran.err
    assert fake.repo.issues[issue].labels == ["bug"]
    assert "It crashes" in commands.page.read_text()


def test_a_back_fill_goes_on_where_it_stopped(fake: FakeGitHub, commands: Commands, issue: int) -> None:
    for _ in range(5):
        fake.repo.open_issue("Another")
    fake.repo.open_pull([])
    write_answers(commands, *range(1, 8))
    arguments = ("label", "team/app", "--since", "2026-10-01", "--answers", "answers.jsonl", "--apply")
    fake.chance = lambda asked: "500" if asked.path == "/repos/team/app/issues/4/labels" else None
    ran = commands(*arguments)
    assert ran.code == 4
    assert "label 'bug' on #4" in ran.complaint
    assert [number for number, one in fake.repo.issues.items() if one.labels] == [1, 2, 3, 5, 6]
    fake.chance = lambda asked: None
    before = len(fake.writes())
    assert commands(*arguments).code == 0
    assert [asked.path for asked in fake.writes()[before:]] == ["/repos/team/app/issues/4/labels"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("team/app",),
        ("team/app#1", "--since", "2026-01-01"),
        ("team/app", "--since", "yesterday"),
        ("team/app#2",),
        ("x",),
    ],
)
def test_what_cannot_be_meant_is_refused(
    fake: FakeGitHub, commands: Commands, issue: int, arguments: tuple[str, ...]
) -> None:
    fake.repo.open_issue("Another")
    write_answers(commands, 1)
    ran = commands("label", *arguments, "--answers", "answers.jsonl")
    assert (ran.code, ran.out) == (2, "")
    assert ran.complaint


@pytest.mark.parametrize("content", ["", "{}", '{"id": "x", "labels": [], "abstained": true, "model": "m"}', "[]"])
def test_answers_that_are_none_are_refused_by_line(commands: Commands, content: str) -> None:
    (commands.folder / "answers.jsonl").write_text(content)
    ran = commands("label", "team/app#1", "--answers", "answers.jsonl")
    assert (ran.code, ran.out) == (2, "")
    assert "answers.jsonl" in ran.complaint
