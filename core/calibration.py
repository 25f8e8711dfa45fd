"""Probabilities that mean what they say: temperature and isotonic calibration, kept only where they lower the log-loss.

Fitting imports scikit-learn and scipy; applying needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Calibration", "Curve", "contextual", "fit_calibration", "log_loss"]

Matrix = NDArray[np.float64]
"""(samples, classes): probabilities, each row summing to 1."""

_TINY = 1e-6
"""Probabilities are kept this far from 0 and 1: one certain mistake must not outweigh everything."""
_FOLDS = 5
_FEWEST = 30
"""Samples below which nothing is fitted: a curve through fewer would be noise."""
_GAIN = 1e-3
"""Nats the held-out log-loss must fall by; less is chance."""


class Curve(BaseModel):
    """A rising, piecewise linear map of one class's probability."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    x: tuple[float, ...] = Field(min_length=1)
    y: tuple[float, ...] = Field(min_length=1)


class Calibration(BaseModel):
    """A map from raw to calibrated probabilities."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["none", "temperature", "isotonic"] = "none"
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Log-probabilities are divided by it (Guo et al. 2017): above 1 the answers become less sure."""
    curves: tuple[Curve, ...] = ()
    """One per class (Zadrozny and Elkan 2002); the results are scaled to sum to 1."""

    def apply(self, raw: Matrix) -> Matrix:
        """Return calibrated rows; each sums to 1."""
        if self.kind == "temperature":
            logs = np.log(np.clip(raw, 1e-12, 1)) / self.temperature
            return _rows(np.exp(logs - logs.max(axis=1, keepdims=True)))
        if self.kind == "isotonic":
            columns = [np.interp(raw[:, at], curve.x, curve.y) for at, curve in enumerate(self.curves)]
            return _rows(np.clip(np.stack(columns, axis=1), _TINY, 1))
        return raw


def fit_calibration(raw: Matrix, truth: Sequence[int]) -> Calibration:
    """Return the calibration with the lowest log-loss under cross-validation; ``none`` unless one is better.

    Args:
        raw: probabilities of samples that the model was not fitted on.
        truth: the right class of each.
    """
    wanted = np.asarray(truth, dtype=np.int64)
    if len(wanted) < _FEWEST or len(set(wanted.tolist())) < 2:
        return Calibration()
    folds = np.arange(len(wanted)) % _FOLDS
    order = np.random.default_rng(0).permutation(len(wanted))
    losses = {"none": log_loss(raw, wanted)}
    for kind, fit in (("temperature", _temperature), ("isotonic", _isotonic)):
        held_out = np.empty_like(raw)
        for fold in range(_FOLDS):
            inside, outside = order[folds != fold], order[folds == fold]
            held_out[outside] = fit(raw[inside], wanted[inside]).apply(raw[outside])
        losses[kind] = log_loss(held_out, wanted)
    best = min(losses, key=lambda kind: losses[kind] + (0 if kind == "none" else _GAIN))
    return {"none": lambda *_: Calibration(), "temperature": _temperature, "isotonic": _isotonic}[best](raw, wanted)


def log_loss(probabilities: Matrix, truth: Sequence[int] | NDArray[np.int64]) -> float:
    """Return the mean negative logarithm of the right class's probability, in nats."""
    right = probabilities[np.arange(len(probabilities)), np.asarray(truth, dtype=np.int64)]
    return float(-np.log(np.clip(right, _TINY, 1)).mean())


def contextual(raw: Matrix, content_free: NDArray[np.float64]) -> Matrix:
    """Return rows divided by what the model answers to an input without content (Zhao et al. 2021), summing to 1.

    What it prefers before it has read anything is the wording of the labels, not the input.
    """
    return _rows(raw / np.clip(content_free, _TINY, 1))


def _temperature(raw: Matrix, truth: NDArray[np.int64]) -> Calibration:
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return log_loss(Calibration(kind="temperature", temperature=float(np.exp(log_temperature))).apply(raw), truth)

    found = minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded")
    return Calibration(kind="temperature", temperature=float(np.exp(found.x)))


def _isotonic(raw: Matrix, truth: NDArray[np.int64]) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    curves = []
    for at in range(raw.shape[1]):
        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(raw[:, at], truth == at)
        curves.append(Curve(x=tuple(fitted.X_thresholds_.tolist()), y=tuple(fitted.y_thresholds_.tolist())))
    return Calibration(kind="isotonic", curves=tuple(curves))


def _rows(values: Matrix) -> Matrix:
    totals: Matrix = values / values.sum(axis=1, keepdims=True)
    return totals
