"""The inside of a mouth that must open further than the footage shows it: its own teeth under the upper lip,
and darkness below.
"""

import cv2
import numpy as np

from daemon.engines.rewrite.warp import Box, pixel_places, sample

_DARK = np.array([0.30, 0.20, 0.19], np.float32)  # of the lips' brightness: a mouth's inside is red and dark
_TONGUE = np.array([0.62, 0.42, 0.42], np.float32)


def own_interior(
    picture: np.ndarray,
    *,
    old_upper: np.ndarray,
    new_upper: np.ndarray,
    old_inner: np.ndarray,
    new_lower: np.ndarray,
    box: Box,
    stretch: float = 1.0,
) -> np.ndarray:
    """Return (rows, columns, 3) what lies between the new lips.

    What the frame shows between its own lips hangs from the upper lip (`old_upper`, `new_upper`: (k, 2),
    ordered), drawn out by `stretch`; where the new mouth is open further, the rest is filled with a dark
    gradient and a hint of tongue.
    """
    places = _hang(old_upper, new_upper, box, stretch)
    shown = sample(picture, places, is_smooth=False)
    inside = _sample_inside(old_inner, places, picture.shape[0])
    deep = depth(new_upper, new_lower, box)
    lip = np.percentile(picture[_rows_of(old_inner, picture)], 60, axis=(0, 1)).astype(np.float32)
    tongue = np.clip((deep - 0.62) / 0.38, 0, 1)[..., None] ** 1.5 * _openness(new_upper, new_lower)
    cavity = lip * (
        _DARK * (1.0 - 0.45 * np.sin(np.pi * deep))[..., None] * (1 - tongue) + _TONGUE * tongue * 0.75
    )
    shade = (1 - 0.1 * np.clip(deep, 0, 1))[..., None]
    return shown * shade * inside[..., None] + cavity * (1 - inside[..., None])


def _hang(old_upper: np.ndarray, new_upper: np.ndarray, box: Box, stretch: float) -> np.ndarray:
    """Return where each pixel comes from if everything hangs from the upper lip."""
    own = pixel_places(box)
    order = np.argsort(new_upper[:, 0], kind="stable")
    columns = own[0, :, 0]
    x = np.interp(columns, new_upper[order, 0], old_upper[order, 0])
    above, below = (
        np.interp(columns, new_upper[order, 0], line[order, 1]) for line in (old_upper, new_upper)
    )
    return np.stack(
        [np.broadcast_to(x, own.shape[:2]), above + (own[..., 1] - below) / stretch], axis=-1
    ).astype(np.float32)


def _sample_inside(outline: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    image = np.zeros((size, size), np.uint8)
    cv2.fillPoly(
        image, [np.round(outline * 16).astype(np.int32).reshape(-1, 1, 2)], 255, cv2.LINE_AA, shift=4
    )
    height = float(np.ptp(outline[:, 1]))
    soft = cv2.GaussianBlur(cv2.erode(image, np.ones((3, 3), np.uint8)), (0, 0), max(0.06 * height, 0.6))
    return sample(soft, places, is_smooth=False).astype(np.float32) / 255


def depth(upper: np.ndarray, lower: np.ndarray, box: Box) -> np.ndarray:
    """Return (rows, columns) 0 at the upper lip's edge, 1 at the lower's."""
    top, bottom = lip_line(upper, box), lip_line(lower, box)
    rows = np.arange(box.y0, box.y1)[:, None]
    return np.clip((rows - top) / np.maximum(bottom - top, 1.0), 0, 1).astype(np.float32)


def lip_line(lip: np.ndarray, box: Box) -> np.ndarray:
    """Return (columns,) the height of the edge through the (k, 2) points of a lip."""
    order = np.argsort(lip[:, 0], kind="stable")
    return np.interp(np.arange(box.x0, box.x1), lip[order, 0], lip[order, 1])


def _openness(upper: np.ndarray, lower: np.ndarray) -> float:
    """Return 0 for a slit to 1 for a mouth a third as high as wide."""
    height = float(lower[:, 1].max() - upper[:, 1].min())
    return float(np.clip(height / (0.33 * max(float(np.ptp(upper[:, 0])), 1.0)) - 0.4, 0, 1))


def _rows_of(outline: np.ndarray, picture: np.ndarray) -> tuple[slice, slice]:
    """Return the slices of the lower lip below an inner outline."""
    bottom, left, right = outline[:, 1].max(), outline[:, 0].min(), outline[:, 0].max()
    height = max(2, int(0.12 * (right - left)))
    quarter = (right - left) / 4
    rows = slice(
        int(np.clip(bottom + 1, 0, picture.shape[0] - 2)),
        int(np.clip(bottom + 1 + height, 2, picture.shape[0])),
    )
    return rows, slice(int(max(left + quarter, 0)), int(max(right - quarter, left + quarter + 2)))
