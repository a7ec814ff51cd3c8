"""A small upright picture of a stored one, and the way back from its pixels."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np
from av import VideoFrame

from daemon.media.tags import RANGE_FULL, ColourTags

_SWS_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # H.273 matrix -> swscale's number
_HD_WIDTH, _HD_HEIGHT = 1024, 576  # untagged pictures above this are taken for BT.709, as players do


@dataclass(frozen=True)
class UprightView:
    """How a stored picture of `width` x `height` becomes an upright one with square pixels."""

    width: int
    height: int
    rotation: int  # clockwise, degrees
    scaled_width: int  # before it is turned
    scaled_height: int

    @classmethod
    def fit(cls, width: int, height: int, rotation: int, sample_aspect: Fraction, max_side: int) -> Self:
        """Choose the size: square pixels, longest side at most `max_side`, never enlarged."""
        shown = width * float(sample_aspect), float(height)
        scale = min(1.0, max_side / max(shown))
        return cls(width, height, rotation, max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale)))

    def to_stored(self) -> np.ndarray:
        """Return the (2, 3) float64 matrix from upright to stored pixels, pixel centres at whole numbers."""
        w, h = self.scaled_width, self.scaled_height
        unturn = {
            0: [[1, 0, 0], [0, 1, 0]],
            90: [[0, 1, 0], [-1, 0, h - 1]],
            180: [[-1, 0, w - 1], [0, -1, h - 1]],
            270: [[0, -1, w - 1], [1, 0, 0]],
        }[self.rotation]
        x, y = self.width / w, self.height / h
        enlarge = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
        return (enlarge @ np.vstack([np.array(unturn, np.float64), [0, 0, 1]]))[:2]

    def draw(self, video: VideoFrame, colour: ColourTags) -> np.ndarray:
        """Return the picture, (H, W, 3) uint8 R'G'B', contiguous."""
        is_hd = self.width > _HD_WIDTH or self.height > _HD_HEIGHT
        matrix = _SWS_MATRICES.get(colour.matrix, 1 if is_hd else 5)
        small = video.reformat(
            self.scaled_width,
            self.scaled_height,
            "rgb24",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=2 if colour.range == RANGE_FULL else 1,
            dst_color_range=2,
            interpolation="AREA",
            threads=1,
        )
        memory = small.planes[0]
        rows = np.frombuffer(memoryview(memory), np.uint8).reshape(self.scaled_height, abs(memory.line_size))
        picture = rows[:, : self.scaled_width * 3].reshape(self.scaled_height, self.scaled_width, 3)
        return np.ascontiguousarray(np.rot90(picture, -self.rotation // 90))
