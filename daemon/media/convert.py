"""Bring planes from the source's pixel format to the one a codec takes, losing no bit the codec can keep.

Where only the depth grows, code values are shifted, so nothing is rounded. Chroma is co-sited with every
second luma column and midway between two luma rows, as in H.264, HEVC and ProRes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from daemon.media.colour import coding_of
from daemon.media.pixels import PixelFormat
from daemon.media.tags import RANGE_FULL, RANGE_TV, UNSPECIFIED, ColourTags, usual_matrix

Planes = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Conversion:
    """How every frame of a take is converted. `colour` are the tags of what comes out."""

    apply: Callable[[Planes], Planes]
    colour: ColourTags


def plan_conversion(
    pixels: PixelFormat, colour: ColourTags, target: PixelFormat | None, *, height: int, keeps_range: bool
) -> Conversion:
    """Choose the way from planes of `pixels` to `target`; None is R'G'B'[A] float32 in 0..1 as coded (EXR).

    keeps_range: whether the codec can say "full range"; if not, full-range values are brought to 16..235.
    """
    if target is None:
        return Conversion(lambda planes: _to_float_rgb(planes, pixels, colour, height), colour)
    if pixels.is_gray:
        tags = ColourTags(range=RANGE_FULL if target.is_gray else RANGE_TV)
        return Conversion(lambda planes: _from_gray(planes, pixels, target), tags)
    if pixels == target:
        if colour.range != RANGE_FULL or keeps_range:
            return Conversion(lambda planes: planes, colour)
    elif pixels.is_rgb and target.is_rgb:
        raise ValueError(f"{pixels.name} cannot become {target.name}")
    if pixels.is_rgb:
        tags = ycbcr_tags(colour, height)
        return Conversion(lambda planes: _from_rgb(planes, pixels, colour, target, tags, height), tags)
    is_moved = colour.range == RANGE_FULL and not keeps_range
    tags = ColourTags(colour.primaries, colour.transfer, colour.matrix, RANGE_TV) if is_moved else colour
    return Conversion(lambda planes: _between_ycbcr(planes, pixels, target, is_moved, colour), tags)


def ycbcr_tags(colour: ColourTags, height: int) -> ColourTags:
    """Return the tags of Y'CbCr made from R'G'B' tagged `colour`: limited range and a definite matrix."""
    matrix = colour.matrix if colour.matrix not in (0, UNSPECIFIED) else usual_matrix(height)
    return ColourTags(colour.primaries, colour.transfer, matrix, RANGE_TV)


def _between_ycbcr(
    planes: Planes, pixels: PixelFormat, target: PixelFormat, is_moved: bool, colour: ColourTags
) -> Planes:
    is_full = colour.range == RANGE_FULL
    height, width = planes[0].shape
    out: list[np.ndarray] = []
    for plane, values in enumerate(planes[: target.plane_count]):
        if is_moved and plane < 3:
            values = _full_to_tv(values, pixels.depth, target.depth, is_chroma=plane > 0)
        else:
            values = change_depth(values, pixels.depth, target.depth, is_full=is_full or plane == 3)
        if plane in (1, 2):
            values = resample_chroma(values, pixels, target, target.plane_shape(1, width, height))
        out.append(values)
    if target.has_alpha and len(out) == 3:
        out.append(np.full((height, width), (1 << target.depth) - 1, target.dtype))
    return tuple(out)


def change_depth(values: np.ndarray, depth: int, wanted: int, *, is_full: bool) -> np.ndarray:
    """Return code values at another depth: shifted; full range and alpha are stretched from peak to peak."""
    if depth == wanted:
        return values
    dtype = np.uint8 if wanted == 8 else np.uint16
    if is_full:
        peak, wanted_peak = (1 << depth) - 1, (1 << wanted) - 1
        table = np.rint(np.arange(peak + 1) * (wanted_peak / peak)).astype(dtype)
        return table[values]
    if wanted > depth:
        return values.astype(dtype) << (wanted - depth)
    drop = depth - wanted
    rounded = (values.astype(np.uint32) + (1 << (drop - 1))) >> drop
    return np.minimum(rounded, (1 << wanted) - 1).astype(dtype)


def _full_to_tv(values: np.ndarray, depth: int, wanted: int, *, is_chroma: bool) -> np.ndarray:
    code = np.arange(1 << depth, dtype=np.float64)
    peak, unit = (1 << depth) - 1, 1 << (wanted - 8)
    if is_chroma:
        table = (code - (1 << (depth - 1))) / peak * 224 * unit + 128 * unit
    else:
        table = code / peak * 219 * unit + 16 * unit
    return np.rint(table).astype(np.uint8 if wanted == 8 else np.uint16)[values]


def resample_chroma(
    values: np.ndarray, pixels: PixelFormat, target: PixelFormat, shape: tuple[int, int]
) -> np.ndarray:
    """Bring a chroma plane to the target's subsampling; `shape` is (rows, columns) of what comes out."""
    for _ in range(pixels.log2_h - target.log2_h):
        rows, columns = values.shape
        values = cv2.resize(values, (columns, rows * 2), interpolation=cv2.INTER_LINEAR)
    for _ in range(pixels.log2_w - target.log2_w):
        values = _double_columns(values)
    for _ in range(target.log2_w - pixels.log2_w):
        values = _halve_columns(values)
    for _ in range(target.log2_h - pixels.log2_h):
        values = _halve_rows(values)
    return values[: shape[0], : shape[1]]


def _double_columns(values: np.ndarray) -> np.ndarray:
    """Keep each sample at the even columns and put the mean of its neighbours at the odd ones."""
    out = np.empty((values.shape[0], values.shape[1] * 2), values.dtype)
    out[:, ::2] = values
    following = np.concatenate([values[:, 1:], values[:, -1:]], axis=1)
    out[:, 1::2] = (values.astype(np.uint32) + following + 1) >> 1
    return out


def _halve_columns(values: np.ndarray) -> np.ndarray:
    """Weigh 1 2 1 around the even columns."""
    wide = np.pad(values, ((0, 0), (1, 1)), mode="edge").astype(np.uint32)
    sums = wide[:, :-2:2] + 2 * wide[:, 1:-1:2] + wide[:, 2::2]
    return ((sums + 2) >> 2).astype(values.dtype)


def _halve_rows(values: np.ndarray) -> np.ndarray:
    if len(values) % 2:
        values = np.concatenate([values, values[-1:]])
    return ((values[::2].astype(np.uint32) + values[1::2] + 1) >> 1).astype(values.dtype)


def _from_gray(planes: Planes, pixels: PixelFormat, target: PixelFormat) -> Planes:
    """Write a matte: exact in a gray format, else as limited-range luma without colour."""
    height, width = planes[0].shape
    if target.is_gray:
        return (change_depth(planes[0], pixels.depth, target.depth, is_full=True),)
    luma = _full_to_tv(planes[0], pixels.depth, target.depth, is_chroma=False)
    neutral = np.full(target.plane_shape(1, width, height), 1 << (target.depth - 1), target.dtype)
    return luma, neutral, neutral


def _from_rgb(
    planes: Planes,
    pixels: PixelFormat,
    colour: ColourTags,
    target: PixelFormat,
    tags: ColourTags,
    height: int,
) -> Planes:
    full = PixelFormat("yuv444p16le", target.depth, 0, 0, is_rgb=False, has_alpha=False)
    rgb = coding_of(pixels, colour, height).decode(np.dstack(planes[:3]))
    coding = coding_of(full, tags, height)
    code = np.clip(np.rint(coding.encode(rgb)), 0, coding.peak).astype(target.dtype)
    shape = target.plane_shape(1, planes[0].shape[1], planes[0].shape[0])
    out = [np.ascontiguousarray(code[..., plane]) for plane in range(3)]
    out[1:] = [resample_chroma(plane, full, target, shape) for plane in out[1:]]
    if target.has_alpha:
        alpha = (
            planes[3] if pixels.has_alpha else np.full(planes[0].shape, (1 << pixels.depth) - 1, pixels.dtype)
        )
        out.append(change_depth(alpha, pixels.depth, target.depth, is_full=True))
    return tuple(out)


def _to_float_rgb(planes: Planes, pixels: PixelFormat, colour: ColourTags, height: int) -> Planes:
    peak = np.float32((1 << pixels.depth) - 1)
    if pixels.is_gray:
        value = planes[0] / peak
        return value, value, value
    full = PixelFormat("yuv444p16le", pixels.depth, 0, 0, is_rgb=pixels.is_rgb, has_alpha=False)
    if not pixels.is_rgb:
        chroma = (resample_chroma(plane, pixels, full, planes[0].shape) for plane in planes[1:3])
        planes = (planes[0], *chroma, *planes[3:])
    rgb = coding_of(full, colour, height).decode(np.dstack(planes[:3]))
    out = [np.ascontiguousarray(rgb[..., plane]) for plane in range(3)]
    if pixels.has_alpha:
        out.append(planes[3] / peak)
    return tuple(out)
