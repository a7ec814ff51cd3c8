"""Smooth warps that take points to points: thin-plate splines, evaluated on a coarse grid.

Warps lead backwards, from a pixel of the new picture to the place it is taken from. Positions are pixels,
centres at whole numbers. Source: Bookstein, "Principal warps: thin-plate splines and the decomposition of
deformations", 1989.
"""

from dataclasses import dataclass

import cv2
import numpy as np

STEP = 8  # px of the grid; pictures and boxes are multiples of it
_STIFFNESS = (
    3e-4  # added to the kernel: how much the spline may miss its points, so that noise does not ripple
)


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture: columns x0 to x1, rows y0 to y1, all multiples of STEP."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index it with these."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


def box_around(points: np.ndarray, margin: float, size: int) -> Box:
    """Return the box that holds the points and `margin` px beside them, within a picture of `size`."""
    low = np.floor((points.min(axis=0) - margin) / STEP).astype(int) * STEP
    high = np.ceil((points.max(axis=0) + margin + 1) / STEP).astype(int) * STEP
    low, high = np.clip(low, 0, size - STEP), np.clip(high, STEP, size)
    return Box(int(low[0]), int(low[1]), int(max(high[0], low[0] + STEP)), int(max(high[1], low[1] + STEP)))


def spline(new: np.ndarray, old: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Return the (rows, columns, 2) float32 places that the pixels of `box` are taken from, so that the (c,
    2) points `old` come to lie at `new`.
    """
    weights = _solve(new / size, old - new)
    places = _grid(box)
    moved = _evaluate(weights, new / size, places.reshape(-1, 2) / size).reshape(*places.shape)
    shape = (box.x1 - box.x0, box.y1 - box.y0)
    dense = cv2.resize(moved.astype(np.float32), shape, interpolation=cv2.INTER_CUBIC)
    return dense + pixel_places(box)


def pixel_places(box: Box) -> np.ndarray:
    """Return the (rows, columns, 2) float32 positions of the box's own pixels."""
    x, y = np.meshgrid(
        np.arange(box.x0, box.x1, dtype=np.float32), np.arange(box.y0, box.y1, dtype=np.float32)
    )
    return np.stack([x, y], axis=-1)


def sample(picture: np.ndarray, places: np.ndarray, *, is_smooth: bool = True) -> np.ndarray:
    """Return the picture's pixels at (rows, columns, 2) places; beyond its edge the edge is repeated."""
    x, y = (np.ascontiguousarray(places[..., axis], np.float32) for axis in (0, 1))
    how = cv2.INTER_CUBIC if is_smooth else cv2.INTER_LINEAR
    return cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE)


def _grid(box: Box) -> np.ndarray:
    x = np.arange(box.x0, box.x1, STEP) + (STEP - 1) / 2
    y = np.arange(box.y0, box.y1, STEP) + (STEP - 1) / 2
    return np.stack(np.meshgrid(x, y), axis=-1)


def _kernel(squares: np.ndarray) -> np.ndarray:
    """Return r^2 log r of squared distances."""
    return 0.5 * squares * np.log(np.maximum(squares, 1e-12))


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T, 0)


def _solve(points: np.ndarray, values: np.ndarray) -> np.ndarray:
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(_squares(points, points)) + _STIFFNESS * np.eye(count)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :] = points
    system[count + 1 :, :count] = points.T
    return np.linalg.solve(system, np.concatenate([values, np.zeros((3, values.shape[1]))]))


def _evaluate(weights: np.ndarray, points: np.ndarray, places: np.ndarray) -> np.ndarray:
    count = len(points)
    return (
        _kernel(_squares(places, points)) @ weights[:count] + weights[count] + places @ weights[count + 1 :]
    )
