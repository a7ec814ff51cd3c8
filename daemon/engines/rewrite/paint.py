"""Paint one frame: the frame's own skin drawn after the new jaw, with a unit's lips and mouth laid into it.

Only lips and what lies between them come from the unit; cheeks, chin and beard stay the frame's own, so
light and grain fit by themselves. The unit is relit to the skin around the lips. Controls are those of
shape.py, in pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from daemon.engines.rewrite.interior import depth, lip_line, own_interior
from daemon.engines.rewrite.shape import INNER, LIP_COUNT, NEAR, OUTER, SKIN
from daemon.engines.rewrite.warp import Box, box_around, pixel_places, sample, spline

_LIP_ROOM = 0.42  # of the way from the lips' edge to the ring around them, that the unit reaches
_SOFT = 0.055  # of the mouth's width: the blur of the unit's edge
_LIGHT = 0.22  # of the mouth's width: the detail that relighting leaves alone
_GAIN = (0.6, 1.7)
_BLURS = (0.0, 0.7, 1.2, 2.0, 3.2)  # px, tried to make a sharp unit as soft as a frame blurred by motion
_TEETH_STRETCH = 1.05  # of what hangs from the upper lip; what lies below is drawn out the more, up to
_STEEPEST = 1.5  # times as fast at the upper lip as between the lips on the whole
_MOST_STRETCH = 1.2  # beyond it the unit's mouth ends above the lower lip, and the rest is filled
_OVERDRAWN = (
    0.03,
    0.08,
)  # of the mouth's width: the opening beyond that stretch which begins to count, and does
_HALF = len(INNER) // 2
_LOWER_INNER = INNER[: _HALF + 1]  # corner to corner, below
_UPPER_INNER = np.append(INNER[_HALF:], INNER[0])  # corner to corner, above
_REST = np.arange(LIP_COUNT, LIP_COUNT + len(NEAR) + 22)  # the skin near the lips


@dataclass(frozen=True)
class Piece:
    """A unit to paint with: its picture (s, s, 3) float32 in 0..1, its controls (c, 2) there, and its share.

    `is_own`: it is the frame itself, whose mouth may have to open further than anything it shows.
    """

    picture: np.ndarray
    controls: np.ndarray
    share: float
    is_own: bool = False


def move_skin(crop: np.ndarray, old: np.ndarray, new: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Return the crop (S, S, 3) with its controls drawn from `old` to `new` (c, 2) where `support` (S, S)
    lets it.
    """
    size = crop.shape[0]
    rows, columns = np.flatnonzero(support.max(axis=1)), np.flatnonzero(support.max(axis=0))
    if len(rows) == 0:
        return crop.copy()
    box = box_around(np.array([[columns[0], rows[0]], [columns[-1], rows[-1]]]), 0, size)
    edge = _edge_points(size)
    places = spline(np.concatenate([new[SKIN], edge]), np.concatenate([old[SKIN], edge]), box, size)
    own = pixel_places(box)
    places = own + (places - own) * support[box.slices][..., None]
    moved = crop.copy()
    moved[box.slices] = sample(crop, places)
    return moved


def paint_mouth(skin: np.ndarray, new: np.ndarray, pieces: list[Piece], amount: np.ndarray) -> np.ndarray:
    """Lay the pieces' mouths at `new` (c, 2) into the skin (S, S, 3); `amount` (S, S) 0..1 fades them in."""
    size = skin.shape[0]
    width = float(np.linalg.norm(new[OUTER[0]] - new[OUTER[10]]))
    box = box_around(new[: LIP_COUNT + len(NEAR)], 0.35 * width, size)
    area = np.ascontiguousarray(skin[box.slices])
    inner = _fill(new[INNER], box)
    lips = _fill(_reach(new, 0.12), box)
    ring = 1 - np.clip(cv2.GaussianBlur(lips, (0, 0), 1.5) * 1.5, 0, 1)
    mouth = np.zeros_like(area)
    for piece in pieces:
        taken = _soften(_take(piece, new, inner, box, size), area, ring)
        mouth += piece.share * _relight(taken, area, ring, width)
    edge = _fill(_reach(new, _LIP_ROOM), box)
    mask = cv2.GaussianBlur(edge, (0, 0), max(_SOFT * width, 0.8)) * amount[box.slices]
    out = skin.copy()
    out[box.slices] = area + (mouth - area) * mask[..., None]
    return out


def _reach(new: np.ndarray, share: float) -> np.ndarray:
    """Return the outline of the lips, taken `share` of the way out to the skin around them."""
    outline = new[OUTER]
    middle = new[:LIP_COUNT].mean(axis=0)
    around = (
        np.linalg.norm(new[NEAR] - middle, axis=1).mean() / np.linalg.norm(outline - middle, axis=1).mean()
    )
    outward = outline - middle
    height = np.linalg.norm(np.ptp(outline, axis=0)) * 0.12
    unit = outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    return outline + share * (unit * height + outward * max(around - 1, 0.05) * 0.5)


def _take(piece: Piece, new: np.ndarray, inner: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Return the piece's mouth drawn to `new`, (rows, columns, 3).

    Upper lip, lower lip and the mouth between them are drawn each by its own warp, so that lips can part
    and close.
    """
    frame = np.concatenate([OUTER, _REST])
    parts = []
    for inside in (_UPPER_INNER, _LOWER_INNER, INNER):
        chosen = np.concatenate([frame, inside])
        parts.append(spline(new[chosen], piece.controls[chosen], box, size))
    below = _below_line(new, box)[..., None]
    lips = parts[0] * (1 - below) + parts[1] * below
    between = inner[..., None]
    hung = 1.0 if piece.is_own else _overdrawn(piece.controls, new)
    if hung == 0:
        within = _keep_teeth(parts[2], piece.controls, new, box)
        places = (lips * (1 - between) + within * between).astype(np.float32)
        return sample(piece.picture, places)
    within = own_interior(
        piece.picture,
        old_upper=piece.controls[_UPPER_INNER],
        new_upper=new[_UPPER_INNER],
        old_inner=piece.controls[INNER],
        new_lower=new[_LOWER_INNER],
        box=box,
        stretch=1.0 if piece.is_own else _MOST_STRETCH * _scale(piece.controls, new),
    )
    if hung < 1:
        shown = sample(piece.picture, _keep_teeth(parts[2], piece.controls, new, box))
        within = hung * within + (1 - hung) * shown
    return sample(piece.picture, lips.astype(np.float32)) * (1 - between) + within * between


def _keep_teeth(places: np.ndarray, old: np.ndarray, new: np.ndarray, box: Box) -> np.ndarray:
    """Return the (rows, columns, 2) places between lips with the teeth that hang from the upper lip about as
    long as the unit shows them; the opening below them takes the rest.
    """
    height, own = _openings(old, new)
    steep = min(height / max(own, 1e-3) / _TEETH_STRETCH, _STEEPEST)
    if steep <= 1:
        return places
    upper, lower = new[_UPPER_INNER], new[_LOWER_INNER]
    here, down = pixel_places(box) - (box.x0, box.y0), depth(upper, lower, box)
    here[..., 1] += (steep - 1) * down * (1 - down) * (lip_line(lower, box) - lip_line(upper, box))
    return sample(places.astype(np.float32), here, is_smooth=False)


def _overdrawn(old: np.ndarray, new: np.ndarray) -> float:
    """Return 0 for a mouth opened about as far as the unit's own, 1 where it would be drawn too long."""
    height, own = _openings(old, new)
    excess = (height - _MOST_STRETCH * own) / np.linalg.norm(new[OUTER[0]] - new[OUTER[10]])
    return float(np.clip((excess - _OVERDRAWN[0]) / (_OVERDRAWN[1] - _OVERDRAWN[0]), 0, 1))


def _openings(old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Return how high the mouth is opened, and how high the unit's own would be at the same scale."""
    height, own = (
        float(np.linalg.norm(lips[_UPPER_INNER] - lips[_LOWER_INNER][::-1], axis=1).mean())
        for lips in (new, old)
    )
    return height, own * _scale(old, new)


def _scale(old: np.ndarray, new: np.ndarray) -> float:
    """Return how much larger the new mouth is drawn than the unit shows it, by the ring around the lips."""
    return float(
        np.linalg.norm(np.ptp(new[NEAR], axis=0)) / max(np.linalg.norm(np.ptp(old[NEAR], axis=0)), 1e-3)
    )


def _below_line(new: np.ndarray, box: Box) -> np.ndarray:
    """Return (rows, columns) 0 above the line where the lips meet, 1 below it, with an edge of a pixel."""
    upper, lower = new[_UPPER_INNER][::-1], new[_LOWER_INNER]
    line = (upper + lower) / 2
    order = np.argsort(line[:, 0], kind="stable")
    columns = np.arange(box.x0, box.x1)
    height = np.interp(columns, line[order, 0], line[order, 1])
    rows = np.arange(box.y0, box.y1)[:, None]
    return np.clip(rows - height[None] + 0.5, 0, 1).astype(np.float32)


def _soften(mouth: np.ndarray, area: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Return the mouth blurred until the skin around it is no sharper than the frame's own."""
    want = _detail(area, ring)
    have = [_detail(mouth, ring)]
    if have[0] <= 1.1 * want:
        return mouth
    have += [_detail(cv2.GaussianBlur(mouth, (0, 0), sigma), ring) for sigma in _BLURS[1:]]
    sigma = float(np.interp(-want, -np.array(have), _BLURS))
    return cv2.GaussianBlur(mouth, (0, 0), sigma) if sigma > 0.3 else mouth


def _detail(image: np.ndarray, ring: np.ndarray) -> float:
    """Return the root mean square of the finest detail within the ring."""
    grey = (image[..., 0] + image[..., 1] + image[..., 2]) / 3  # five times as fast as a mean over the axis
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 1.0)
    return float(np.sqrt((fine**2 * ring).sum() / (ring.sum() + 1e-6)))


def _relight(mouth: np.ndarray, area: np.ndarray, ring: np.ndarray, width: float) -> np.ndarray:
    """Return the mouth with the brightness and colour of the skin around it, as far as they change slowly."""
    sigma = max(_LIGHT * width, 2.0)
    step = 4
    small = (max(1, area.shape[1] // step), max(1, area.shape[0] // step))
    weight = cv2.resize(ring, small, interpolation=cv2.INTER_AREA)[..., None] + 1e-4
    want, have = (
        cv2.GaussianBlur(
            cv2.resize(image, small, interpolation=cv2.INTER_AREA) * weight, (0, 0), sigma / step
        )
        for image in (area, mouth)
    )
    gain = np.clip((want + 1e-4) / (have + 1e-4), *_GAIN)
    return mouth * cv2.resize(gain, (area.shape[1], area.shape[0]), interpolation=cv2.INTER_LINEAR)


def _fill(outline: np.ndarray, box: Box) -> np.ndarray:
    """Return the (rows, columns) float32 inside of an outline, edges smoothed over a pixel."""
    image = np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8)
    fixed = np.round((outline - (box.x0, box.y0)) * 16).astype(np.int32)
    cv2.fillPoly(image, [fixed.reshape(-1, 1, 2)], 255, lineType=cv2.LINE_AA, shift=4)
    return image.astype(np.float32) / 255


def _edge_points(size: int) -> np.ndarray:
    along = np.linspace(0, size - 1, 7)
    zero, last = np.zeros(7), np.full(7, size - 1.0)
    sides = [(along, zero), (along, last), (zero[1:-1], along[1:-1]), (last[1:-1], along[1:-1])]
    return np.concatenate([np.stack(side, axis=1) for side in sides])
