"""The fallback where the footage shows no speaking mouth: the frame's own mouth, opened and closed after
the voice.

How a mouth's surroundings move with it is then not learned but taken from a general face.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from daemon.engines.rewrite.plan import Plan, pauses
from daemon.engines.rewrite.prediction import Prediction, from_log, sure_closure
from daemon.engines.rewrite.shape import CONTROLS, INNER, LIP_COUNT, OUTER, Modes, measure

_LOWER_SHARE = 0.75  # of an opening: the jaw carries the lower lip, the upper lip rises by the rest
_CLOSED = 0.004  # eye distances
_WIDEST = 0.15
_STEADY_S = 0.03


def general_modes(shape: np.ndarray) -> Modes:
    """Return how the controls around a mouth like the (c, 3) `shape` go with aperture and width."""
    lips = shape[:LIP_COUNT]
    left, right = lips[:, 0].min(), lips[:, 0].max()
    middle, half = (left + right) / 2, max((right - left) / 2, 1e-3)
    line = (shape[OUTER[0], 1] + shape[OUTER[10], 1]) / 2
    across = (shape[:, 0] - middle) / half
    is_lower = _is_lower(shape, line)
    bell = np.clip(1 - across**2, 0, 1) ** 0.7
    away = np.abs(shape[:, 1] - line) / half
    slopes = np.zeros((5, len(CONTROLS), 3))
    jaw = 0.8 * np.exp(-((across / 1.9) ** 2))
    lower = np.where(
        np.arange(len(CONTROLS)) < LIP_COUNT, bell, np.maximum(jaw * np.clip(away / 0.6, 0, 1), bell * 0.9)
    )
    upper = bell * np.where(
        np.arange(len(CONTROLS)) < LIP_COUNT, 1, np.exp(-np.maximum(away - 0.4, 0) / 0.35)
    )
    slopes[0, :, 1] = np.where(is_lower, _LOWER_SHARE * lower, (_LOWER_SHARE - 1) * upper)
    slopes[0, :, 0] = -0.12 * across * np.exp(-(away**2)) * np.exp(-np.maximum(np.abs(across) - 1, 0))
    reach = np.exp(-np.maximum(np.abs(across) - 1, 0) / 0.5) * np.exp(-((away / 1.2) ** 2))
    slopes[1, :, 0] = 0.5 * np.clip(across, -1, 1) * reach
    return Modes(slopes)


def plan_warp(
    prediction: Prediction, own: np.ndarray, speech: np.ndarray, amount: np.ndarray, rate: float
) -> Plan:
    """Return the plan that opens and closes the (n, c, 3) mouths of the frames themselves."""
    modes = general_modes(np.median(own, axis=0))
    measures = measure(own)
    speaks = 1 - pauses(speech, rate)
    opening = np.clip(from_log(prediction.values[:, 0]) / 0.16, 0, 1.1) * (
        1 - sure_closure(prediction.closed)
    )
    aperture = _CLOSED + opening * _WIDEST
    change = np.zeros((len(own), 5))
    change[:, 0] = (aperture - measures[:, 0]) * speaks
    change[:, 1] = prediction.values[:, 1] * speaks
    change = gaussian_filter1d(change, max(_STEADY_S * rate, 0.3), axis=0, mode="nearest")
    shapes = modes.move_all(own, change)
    nobody = np.full((len(own), 2), -1)
    return Plan(nobody, np.zeros((len(own), 2)), shapes, amount)


def _is_lower(shape: np.ndarray, line: float) -> np.ndarray:
    """Return (c,) whether a control belongs to the lower lip or the jaw; lips by their index, the rest by
    height.
    """
    is_lower = shape[:, 1] > line
    for ring in (OUTER, INNER):
        is_lower[ring[1:10]] = True
        is_lower[ring[10:]] = False
    return is_lower
