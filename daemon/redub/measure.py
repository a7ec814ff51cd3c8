"""Look at a delivered take beside its source, frame by frame, and write down what checks.py judges."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from daemon.faces.evidence import mouth_aperture
from daemon.faces.landmarks import LIPS_OUTER
from daemon.faces.mesh import FaceMesh
from daemon.faces.region import Region
from daemon.media.colour import coding_of
from daemon.media.segment import FrameRange
from daemon.media.source import Frame, Source
from daemon.redub.checks import Observations, lightness_change, ring_delta_e, skin_colours
from daemon.redub.composite import changed_area
from daemon.redub.crop import area_of, place, sample_crop
from daemon.redub.likeness import Likeness
from daemon.redub.playback import Shown

_VIEW_SIDE = 192  # px, of the picture of the whole face in which the mouth is measured
_VIEW_WIDTH = 2.0  # of it, in crop sides
_VIEW_RAISE = 0.34  # of the crop side: the face's middle lies this far above the crop's
_CHECK_SIDE = 160  # px, largest crop in which colours are compared
_BLOCK = 16  # px; lossy codecs are compared by block means
_LOSSY_BLOCK_STEP = 3.0 / 255  # a codec alone changes no block's mean luma more than this


@dataclass(frozen=True)
class Subject:
    """What a take is held against."""

    source: Source
    delivered: FrameRange  # handles included
    region: Region  # over the range
    likeness: Likeness
    mesh: FaceMesh


def observe(subject: Subject, shown: Iterator[Shown], *, tick: Callable[[int], None]) -> Observations:
    """Measure a take. `shown` are its frames, in order; `tick` is called with the number done."""
    seen = Observations()
    eye = _Observer(subject, seen)
    frames = subject.source.frames(subject.delivered, still=lambda: tick(seen.frames_found))
    for source, take in zip(frames, shown, strict=False):
        seen.frames_found += 1
        tick(seen.frames_found)
        eye.look(source, take)
    seen.frames_found += sum(1 for _ in shown)  # too many is as wrong as too few
    missing = len(subject.region.frames) - len(seen.aperture)
    seen.aperture += [float("nan")] * max(0, missing)
    return seen


class _Observer:
    """Looks at one pair of frames after the other."""

    def __init__(self, subject: Subject, seen: Observations) -> None:
        info = subject.source.info
        self._subject, self._seen, self._info = subject, seen, info
        self._coding = coding_of(info.pixels, info.colour, info.height)
        self._side = min(subject.region.size, _CHECK_SIDE)
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def look(self, source: Frame, take: Shown) -> None:
        """Measure one frame."""
        region, info = self._subject.region, self._info
        inside = source.index in region.frames
        mask = region.mask(source.index) if inside else np.zeros((region.size, region.size), np.float32)
        matrix = info.squeeze(region.matrices[source.index - region.frames.start]) if inside else None
        allowed = np.zeros((info.height, info.width), bool)
        if matrix is not None and mask.any():
            area = area_of(matrix, region.size, info.width, info.height)
            reach = cv2.dilate((mask > 0).astype(np.float32), np.ones((5, 5), np.uint8))
            allowed[area.y0 : area.y1, area.x0 : area.x1] = place(reach, matrix, area, border=0.0) > 0
        self._look_outside(source, take, allowed)
        if matrix is not None:
            self._look_inside(source, take, mask, matrix)

    def _look_outside(self, source: Frame, take: Shown, allowed: np.ndarray) -> None:
        """Find the largest change, in code values of the source, where nothing may change."""
        if take.alpha is not None:
            worst = float(take.alpha[~allowed].max(initial=0)) / take.alpha_peak * self._coding.peak
        elif take.is_exact:
            worst = max(
                _plane_difference(ours, theirs, allowed)
                for ours, theirs in zip(take.planes, source.planes, strict=True)
            )
        else:
            worst = self._block_difference(source, take, allowed)
        self._seen.outside_max_difference = max(self._seen.outside_max_difference, int(np.ceil(worst)))

    def _block_difference(self, source: Frame, take: Shown, allowed: np.ndarray) -> float:
        weights = (take.coding if self._coding.is_rgb else self._coding).luma_weights
        luma = [
            coding.decode_luma(planes, weights)
            for coding, planes in ((self._coding, source.planes), (take.coding, take.planes))
        ]
        size = (max(1, allowed.shape[1] // _BLOCK), max(1, allowed.shape[0] // _BLOCK))
        ours, theirs = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in luma)
        blocked = cv2.resize(allowed.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        worst = float(np.abs(ours - theirs)[~blocked].max(initial=0))
        return worst * self._coding.peak if worst > _LOSSY_BLOCK_STEP else 0.0

    def _look_inside(self, source: Frame, take: Shown, mask: np.ndarray, matrix: np.ndarray) -> None:
        seen, region = self._seen, self._subject.region
        index = source.index - region.frames.start
        side, scale = self._side, region.size / self._side
        small = matrix @ np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])
        ours = sample_crop(source.planes, source.pixels, self._coding, small, side)
        theirs, alpha = take.crop(small, side, ours)
        soft = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
        seen.aperture.append(self._aperture(source, take, index))
        self._compare(
            ours, theirs, soft * changed_area(theirs, ours) if alpha is None else alpha, soft, index
        )

    def _compare(
        self, ours: np.ndarray, theirs: np.ndarray, alpha: np.ndarray, mask: np.ndarray, index: int
    ) -> None:
        seen, region = self._seen, self._subject.region
        if region.usable[index] and alpha.any():
            seen.seam.append(ring_delta_e(theirs, ours, alpha))
            lips = _lips(region.points[index] * (self._side / region.size), self._side)
            colours = skin_colours(theirs, ours, (alpha > 0.6) & ~lips)
            seen.skin += [] if colours is None else [colours]
            seen.likeness.append(self._subject.likeness.distance(theirs))
        if self._before is not None:
            seen.change_take.append(lightness_change(theirs, self._before[1], mask))
            seen.change_source.append(lightness_change(ours, self._before[0], mask))
        else:
            seen.change_take.append(0.0)
            seen.change_source.append(0.0)
        self._before = ours, theirs

    def _aperture(self, source: Frame, take: Shown, index: int) -> float:
        """Return the gap between the inner lips of the take, in eye distances; NaN without a face."""
        region = self._subject.region
        if not region.usable[index]:
            return float("nan")
        to_crop = view_matrix(region.size)
        matrix = self._info.squeeze(region.matrices[index]) @ np.vstack([to_crop, [0, 0, 1]])
        ours = sample_crop(source.planes, source.pixels, self._coding, matrix, _VIEW_SIDE)
        shown, _ = take.crop(matrix, _VIEW_SIDE, ours)
        points = np.zeros((468, 3), np.float32)
        points[:, :2] = (region.points[index] - to_crop[:, 2]) / to_crop[0, 0]
        face = self._subject.mesh.track(np.clip(shown * 255, 0, 255).astype(np.uint8), points)
        return float(mouth_aperture(face.points[None])[0]) if face.score >= 0.5 else float("nan")


def view_matrix(size: int) -> np.ndarray:
    """Return the (2, 3) matrix from pixels of the view of the whole face to crop pixels."""
    scale = _VIEW_WIDTH * size / _VIEW_SIDE
    middle = (size - 1) / 2
    offset = middle - scale * (_VIEW_SIDE - 1) / 2
    return np.array([[scale, 0, offset], [0, scale, offset - _VIEW_RAISE * size]])


def _lips(points: np.ndarray, side: int) -> np.ndarray:
    """Return the mouth, (side, side) bool, with room for where it may have opened to."""
    lips = np.zeros((side, side), np.uint8)
    cv2.fillPoly(lips, [np.rint(points[list(LIPS_OUTER), :2]).astype(np.int32)], 1)
    reach = max(3, side // 12) | 1
    return cv2.dilate(lips, np.ones((2 * reach + 1, reach), np.uint8)) > 0


def _plane_difference(ours: np.ndarray, theirs: np.ndarray, allowed: np.ndarray) -> float:
    rows, columns = ours.shape
    if allowed.shape != ours.shape:
        grown = cv2.dilate(allowed.astype(np.uint8), np.ones((3, 3), np.uint8))
        allowed = cv2.resize(grown, (columns, rows), interpolation=cv2.INTER_AREA) > 0
    difference = np.where(ours > theirs, ours - theirs, theirs - ours)
    return float(difference[~allowed].max(initial=0))
