"""Talking heads drawn from numbers: who it is, how the head moves, and a mouth whose opening is known.

Everything is drawn in the head's own space, that of daemon/faces/pose.py: the origin lies between the eyes, x
goes to the picture's right and y down, and the outer corners of the eyes are 1 apart. Edges are one pixel
soft at any size, so a head can be drawn as a whole shot or straight into the crop an engine is given.
"""

from dataclasses import dataclass, fields

import numpy as np

from daemon.demo.making.visemes import MouthCurve
from daemon.faces.pose import CROP_CENTRE, CROP_SIDE

RATE = 25
WIDEST = 0.27  # opening at gap 1, in eye distances
MOUTH_WIDTH = 0.29  # half of it, at rest
UPPER_SHARE = 0.24  # of the opening that the upper lip makes
JAW_SHARE = 0.8  # of the lower lip's way that the chin goes
SAMPLED_X, SAMPLED_Y = 0.1, (-0.12, 0.36)  # around the mouth's middle: where its opening is measured
BLINK = (0.2, 0.8, 1.0, 0.8, 0.4, 0.1)  # how shut the eyes are, frame by frame
SWAYS = ((6.1, 0.030, 0.012), (3.7, 0.014, 0.016), (2.3, 0.005, 0.010))  # period in s; right, down
SWAY_TURN, SWAY_GROW = 0.018, 0.012  # radians, and share of the size


@dataclass(frozen=True)
class Identity:
    """Who it is: colours R'G'B' in 0..1, lengths in eye distances."""

    skin: np.ndarray
    lips: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    cloth: np.ndarray
    wall: np.ndarray  # (2, 3): the background's colours, above and below
    face_width: float
    chin: float  # its height below the eyes when the mouth is shut
    mouth: float  # height of the mouth
    mouth_width: float
    upper_lip: float
    lower_lip: float
    nose: float
    brow: float
    hairline: float
    light: np.ndarray  # where it comes from, unit vector
    ambient: float


@dataclass(frozen=True)
class Motion:
    """How the head moves: one value a frame in each array."""

    right: np.ndarray
    down: np.ndarray
    turn: np.ndarray
    size: np.ndarray
    blink: np.ndarray

    def part(self, span: slice) -> "Motion":
        """Return some of the frames."""
        return Motion(*(getattr(self, field.name)[span] for field in fields(self)))


def draw_identity(random: np.random.Generator) -> Identity:
    """Return somebody."""
    fair, dark = np.array([0.93, 0.75, 0.66]), np.array([0.52, 0.35, 0.27])
    skin = fair + (dark - fair) * random.uniform() + random.uniform(-0.02, 0.02, 3)
    red = np.array([0.76, 0.36, 0.38]) + random.uniform(-0.05, 0.05, 3)
    light = np.array([random.uniform(-0.6, 0.6), random.uniform(-0.7, -0.2), 1.0])
    return Identity(
        skin=skin,
        lips=0.55 * red + 0.45 * skin * np.array([0.9, 0.6, 0.62]),
        hair=np.array([0.45, 0.30, 0.18]) * random.uniform(0.2, 1.4) + random.uniform(0, 0.04, 3),
        iris=np.array([[0.30, 0.20, 0.12], [0.25, 0.42, 0.55], [0.3, 0.42, 0.25]])[random.integers(3)],
        cloth=random.uniform(0.1, 0.8, 3),
        wall=random.uniform(0.15, 0.85, (2, 3)),
        face_width=random.uniform(0.80, 0.90),
        chin=random.uniform(1.42, 1.56),
        mouth=random.uniform(0.92, 1.00),
        mouth_width=random.uniform(0.9, 1.1),
        upper_lip=random.uniform(0.055, 0.085),
        lower_lip=random.uniform(0.075, 0.115),
        nose=random.uniform(0.9, 1.1),
        brow=random.uniform(0.035, 0.06),
        hairline=random.uniform(-0.72, -0.58),
        light=light / np.linalg.norm(light),
        ambient=random.uniform(0.62, 0.78),
    )


def draw_motion(random: np.random.Generator, frames: int, *, liveliness: float = 1.0) -> Motion:
    """Return how a head sways and blinks over so many frames."""
    time_s = np.arange(frames) / RATE
    waves = [np.sin(2 * np.pi * (time_s / period + random.uniform(0, 1, 4)[:, None])) for period, *_ in SWAYS]
    right, down = (
        liveliness * sum(wave[axis] * sway[1 + axis] for wave, sway in zip(waves, SWAYS, strict=True))
        for axis in (0, 1)
    )
    blink = np.zeros(frames + len(BLINK))
    at = random.uniform(0.5, 4.0)
    while at * RATE < frames:
        blink[int(at * RATE) :][: len(BLINK)] = BLINK
        at += random.uniform(2.0, 5.0)
    size = 1 + liveliness * SWAY_GROW * waves[1][3]
    return Motion(right, down, liveliness * SWAY_TURN * waves[0][2], size, blink[:frames])


def head_matrices(motion: Motion) -> np.ndarray:
    """Return (F, 2, 3) from head space to the shot's, which is the head's own at rest."""
    cos, sin = motion.size * np.cos(motion.turn), motion.size * np.sin(motion.turn)
    first = np.stack([cos, -sin, motion.right], axis=-1)
    return np.stack([first, np.stack([sin, cos, motion.down], axis=-1)], axis=-2)


def crop_matrices(motion: Motion, side: int, *, window: int = 9, shift=(0.0, 0.0), grow=1.0) -> np.ndarray:
    """Return (F, 2, 3) from the pixels of the engine's crop to the shot: it follows the head, smoothed.

    `shift` (eye distances) and `grow` place it off the head, as a tracker may.
    """
    kernel = np.hanning(window + 2)[1:-1]
    kernel /= kernel.sum()
    smooth = Motion(
        *(
            np.convolve(np.pad(getattr(motion, field.name), window // 2, mode="edge"), kernel, mode="valid")
            for field in fields(Motion)
        )
    )
    scale = CROP_SIDE * grow / side
    corner = CROP_CENTRE[:2] + shift - scale * (side - 1) / 2
    to_head = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    return joined(head_matrices(smooth), to_head)


def shot_matrix(side: int, *, width: float = 4.0) -> np.ndarray:
    """Return (2, 3) from the pixels of a square shot, `width` eye distances wide, to its space."""
    scale = width / side
    return np.array([[scale, 0, -width / 2], [0, scale, 0.62 - width / 2]])


def joined(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Return the matrices (..., 2, 3) that do `inner`, then `outer`."""
    moved = outer[..., :2] @ inner
    moved[..., 2] += outer[..., 2]
    return moved


def inverted(matrices: np.ndarray) -> np.ndarray:
    """Return the matrices (..., 2, 3) that lead back."""
    back = np.linalg.inv(matrices[..., :2])
    return np.concatenate([back, -back @ matrices[..., 2:]], axis=-1)


def openings(curve: MouthCurve) -> np.ndarray:
    """Return how far the lips are apart in the mouth's middle in each frame, in eye distances: the truth."""
    return np.maximum(0.0, curve.gap) * WIDEST


def draw(identity: Identity, motion: Motion, curve: MouthCurve, to_shot: np.ndarray, side: int) -> np.ndarray:
    """Return frames (F, side, side, 3) float32 in 0..1; `to_shot` (F, 2, 3) or (2, 3) leads from pixels."""
    heads = head_matrices(motion)
    to_shot = np.broadcast_to(to_shot, heads.shape)
    to_head = joined(inverted(heads), to_shot)
    pictures = [
        _draw_frame(
            identity, Mouth(*values), motion.blink[frame], _grid(to_head[frame], side),
            _grid(to_shot[frame], side), float(np.sqrt(np.linalg.det(to_head[frame, :, :2]))),
        )
        for frame, values in enumerate(zip(curve.gap, curve.width, curve.tuck, strict=True))
    ]  # fmt: skip
    return np.stack(pictures)


@dataclass(frozen=True)
class Mouth:
    """One frame's mouth, as in daemon/demo/making/visemes.py."""

    gap: float
    width: float
    tuck: float


def _grid(matrix: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    across, down = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    x, y = (row[0] * across + row[1] * down + row[2] for row in matrix.astype(np.float32))
    return x, y


def _draw_frame(identity: Identity, mouth: Mouth, blink: float, head, shot, pixel: float) -> np.ndarray:
    x, y = head
    edge = _Edge(pixel)
    lowered = (1 - UPPER_SHARE) * max(0.0, mouth.gap) * WIDEST
    picture = _backdrop(identity, shot, edge)
    _paint(picture, _neck(identity, x, y, edge), identity.skin * 0.72)
    _paint(picture, edge(0.03 - _ellipse(x, y + 0.12, 1.06 * identity.face_width, 1.05)), identity.hair)
    face = _face_mask(identity, x, y, JAW_SHARE * lowered, edge)
    _paint(picture, face, identity.skin * _shade(identity, x, y)[..., None])
    _eyes(picture, identity, x, y, blink, edge)
    _nose(picture, identity, x, y, edge)
    _lips(picture, identity, mouth, x, y, edge)
    fringe = edge(identity.hairline + 0.22 * (x / identity.face_width) ** 2 - y)
    _paint(picture, fringe * face, identity.hair * 1.1)
    return np.clip(picture, 0, 1)


class _Edge:
    """Turns a distance inside a shape into how much of the pixel it covers."""

    def __init__(self, pixel: float) -> None:
        self.pixel = pixel

    def __call__(self, inside: np.ndarray) -> np.ndarray:
        return np.clip(inside / self.pixel + 0.5, 0, 1)


def _paint(picture: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> None:
    picture += cover[..., None] * (colour.astype(np.float32) - picture)


def _ellipse(x: np.ndarray, y: np.ndarray, a: float, b: float) -> np.ndarray:
    """Return about the distance outside an ellipse."""
    return (np.sqrt((x / a) ** 2 + (y / b) ** 2) - 1) * min(a, b)


def _backdrop(identity: Identity, shot, edge: _Edge) -> np.ndarray:
    x, y = shot
    share = np.clip((y + 1.4) / 4, 0, 1)[..., None]
    picture = (identity.wall[0] * (1 - share) + identity.wall[1] * share).astype(np.float32)
    _paint(picture, edge(0.05 - _ellipse(x, y - 3.15, 1.9, 1.25)), identity.cloth)
    return picture


def _neck(identity: Identity, x, y, edge: _Edge) -> np.ndarray:
    return edge(0.52 * identity.face_width / 0.85 - np.abs(x)) * edge(y - 0.9) * edge(2.15 - y)


def _face_mask(identity: Identity, x, y, drop: float, edge: _Edge) -> np.ndarray:
    """An oval: round above the eyes, longer and narrower below, where the jaw drops."""
    below = y > 0.2
    height = np.where(below, identity.chin + drop - 0.2, 1.05)
    power = 2.3
    radius = (np.abs(x / identity.face_width) ** power + np.abs((y - 0.2) / height) ** power) ** (1 / power)
    return edge((1 - radius) * identity.face_width)


def _shade(identity: Identity, x, y) -> np.ndarray:
    """Light on an egg."""
    nx, ny = np.clip(x / 1.15, -0.95, 0.95), np.clip((y - 0.35) / 1.9, -0.95, 0.95)
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.05, 1))
    lit = np.clip(nx * identity.light[0] + ny * identity.light[1] + nz * identity.light[2], 0, 1)
    return (identity.ambient + (1.08 - identity.ambient) * lit).astype(np.float32)


def _eyes(picture: np.ndarray, identity: Identity, x, y, blink: float, edge: _Edge) -> None:
    for side in (-1, 1):
        u = (x * side - 0.345) / 0.155
        arch = np.clip(1 - u**2, 0, 1)
        upper, lower = -0.075 * arch, 0.055 * arch
        lid = upper + (lower - upper) * 0.9 * blink
        inside = edge(np.minimum(y - lid, lower - y)) * (np.abs(u) < 1)
        _paint(picture, edge(0.035 - np.abs(y - upper + 0.02)) * (np.abs(u) < 1.05), identity.skin * 0.78)
        _paint(picture, inside, np.array([0.93, 0.92, 0.90]))
        round_iris = _ellipse(x * side - 0.345, y + 0.01, 0.068, 0.068)
        _paint(picture, inside * edge(-round_iris), identity.iris)
        _paint(picture, inside * edge(-0.038 - round_iris), np.array([0.04, 0.03, 0.03]))
        _paint(picture, edge(0.012 - np.abs(y - lid)) * (np.abs(u) < 1), np.array([0.12, 0.08, 0.07]))
        v = (x * side - 0.35) / 0.22
        brow = identity.brow * np.clip(1 - v**4, 0, 1) * 0.5
        _paint(picture, edge(brow - np.abs(y + 0.21 - 0.04 * v**2)) * (np.abs(v) < 1), identity.hair * 0.9)


def _nose(picture: np.ndarray, identity: Identity, x, y, edge: _Edge) -> None:
    tip = 0.52 * identity.nose
    side = 0.06 + 0.09 * np.clip(y / tip, 0, 1) ** 2
    along = edge(y) * edge(tip - y)
    lit = np.sign(identity.light[0]) or 1.0
    shadow = np.exp(-(((x + lit * side) / 0.05) ** 2)) * along
    picture *= (1 - 0.16 * shadow)[..., None]
    picture += (0.07 * np.exp(-((x / 0.045) ** 2)) * along)[..., None]
    under = np.exp(-((x / 0.13) ** 2) - ((y - tip - 0.03) / 0.03) ** 2)
    picture *= (1 - 0.22 * under)[..., None]
    for sign in (-1, 1):
        _paint(picture, edge(-_ellipse(x - sign * 0.075, y - tip, 0.032, 0.018)), identity.skin * 0.35)


def _lips(picture: np.ndarray, identity: Identity, mouth: Mouth, x, y, edge: _Edge) -> None:
    rounding, spread = max(0.0, -mouth.width), max(0.0, mouth.width)
    gap = max(0.0, mouth.gap)
    half = MOUTH_WIDTH * identity.mouth_width * (1 + 0.12 * spread - 0.28 * rounding - 0.05 * gap)
    u = x / half
    arch = np.clip(1 - u**2, 0, 1).astype(np.float32)
    opening, tuck = gap * WIDEST, 0.035 * mouth.tuck
    line = identity.mouth + 0.015 * (1 - arch)
    upper = line - UPPER_SHARE * opening * arch**0.6
    lower = line + (1 - UPPER_SHARE) * opening * arch**0.6
    bow = 1 - 0.18 * np.exp(-((x / 0.06) ** 2))
    top = upper - identity.upper_lip * (1 + 0.25 * rounding) * arch**0.7 * bow
    bottom = lower + (identity.lower_lip * (1 + 0.3 * rounding) - tuck) * arch**0.7
    within = np.abs(u) < 1
    light = _shade(identity, x, y)[..., None]
    picture *= 1 - 0.14 * np.exp(-((x / 0.17) ** 2) - ((y - bottom - 0.07) / 0.045) ** 2)[..., None]
    _paint(picture, edge(np.minimum(y - top, upper - y)) * within, identity.lips * 0.92 * light)
    _paint(picture, edge(np.minimum(y - lower, bottom - y)) * within, identity.lips * light)
    cover = edge(np.minimum(y - upper, lower - y)) * within * np.clip(opening * arch**0.6 / edge.pixel, 0, 1)
    _paint(picture, cover, np.array([0.13, 0.05, 0.05]))
    tongue = np.exp(-((x / (0.6 * half)) ** 2)) * edge(y - lower + 0.22 * opening)
    _paint(picture, cover * tongue * min(1.0, 3 * gap), np.array([0.20, 0.10, 0.10]))
    teeth = edge(upper + 0.035 + 0.12 * opening - y) * (np.abs(u) < 0.8)
    _paint(picture, cover * teeth, np.array([0.80, 0.78, 0.74]) * identity.ambient)
    seam = edge(0.006 - np.abs(y - (upper + lower) / 2)) * within * max(0.0, 1 - 10 * gap)
    _paint(picture, 0.6 * seam, identity.lips * 0.45)


def measure_openings(
    pictures_FHWC: np.ndarray, identity: Identity, motion: Motion, to_shot: np.ndarray
) -> np.ndarray:
    """Measure how far the lips are apart in each picture, in eye distances, by colour alone.

    What is between the lips (dark, teeth, tongue) has less red over blue than lips and skin: its height is
    read in the mouth's middle columns, half a pixel where a pixel is half covered.
    """
    side = pictures_FHWC.shape[1]
    heads = head_matrices(motion)
    to_head = joined(inverted(heads), np.broadcast_to(to_shot, heads.shape))
    found = []
    for picture, matrix in zip(pictures_FHWC, to_head, strict=True):
        x, y = _grid(matrix, side)
        y = y - identity.mouth
        inside = (np.abs(x) < SAMPLED_X) & (y > SAMPLED_Y[0]) & (y < SAMPLED_Y[1])
        light = _shade(identity, x, y + identity.mouth)
        warmth = (picture[..., 0] - picture[..., 2]) / light
        skin = min(identity.skin[0] - identity.skin[2], 0.92 * (identity.lips[0] - identity.lips[2]))
        share = np.clip(((skin - warmth) / (skin - 0.08) - 0.15) / 0.7, 0, 1)
        found.append((share * inside).sum() * np.linalg.det(matrix[:, :2]) / (2 * SAMPLED_X))
    return np.array(found)
