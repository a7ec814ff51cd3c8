"""Join crop and source frame: colour and grain matched, nothing touched outside the matte."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from daemon.media.colour import Coding
from daemon.media.pixels import PixelFormat
from daemon.redub.crop import Area, area_of, covers, place, subsample

_CHANGE_FLOOR = 0.75 / 255  # differences below this are resampling, not a change
_CHANGE_FULL = 3.0 / 255
_CAST_SPREAD = 0.08  # how far a cast or a shading varies along the ring
_FILL_MARGIN_PX = (
    16  # the overlay's colour goes on this far outside its matte, so that codecs blur nothing dark in
)


@dataclass(frozen=True)
class Patch:
    """What one frame of a take changes: full-resolution colour and alpha over `area` of the frame."""

    area: Area
    rgb: np.ndarray  # (rows, columns, 3) float32
    alpha: np.ndarray  # (rows, columns) float32, exactly 0 where nothing may change


def blend_crop(
    new: np.ndarray,
    source: np.ndarray,
    mask: np.ndarray,
    *,
    frame: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the crop to show and its alpha: `new` in the colour and grain of `source`, where it differs from
    it.

    new, source: (S, S, 3); mask: (S, S), what may change. The alpha is the mask, narrowed to what did change.
    """
    new = match_colour(new, source, mask)
    alpha = mask * changed_area(new, source)
    return add_grain(new, source, alpha, seed=seed * 1_000_003 + frame), alpha


def changed_area(new: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return where `new` differs visibly from `source`, softly: 0 to 1, (S, S)."""
    difference = _largest(np.abs(new - source))
    reach = max(3, round(len(new) * 0.02)) | 1
    change = np.clip((difference - _CHANGE_FLOOR) / (_CHANGE_FULL - _CHANGE_FLOOR), 0, 1)
    change = cv2.morphologyEx(change, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    change = cv2.dilate(change, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    return cv2.GaussianBlur(change, (0, 0), reach / 2.5)


def _largest(rgb: np.ndarray) -> np.ndarray:
    """Return the largest of three channels: 25 times as fast as NumPy's maximum over so short an axis."""
    return np.maximum(np.maximum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])


def _three(values: np.ndarray) -> np.ndarray:
    """Return (rows, columns, 3) of (rows, columns): NumPy is slow where it would repeat them itself."""
    return cv2.merge([values, values, values])


def match_colour(new: np.ndarray, source: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Move `new` by the smooth field that makes it meet `source` in the ring where the mask fades.

    The difference on the ring is diffused inwards (a normalised blur at falling widths), so that a cast or a
    shading of the whole crop goes away and the picture inside keeps its detail. Where the two show different
    things (a jaw that moved across a collar) the difference is no cast and is left out.
    """
    ring = np.where((mask > 0.02) & (mask < 0.5), 1.0, 0.0).astype(np.float32)
    if ring.sum() < 16:
        return new
    difference = source - new
    usual = np.median(difference[ring > 0], axis=0)
    ring *= _largest(np.abs(difference - usual)) < _CAST_SPREAD
    side = 96
    small_ring = cv2.resize(ring, (side, side), interpolation=cv2.INTER_AREA)
    difference = cv2.resize(difference * _three(ring), (side, side), interpolation=cv2.INTER_AREA)
    field, weight = np.zeros_like(difference), np.zeros((side, side, 1), np.float32)
    for sigma in (2.0, 6.0, 18.0):  # fine near the ring, coarse in the middle
        blurred = cv2.GaussianBlur(small_ring, (0, 0), sigma)[..., None]
        local = cv2.GaussianBlur(difference, (0, 0), sigma) / np.maximum(blurred, 1e-6)
        share = np.clip(blurred * 20, 0, 1) * (1 - weight)
        field, weight = field + share * local, weight + share
    field = cv2.resize(field, (new.shape[1], new.shape[0]), interpolation=cv2.INTER_CUBIC)
    return new + field


def add_grain(new: np.ndarray, source: np.ndarray, alpha: np.ndarray, *, seed: int) -> np.ndarray:
    """Give `new` the source's grain where resampling took it away: seeded luma noise."""
    skin = (alpha > 0.02) & (alpha < 0.98)
    inside = alpha >= 0.5
    if skin.sum() < 64 or inside.sum() < 64:
        return new
    missing = noise_level(source, skin) ** 2 - noise_level(new, inside) ** 2
    if missing <= 0:
        return new
    noise = np.random.default_rng(seed).standard_normal(new.shape[:2], dtype=np.float32)
    return new + _three(float(np.sqrt(missing)) * noise * np.clip(alpha, 0, 1))


def noise_level(rgb: np.ndarray, where: np.ndarray) -> float:
    """Return the standard deviation of the grain in R'G'B' units: the median absolute second difference of
    luma.

    Source: Immerkaer, Fast Noise Variance Estimation, 1996 (his 3x3 mask; the median makes edges harmless).
    """
    luma = cv2.transform(rgb, np.array([[0.2126, 0.7152, 0.0722]]))
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(luma, -1, mask))[where]
    return float(np.median(response)) / 0.6745 / 6.0


def place_patch(crop: np.ndarray, alpha: np.ndarray, matrix: np.ndarray, width: int, height: int) -> Patch:
    """Bring a crop and its alpha to the frame's own pixels."""
    area = area_of(matrix, len(crop), width, height)
    placed = place(alpha.astype(np.float32), matrix, area, border=0.0)
    placed[placed < 1 / 512] = 0.0
    return Patch(area, place(crop.astype(np.float32), matrix, area), np.minimum(placed, 1.0))


def keep_out(patch: Patch, painted: np.ndarray) -> Patch:
    """Return the patch without what lies in `painted`, (rows, columns) bool of the frame, pixel by pixel."""
    area = patch.area
    hidden = painted[area.y0 : area.y1, area.x0 : area.x1]
    return replace(patch, alpha=np.where(hidden, np.float32(0), patch.alpha))


def bake(
    planes: tuple[np.ndarray, ...], pixels: PixelFormat, coding: Coding, patch: Patch
) -> tuple[np.ndarray, ...]:
    """Return the frame's planes with the patch blended in; where alpha is 0, code values stay."""
    code = coding.encode(patch.rgb)
    area, out = patch.area, []
    for index, plane in enumerate(planes):
        plane = plane.copy()
        out.append(plane)
        if index == 3:
            continue
        wide, high = (0, 0) if index == 0 or pixels.is_rgb else (pixels.log2_w, pixels.log2_h)
        alpha, value = patch.alpha, code[..., index]
        if wide or high:
            weight = subsample(alpha, pixels)
            value = subsample(value * alpha, pixels) / np.maximum(weight, 1e-6)
            alpha = np.where(covers(alpha > 0, pixels), weight, 0)
        y0, x0 = area.y0 >> high, area.x0 >> wide
        view = plane[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]]
        blended = view + alpha * (value - view)
        view[:] = np.where(alpha > 0, np.clip(np.rint(blended), 0, coding.peak), view).astype(plane.dtype)
    return tuple(out)


def overlay_planes(patch: Patch, coding: Coding, width: int, height: int) -> tuple[np.ndarray, ...]:
    """Return Y Cb Cr A planes, 10 bit 4:4:4, straight alpha, of a frame that holds the patch and nothing
    else.

    coding: that of a 10-bit 4:4:4 file with the source's colour tags.
    """
    planes = tuple(np.full((height, width), value, np.uint16) for value in (64, 512, 512, 0))
    area = patch.area
    if patch.alpha.size == 0:
        return planes
    rows, columns = slice(area.y0, area.y1), slice(area.x0, area.x1)
    reach = 2 * _FILL_MARGIN_PX + 1
    near = cv2.dilate((patch.alpha > 0).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    code = np.clip(np.rint(coding.encode(patch.rgb)), 4, 1019)
    for plane, values in zip(planes[:3], cv2.split(code), strict=True):
        np.copyto(plane[rows, columns], values, where=near, casting="unsafe")
    planes[3][rows, columns] = np.rint(patch.alpha * 1023).astype(np.uint16)
    return planes
