"""The crops before and after a range: where the head was and goes on to be, cut as the range's own crops are.

An engine that goes on from real frames needs them. The path of the crop inside the range stays as it is; on
both sides the head is followed on, from where that path ends, so that nothing jumps at the in- and out-point.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from daemon.faces.region import Region, build_region
from daemon.faces.tracks import FaceTrack
from daemon.media.segment import FrameRange
from daemon.media.source import Source
from daemon.protocol.jobs import Timing
from daemon.redub.crop_reader import CropReader

BEFORE, AFTER = 76, 12  # frames at most, of a video model: what it looks back on, and what pins its end
MODEL_RATE = 16  # frames a second, where it makes them at its own rate


def surroundings(
    frames: FrameRange, footage: FrameRange, rate: Fraction, timing: Timing = "native"
) -> FrameRange:
    """Return `frames` and those around it that an engine looks at, as far as there is `footage`.

    At the model's rate its frames lie further apart than the source's, so it looks further.
    """
    stretch = max(Fraction(1), rate / MODEL_RATE) if timing == "model" else 1
    before, after = math.ceil(BEFORE * stretch), math.ceil(AFTER * stretch)
    return FrameRange(frames.start - before, frames.stop + after).clip(footage)


def surrounding_region(region: Region, track: FaceTrack, around: FrameRange, source: Source) -> Region:
    """Return the crop's path over `around`: the region's own inside its frames, continued outside."""
    wide = build_region(track, around, region.size, rate=source.info.rate)
    first, last = region.frames.start - around.start, region.frames.stop - 1 - around.start
    matrices = wide.matrices.copy()
    matrices[:first] = _joined(wide.matrices[:first], wide.matrices[first], region.matrices[0])
    matrices[last + 1 :] = _joined(wide.matrices[last + 1 :], wide.matrices[last], region.matrices[-1])
    matrices[first : last + 1] = region.matrices
    return replace(wide, matrices=matrices)


def crop_around(
    inside: CropReader, source: Source, track: FaceTrack, around: FrameRange, *, still: Callable[[], None]
) -> Callable[[int], np.ndarray]:
    """Return what gives the crop of any frame of `around`; outside the range it is found when first asked."""
    outside: list[CropReader] = []

    def crop(frame: int) -> np.ndarray:
        if frame in inside.region.frames:
            return inside.crop(frame)
        if not outside:
            region = surrounding_region(inside.region, track, around, source)
            outside.append(CropReader(source, region, still=still))
        return outside[0].crop(frame)

    return crop


def _joined(matrices: np.ndarray, end: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return crop matrices (n, 2, 3) with the step taken out by which `end` misses `wanted`."""
    step = np.linalg.inv(_square(end)) @ _square(wanted)
    return (np.array([_square(matrix) for matrix in matrices]).reshape(-1, 3, 3) @ step)[:, :2]


def _square(matrix: np.ndarray) -> np.ndarray:
    return np.vstack([matrix, [0.0, 0.0, 1.0]])
