"""Reads a take that is a folder of EXR pictures, one file a frame, as `gui.media.clip` reads a clip.

The numbers in such a file are code values from 0 to 1, with their transfer curve still on them, so they are
shown as they are.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from gui.media.clip import Clip, ClipError, ClipFacts
from gui.texts import text

_ORDER = (2, 1, 0, 3)  # R G B A to B G R A


class FrameFolder:
    """Pictures of a folder, by number from 0 in the order of their names. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        """List the pictures and read the first. Raises ClipError."""
        self._files = sorted(path.glob("*.exr"))
        if not self._files:
            raise ClipError(text("clip.no_frames", name=path.name))
        first = self._read(0)
        self.facts = ClipFacts(
            path=path,
            rate=Fraction(25),  # the files do not say; a take does
            frame_count=len(self._files),
            width=first.width,
            height=first.height,
            rotation=0,
            has_alpha=any(component.is_alpha for component in first.format.components),
            has_sound=next(path.glob("*.wav"), None) is not None,
            is_variable=False,
            timecode=None,
        )

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def pictures(
        self,
        frame: int,
        *,
        before: int,
        scaled_width: int = 0,
        is_unwanted: Callable[[], bool] | None = None,
    ) -> dict[int, np.ndarray]:
        """Return the picture at `frame`: (height, width, 4) uint8, B G R A, straight alpha. Raises ClipError.

        Every file stands alone, so none is passed on the way.
        """
        return {frame: _to_pixels(self._read(frame), scaled_width)}

    def _read(self, frame: int) -> VideoFrame:
        path = self._files[frame]
        try:
            with av.open(str(path)) as container:
                return next(container.decode(video=0))
        except (FFmpegError, OSError, StopIteration) as error:
            raise ClipError(text("clip.damaged", name=path.name, frame=frame)) from error


def open_clip(path: Path) -> Clip | FrameFolder:
    """Open a clip or a folder of pictures. Raises ClipError."""
    return FrameFolder(path) if path.is_dir() else Clip(path)


def sound_file(path: Path) -> Path:
    """Return the file that holds a take's sound: the take itself, or the one in its folder."""
    return next(path.glob("*.wav"), path) if path.is_dir() else path


def _to_pixels(frame: VideoFrame, scaled_width: int) -> np.ndarray:
    one_thread = frame.reformat(format="gbrapf32le", threads=1)  # as in clip.py
    values = one_thread.to_ndarray()[..., _ORDER]
    pixels = np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)
    if scaled_width > 0:
        height = max(1, round(frame.height * scaled_width / frame.width))
        pixels = (
            VideoFrame.from_ndarray(pixels, format="bgra")
            .reformat(scaled_width, height, threads=1)
            .to_ndarray()
        )
    return np.ascontiguousarray(pixels)
