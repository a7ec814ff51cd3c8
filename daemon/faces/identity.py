"""Who is who: whether two stretches of a face are the same person, from looks and from the shape of the head.

No recognition network: within one shot or scene the upper face, the colours of skin, hair and collar, and the
proportions of the mesh tell a handful of people apart. Where they do not, stretches stay apart.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from daemon.faces.landmarks import RIGID
from daemon.faces.pose import TEMPLATE, fit_head, pose_from_parameters, pose_parameters

SAME_PERSON = 0.85  # distance under which two pieces are joined
LOOK_SIDE = 48
# The look's square in crop-square units: from above the hair line to the collar.
_LOOK_LOW, _LOOK_SPAN = np.array([-0.35, -1.0]), 1.7
_FACE_ROWS = slice(10, 30)  # forehead to below the nose: what speech does not change
_FACE_COLUMNS = slice(11, 37)
_TYPICAL_FACE = 0.45  # 1 - correlation of two people's aligned upper faces, roughly
_TYPICAL_COLOUR = 18.0  # CIELAB distance of two people's skin and hair, roughly
_TYPICAL_SHAPE = 0.02  # root mean square of mesh proportions, in eye distances


@dataclass(frozen=True, eq=False)
class Look:
    """A face in one frame: `lab` (48, 48, 3) float32, the aligned head; `shape` (k, 3) in head space."""

    lab: np.ndarray
    shape: np.ndarray


def take_look(picture: np.ndarray, points: np.ndarray) -> Look:
    """Cut the head out of the (H, W, 3) uint8 RGB `picture` in which the face has these points."""
    pose = pose_from_parameters(pose_parameters(points))
    step = _LOOK_SPAN / LOOK_SIDE
    matrix = np.column_stack([pose[:, :2] * step, pose[:, :2] @ (_LOOK_LOW + step / 2) + pose[:, 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    fine = np.column_stack([matrix[:, :2] / 2, matrix[:, 2] - matrix[:, :2] @ np.full(2, 0.25)])
    view = cv2.warpAffine(picture, fine, (2 * LOOK_SIDE,) * 2, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    view = cv2.resize(view, (LOOK_SIDE, LOOK_SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(view.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    scale, rotation, position = fit_head(points)
    shape = (points[RIGID].astype(np.float64) - position) @ rotation / scale - TEMPLATE
    return Look(lab, shape)


def look_distance(a: Look, b: Look) -> float:
    """Return how unlike two looks are; about 1 is where one person ends and another begins."""
    face = (1.0 - _face_correlation(a.lab, b.lab)) / _TYPICAL_FACE
    colour = _colour_distance(a.lab, b.lab) / _TYPICAL_COLOUR
    return 0.6 * face + 0.4 * colour


def group_pieces(pieces: list[tuple[np.ndarray, np.ndarray, list[Look]]]) -> list[list[int]]:
    """Group pieces (frames, points, looks) that are one person; pieces seen at the same time never are."""
    groups = [[index] for index in range(len(pieces))]
    while True:
        best, pair = SAME_PERSON, None
        for first in range(len(groups)):
            for second in range(first + 1, len(groups)):
                distance = _group_distance(pieces, groups[first], groups[second])
                if distance < best:
                    best, pair = distance, (first, second)
        if pair is None:
            return [sorted(group, key=lambda index: int(pieces[index][0][0])) for group in groups]
        groups[pair[0]] += groups.pop(pair[1])


def _group_distance(
    pieces: list[tuple[np.ndarray, np.ndarray, list[Look]]], first: list[int], second: list[int]
) -> float:
    frames_a, frames_b = (np.concatenate([pieces[index][0] for index in group]) for group in (first, second))
    if np.intersect1d(frames_a, frames_b).size:
        return np.inf
    looks_a, looks_b = ([look for index in group for look in pieces[index][2]] for group in (first, second))
    if not looks_a or not looks_b:
        return np.inf
    distances = sorted(look_distance(a, b) for a in looks_a for b in looks_b)
    nearest = float(np.mean(distances[: max(1, len(distances) // 5)]))
    return nearest + 0.3 * (shape_distance(looks_a, looks_b) / _TYPICAL_SHAPE - 0.5)


def shape_distance(looks_a: list[Look], looks_b: list[Look]) -> float:
    """Return the root mean square difference of two people's mean proportions, in eye distances."""
    mean_a, mean_b = (np.mean([look.shape for look in looks], axis=0) for looks in (looks_a, looks_b))
    return float(np.sqrt(((mean_a - mean_b) ** 2).sum(axis=-1).mean()))


def _face_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the best correlation of two upper faces, contrast evened out, over small shifts."""
    patch = _even(a[..., 0])[_FACE_ROWS, _FACE_COLUMNS]
    result = cv2.matchTemplate(_even(b[..., 0])[8:32, 9:39], patch, cv2.TM_CCOEFF_NORMED)
    return float(result.max())


def _even(lightness: np.ndarray) -> np.ndarray:
    mean = cv2.GaussianBlur(lightness, (0, 0), 6.0)
    spread = np.sqrt(cv2.GaussianBlur((lightness - mean) ** 2, (0, 0), 6.0) + 9.0)
    return ((lightness - mean) / spread).astype(np.float32)


def _colour_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean CIELAB distance of blurred heads; lightness counts half, as light changes more."""
    weights = np.array([0.5, 1.0, 1.0], np.float32)
    small_a, small_b = (
        cv2.resize(lab, (8, 8), interpolation=cv2.INTER_AREA)[:7, 1:7] * weights for lab in (a, b)
    )
    return float(np.sqrt(((small_a - small_b) ** 2).sum(axis=-1)).mean())
