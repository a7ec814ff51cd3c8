"""Moves the mouth of a portrait: two sheets of skin, above and below the lips, over a plate of teeth.

Each sheet is bent by a thin-plate spline through control points (lips, chin, cheeks, nose). The lips of the
portrait were marked by hand, to the pixel of the 4x enlarged picture; everything else comes from the mesh.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

UPPER_INNER = (
    (571, 556), (582, 558), (596, 564), (606, 567), (616, 570), (628, 573), (640, 574), (652, 575),
    (664, 574), (676, 574), (688, 572), (700, 568), (712, 564), (726, 561), (742, 560),
)  # fmt: skip
LOWER_INNER = (
    (571, 556), (580, 568), (590, 577), (600, 585), (611, 591), (622, 596), (634, 598), (646, 600),
    (658, 600), (670, 599), (682, 597), (693, 591), (706, 583), (722, 573), (742, 560),
)  # fmt: skip
UPPER_OUTER = (
    (576, 553), (592, 557), (608, 559), (624, 559), (640, 560), (654, 563), (668, 560), (684, 560),
    (702, 560), (720, 556), (737, 554),
)  # fmt: skip
LOWER_OUTER = (
    (576, 566), (588, 582), (602, 598), (618, 609), (634, 615), (652, 618), (670, 615), (688, 608),
    (704, 597), (720, 583), (736, 568),
)  # fmt: skip
LEFT, RIGHT = np.array(UPPER_INNER[0], float), np.array(UPPER_INNER[-1], float)

NOSE = (2, 98, 327, 64, 294, 4, 129, 358, 6)
CHIN = (152, 148, 377, 176, 400, 175, 199, 200, 18)
JAW = (149, 378, 150, 379, 136, 365, 172, 397)
CHEEKS = (205, 425, 206, 426, 207, 427, 212, 432, 214, 434, 192, 416)
STILL = (58, 288, 132, 361, 93, 323, 234, 454, 127, 356, 116, 345, 50, 280, 111, 340, 168)
EYE_CORNERS = (33, 133, 362, 263)

WIDEST_GAP = 50.0
REGION = (slice(340, 812), slice(420, 888))  # rows, columns of what moves
GRID_STEP = 4


@dataclass(frozen=True)
class Mouth:
    """One frame's mouth. `gap`, `width`, `tuck` as in `Viseme`."""

    gap: float
    width: float
    tuck: float


class Puppet:
    """A portrait (H, W, 3) float32 with its 468 mesh points (468, 3), in the same pixels."""

    def __init__(self, portrait: np.ndarray, points: np.ndarray) -> None:
        self._portrait = portrait
        self._points = points[:, :2].astype(float)
        rows, columns = REGION
        self._corners = np.array([columns.start, rows.start])
        self._shape = (rows.stop - rows.start, columns.stop - columns.start)
        self._teeth = self._teeth_plate()

    def draw(self, mouth: Mouth) -> np.ndarray:
        """Return the portrait with this mouth, float32."""
        lips = _lips(mouth)
        above = self._bent(*self._controls_above(lips))
        below = self._bent(*self._controls_below(lips))
        skin = _mix(above, below, self._below_mask(lips))
        inside = self._cavity(lips, mouth)
        picture = self._portrait.copy()
        picture[REGION] = _mix(skin, inside, self._opening_mask(lips))
        return picture

    def shape(self, mouth: Mouth) -> tuple[float, float]:
        """Return the lip opening and the mouth's width, both over the distance of the eyes' outer corners."""
        lips = _lips(mouth)
        eyes = np.linalg.norm(self._points[33] - self._points[263])
        opening = max(0.0, (lips.lower_inner[:, 1] - lips.upper_inner[:, 1])[5:10].mean())
        return float(opening / eyes), float(np.linalg.norm(lips.upper_inner[-1] - lips.upper_inner[0]) / eyes)

    def _controls_above(self, lips: "_Lips") -> tuple[np.ndarray, np.ndarray]:
        source = [np.array(UPPER_INNER, float), np.array(UPPER_OUTER, float)]
        target = [lips.upper_inner, lips.upper_outer]
        return self._with_face(source, target, lips)

    def _controls_below(self, lips: "_Lips") -> tuple[np.ndarray, np.ndarray]:
        source = [np.array(LOWER_INNER, float), np.array(LOWER_OUTER, float)]
        target = [lips.lower_inner, lips.lower_outer]
        return self._with_face(source, target, lips)

    def _with_face(self, source, target, lips: "_Lips") -> tuple[np.ndarray, np.ndarray]:
        """Add chin, cheeks, nose and the still rim to the control points of one sheet."""
        points = self._points
        for indices, share in ((CHIN, 1.0), (JAW, 0.55)):
            group = points[list(indices)]
            source.append(group)
            target.append(group + np.array([0.0, lips.jaw_drop * share]))
        cheeks = points[list(CHEEKS)]
        left_share = np.clip((RIGHT[0] - cheeks[:, :1]) / (RIGHT[0] - LEFT[0]), 0, 1)
        follow = left_share * (lips.upper_inner[0] - LEFT) + (1 - left_share) * (lips.upper_inner[-1] - RIGHT)
        source.append(cheeks)
        target.append(cheeks + 0.42 * follow + np.array([0.0, 0.22 * lips.jaw_drop]))
        still = np.concatenate([points[list(NOSE + STILL + EYE_CORNERS)], self._rim()])
        source.append(still)
        target.append(still)
        return np.concatenate(source), np.concatenate(target)

    def _rim(self) -> np.ndarray:
        rows, columns = REGION
        xs, ys = np.linspace(columns.start, columns.stop, 9), np.linspace(rows.start, rows.stop, 9)
        sides = [[(x, rows.start), (x, rows.stop)] for x in xs] + [
            [(columns.start, y), (columns.stop, y)] for y in ys[1:-1]
        ]
        neck = [(x, 775.0) for x in xs[1:-1]]
        return np.array([point for side in sides for point in side] + neck, float)

    def _bent(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the region of the portrait with `source` points moved to `target`."""
        moved = RBFInterpolator(target, source - target, kernel="thin_plate_spline", smoothing=0.5)
        rows = np.arange(0, self._shape[0] + GRID_STEP, GRID_STEP)
        columns = np.arange(0, self._shape[1] + GRID_STEP, GRID_STEP)
        grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2) + self._corners
        coarse = moved(grid).reshape(len(rows), len(columns), 2).astype(np.float32)
        y, x = np.mgrid[: self._shape[0], : self._shape[1]].astype(np.float32)
        shift = (
            cv2.remap(coarse, x / GRID_STEP, y / GRID_STEP, cv2.INTER_LINEAR) * self._rim_fade()[..., None]
        )
        return cv2.remap(
            self._portrait,
            x + shift[..., 0] + np.float32(self._corners[0]),
            y + shift[..., 1] + np.float32(self._corners[1]),
            cv2.INTER_CUBIC,
        )

    def _rim_fade(self) -> np.ndarray:
        height, width = self._shape
        near_y = np.minimum(np.arange(height), np.arange(height)[::-1])
        near_x = np.minimum(np.arange(width), np.arange(width)[::-1])
        return np.clip(np.minimum.outer(near_y, near_x) / 24, 0, 1).astype(np.float32)

    def _below_mask(self, lips: "_Lips") -> np.ndarray:
        """1 under the line through the mouth, which runs on level beyond its corners."""
        middle = (lips.upper_inner + lips.lower_inner) / 2
        xs = np.arange(self._shape[1]) + self._corners[0]
        line = np.interp(xs, middle[:, 0], middle[:, 1])
        outside = np.maximum(middle[0, 0] - xs, xs - middle[-1, 0])
        softness = np.clip(outside, 1.0, 14.0)
        ys = np.arange(self._shape[0])[:, None] + self._corners[1]
        return np.clip((ys - line) / softness + 0.5, 0, 1).astype(np.float32)

    def _opening_mask(self, lips: "_Lips") -> np.ndarray:
        """1 between the lips; a line of shadow stays where they touch."""
        upper, lower = _dense(lips.upper_inner), _dense(lips.lower_inner)
        outline = np.concatenate([upper, lower[::-1]]) - self._corners
        mask = np.zeros(self._shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        seam = ((upper + lower) / 2)[6:-6] - self._corners
        line = np.zeros_like(mask)
        cv2.polylines(line, [np.rint(seam * 16).astype(np.int32)], False, 150, 2, cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(mask, (0, 0), 1.3).astype(np.float32)
        return np.maximum(soft, cv2.GaussianBlur(line, (0, 0), 1.2)) / 255

    def _cavity(self, lips: "_Lips", mouth: Mouth) -> np.ndarray:
        """Return what is seen between the lips: teeth of the upper jaw, the dark behind, the tongue."""
        opening = mouth.gap * WIDEST_GAP
        y = np.arange(self._shape[0])[:, None] + self._corners[1]
        floor = lips.lower_inner[:, 1].max()
        depth = np.clip((y - (floor - 18)) / 22, 0, 1)[..., None]
        dark = np.array([34.0, 14.0, 13.0]) * (1 - depth) + np.array([96.0, 42.0, 40.0]) * depth
        dark = np.broadcast_to(dark, (*self._shape, 3)).astype(np.float32)
        light = 0.30 + 0.62 * min(1.0, (opening + 14 * mouth.tuck) / 20)
        teeth, alpha = self._teeth
        shade = self._lip_shadow(lips)
        return _mix(dark, teeth * light * shade, alpha)

    def _lip_shadow(self, lips: "_Lips") -> np.ndarray:
        """Darken what lies just under the upper lip and near the corners."""
        xs = np.arange(self._shape[1]) + self._corners[0]
        edge = np.interp(xs, lips.upper_inner[:, 0], lips.upper_inner[:, 1])
        under = np.clip((np.arange(self._shape[0])[:, None] + self._corners[1] - edge) / 9, 0, 1)
        left, right = lips.upper_inner[0, 0], lips.upper_inner[-1, 0]
        from_corner = np.clip(np.minimum(xs - left, right - xs) / 34, 0, 1)
        return ((0.6 + 0.4 * under) * (0.45 + 0.55 * from_corner))[..., None].astype(np.float32)

    def _teeth_plate(self) -> tuple[np.ndarray, np.ndarray]:
        """Cut the teeth out of the portrait: their picture, drawn on upwards, and their soft mask."""
        outline = np.array([*UPPER_INNER[1:-1], *LOWER_INNER[-2:0:-1]], float) - self._corners
        opening = np.zeros(self._shape, np.uint8)
        cv2.fillPoly(opening, [np.rint(outline).astype(np.int32)], 255)
        opening = cv2.erode(opening, np.ones((5, 3), np.uint8))
        picture = self._portrait[REGION].copy()
        for column in np.flatnonzero(opening.any(axis=0)):
            top = int(np.flatnonzero(opening[:, column])[0])
            picture[: top + 1, column] = picture[top + 1, column]
            opening[max(0, top - 14) : top, column] = 255
        bright = np.clip((picture.mean(axis=2) - 60) / 50, 0, 1)
        alpha = cv2.GaussianBlur(opening, (0, 0), 1.4).astype(np.float32) / 255 * bright
        return picture, alpha.astype(np.float32)


@dataclass(frozen=True)
class _Lips:
    """Where the lips' contours (N, 2) go, and by how many pixels the chin drops."""

    upper_inner: np.ndarray
    lower_inner: np.ndarray
    upper_outer: np.ndarray
    lower_outer: np.ndarray
    jaw_drop: float


def _lips(mouth: Mouth) -> _Lips:
    rounding = max(0.0, -mouth.width)
    scale = 0.84 + 0.09 * max(0.0, mouth.width) - 0.20 * rounding - 0.04 * mouth.gap
    middle = (LEFT + RIGHT) / 2
    sink = np.array([0.0, 7.0 + 3.0 * mouth.gap])
    left, right = middle + (LEFT - middle) * scale + sink, middle + (RIGHT - middle) * scale + sink
    opening = mouth.gap * WIDEST_GAP
    raised, lowered = 0.24 * opening + 3.0 * mouth.tuck, 0.76 * opening - 3.0 * mouth.tuck

    def contour(points, *, shift: float, thickness: float | np.ndarray) -> np.ndarray:
        """Place a contour: along the mouth as in the portrait, across it from the closed line."""
        along = (np.array(points, float)[:, 0] - LEFT[0]) / (RIGHT[0] - LEFT[0])
        arch = np.clip(4 * along * (1 - along), 0, 1)
        base = left + along[:, None] * (right - left)
        seam = 17.0 * arch + 2.0 * np.sin(3 * np.pi * along) * arch
        base[:, 1] += seam + shift * arch**0.62 + thickness
        return base

    upper_thick = _thickness(UPPER_OUTER, UPPER_INNER) * (1.30 + 0.25 * rounding - 0.15 * mouth.gap)
    lower_thick = _thickness(LOWER_OUTER, LOWER_INNER) * (
        1.12 + 0.3 * rounding - 0.1 * mouth.gap - 0.25 * mouth.tuck
    )
    return _Lips(
        contour(UPPER_INNER, shift=-raised, thickness=0.0),
        contour(LOWER_INNER, shift=lowered, thickness=0.0),
        contour(UPPER_OUTER, shift=-raised, thickness=upper_thick),
        contour(LOWER_OUTER, shift=lowered, thickness=lower_thick),
        jaw_drop=0.80 * max(0.0, lowered) - 2.0,
    )


def _thickness(outer, inner) -> np.ndarray:
    """Return how far below the inner contour the outer one lies in the portrait (negative: above)."""
    outer_points, inner_points = np.array(outer, float), np.array(inner, float)
    return outer_points[:, 1] - np.interp(outer_points[:, 0], inner_points[:, 0], inner_points[:, 1])


def _dense(contour: np.ndarray) -> np.ndarray:
    steps = np.linspace(0, len(contour) - 1, 60)
    at = np.arange(len(contour))
    return np.stack([np.interp(steps, at, contour[:, axis]) for axis in (0, 1)], axis=1)


def _mix(base: np.ndarray, over: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    weight = alpha[..., None]
    return base * (1 - weight) + over * weight
