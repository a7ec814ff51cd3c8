"""What the portrait does besides speaking: it blinks, and its head sways a little."""

import cv2
import numpy as np

UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
LID_SKIN = 26.0  # pixels of skin above the eye that stretch when it shuts
SHUT = 0.88  # the lids' lashes keep some height

HEAD_CENTRE = (650.0, 400.0)
HEAD_RADII = (430.0, 470.0)
CHIN_Y, COLLAR_Y = 690.0, 800.0
SWAYS = (  # period in s, phase, and what it does: right, down, turn in degrees, grow
    (6.1, 0.4, 8.0, 1.0, 0.9, 0.003),
    (3.7, 2.0, 3.0, -4.0, -0.6, 0.004),
    (2.3, 4.1, 1.0, 2.5, 0.3, 0.0),
    (9.5, 1.2, 4.0, 2.0, -0.5, 0.003),
)


def blink_curve(frames: int, at: tuple[int, ...]) -> np.ndarray:
    """Return 0..1 a frame: a quick fall and a slower rise around each frame of `at`."""
    shape = {-2: 0.15, -1: 0.75, 0: 1.0, 1: 0.85, 2: 0.4, 3: 0.1}
    curve = np.zeros(frames)
    for centre in at:
        for offset, value in shape.items():
            if 0 <= centre + offset < frames:
                curve[centre + offset] = value
    return curve


def shut_eyes(picture: np.ndarray, points: np.ndarray, blink: float) -> np.ndarray:
    """Draw the upper lids down over the eyes by `blink` 0..1."""
    if blink <= 0:
        return picture
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        top = _edge(points[list(upper), :2], picture.shape[1])
        bottom = np.maximum(_edge(points[list(lower), :2], picture.shape[1]), top)
        lid = top + (bottom - top) * SHUT * blink
        inside = np.flatnonzero(bottom > top + 0.5)
        for column in inside:
            knots_at = (top[column] - LID_SKIN, lid[column], bottom[column], bottom[column] + 1)
            knots_from = (top[column] - LID_SKIN, top[column], bottom[column], bottom[column] + 1)
            rows = np.arange(int(knots_at[0]), int(knots_at[3]) + 1)
            y[rows, column] = np.interp(rows, knots_at, knots_from)
    return cv2.remap(picture, x, y, cv2.INTER_CUBIC)


def _edge(points: np.ndarray, width: int) -> np.ndarray:
    """Return the lid's row for each column of the picture."""
    order = np.argsort(points[:, 0])
    return np.interp(np.arange(width), points[order, 0], points[order, 1])


class Sway:
    """Moves the head of a picture of a fixed size; shoulders and background stay."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._y, self._x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        radius = np.hypot(
            (self._x - HEAD_CENTRE[0]) / HEAD_RADII[0],
            np.minimum(0, self._y - HEAD_CENTRE[1]) / HEAD_RADII[1],
        )
        around = _smooth_step((1.45 - radius) / 0.6)
        above_collar = _smooth_step((COLLAR_Y - self._y) / (COLLAR_Y - CHIN_Y))
        self._weight = around * above_collar

    def apply(self, picture: np.ndarray, time_s: float) -> np.ndarray:
        """Return the picture with its head where it is at `time_s`."""
        right, down, turn, grow = _pose(time_s)
        x, y = self._x - np.float32(HEAD_CENTRE[0]), self._y - np.float32(COLLAR_Y)
        sine, cosine = np.sin(np.radians(turn)), np.cos(np.radians(turn))
        shift_x = (cosine * (1 + grow) - 1) * x - sine * y + right
        shift_y = sine * x + (cosine * (1 + grow) - 1) * y + down
        from_x = (self._x - self._weight * shift_x).astype(np.float32)
        from_y = (self._y - self._weight * shift_y).astype(np.float32)
        return cv2.remap(picture, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _pose(time_s: float) -> np.ndarray:
    waves = [np.sin(2 * np.pi * time_s / period + phase) for period, phase, *_ in SWAYS]
    return np.array(waves) @ np.array([sway[2:] for sway in SWAYS])


def _smooth_step(value: np.ndarray) -> np.ndarray:
    clipped = np.clip(value, 0, 1)
    return clipped * clipped * (3 - 2 * clipped)
