"""What is compared of a take and its source, cut out of a pair of frames at the size it is measured at."""

from dataclasses import dataclass

import cv2
import numpy as np

from daemon.faces.region import Region
from daemon.media.colour import coding_of
from daemon.media.source import Frame, SourceInfo
from daemon.redub.composite import changed_area
from daemon.redub.crop import area_of, place, sample_crop
from daemon.redub.playback import Shown

FACE_SIDE = 192  # px, of the picture of the whole face in which the mouth is measured
_FACE_WIDTH = 2.0  # of it, in crop sides
_FACE_RAISE = 0.34  # of the crop side: the face's middle lies this far above the crop's
_CHECK_SIDE = 160  # px, largest crop in which colours are compared
_BLOCK = 16  # px; lossy codecs are compared by block means
_LOSSY_BLOCK_STEP = 3.0 / 255  # a codec alone changes no block's mean luma more than this


@dataclass(frozen=True)
class Crops:
    """A frame of the range, number `index` of it: the crop of source and take, (s, s, 3) float32, and where
    they may differ and do, (s, s) float32.
    """

    index: int
    source: np.ndarray
    take: np.ndarray
    mask: np.ndarray
    alpha: np.ndarray
    face: np.ndarray | None  # (FACE_SIDE, FACE_SIDE, 3) uint8 of the take; None where no face is looked for


@dataclass(frozen=True)
class View:
    """One frame: how much it changed where nothing may, in code values of the source, and its crops."""

    outside: float
    crops: Crops | None  # None outside the range


class Cutter:
    """Cuts views. Keeps nothing from frame to frame."""

    def __init__(self, info: SourceInfo, region: Region) -> None:
        self.side = min(region.size, _CHECK_SIDE)
        self._info, self._region = info, region
        self._coding = coding_of(info.pixels, info.colour, info.height)

    def cut(self, source: Frame, take: Shown) -> View:
        """Return what is compared of a pair of frames."""
        region, info = self._region, self._info
        outside = np.full((info.height, info.width), 255, np.uint8)
        if source.index not in region.frames:
            return View(self._change(source, take, outside), None)
        index = source.index - region.frames.start
        mask, matrix = region.mask(source.index), info.squeeze(region.matrices[index])
        if mask.any():
            area = area_of(matrix, region.size, info.width, info.height)
            reach = cv2.dilate((mask > 0).astype(np.float32), np.ones((5, 5), np.uint8))
            allowed = place(reach, matrix, area, border=0.0) > 0
            outside[area.y0 : area.y1, area.x0 : area.x1][allowed] = 0
        return View(self._change(source, take, outside), self._crops(source, take, mask, index))

    def _change(self, source: Frame, take: Shown, outside: np.ndarray) -> float:
        """Return the largest change where `outside` (rows, columns) is 255, in code values of the source."""
        if take.alpha is not None:
            return _largest(take.alpha, outside) / take.alpha_peak * self._coding.peak
        if take.is_exact:
            pairs = zip(take.planes, source.planes, strict=True)
            return max(_plane_change(ours, theirs, outside) for ours, theirs in pairs)
        return self._block_change(source, take, outside)

    def _block_change(self, source: Frame, take: Shown, outside: np.ndarray) -> float:
        weights = (take.coding if self._coding.is_rgb else self._coding).luma_weights
        luma = [
            coding.decode_luma(planes, weights)
            for coding, planes in ((self._coding, source.planes), (take.coding, take.planes))
        ]
        size = (max(1, outside.shape[1] // _BLOCK), max(1, outside.shape[0] // _BLOCK))
        ours, theirs = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in luma)
        blocked = cv2.resize((outside == 0).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        worst = float(np.abs(ours - theirs)[~blocked].max(initial=0))
        return worst * self._coding.peak if worst > _LOSSY_BLOCK_STEP else 0.0

    def _crops(self, source: Frame, take: Shown, mask: np.ndarray, index: int) -> Crops:
        region, scale = self._region, self._region.size / self.side
        to_crop = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
        ours, theirs, alpha = self._both(source, take, index, to_crop, self.side)
        soft = cv2.resize(mask, (self.side, self.side), interpolation=cv2.INTER_AREA)
        if alpha is None:
            alpha = soft * changed_area(theirs, ours)
        face = None
        if region.usable[index]:
            _, shown, _ = self._both(source, take, index, face_matrix(region.size), FACE_SIDE)
            face = np.clip(shown * 255, 0, 255).astype(np.uint8)
        return Crops(index, ours, theirs, soft, alpha, face)

    def _both(
        self, source: Frame, take: Shown, index: int, to_crop: np.ndarray, side: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return a part of the source's crop, the same part as the take shows it, and the take's alpha there.

        `to_crop` (2, 3) leads from the part's pixels to the crop's.
        """
        matrix = self._info.squeeze(self._region.matrices[index]) @ np.vstack([to_crop, [0, 0, 1]])
        ours = sample_crop(source.planes, source.pixels, self._coding, matrix, side)
        return ours, *take.crop(matrix, side, ours)


def face_matrix(size: int) -> np.ndarray:
    """Return the (2, 3) matrix from pixels of the picture of the whole face to crop pixels."""
    scale = _FACE_WIDTH * size / FACE_SIDE
    offset = (size - 1) / 2 - scale * (FACE_SIDE - 1) / 2
    return np.array([[scale, 0, offset], [0, scale, offset - _FACE_RAISE * size]])


def _plane_change(ours: np.ndarray, theirs: np.ndarray, outside: np.ndarray) -> float:
    if outside.shape != ours.shape:
        shrunk = cv2.erode(outside, np.ones((3, 3), np.uint8))
        outside = (cv2.resize(shrunk, ours.shape[::-1], interpolation=cv2.INTER_AREA) == 255).astype(np.uint8)
    return _largest(cv2.absdiff(ours, theirs), outside)


def _largest(values: np.ndarray, where: np.ndarray) -> float:
    """Return the largest of the values (rows, columns) where `where` is not 0; 0 where it is 0 everywhere."""
    return float(cv2.minMaxLoc(values, mask=where)[1])
