"""The people the daemon found in a range: their thumbnails, and where the mask of each will lie."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPen, QPolygonF, QTransform

from daemon.protocol.jobs import MaskSpec

SIDE = 128  # px, of the picture that a mask is drawn in; its edges are far softer than its pixels
PLAIN = MaskSpec()
_ABOUT = (-0.1, 1.1)  # of a crop: from here to there is the face
_EYES = 0.7  # of a crop: so far above it the head reaches


@dataclass(frozen=True, eq=False)
class Outline:
    """The file of daemon/redub/outline.py, which says what each part is."""

    parts: dict[str, np.ndarray]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in whose pixels painted polygons are written."""
        width, height = self.parts["picture"]
        return int(width), int(height)

    def to_picture(self, frame: int) -> QTransform | None:
        """Return what leads from a mask of SIDE pixels to the picture's; None outside of the range."""
        index = frame - int(self.parts["start"])
        if not 0 <= index < len(self.parts["outlines"]):
            return None
        (a, c, x), (b, d, y) = self.parts["to_picture"][index] @ np.diag([1 / SIDE, 1 / SIDE, 1.0])
        return QTransform(a, b, c, d, x, y)

    def draw(self, frame: int, mask: MaskSpec) -> np.ndarray:
        """Return the (SIDE, SIDE) mask of a frame of the range, 0 to 1, as the daemon will draw it."""
        index = frame - int(self.parts["start"])
        unit = float(self.parts["face_width"])  # widths of the face, in crops
        shape = self.parts["outlines"][index] + np.array(mask.shift) * unit
        grow = (mask.grow + mask.feather / 2) * unit
        drawn = _blurred(_filled(shape, self.parts["hull"], grow), self._blur(mask.feather * unit))
        low, high = self.parts["soft"]
        soft = np.clip((drawn - low) / (high - low), 0.0, 1.0)
        window = _window(float(self.parts["border"]))
        return soft * soft * (3 - 2 * soft) * window * float(self.parts["weight"][index])

    def is_near(self, at: QPointF, frame: int, width: int) -> bool:
        """Say whether a place in the clip, `width` pixels wide as shown, is on or about this face."""
        place = self.to_picture(frame)
        if place is None:
            return False
        inside = place.inverted()[0].map(at * (self.size[0] / width)) / SIDE
        low, high = _ABOUT
        return low < inside.x() < high and low - _EYES < inside.y() < high

    def _blur(self, feather: float) -> float:
        return float(self.parts["blur"]) + feather / float(self.parts["ramp"])


@dataclass(frozen=True, eq=False)
class Face:
    """One person: `box` in pixels of the picture, as it is in `frame`."""

    face_id: str
    count: int
    frame: int
    box: QRectF
    thumbnail: QImage
    outline: Outline | None


def read_faces(result: dict[str, Any]) -> list[Face]:
    """Make faces of a job's result; reads files, so not for the window's thread."""
    return [_read_face(face) for face in result.get("faces", [])]


def _read_face(face: dict[str, Any]) -> Face:
    x0, y0, x1, y1 = face["box"]
    return Face(
        str(face["id"]),
        face["frames"],
        face["frame"],
        QRectF(QPointF(x0, y0), QPointF(x1, y1)),
        QImage(face["thumbnail"]),
        read_outline(Path(face["outline"])) if face.get("outline") else None,
    )


def read_outline(path: Path) -> Outline | None:
    """Read an outline, or None where the file is gone."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return Outline(dict(file))
    except (OSError, ValueError):
        return None


def tinted(mask: np.ndarray, tint: QColor) -> QImage:
    """Return a (h, w) mask of 0 to 1 as a picture in one colour."""
    height, width = mask.shape
    share = mask * tint.alphaF()
    pixels = np.empty((height, width, 4), np.uint8)
    for channel, value in enumerate((tint.blue(), tint.green(), tint.red())):
        pixels[..., channel] = value * share
    pixels[..., 3] = 255 * share
    return QImage(pixels.data, width, height, QImage.Format.Format_ARGB32_Premultiplied).copy()


def _filled(shape: np.ndarray, hull: np.ndarray, grow: float) -> np.ndarray:
    """Return the shape with the hull of its cheeks and jaw, (SIDE, SIDE) 0 to 1, its edge moved by `grow`."""
    first, last = (int(end) for end in hull)
    path = _path(_convex(shape[first:last])).united(_path(shape))
    image = QImage(SIDE, SIDE, QImage.Format.Format_Grayscale8)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillPath(path, Qt.GlobalColor.white)
    if grow:
        pen = QPen(Qt.GlobalColor.white if grow > 0 else Qt.GlobalColor.black, 2 * abs(grow) * SIDE)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.strokePath(path, pen)
    painter.end()
    return np.frombuffer(image.constBits(), np.uint8).reshape(SIDE, -1)[:, :SIDE] / 255.0


def _path(points: np.ndarray) -> QPainterPath:
    path = QPainterPath()
    path.addPolygon(QPolygonF([QPointF(x, y) for x, y in points * SIDE]))
    path.closeSubpath()
    return path


def _convex(points: np.ndarray) -> np.ndarray:
    """Return the convex hull of (n, 2) points, in order. Source: Andrew's monotone chain, 1979."""
    ordered = sorted(map(tuple, points.tolist()))
    halves = []
    for run in (ordered, ordered[::-1]):
        half: list[tuple[float, float]] = []
        for x, y in run:
            while len(half) > 1 and _turn(half[-2], half[-1], (x, y)) <= 0:
                half.pop()
            half.append((x, y))
        halves += half[:-1]
    return np.array(halves)


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _blurred(image: np.ndarray, spread: float) -> np.ndarray:
    """Blur with a Gaussian of `spread` of the image's side; mirrored at its edge."""
    kernel = _kernel(round(spread, 4))
    return kernel @ image @ kernel.T


@lru_cache(maxsize=8)
def _kernel(spread: float) -> np.ndarray:
    """Return the (SIDE, SIDE) matrix that blurs a column, as products of matrices are quick."""
    sigma, reach = spread * SIDE, SIDE
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = np.zeros((SIDE, SIDE))
    for row in range(SIDE):
        places = np.abs(row + np.arange(-reach, reach + 1)) % (2 * SIDE - 2)
        np.add.at(kernel[row], np.minimum(places, 2 * SIDE - 2 - places), weights)  # mirrored at the edge
    return kernel / weights.sum()


@lru_cache(maxsize=2)
def _window(border: float) -> np.ndarray:
    """Return what ends the mask before the crop does."""
    away = np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1]) / (border * SIDE)
    ramp = np.clip(away, 0.0, 1.0)
    ramp = ramp * ramp * (3 - 2 * ramp)
    return ramp[:, None] * ramp[None, :]
