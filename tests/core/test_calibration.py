from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.calibration import Calibration, contextual, fit_calibration, log_loss


def answers(count: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Return probabilities that are right when ``sharpness`` is 1, too sure above it, and the classes drawn."""
    random = np.random.default_rng(seed)
    true = random.dirichlet([1, 1, 1], size=count)
    truth = [int(random.choice(3, p=row)) for row in true]
    said = true**sharpness
    return said / said.sum(axis=1, keepdims=True), truth


def test_answers_that_are_too_sure_are_softened_and_the_log_loss_falls() -> None:
    raw, truth = answers(600, 3.0)
    fitted = fit_calibration(raw, truth)
    fresh, wanted = answers(600, 3.0, seed=1)
    assert fitted.kind != "none"
    assert log_loss(fitted.apply(fresh), wanted) < log_loss(fresh, wanted) - 0.1
    if fitted.kind == "temperature":
        assert fitted.temperature == pytest.approx(3, abs=0.6)


def test_what_is_calibrated_already_is_left_alone() -> None:
    raw, truth = answers(600, 1.0)
    assert fit_calibration(raw, truth).kind == "none"


def test_a_bend_that_no_temperature_can_mend_gets_curves() -> None:
    random = np.random.default_rng(3)
    shown = random.uniform(0.05, 0.95, 1500)
    truth = (random.uniform(size=1500) < np.where(shown > 0.5, 0.55, 0.02)).astype(int)
    fitted = fit_calibration(np.stack([1 - shown, shown], axis=1), truth.tolist())
    assert fitted.kind == "isotonic"
    assert fitted.apply(np.array([[0.2, 0.8]]))[0, 1] == pytest.approx(0.55, abs=0.12)


def test_too_few_samples_or_one_class_fit_nothing() -> None:
    raw, truth = answers(20, 3.0)
    assert fit_calibration(raw, truth).kind == "none"
    raw, _ = answers(100, 3.0)
    assert fit_calibration(raw, [1] * 100).kind == "none"
    assert fit_calibration(np.zeros((0, 3)), []).kind == "none"


@settings(max_examples=50)
@given(
    st.lists(
        st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda row: sum(row) > 0.1), min_size=1, max_size=8
    ),
    st.sampled_from(["none", "temperature", "isotonic"]),
)
def test_rows_stay_probabilities_whatever_is_applied(rows: list[list[float]], kind: str) -> None:
    raw = np.array(rows) / np.array(rows).sum(axis=1, keepdims=True)
    sharp, truth = answers(200, 4.0)
    from understudy.core import calibration as module

    fitted = {"none": lambda *_: Calibration(), "temperature": module._temperature, "isotonic": module._isotonic}[kind](
        sharp, np.array(truth)
    )
    out = fitted.apply(raw)
    assert np.isfinite(out).all() and (out >= 0).all()
    assert out.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    assert Calibration.model_validate_json(fitted.model_dump_json()).apply(raw) == pytest.approx(out)


def test_contextual_calibration_takes_away_what_the_wording_alone_prefers() -> None:
    prior = np.array([0.7, 0.2, 0.1])
    assert contextual(prior[None, :], prior)[0] == pytest.approx([1 / 3] * 3)
    assert contextual(np.array([[0.7, 0.25, 0.05]]), prior)[0].argmax() == 1
