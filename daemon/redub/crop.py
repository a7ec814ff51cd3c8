"""Cut a stabilised crop out of a frame's planes, and put an area back, at the source's own depth.

Matrices map crop pixels to source pixels (2, 3), pixel centres at whole numbers. Chroma of 4:2:2 and 4:2:0
sits left of the luma pair (MPEG-2 siting), half way between its lines: chroma (x, y) lies at luma (2x, 2y +
0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from daemon.media.colour import Coding
from daemon.media.pixels import PixelFormat

_CHROMA_STEP = 4  # luma pixels a chroma sample covers at most (4:1:1, 4:1:0)
_SHRINK_WITHOUT_FILTER = 1.25  # above this many source pixels a crop pixel, the plane is averaged down first


@dataclass(frozen=True)
class Area:
    """A rectangle of the frame, aligned to its chroma samples."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0


def chroma_matrix(matrix: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    """Return `matrix` with its target in chroma samples instead of luma pixels."""
    scaled = matrix.astype(np.float64).copy()
    if pixels.log2_w:
        scaled[0] /= 2**pixels.log2_w
    if pixels.log2_h:
        scaled[1, 2] -= 0.5 * (2**pixels.log2_h - 1)
        scaled[1] /= 2**pixels.log2_h
    return scaled


def sample_codes(
    planes: tuple[np.ndarray, ...], pixels: PixelFormat, matrix: np.ndarray, size: int
) -> np.ndarray:
    """Return the crop's code values, (size, size, 3) float32; outside the frame its edge is repeated."""
    code = np.empty((size, size, 3), np.float32)
    for index in range(3):
        to_plane = matrix if index == 0 or pixels.is_rgb else chroma_matrix(matrix, pixels)
        code[..., index] = sample_plane(planes[index], to_plane, size)
    return code


def sample_crop(
    planes: tuple[np.ndarray, ...], pixels: PixelFormat, coding: Coding, matrix: np.ndarray, size: int
) -> np.ndarray:
    """Return the crop as R'G'B', (size, size, 3) float32."""
    return coding.decode(sample_codes(planes, pixels, matrix, size))


def to_16_bits(rgb: np.ndarray) -> np.ndarray:
    """Return R'G'B' of 0..1 as uint16, as crops are kept."""
    return np.rint(np.clip(rgb, 0, 1) * 65535).astype(np.uint16)


def from_16_bits(kept: np.ndarray) -> np.ndarray:
    """Return a kept crop as float32 in 0..1."""
    return kept.astype(np.float32) / 65535


def sample_plane(plane: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Return one plane on the crop's grid, (size, size) float32; `matrix` leads to the plane's own samples.

    Works on a cut-out, so that a crop of a large frame costs no more than one of a small frame.
    """
    corners = np.array([[0, 0, 1], [size - 1, 0, 1], [0, size - 1, 1], [size - 1, size - 1, 1]]) @ matrix.T
    height, width = plane.shape
    x0, y0 = np.clip(np.floor(corners.min(0)).astype(int) - 3, 0, (width - 1, height - 1))
    x1, y1 = np.clip(np.ceil(corners.max(0)).astype(int) + 4, (x0 + 1, y0 + 1), (width, height))
    cut = plane[y0:y1, x0:x1].astype(np.float32)
    local = matrix - np.array([[0, 0, x0], [0, 0, y0]])
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrink > _SHRINK_WITHOUT_FILTER:
        # A Gaussian of this width leaves what the crop's grid can hold.
        cut = cv2.GaussianBlur(cut, (0, 0), 0.45 * np.sqrt(shrink**2 - 1), borderType=cv2.BORDER_REPLICATE)
    return cv2.warpAffine(
        cut,
        local,
        (size, size),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def area_of(matrix: np.ndarray, size: int, width: int, height: int) -> Area:
    """Return the part of a `width` x `height` frame that the crop covers, aligned outwards to chroma."""
    corners = np.array([[0, 0, 1], [size - 1, 0, 1], [0, size - 1, 1], [size - 1, size - 1, 1]]) @ matrix.T
    x0, y0 = np.floor(corners.min(0)).astype(int) // _CHROMA_STEP * _CHROMA_STEP
    x1, y1 = (np.ceil(corners.max(0)).astype(int) + _CHROMA_STEP) // _CHROMA_STEP * _CHROMA_STEP
    x0, y0 = max(0, min(x0, width)), max(0, min(y0, height))
    return Area(int(x0), int(y0), int(max(x0, min(x1, width))), int(max(y0, min(y1, height))))


def place(image: np.ndarray, matrix: np.ndarray, area: Area, *, border: float | None = None) -> np.ndarray:
    """Resample a crop-sized image onto `area` of the frame; `border` fills what the crop does not cover."""
    rows, columns = area.shape
    inverse = cv2.invertAffineTransform(matrix.astype(np.float64))
    local = inverse.copy()
    local[:, 2] += inverse[:, :2] @ np.array([area.x0, area.y0], np.float64)
    mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(
        image,
        local,
        (columns, rows),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=mode,
        borderValue=border or 0,
    )


def subsample(image: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    """Average a full-resolution image, cut along `Area`, down to the chroma grid, with its siting."""
    for _ in range(pixels.log2_h):
        padded = np.concatenate([image, image[-1:]]) if len(image) % 2 else image
        image = (padded[0::2] + padded[1::2]) / 2
    for _ in range(pixels.log2_w):
        left = np.concatenate([image[:, :1], image[:, :-1]], axis=1)
        right = np.concatenate([image[:, 1:], image[:, -1:]], axis=1)
        image = ((left + 2 * image + right) / 4)[:, ::2]
    return image


def covers(flags: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    """Return the chroma samples all of whose own luma pixels are set in `flags`, cut along `Area`."""
    rows, columns = 1 << pixels.log2_h, 1 << pixels.log2_w
    padded = np.pad(flags, ((0, -flags.shape[0] % rows), (0, -flags.shape[1] % columns)), mode="edge")
    return np.all(padded.reshape(padded.shape[0] // rows, rows, -1, columns), axis=(1, 3))
