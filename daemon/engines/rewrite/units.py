"""The units: every frame of the material in which the actor's mouth is seen, with what choosing among them
needs.

Letters: u units, c controls.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from daemon.engines.engine import Material
from daemon.engines.rewrite.shape import CONTROLS, LIP_COUNT, Heads, measure, read_heads
from daemon.redub.progress import Reporter

_LOOK = (24, 16)  # columns, rows of the thumbnail in which two mouths are compared
_LOOK_SIDES = (0.9, 0.6)  # its size in eye distances
_MIN_SCORE = 0.5
_KEPT_LOOKS = 8  # principal components
_LOOKS_FOR_COMPONENTS = 300
_STEADY_S = 0.03


@dataclass(frozen=True)
class Units:
    """Mouths to draw from, in the order of their frames (u,).

    `shapes` (u, c, 3) and `measures` (u, 5) as in shape.py, `turns` (u, 2) yaw and pitch in radians,
    `looks` (u, k) the picture of the mouth in principal components of unit size, `blur` (u,) 0 sharp to 1.
    """

    frames: np.ndarray
    shapes: np.ndarray
    measures: np.ndarray
    turns: np.ndarray
    looks: np.ndarray
    blur: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def next_unit(self) -> np.ndarray:
        """Return (u,) the unit of the following frame, or -1 where that frame is not seen."""
        follows = np.append(np.diff(self.frames) == 1, [False])
        return np.where(follows, np.arange(len(self)) + 1, -1)


def steady_shapes(frames: np.ndarray, shapes: np.ndarray, rate: float) -> np.ndarray:
    """Return (n, c, 3) shapes with a trace of smoothing, each unbroken run of frames for itself."""
    out = np.empty_like(shapes)
    edges = [0, *(np.flatnonzero(np.diff(frames) != 1) + 1).tolist(), len(frames)]
    for start, stop in pairwise(edges):
        out[start:stop] = gaussian_filter1d(
            shapes[start:stop], max(_STEADY_S * rate, 0.3), axis=0, mode="nearest"
        )
    return out


def turns_of(heads: Heads) -> np.ndarray:
    """Return (n, 2) yaw and pitch in radians."""
    rotation = heads.rotation
    yaw = np.arctan2(rotation[:, 2, 0], np.hypot(rotation[:, 0, 0], rotation[:, 1, 0]))
    pitch = np.arctan2(rotation[:, 2, 1], rotation[:, 2, 2])
    return np.stack([yaw, pitch], axis=1)


def collect_units(material: Material, rate: float, reporter: Reporter) -> Units:
    """Read the material once; return its units, without frames in which the mouth is not seen for certain."""
    track = material.track
    rows = [
        row
        for row, frame in enumerate(track.frames.tolist())
        if frame in material.frames and track.scores[row] >= _MIN_SCORE
    ]
    looks, blurs, kept = [], [], []
    reporter.stage("learn", len(rows))
    for done, row in enumerate(rows, start=1):
        frame = int(track.frames[row])
        patch, matrix = material.patch(frame), material.patch_matrix(frame)
        if patch is not None and matrix is not None:
            look, blur = _look_at(patch, to_patch(track.points[row], matrix))
            looks.append(look)
            blurs.append(blur)
            kept.append(row)
        reporter.frames(done)
    heads = read_heads(track.points[kept]) if kept else read_heads(np.zeros((0, 468, 3)))
    frames = track.frames[kept]
    shapes = steady_shapes(frames, heads.shapes, rate)
    return Units(
        frames,
        shapes,
        measure(heads.shapes),
        turns_of(heads),
        _components(np.array(looks)),
        _relative_blur(np.array(blurs)),
    )


def to_patch(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return (c, 2) controls of (468, 3) stored points in the pixels that `matrix` (2, 3) leads from."""
    return (points[CONTROLS, :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def _look_at(patch: np.ndarray, controls: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the thumbnail of a patch's mouth, flat, evenly lit, and how sharp it is (log)."""
    step = max(1, patch.shape[0] // 128)
    small = np.ascontiguousarray(patch[step // 2 :: step, step // 2 :: step])
    lips = controls[:LIP_COUNT] / step
    middle, unit = lips.mean(axis=0), patch.shape[0] / step / 1.6
    columns, rows = _LOOK
    sx, sy = _LOOK_SIDES[0] * unit / columns, _LOOK_SIDES[1] * unit / rows
    matrix = np.array([[sx, 0, middle[0] - sx * columns / 2], [0, sy, middle[1] - sy * rows / 2]])
    view = cv2.warpAffine(
        small, matrix, _LOOK, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    low, high = np.maximum(lips.min(axis=0).astype(int) - 2, 0), lips.max(axis=0).astype(int) + 3
    mouth = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)[low[1] : high[1], low[0] : high[0]]
    detail = cv2.Laplacian(mouth, cv2.CV_32F).std() if mouth.size else 0.0
    view /= max(float(view.mean()), 1.0)
    return view.ravel(), float(np.log(detail + 1.0))


def _components(looks: np.ndarray) -> np.ndarray:
    if len(looks) < 2:
        return np.zeros((len(looks), 1))
    centred = looks - looks.mean(axis=0)
    some = centred[:: -(-len(centred) // _LOOKS_FOR_COMPONENTS)]
    _, vectors = np.linalg.eigh(some @ some.T)
    directions = vectors[:, -min(_KEPT_LOOKS, len(some) - 1) :].T @ some
    directions /= np.linalg.norm(directions, axis=1, keepdims=True) + 1e-9
    scores = centred @ directions.T
    return scores / (np.sqrt((scores**2).sum(axis=1).mean()) + 1e-9)


def _relative_blur(sharpness: np.ndarray) -> np.ndarray:
    if len(sharpness) == 0:
        return sharpness
    typical = np.median(sharpness)
    return np.clip((typical - sharpness) / 0.7, 0, 1)
