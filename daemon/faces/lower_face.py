"""The shape of the lower face: an outline from the mesh, steadied over time, and the soft mask inside it."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from daemon.faces.landmarks import (
    BELOW_NOSE,
    LOWER_CHEEK_LEFT,
    LOWER_CHEEK_RIGHT,
    LOWER_JAW,
    MOUTH_CORNERS,
)

DRAW_SIDE = 160  # the mask is drawn at this size and scaled: its edges are far softer than its pixels
JAW_ROOM = 0.02  # of the crop: how far beyond the jaw line the mask reaches
CHIN_ROOM = 0.07  # of the crop: and further below the chin, where a new jaw may drop
ROUNDING = 0.045  # of the crop: standard deviation of the blur that rounds the corners
SOFT_FROM, SOFT_TO = 0.1, 0.9  # of the blurred shape: where the mask leaves 0 and where it reaches 1
BORDER = 0.06  # of the crop: where the mask ends before the crop does
STEADY_S = 0.12
JAW_REACH_S = 0.3  # the outline holds the lowest jaw of this many seconds to either side

HULL = (1, len(LOWER_CHEEK_RIGHT) + len(LOWER_JAW) + len(LOWER_CHEEK_LEFT) - 1)
"""The cheeks and the jaw without their ends: their hull mends outlines that a turned head folds."""

RAMP = 2.5631  # standard deviations from where a blurred edge leaves SOFT_FROM to where it reaches SOFT_TO


@dataclass(frozen=True)
class MaskShape:
    """How a mask differs from the plain one, in units of the crop."""

    grow: float = 0.0  # of its outline, outwards
    feather: float = 0.0  # by which its soft edge is longer; the added part lies outside
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def blur(self) -> float:
        """Standard deviation of the blur that makes the edge soft."""
        return ROUNDING + self.feather / RAMP

    @property
    def reach(self) -> float:
        """How far the outline goes out before it is blurred."""
        return self.grow + self.feather / 2


PLAIN = MaskShape()


def steady_outline(points: np.ndarray, rate: float) -> np.ndarray:
    """Return outlines (n, k, 2) of the lower face from points (n, 468, 2) in units of the crop.

    Order: right cheek, jaw, left cheek, then below the nose back to the right.
    """
    jaw = points[:, LOWER_JAW].astype(np.float64)
    mouth = points[:, MOUTH_CORNERS].mean(axis=1, keepdims=True)
    outward = jaw - mouth
    outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-6)
    jaw += JAW_ROOM * outward
    jaw[..., 1] += CHIN_ROOM * np.clip(outward[..., 1], 0.0, 1.0)
    reach = 2 * round(JAW_REACH_S * rate) + 1
    jaw[..., 1] = np.asarray(maximum_filter1d(jaw[..., 1], reach, axis=0, mode="nearest"))
    rest = [points[:, list(part)] for part in (LOWER_CHEEK_RIGHT, LOWER_CHEEK_LEFT, BELOW_NOSE)]
    outline = np.concatenate([rest[0], jaw, rest[1], rest[2]], axis=1)
    sigma = max(0.6, STEADY_S * rate)
    return np.asarray(gaussian_filter1d(outline, sigma, axis=0, mode="nearest")).astype(np.float32)


def draw_mask(outline: np.ndarray, size: int, shape: MaskShape = PLAIN) -> np.ndarray:
    """Return the (size, size) float32 mask inside an outline (k, 2) in units of the crop; 0 at the edge."""
    mask = np.zeros((DRAW_SIDE, DRAW_SIDE), np.float32)
    fixed = np.round(((outline + shape.shift) * DRAW_SIDE - 0.5) * 16).astype(np.int32)
    for polygon in (cv2.convexHull(fixed[slice(*HULL)]), fixed):
        cv2.fillPoly(mask, [polygon.reshape(-1, 1, 2)], 1.0, lineType=cv2.LINE_AA, shift=4)
    if shape.reach:
        mask = _grown(mask, shape.reach * DRAW_SIDE)
    mask = cv2.GaussianBlur(mask, (0, 0), shape.blur * DRAW_SIDE)
    mask = np.clip((mask - SOFT_FROM) / (SOFT_TO - SOFT_FROM), 0.0, 1.0)
    mask = mask * mask * (3 - 2 * mask) * _border_window()
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR) * _edge_zero(size)


def _grown(mask: np.ndarray, pixels: float) -> np.ndarray:
    """Move the edge of a shape outwards by some pixels, or inwards."""
    inside = (mask > 0.5).astype(np.uint8)
    within, beyond = (cv2.distanceTransform(part, cv2.DIST_L2, 5) for part in (inside, 1 - inside))
    distance = np.where(inside > 0, within - 0.5, 0.5 - beyond)
    return np.clip(distance + pixels + 0.5, 0.0, 1.0).astype(np.float32)


def _border_window() -> np.ndarray:
    away = np.minimum(np.arange(DRAW_SIDE), np.arange(DRAW_SIDE)[::-1]) / (BORDER * DRAW_SIDE)
    ramp = np.clip(away, 0.0, 1.0)
    ramp = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return ramp[:, None] * ramp[None, :]


def _edge_zero(size: int) -> np.ndarray:
    inner = np.zeros((size, size), np.float32)
    inner[1:-1, 1:-1] = 1.0
    return inner
