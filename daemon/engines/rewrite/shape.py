"""Mouth shapes: where the points around the mouth lie in the head's own space, and numbers that sum them up.

Head space (daemon/faces/pose.py): origin between the eyes, x to the picture's right, y down, z to the back,
unit the distance of the outer eye corners. Letters: n frames, c controls (points around the mouth).
"""

from dataclasses import dataclass

import numpy as np

from daemon.faces.landmarks import CHIN, INNER_PAIRS, JAW, LIPS_INNER, LIPS_OUTER, MOUTH_CORNERS, NOSE_BASE
from daemon.faces.pose import fit_head

_NEAR = (
    164, 167, 165, 92, 186, 57, 43, 106, 182, 83, 18, 313, 406, 335, 273, 287, 410, 322, 391, 393,
)  # fmt: skip
"""A ring just outside the lips."""

_AROUND = (
    2, 97, 98, 203, 206, 216, 212, 202, 204, 194, 201, 200, 421, 418, 424, 422, 432, 436, 426, 423, 327, 326,
    199, 208, 428, 175, 171, 396, 32, 262, 211, 431, 210, 430, 214, 434, 207, 427, 205, 425, 192, 416,
    135, 364,
    50, 280, 187, 411, 101, 330, 36, 266, 129, 358,
)  # fmt: skip
"""Nose base, cheeks, chin."""

CONTROLS = np.array([*LIPS_OUTER, *LIPS_INNER, *_NEAR, *_AROUND, *JAW])
LIP_COUNT = len(LIPS_OUTER) + len(LIPS_INNER)
OUTER = np.arange(len(LIPS_OUTER))
INNER = np.arange(len(LIPS_OUTER), LIP_COUNT)
SKIN = np.concatenate([OUTER, np.arange(LIP_COUNT, len(CONTROLS))])  # all but the inner lips
NEAR = np.arange(LIP_COUNT, LIP_COUNT + len(_NEAR))
SLOW = np.arange(LIP_COUNT + len(_NEAR), len(CONTROLS))  # cheeks, chin, jaw

_PAIRS = (
    (82, 87), (13, 14), (312, 317), (81, 178), (311, 402), (80, 88), (310, 318), (191, 95), (415, 324),
)  # fmt: skip
"""Upper and lower inner lip, from the middle outwards."""


def _where(points: tuple[int, ...]) -> np.ndarray:
    return np.array([int(np.flatnonzero(point == CONTROLS)[0]) for point in points])


_UPPER, _LOWER = _where(tuple(pair[0] for pair in _PAIRS)), _where(tuple(pair[1] for pair in _PAIRS))
_MIDDLE_UPPER = _where(tuple(pair[0] for pair in INNER_PAIRS))
_MIDDLE_LOWER = _where(tuple(pair[1] for pair in INNER_PAIRS))
_CORNERS = _where(MOUTH_CORNERS)
_CHIN, _TOP, _NOSE = (int(_where((point,))[0]) for point in (CHIN, 0, NOSE_BASE))


@dataclass(frozen=True)
class Heads:
    """Heads of n frames: `shapes` (n, c, 3) in head space; point = scale * rotation @ shape + position."""

    shapes: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray
    position: np.ndarray


def read_heads(points: np.ndarray) -> Heads:
    """Return pose and mouth shape of (n, 468, 3) points."""
    scale, rotation, position = fit_head(points)
    centred = np.asarray(points, np.float64)[:, CONTROLS] - position[:, None]
    shapes = np.einsum("nij,nci->ncj", rotation, centred) / scale[:, None, None]
    return Heads(shapes, scale, rotation, position)


def measure(shapes: np.ndarray) -> np.ndarray:
    """Return the (n, 5) measures of (n, c, 3) shapes: inner-lip aperture, mouth width, heights of chin,
    upper lip and corners, all in eye distances.
    """
    gap = shapes[:, _MIDDLE_UPPER, :2] - shapes[:, _MIDDLE_LOWER, :2]
    width = shapes[:, _CORNERS[0], :2] - shapes[:, _CORNERS[1], :2]
    return np.stack(
        [
            np.linalg.norm(gap, axis=-1).mean(axis=1),
            np.linalg.norm(width, axis=-1),
            shapes[:, _CHIN, 1],
            shapes[:, _TOP, 1],
            shapes[:, _CORNERS, 1].mean(axis=1),
        ],
        axis=1,
    )


def influence(shapes: np.ndarray) -> np.ndarray:
    """Return (c,) how far each control follows the mouth: 1 on lips and chin, 0 on nose and outer cheeks."""
    middle = np.median(shapes, axis=0)
    nose, lip = middle[_NOSE, 1], middle[_TOP, 1]
    below = _smoothstep((middle[:, 1] - nose) / max(0.8 * (lip - nose), 1e-3))
    beside = 1 - _smoothstep((np.abs(middle[:, 0]) - 0.32) / 0.33)
    weight = below * beside
    weight[:LIP_COUNT] = 1
    return weight


@dataclass(frozen=True)
class Modes:
    """How this actor's shape goes with its measures, to first order: `slopes` (5, c, 3)."""

    slopes: np.ndarray

    def move_all(self, shapes: np.ndarray, changes: np.ndarray) -> np.ndarray:
        """Return (n, c, 3) shapes with measures moved by (n, 5) changes, lips never passing each other."""
        return keep_lips_apart(shapes + np.tensordot(changes, self.slopes, axes=1))


def learn_modes(shapes: np.ndarray, measures: np.ndarray) -> Modes:
    """Fit the modes of (n, c, 3) shapes by ridge regression on their (n, 5) measures."""
    spread = measures.std(axis=0) + 1e-4
    design = (measures - measures.mean(axis=0)) / spread
    gram = design.T @ design + 0.02 * len(design) * np.eye(design.shape[1])
    flat = (shapes - shapes.mean(axis=0)).reshape(len(shapes), -1)
    slopes = (np.linalg.solve(gram, design.T @ flat) / spread[:, None]).reshape(-1, *shapes.shape[1:])
    slopes[0] /= _response(np.median(shapes, axis=0), slopes[0], float(spread[0]))
    return Modes(slopes)


def _response(shape: np.ndarray, slope: np.ndarray, step: float) -> float:
    """Return how far a (c, 3) shape's aperture follows its own slope: less than 1 as chin and width, which go
    with it, have taken their share.
    """
    wider, tighter = measure(np.stack([shape + step * slope, shape - step * slope]))[:, 0]
    return float(np.clip((wider - tighter) / (2 * step), 0.3, 1.5))


def keep_lips_apart(shapes: np.ndarray) -> np.ndarray:
    """Return the (n, c, 3) shapes with inner lips that had passed each other brought together half way."""
    shapes = shapes.copy()
    upper, lower = shapes[:, _UPPER, 1], shapes[:, _LOWER, 1]
    middle = (upper + lower) / 2
    crossed = upper > lower
    shapes[:, _UPPER, 1] = np.where(crossed, middle, upper)
    shapes[:, _LOWER, 1] = np.where(crossed, middle, lower)
    return shapes


def _smoothstep(value: np.ndarray) -> np.ndarray:
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)
