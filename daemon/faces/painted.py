"""What an editor takes out of the mask by hand: polygons in which the picture stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from daemon.media.segment import FrameRange

_EDGE = 0.02  # of the crop: standard deviation of the soft edge, which lies outside of the polygon
_FIXED = 4  # bits after the point of OpenCV's coordinates


@dataclass(frozen=True, eq=False)
class Painted:
    """A polygon (k, 2) in the track's (square) pixels, and the frames in which it counts."""

    points: np.ndarray
    frames: FrameRange


def draw_painted(polygons: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return (size, size) float32: 1 in the polygons (k, 2) of crop pixels, falling softly to 0 outside."""
    inside = fill_polygons(polygons, size, size)
    reach = max(1, round(2.5 * _EDGE * size))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    soft = cv2.GaussianBlur(cv2.dilate(inside, disc).astype(np.float32), (0, 0), _EDGE * size)
    return np.where(inside > 0, np.float32(1), soft)


def fill_polygons(polygons: Sequence[np.ndarray], width: int, height: int) -> np.ndarray:
    """Return (height, width) uint8, 1 in and on the edge of the polygons; pixel centres at whole numbers.

    A polygon that crosses itself is filled by the even-odd rule.
    """
    inside = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        fixed = np.round(np.clip(polygon, -1e6, 1e6) * (1 << _FIXED)).astype(np.int32)
        cv2.fillPoly(inside, [fixed.reshape(-1, 1, 2)], 1, shift=_FIXED)
    return inside
