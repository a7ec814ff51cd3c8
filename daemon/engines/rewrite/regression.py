"""Regression from sound to the mouth: kernel and linear ridge together, and how far it can be trusted.

What it can do is found by leaving out an eighth of the footage at a time. Letters: n rows, d features, k
targets.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

_FOLDS = 8
_DRIFT_S = 0.5
_KERNELS = ((0.1, 1.0), (0.5, 0.3))  # width of the kernel (1 / mean squared distance), ridge


@dataclass(frozen=True)
class Regression:
    """The mean of two Gaussian-kernel ridge regressions, one broad, one narrow, and a linear one."""

    features: np.ndarray
    middle: np.ndarray
    spread: float
    duals: tuple[np.ndarray, ...]
    linear: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return (n, k) targets of (n, d) features."""
        distance = _distances(features, self.features) / self.spread
        parts = [
            np.exp(-distance * width) @ dual for (width, _), dual in zip(_KERNELS, self.duals, strict=True)
        ]
        parts.append((features - self.features.mean(axis=0)) @ self.linear)
        return np.mean(parts, axis=0) + self.middle


def fit(features: np.ndarray, targets: np.ndarray) -> Regression:
    """Fit (n, k) targets to (n, d) features."""
    middle = targets.mean(axis=0)
    centred = features - features.mean(axis=0)
    spread = float((centred**2).sum(axis=1).mean()) + 1e-12
    distance = _distances(features, features) / spread
    eye = np.eye(len(features))
    duals = tuple(
        np.linalg.solve(np.exp(-distance * width) + ridge * eye, targets - middle)
        for width, ridge in _KERNELS
    )
    gram = centred @ centred.T
    linear = centred.T @ np.linalg.solve(gram + spread * eye, targets - middle)
    return Regression(features, middle, spread, duals, linear)


def leave_out(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return (n, k) predictions of each part of the footage from the other parts."""
    fold = np.arange(len(features)) * _FOLDS // len(features)
    predicted = np.empty_like(targets)
    for part in range(_FOLDS):
        inside = fold == part
        predicted[inside] = fit(features[~inside], targets[~inside])(features[inside])
    return predicted


def skill(predicted: np.ndarray, actual: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Return (k,) how well each target was predicted: without its drift, or within the parts, whichever is
    better.

    A laugh in one part of the footage spoils the correlation over all and says nothing about speech.
    """
    rows = _DRIFT_S * len(times_s) / max(float(times_s[-1] - times_s[0]), 1e-3)
    quick = [
        values - gaussian_filter1d(values, rows, axis=0, mode="nearest") for values in (predicted, actual)
    ]
    parts = np.array_split(np.arange(len(actual)), _FOLDS)
    within = np.mean([correlations(predicted[part], actual[part]) for part in parts], axis=0)
    return np.maximum(correlations(quick[0], quick[1]), within)


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (k,) Pearson's correlation of each column of (n, k) arrays; 0 where one is constant."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0) + 1e-12)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0)
