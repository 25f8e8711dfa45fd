from __future__ import annotations

import lzma
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.errors import BadInput
from understudy.core.pack import BuildContext, load_pack, pack_names
from understudy.core.records import Example
from understudy.core.settings import Settings, load_settings
from understudy.templates.log_triage import data, rules
from understudy.templates.log_triage.foundry._case import Case, stamped
from understudy.templates.log_triage.prompt import messages
from understudy.templates.log_triage.schema import LogInput, LogLine, RootCause

PACK = load_pack("log-triage")


def case(number: int = 0, recipe: str = "pytest.wrong", **changes: Any) -> Case:
    name = f"test_total_{number}"
    filler = [f"Collecting package_{number}_{n}" for n in range(20)]
    log = [*filler, f"FAILED tests/test_cart.py::{name} - assert 3 == 4", "1 failed in 0.02s"]
    right: dict[str, Any] = {
        "id": f"{recipe}-{number}",
        "recipe": recipe,
        "tool": "pytest",
        "category": "test_assertion",
        "origin": "code",
        "transient": False,
        "evidence": [21],
        "subject": name,
        "cause": f"Test `{name}` fails.",
        "fix": f"Correct what `{name}` checks.",
        "started": "2026-01-05T06:00:00Z",
        "log": "\n".join([*log, "##[error]Process completed with exit code 1."]),
    }
    return Case.model_validate({**right, **changes})


def context(**changes: Any) -> BuildContext:
    return BuildContext(count_tokens=lambda text: len(text) // 3 + 1, **{"prompt_budget": 300, **changes})


def case_file(path: Path, cases: list[Case]) -> Path:
    text = "".join(item.model_dump_json() + "\n" for item in cases).encode()
    path.write_bytes(lzma.compress(text) if path.suffix == ".xz" else text)
    return path


def test_the_pack_is_registered_like_anybody_s_and_its_rooms_fit_together() -> None:
    assert "log-triage" in pack_names()
    assert (PACK.name, PACK.Input, PACK.Output) == ("log-triage", LogInput, RootCause)
    assert set(PACK.builders) == {"seed", "cases", "runs"}
    with pytest.raises(BadInput, match=r"no task pack is called 'nope'; installed packs: .*log-triage"):
        load_pack("nope")


def test_the_template_s_settings_are_valid_and_are_the_pack_s() -> None:
    path = Path(data.__file__).parent / "understudy.yaml"
    found = load_settings(path)
    assert isinstance(found, Settings) and found.pack == PACK.name
    assert {source.builder for source in found.data.sources} <= set(PACK.builders)


def test_the_prompt_numbers_lines_by_position_and_marks_gaps() -> None:
    lines = [LogLine(number=n, text=f"line {n}") for n in (1, 2, 9, 12)]
    for chosen, text in (
        (lines, "1: line 1\n2: line 2\n...\n3: line 9\n...\n4: line 12"),
        (lines[1:3], "...\n1: line 2\n...\n2: line 9\n..."),
    ):
        system, user = messages(LogInput(lines=chosen, total_lines=12))
        assert (system.role, user.role) == ("system", "user")
        shown, reading = user.content.split("\nRules: ")
        assert shown == text
        assert reading == "none. Suspicious lines: none."


def test_the_rules_reading_stands_last_and_cites_positions() -> None:
    lines = [
        LogLine(number=40, text="collected 3 items"),
        LogLine(number=52, text="FAILED tests/a.py::test_b - assert 1"),
    ]
    user = messages(LogInput(lines=lines, total_lines=60))[1].content
    assert user.split("\n")[-1].startswith("Rules: test_assertion, code, lasting, lines 2. ")
    assert "test_b" in user.split("\n")[-1]


def test_where_no_rule_knows_the_failure_the_most_suspicious_lines_are_named() -> None:
    unheard = ["checking out", "blorp: cannot frobnicate `x`", "note: x is required", "blorp: cannot unfrobnicate `x`"]
    lines = [LogLine(number=n, text=text) for n, text in enumerate(unheard, start=1)]
    assert rules.diagnose(LogInput(lines=lines, total_lines=4)).category == "unknown"
    user = messages(LogInput(lines=lines, total_lines=4))[1].content
    assert user.split("\n")[-1] == "Rules: none. Suspicious lines: 2 4."


def test_an_answer_is_worded_like_the_reading_only_where_that_is_right() -> None:
    made = data.example_of(case(), context())
    assert made is not None
    reading = rules.diagnose(LogInput.model_validate(made.input))
    assert made.output["root_cause"] == reading.root_cause != case().cause
    for change in ({"category": "lint_failure"}, {"evidence": [20]}):
        other = data.example_of(case(**change), context())
        assert other is not None and other.output["root_cause"] == case().cause


def test_an_example_holds_the_case_as_the_model_will_meet_it() -> None:
    made = data.example_of(case(), context())
    assert made is not None
    log, answer = LogInput.model_validate(made.input), RootCause.model_validate(made.output)
    shown = [log.lines[position - 1] for position in answer.evidence]
    assert [line.number for line in shown] == [21]
    assert shown[0].text == "FAILED tests/test_cart.py::test_total_0 - assert 3 == 4", "no timestamp is left"
    assert PACK.check(log, answer) == []
    assert (made.group, made.stratum, made.meta["evidence"]) == ("pytest.wrong", "test_assertion", [21])


def test_a_case_whose_evidence_does_not_fit_the_prompt_is_left_out() -> None:
    assert data.example_of(case(), context(prompt_budget=1)) is None
    unknown = case(category="unknown", evidence=[], subject="", cause="No cause is shown.", fix="Look.")
    assert data.example_of(unknown, context()) is not None


@pytest.mark.parametrize("name", ["cases.jsonl", "cases.jsonl.xz"])
def test_case_files_are_read_packed_or_not(name: str, tmp_path: Path) -> None:
    path = case_file(tmp_path / name, [case(n) for n in range(3)])
    progress: list[tuple[int, int]] = []
    asked = context(paths=[path], on_progress=lambda done, total: progress.append((done, total)))
    made = list(PACK.builders["cases"](asked))
    assert [example.id for example in made] == ["pytest.wrong-0", "pytest.wrong-1", "pytest.wrong-2"]
    assert progress == [(1, 3), (2, 3), (3, 3)]


def test_bad_case_files_are_refused_by_name_and_line(tmp_path: Path) -> None:
    broken = case_file(tmp_path / "a.jsonl", [case()])
    broken.write_bytes(broken.read_bytes() + b'{"id": 3}\n')
    whole = case_file(tmp_path / "b.jsonl.xz", [case(n) for n in range(50)])
    cut = tmp_path / "c.jsonl.xz"
    cut.write_bytes(whole.read_bytes()[:-40])
    fake = tmp_path / "d.jsonl.xz"
    fake.write_bytes(b"no xz at all")
    latin = tmp_path / "e.jsonl"
    latin.write_bytes(b"\xff\xfe\n")
    for path, sentence in (
        (broken, r"a.jsonl, line 2 is no foundry case"),
        (cut, "c.jsonl.xz cannot be read"),
        (fake, "d.jsonl.xz cannot be read"),
        (latin, "e.jsonl cannot be read"),
        (tmp_path / "nowhere.jsonl", "nowhere.jsonl cannot be read"),
    ):
        with pytest.raises(BadInput, match=sentence):
            list(PACK.builders["cases"](context(paths=[path])))
    with pytest.raises(BadInput, match=r"needs data\.sources"):
        list(PACK.builders["cases"](context()))


def test_a_limit_draws_evenly_over_recipes_and_the_same_ones_every_time(tmp_path: Path) -> None:
    many = [case(n, recipe) for recipe, size in (("a.x", 20), ("b.y", 20), ("c.z", 2)) for n in range(size)]
    path = case_file(tmp_path / "cases.jsonl", many)

    def drawn(seed: int) -> list[Example]:
        return list(data.from_cases(context(paths=[path], limit=12, rng=random.Random(seed))))

    assert Counter(example.group for example in drawn(1)) == {"a.x": 5, "b.y": 5, "c.z": 2}
    assert drawn(1) == drawn(1) != drawn(2)


def test_a_stamped_log_has_the_same_lines_behind_times_that_never_go_back() -> None:
    lines = stamped(case()).split("\n")[:-1]
    assert [line.split(" ", 1)[1] for line in lines] == case().log.split("\n")
    times = [line.split(" ", 1)[0] for line in lines]
    assert times == sorted(times) and stamped(case()) == stamped(case())


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.booleans())
def test_a_corrupted_answer_is_plausible_valid_and_wrong(seed: int, unknown: bool) -> None:
    changes: dict[str, Any] = {"category": "unknown", "evidence": [], "subject": "", "cause": "No.", "fix": "Look."}
    made = data.example_of(case(**(changes if unknown else {})), context())
    assert made is not None
    wrong = PACK.corrupt(made, random.Random(seed))
    assert isinstance(wrong, RootCause)
    right = RootCause.model_validate(made.output)
    assert wrong != right and wrong.category != "unknown"
    assert wrong.category != right.category or not set(wrong.evidence) & set(right.evidence)
    assert PACK.check(LogInput.model_validate(made.input), wrong) == []
    assert PACK.corrupt(made, random.Random(seed)) == wrong


def test_the_reference_answers_without_a_model_and_scores_on_its_own_example() -> None:
    made = data.example_of(case(), context())
    assert made is not None
    answer = PACK.reference(LogInput.model_validate(made.input))
    assert isinstance(answer, RootCause) and answer.category == "test_assertion"
    assert PACK.check(LogInput.model_validate(made.input), answer) == []
