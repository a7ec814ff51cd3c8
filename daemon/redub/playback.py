"""Read a delivered take back: frames of a clip, or of a folder of EXR pictures, as they would be shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.error import FFmpegError

from daemon.media.colour import Coding, coding_of
from daemon.media.pixels import PixelFormat
from daemon.media.source import open_source
from daemon.protocol.errors import MediaError
from daemon.redub.crop import sample_codes, sample_plane


@dataclass(frozen=True)
class Shown:
    """One frame of a take: its planes, and the alpha of an overlay; a baked one's belongs to its planes."""

    planes: tuple[np.ndarray, ...]  # Y Cb Cr or R G B, and A of a source that has one
    pixels: PixelFormat
    coding: Coding
    alpha: np.ndarray | None
    is_exact: bool  # whether code values can be compared with the source's

    @property
    def alpha_peak(self) -> float:
        """The alpha of what is opaque."""
        return float(self.coding.peak)

    def crop(self, matrix: np.ndarray, side: int, under: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what is seen in a crop, laid over `under` (side, side, 3), and the alpha there."""
        code = sample_codes(self.planes, self.pixels, matrix, side)
        rgb = self.coding.decode(code)
        if self.alpha is None:
            return rgb, None
        share = np.clip(sample_plane(self.alpha, matrix, side) / self.alpha_peak, 0, 1)
        return under + share[..., None] * (rgb - under), share


_FLOAT_RGB = PixelFormat("gbrp", 8, 0, 0, True, False)


def play(
    media: Path, rate: Fraction, *, is_overlay: bool, exact_pixels: PixelFormat | None
) -> Iterator[Shown]:
    """Yield the frames of a take in order. `exact_pixels`: the source's format, if the codec keeps code
    values.

    Raises MediaError when the take cannot be read.
    """
    if media.is_dir():
        yield from _play_pictures(media, is_overlay=is_overlay)
        return
    with open_source(media, rate) as take:
        info = take.info
        coding = coding_of(info.pixels, info.colour, info.height)
        for frame in take.frames(info.frames):
            planes, alpha = (frame.planes[:3], frame.planes[3]) if is_overlay else (frame.planes, None)
            is_exact = exact_pixels is not None and info.pixels == exact_pixels
            yield Shown(planes, info.pixels, coding, alpha, is_exact)


def _play_pictures(folder: Path, *, is_overlay: bool) -> Iterator[Shown]:
    unit = Coding(np.ones(3), np.zeros(3), np.eye(3), np.eye(3), 1)
    for path in sorted(folder.glob("*.exr")):
        try:
            with av.open(path) as container:
                picture = next(container.decode(video=0))
        except (FFmpegError, StopIteration) as error:
            raise MediaError("source.unreadable", f"The picture {path} cannot be read.") from error
        planes = _float_planes(picture)
        yield Shown(planes[:3], _FLOAT_RGB, unit, planes[3] if is_overlay else None, is_exact=False)


def _float_planes(picture: VideoFrame) -> tuple[np.ndarray, ...]:
    """Return R G B [A], (rows, columns) float32 each, as they lie in the file."""
    kind = np.float16 if "f16" in picture.format.name else np.float32
    rows = [np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1) for plane in picture.planes]
    blue, green, red = 1, 0, 2  # FFmpeg stores G B R [A]
    order = (red, green, blue, 3)[: len(rows)]
    return tuple(rows[place][:, : picture.width].astype(np.float32) for place in order)
