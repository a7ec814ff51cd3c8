"""Whether a mouth is this actor's: the distance of a picture from the space that the actor's own mouths span.

Source: Moghaddam and Pentland, Probabilistic Visual Learning for Object Representation, 1997 (distance from
feature space).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

_SIDE = 40  # px; enough to tell people apart, too small for grain
_COMPONENTS = 16
_BLOCK = 12  # neighbouring frames are too alike to test each other: they stay on one side of the split
_FLOOR = 0.03  # R'G'B' units; a still portrait must not make every movement look foreign


@dataclass(frozen=True)
class Likeness:
    """The actor's mouths: mean, main directions, and how far the actor's own unseen frames lie from them."""

    mean: np.ndarray  # (P,)
    basis: np.ndarray  # (K, P) orthonormal
    weights: np.ndarray  # (P,) the mask, square root
    usual: float

    def distance(self, crop: np.ndarray) -> float:
        """Return how foreign a crop (0..1 or uint8) is: about 1 for the actor, 2 and more for others."""
        return _residual(_vector(crop, self.weights) - self.mean, self.basis) / self.usual


def learn_likeness(crops: Iterable[np.ndarray], mask: np.ndarray) -> Likeness:
    """Learn from the actor's own crops, (S, S, 3) uint8 or 0..1, in time order; mask (S, S)."""
    weights = np.sqrt(
        cv2.resize(mask.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    ).ravel()
    vectors = np.stack([_vector(crop, weights) for crop in crops])
    is_test = (np.arange(len(vectors)) // _BLOCK) % 2 == 1
    train = vectors[~is_test] if is_test.any() else vectors
    mean = train.mean(0)
    _, _, directions = np.linalg.svd(train - mean, full_matrices=False)
    basis = directions[: min(_COMPONENTS, len(train) - 1)]
    test = vectors[is_test] if is_test.any() else vectors
    usual = float(np.median([_residual(vector - mean, basis) for vector in test]))
    return Likeness(mean, basis, weights, max(usual, _FLOOR))


def _vector(crop: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the small picture, weighted by the mask, its brightness and contrast left as they are."""
    small = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small /= 255 if crop.dtype == np.uint8 else 1
    return (small.reshape(-1, 3) * weights[:, None]).ravel()


def _residual(vector: np.ndarray, basis: np.ndarray) -> float:
    """Return the root mean square of what `basis` cannot explain."""
    rest = vector - basis.T @ (basis @ vector)
    return float(np.sqrt(np.mean(rest**2)))
