"""Things in front of the mouth: found where the lower face stops looking like itself.

Every frame is warped to the face's mean shape, so that speech moves nothing. There each pixel has a range of
colours that are usual for it over the shot; what falls far outside, in a patch of some size, for some frames,
is not the face. What hides the face all the time cannot be told this way: it is usual.
"""

import cv2
import numpy as np
from scipy.ndimage import maximum_filter, median_filter

from daemon.faces.landmarks import FACE_OVAL, LIPS_OUTER, RIGID

SIDE = 96  # px, of the views
MIN_FRAMES = 12  # fewer show no usual look
MAX_SAMPLES = 120  # frames from which the usual look is taken
FAR = 13.0  # CIELAB distance beyond the usual range that starts an occluder
NEAR = 5.0  # and that continues one
LIGHT_CHANGE = 8.0  # CIELAB distance that a change of light may account for
LIKENESS_SAMPLES = 40
MIN_LIKENESS = 0.5  # of the shot's usual correlation between frames: below it the face is covered
MIN_AREA = 0.006  # of the crop: smaller patches are noise
REACH = 0.03  # of the crop: how far a pixel may look like its neighbours
FEATHER = 0.02  # of the crop
GRID = 24
_WEIGHTS = np.array([0.6, 1.0, 1.0], np.float32)  # light and shade change more than colour
_CONTROL = np.array(
    sorted({*LIPS_OUTER, *FACE_OVAL, *RIGID.tolist(), 187, 411, 205, 425, 18, 200, 199, 175, 2})
)


def find_occluders(views: list[tuple[int, np.ndarray]], points: np.ndarray) -> np.ndarray | None:
    """Return (n, SIDE, SIDE) uint8, 255 where something is before the face, or None where nothing is.

    `views` are pictures of crops, (SIDE, SIDE, 3) uint8, each with its number among the n; `points`
    (n, 468, 2) are in units of the crop.
    """
    if len(views) < MIN_FRAMES:
        return None
    indices = [index for index, _ in views]
    shape = _MeanShape(points[indices])
    faces = np.stack([shape.warp(view, points[index]) for index, view in views])
    low, high = _usual_range(faces)
    zone = shape.face_zone() & ~shape.lip_zone()
    found = np.stack([_strange(face, low, high, zone) for face in faces])
    found[_unlike(faces, low, high, shape.lip_zone())] = 1
    found = np.asarray(median_filter(found, size=(3, 1, 1), mode="nearest"))
    found = np.asarray(maximum_filter(found, size=(3, 1, 1), mode="nearest"))  # things move
    if not found.any():
        return None
    occluders = np.zeros((len(points), SIDE, SIDE), np.uint8)
    for row, index in enumerate(indices):
        if found[row].any():
            occluders[index] = shape.unwarp(_feathered(found[row]), points[index])
    return occluders


class _MeanShape:
    """The face's mean shape in the crop, and the smooth warp between a frame's shape and it."""

    def __init__(self, points: np.ndarray) -> None:
        """Take the (n, 468, 2) points in units of the crop."""
        self._points = np.median(points, axis=0)
        self._mean = self._points[_CONTROL].astype(np.float64)
        cells = (np.arange(GRID) + 0.5) / GRID
        grid = np.stack(np.meshgrid(cells, cells), axis=-1).reshape(-1, 2)
        weights = _kernel(self._mean, self._mean) + 1e-3 * np.eye(len(self._mean))
        self._spread = _kernel(grid, self._mean) @ np.linalg.inv(weights)
        y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
        self._x, self._y = x, y

    def warp(self, crop: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Bring a (SIDE, SIDE, 3) crop whose face has these points to the mean shape."""
        return self._remap(crop, self._displacement(points))

    def unwarp(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Bring an image in the mean shape back to the frame's."""
        return self._remap(image, -self._displacement(points))

    def face_zone(self) -> np.ndarray:
        """Return (SIDE, SIDE) bool: safely inside the face's outline."""
        zone = np.zeros((SIDE, SIDE), np.uint8)
        cv2.fillConvexPoly(zone, cv2.convexHull(_pixels(self._points[list(FACE_OVAL)])), 1)
        return cv2.erode(zone, _disc(0.035)).astype(bool)

    def lip_zone(self) -> np.ndarray:
        """Return (SIDE, SIDE) bool: the lips and what they uncover, where anything may be usual."""
        zone = np.zeros((SIDE, SIDE), np.uint8)
        cv2.fillConvexPoly(zone, cv2.convexHull(_pixels(self._points[list(LIPS_OUTER)])), 1)
        return cv2.dilate(zone, _disc(0.04)).astype(bool)

    def _displacement(self, points: np.ndarray) -> np.ndarray:
        moved = self._spread @ (points[_CONTROL] - self._mean)
        return cv2.resize(moved.reshape(GRID, GRID, 2).astype(np.float32), (SIDE, SIDE)) * SIDE

    def _remap(self, image: np.ndarray, moved: np.ndarray) -> np.ndarray:
        return cv2.remap(
            image,
            self._x + moved[..., 0],
            self._y + moved[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=-1) / (2 * 0.12**2))


def _lab(face: np.ndarray) -> np.ndarray:
    smooth = cv2.GaussianBlur(face, (0, 0), 0.9).astype(np.float32) / 255.0
    return cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB) * _WEIGHTS


def _usual_range(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and greatest usual (SIDE, SIDE, 3) colours: quartiles, widened by their distance.

    Source: Tukey's fences (Exploratory Data Analysis, 1977); then neighbours' colours count as usual too.
    """
    chosen = faces[np.unique(np.linspace(0, len(faces) - 1, MAX_SAMPLES).astype(int))]
    quarter, three = np.quantile(np.stack([_lab(face) for face in chosen]), [0.25, 0.75], axis=0)
    widen = 1.5 * (three - quarter) + 2.0
    low, high = (quarter - widen).astype(np.float32), (three + widen).astype(np.float32)
    return cv2.erode(low, _disc(REACH)), cv2.dilate(high, _disc(REACH))


def _strange(face: np.ndarray, low: np.ndarray, high: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Return (SIDE, SIDE) uint8, 1 where the face looks unlike itself in a patch that begins in `zone`."""
    lab = _lab(face)
    lab = lab - _light_change(lab - (low + high) / 2, (high - low) / 2, zone)
    beyond = np.maximum(np.maximum(low - lab, lab - high), 0.0)
    distance = np.sqrt((beyond**2).sum(axis=-1))
    seeds = ((distance > FAR) & zone).astype(np.uint8)
    seeds = cv2.morphologyEx(seeds, cv2.MORPH_OPEN, _disc(0.015))
    out = np.zeros((SIDE, SIDE), np.uint8)
    if seeds.sum() < MIN_AREA * SIDE * SIDE:
        return out
    _, labels = cv2.connectedComponents(((distance > NEAR) | (seeds > 0)).astype(np.uint8))
    for label in np.unique(labels[seeds > 0]):
        part = labels == label
        if (seeds[part] > 0).sum() >= MIN_AREA * SIDE * SIDE:
            out |= _solid(part)
    return out


def _light_change(offset: np.ndarray, half: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Return how the light of this frame (3,) differs, judged by the pixels that still look like the face."""
    like = zone & (np.abs(offset) < half + LIGHT_CHANGE).all(axis=-1)
    if like.sum() < 0.2 * zone.sum():
        return np.zeros(3, np.float32)
    return np.median(offset[like], axis=0)


def _unlike(faces: np.ndarray, low: np.ndarray, high: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Return (n,) bool: frames unlike nearly all others around the lips, as when a hand covers them.

    A hand has the face's colours; what is missing then is the face's pattern. Unusual colours are left to
    `_strange`: they count only a little beyond the usual range.
    """
    rows, columns = np.flatnonzero(zone.any(axis=1)), np.flatnonzero(zone.any(axis=0))
    around = SIDE // 8
    box = (
        slice(max(0, rows[0] - around // 2), rows[-1] + around, 2),
        slice(max(0, columns[0] - around), columns[-1] + around, 2),
    )
    flat = np.stack([np.clip(_lab(face), low - FAR, high + FAR)[box].reshape(-1, 3) for face in faces])
    flat = (flat - flat.mean(axis=1, keepdims=True)).reshape(len(faces), -1)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6
    chosen = flat[np.unique(np.linspace(0, len(flat) - 1, LIKENESS_SAMPLES).astype(int))]
    likeness = np.quantile(flat @ chosen.T, 0.7, axis=1)
    return likeness < MIN_LIKENESS * np.median(likeness)


def _solid(part: np.ndarray) -> np.ndarray:
    """Return the patch with its holes and bays filled: over dark lips a dark thing is not seen to differ."""
    contours, _ = cv2.findContours(part.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(part.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(np.concatenate(contours)), 1)
    return filled


def _feathered(found: np.ndarray) -> np.ndarray:
    """Return uint8 0..255: the patch a little larger, with a soft edge outside it."""
    wide = cv2.dilate(found * 255, _disc(2.5 * FEATHER))
    return cv2.GaussianBlur(wide, (0, 0), FEATHER * SIDE)


def _disc(radius: float) -> np.ndarray:
    pixels = max(1, round(radius * SIDE))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))


def _pixels(points: np.ndarray) -> np.ndarray:
    return np.round(points * SIDE - 0.5).astype(np.int32)
