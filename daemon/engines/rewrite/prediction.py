"""What a voice asks of a mouth, frame by frame: the measures of shape.py with the aperture as a logarithm."""

from dataclasses import dataclass

import numpy as np

APERTURE_SHIFT = 0.005  # eye distances; added before the logarithm so that closed lips are finite
_SURE = (0.05, 0.3)  # certainty of a closure from which the lips begin to close, and are closed: one that
# is missing is seen at once, one too many hardly; any moment is one with a chance of a tenth


@dataclass(frozen=True)
class Prediction:
    """The measures a voice asks for: `values` (n, 5), aperture as a logarithm (`to_log`), of the actor's
    own spread.

    `closed` (n,) is how surely a sound (p, b, m, f, v) shuts the lips; `skill` (5,) the correlation on
    left-out footage, `context` (n, d) and `lesson_context` (m, d) what is heard around each frame of the
    voice and of the lesson; `is_learned` False means that the general rule was used alone.
    """

    values: np.ndarray
    skill: np.ndarray
    context: np.ndarray | None
    lesson_context: np.ndarray | None
    is_learned: bool
    closed: np.ndarray


def to_log(aperture: np.ndarray) -> np.ndarray:
    """Return the logarithm of an aperture in eye distances; small openings weigh as much as large ones."""
    return np.log(np.maximum(aperture, 0) + APERTURE_SHIFT)


def from_log(value: np.ndarray) -> np.ndarray:
    """Undo `to_log`."""
    return np.maximum(np.exp(value) - APERTURE_SHIFT, 0)


def with_log(measures: np.ndarray) -> np.ndarray:
    """Return a copy of (n, 5) measures with the aperture as a logarithm."""
    values = measures.copy()
    values[:, 0] = to_log(values[:, 0])
    return values


def sure_closure(closed: np.ndarray) -> np.ndarray:
    """Return (n,) how far the lips are brought together for a certainty (n,) of a closure."""
    return np.clip((closed - _SURE[0]) / (_SURE[1] - _SURE[0]), 0, 1)
