"""Where faces are in a picture: the detector's anchors, its answers decoded, and the tiles it looks at.

Pure arithmetic; the network itself runs in `daemon.faces.mesh`.
"""

from dataclasses import dataclass

import numpy as np

INPUT_SIDE = 128
MIN_SCORE = 0.5
SAME_FACE_OVERLAP = 0.3


@dataclass(frozen=True, eq=False)
class Detection:
    """A face found: `box` x0, y0, x1, y1 and `eyes` (2, 2), its right eye first, in pixels of the picture."""

    box: np.ndarray
    eyes: np.ndarray
    score: float


@dataclass(frozen=True)
class Tile:
    """A square of the picture that the detector sees at once; it may reach beyond the picture's edge."""

    x: float
    y: float
    side: float


def make_anchors() -> np.ndarray:
    """Return the (896, 2) anchor centres in 0..1: two a cell of a 16 x 16 grid, then six a cell of 8 x 8.

    Source: BlazeFace (Bazarevsky et al. 2019), section 3.2; the counts are those of the short-range model.
    """
    grids = []
    for cells, per_cell in ((16, 2), (8, 6)):
        centre = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(centre, centre, indexing="ij")
        grids.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), per_cell, axis=0))
    return np.concatenate(grids).astype(np.float32)


def decode(regressors: np.ndarray, logits: np.ndarray, *, anchors: np.ndarray, tile: Tile) -> list[Detection]:
    """Turn the network's (896, 16) and (896,) answers for `tile` into detections in the picture."""
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -50.0, 50.0)))
    found = []
    for index in np.flatnonzero(scores >= MIN_SCORE):
        raw = regressors[index].reshape(8, 2) / INPUT_SIDE
        centre = anchors[index] + raw[0]
        corners = np.concatenate([centre - raw[1] / 2, centre + raw[1] / 2])
        origin = np.array([tile.x, tile.y])
        box = corners * tile.side + np.tile(origin, 2) - 0.5
        eyes = (anchors[index] + raw[2:4]) * tile.side + origin - 0.5
        found.append(Detection(box, eyes, float(scores[index])))
    return found


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return intersection over union of two boxes."""
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if size.min() <= 0:
        return 0.0
    common = size[0] * size[1]
    return float(common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common))


def merge(found: list[Detection]) -> list[Detection]:
    """Blend detections of the same face into one, weighted by score; best first.

    A tile that cuts a face yields a box inside the whole one, so containment counts as sameness too.
    """
    rest = sorted(found, key=lambda detection: -detection.score)
    merged = []
    while rest:
        best = rest[0]
        group = [other for other in rest if overlap(best.box, other.box) > SAME_FACE_OVERLAP]
        rest = [other for other in rest if other not in group and not _is_inside(best.box, other.box)]
        weights = np.array([other.score for other in group])
        box = np.average([other.box for other in group], axis=0, weights=weights)
        eyes = np.average([other.eyes for other in group], axis=0, weights=weights)
        merged.append(Detection(box, eyes, best.score))
    return merged


def _is_inside(box: np.ndarray, other: np.ndarray) -> bool:
    size = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    smaller = min(np.prod(box[2:] - box[:2]), np.prod(other[2:] - other[:2]))
    return size.min() > 0 and size[0] * size[1] > 0.6 * smaller


def whole_tile(width: int, height: int) -> Tile:
    """Return the one tile that holds the whole picture, letterboxed."""
    side = max(width, height)
    return Tile((width - side) / 2, (height - side) / 2, side)


def small_tiles(width: int, height: int, side: float) -> list[Tile]:
    """Return tiles of `side` that overlap by at least a third, so that no small face lies only on seams."""
    return [Tile(x, y, side) for y in _starts(height, side) for x in _starts(width, side)]


def _starts(length: int, side: float) -> list[float]:
    if length <= side:
        return [(length - side) / 2]
    count = int(np.ceil((length - side) / (side * 2 / 3))) + 1
    return [float(start) for start in np.linspace(0.0, length - side, count)]
