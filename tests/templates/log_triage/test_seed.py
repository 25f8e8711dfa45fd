"""The embedded examples: every claim of every case is checked against its own log."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.resources import as_file, files

import pytest

from understudy.core._constraint import compile_schema, guidance_tokenizer
from understudy.core.bases import load_tokenizer, resolve_base, token_counter
from understudy.core.pack import BuildContext
from understudy.core.redaction import redact
from understudy.core.rows import completion_text
from understudy.core.settings import DataSettings
from understudy.templates.log_triage.checks import check
from understudy.templates.log_triage.data import cases, example_of
from understudy.templates.log_triage.foundry._case import Case
from understudy.templates.log_triage.grammar import narrowed_schema
from understudy.templates.log_triage.schema import CATEGORIES, LogInput, RootCause


@pytest.fixture(scope="module")
def embedded() -> list[Case]:
    with as_file(files("understudy.templates.log_triage") / "seed" / "cases.jsonl.xz") as path:
        return list(cases(path))


def _quotes(case: Case) -> str:
    lines = case.log.split("\n")
    return "\n".join(lines[number - 1] for number in case.evidence)


def test_there_are_enough_cases_of_enough_kinds(embedded: list[Case]) -> None:
    assert len(embedded) >= 3000
    assert len({case.recipe for case in embedded}) >= 60
    assert len({case.tool for case in embedded}) >= 10
    assert {case.category for case in embedded} == set(CATEGORIES)


def test_cases_have_names_of_their_own_and_logs_of_their_own(embedded: list[Case]) -> None:
    assert len({case.id for case in embedded}) == len(embedded)
    assert max(Counter(case.log for case in embedded).values()) <= 2


def test_a_recipe_has_one_category_origin_and_tool(embedded: list[Case]) -> None:
    about = defaultdict(set)
    for case in embedded:
        about[case.recipe].add((case.category, case.origin, case.transient, case.tool))
    assert not {name: found for name, found in about.items() if len(found) > 1}


def test_every_case_s_evidence_is_really_in_its_log(embedded: list[Case]) -> None:
    bad = [
        case.id
        for case in embedded
        if not all(1 <= number <= len(case.log.split("\n")) for number in case.evidence)
        or any(not line.strip() for line in _quotes(case).split("\n") if case.evidence)
        or case.evidence != sorted(set(case.evidence))
        or (case.category == "unknown") != (not case.evidence)
        or len(case.evidence) > 4
    ]
    assert not bad


def test_every_case_s_subject_and_names_stand_in_its_quotes(embedded: list[Case]) -> None:
    bad = []
    for case in embedded:
        quotes = _quotes(case)
        names = [*case.cause.split("`")[1::2], *case.fix.split("`")[1::2]]
        shown = all(name and name in quotes for name in names) and case.subject in quotes
        named = f"`{case.subject}`" in case.cause if case.category != "unknown" else not (case.subject or names)
        even = case.cause.count("`") % 2 == case.fix.count("`") % 2 == 0
        if not (shown and named and even and 0 < len(case.cause) <= 160 and 0 < len(case.fix) <= 160):
            bad.append((case.id, case.cause, case.fix))
    assert not bad


def test_no_log_tells_where_it_was_made_or_holds_a_stray_control_character(embedded: list[Case]) -> None:
    home = [
        case.id
        for case in embedded
        if "/root/" in case.log or "foundry-" in case.log or "/.cache/understudy" in case.log
    ]
    assert not home
    assert not [case.id for case in embedded if "\x00" in case.log or "\ufffd" in case.log]


def _some(embedded: list[Case], each: int) -> Iterator[Case]:
    by_recipe: dict[str, list[Case]] = defaultdict(list)
    for case in embedded:
        by_recipe[case.recipe].append(case)
    rng = random.Random(5)
    for found in by_recipe.values():
        yield from rng.sample(found, min(each, len(found)))


def test_the_examples_can_be_asked_checked_and_answered_under_the_grammar(embedded: list[Case]) -> None:
    """One case a recipe: what a model is taught must be something that decoding lets it say."""
    from llguidance import LLMatcher

    tokenizer = load_tokenizer(resolve_base("seedling"))
    view = guidance_tokenizer(tokenizer, 5120, (2,))
    context = BuildContext(count_tokens=token_counter(tokenizer), prompt_budget=DataSettings().prompt_budget)
    asked = lost = 0
    unsayable, wrong = [], []
    for case in _some(embedded, 1):
        asked += 1
        made = example_of(case, context)
        if made is None:
            lost += 1
            continue
        log, answer = LogInput.model_validate(made.input), RootCause.model_validate(made.output)
        if check(log, answer):
            wrong.append((case.id, check(log, answer)[0].message))
        matcher = LLMatcher(view, compile_schema(narrowed_schema(log), view))
        text = completion_text(answer)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if matcher.validate_tokens(ids) != len(ids):
            unsayable.append((case.id, text))
    assert lost <= asked * 0.08, f"{lost} of {asked} cases lose their evidence in packing or cannot be written"
    assert not wrong and not unsayable, f"{len(wrong)} fail a check: {wrong[:9]}; {len(unsayable)}: {unsayable[:9]}"


def test_redaction_takes_no_name_that_an_answer_needs(embedded: list[Case]) -> None:
    hidden = [case.id for case in _some(embedded, 2) if case.subject not in redact(_quotes(case))[0]]
    assert not hidden
