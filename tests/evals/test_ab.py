"""An A/B test deals units out by hash and calls no winner by being looked at often."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.errors import BadInput
from understudy.evals.ab import Outcome, assign, outcomes, run_test
from understudy.evals.log import read_log

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def simulated(seed: int, rates: dict[str, float], n: int = 400) -> list[Outcome]:
    rng = np.random.default_rng(seed)
    found = []
    for at in range(n):
        unit = f"owner/name#{seed}-{at}"
        arm = assign("test", unit)
        found.append(Outcome(unit, arm, float(rng.random() < rates[arm])))
    return found


def test_a_unit_always_gets_the_same_arm_and_another_experiment_deals_anew() -> None:
    assert len({assign("x", "o/n#1") for _ in range(5)}) == 1
    one = [assign("x", f"o/n#{at}") for at in range(2_000)]
    other = [assign("y", f"o/n#{at}") for at in range(2_000)]
    same = sum(a == b for a, b in zip(one, other, strict=True))
    assert 900 < same < 1_100


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_units_is_the_one_asked_for(share: float) -> None:
    got = sum(assign("x", f"o/n#{at}", share) == "b" for at in range(4_000)) / 4_000
    assert got == pytest.approx(share, abs=0.03)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_every_name_can_be_assigned(experiment: str, unit: str) -> None:
    assert assign(experiment, unit, 0.0) == "a" and assign(experiment, unit, 1.0) == "b"


@pytest.mark.parametrize("bad", [("", "u", 0.5), ("x", "", 0.5), ("x", "u", 1.5), ("x", "u", float("nan"))])
def test_an_assignment_without_a_name_or_with_an_impossible_share_is_refused(bad: tuple[str, str, float]) -> None:
    with pytest.raises(BadInput):
        assign(*bad)


def test_looking_after_every_unit_calls_a_false_winner_in_at_most_five_percent() -> None:
    false = sum(run_test(simulated(seed, {"a": 0.6, "b": 0.6})).verdict != "undecided" for seed in range(150))
    assert false <= 150 * 0.05


def test_a_real_difference_is_found_and_named() -> None:
    found = [run_test(simulated(seed, {"a": 0.5, "b": 0.75})).verdict for seed in range(20)]
    assert found.count("b is better") >= 15 and "a is better" not in found
    assert run_test(simulated(1, {"a": 0.9, "b": 0.4})).verdict == "a is better"


def test_the_p_value_never_rises_and_starts_at_one() -> None:
    series = run_test(simulated(3, {"a": 0.5, "b": 0.7})).series
    assert series[0] == 1.0 and all(a >= b for a, b in itertools.pairwise(series))
    assert run_test([]).verdict == "undecided"


def test_one_arm_alone_is_never_a_winner() -> None:
    result = run_test([Outcome(f"u{at}", "a", float(at % 7 > 0)) for at in range(500)])
    assert (result.verdict, result.units, result.exit_code) == ("undecided", {"a": 500, "b": 0}, 3)


def test_an_outcome_outside_zero_to_one_is_refused() -> None:
    for value in (1.5, -0.1, float("nan")):
        with pytest.raises(BadInput, match="between 0 and 1"):
            run_test([Outcome("u", "a", value)])


def write(path: Path, units: int, experiment: str = "test", mix: int = 0) -> Path:
    lines = []
    for at in range(units):
        unit = f"o/n#{at}"
        arm = assign(experiment, unit)
        for part in range(2):
            other = {"a": "b", "b": "a"}[arm] if at < mix and part else arm
            time = (START + timedelta(hours=at)).isoformat()
            lines.append({"id": f"{at}.{part}", "time": time, "unit": unit, "arm": other})
            said = {"inference_id": f"{at}.{part}", "time": time, "actor": "x", "kind": "bool", "value": part == 0}
            lines.append(said)
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def test_a_log_becomes_one_outcome_per_unit(tmp_path: Path) -> None:
    found, mixed = outcomes(read_log(write(tmp_path / "log", 40, mix=3)), "test")
    assert len(found) == 37 and {one.value for one in found} == {0.5}
    assert mixed == ["o/n#0", "o/n#1", "o/n#2"]


def test_a_log_of_another_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not in the arm that 'other' assigns"):
        outcomes(read_log(write(tmp_path / "log", 60)), "other")
    path = tmp_path / "none"
    path.write_text(json.dumps({"id": "x", "time": START.isoformat()}) + "\n")
    with pytest.raises(BadInput, match="no unit of this log"):
        outcomes(read_log(path), "test")
