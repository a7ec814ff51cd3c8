"""The source clip: what it is, and any of its frames, exactly, in the file's own samples.

A position is a frame at the clip's (or the asked-for) rate, counted from the first frame shown. Pictures are
in stored orientation; `Frame.upright_rgb8` gives the face finder an upright one.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from daemon.media.fields import Field, first_field_of
from daemon.media.index import FrameIndex, build_index, even_rate, frames_lost, uneven_rate
from daemon.media.pixels import PixelFormat, pixel_format, planar_name, planes_of
from daemon.media.prefetch import prefetch
from daemon.media.reader import LARGE_PICTURE, Reader
from daemon.media.segment import FrameRange
from daemon.media.sound import SoundInfo, read_mono, sound_info
from daemon.media.tags import (
    ColourTags,
    read_colour,
    read_display_matrix,
    read_reel,
    read_timecode,
    rotation_of,
)
from daemon.media.upright import UprightView
from daemon.protocol.errors import MediaError, RequestError
from daemon.protocol.timecode import conform_timecode

__all__ = ["ColourTags", "Frame", "PixelFormat", "SoundInfo", "Source", "SourceInfo", "open_source"]

T = TypeVar("T")

_QUEUED_FRAMES, _QUEUED_LARGE_FRAMES = 4, 1


@dataclass(frozen=True)
class SourceInfo:
    """What a clip is. `frame_count` and `timecode` count at `rate`."""

    path: Path
    width: int  # stored
    height: int
    rotation: int  # clockwise turn, 0 90 180 270, that makes the picture upright
    rate: Fraction
    frame_count: int
    is_vfr: bool
    pixels: PixelFormat
    colour: ColourTags
    sample_aspect: Fraction
    timecode: str | None  # of frame 0; ";" before the frames if drop-frame
    reel: str | None
    sound: SoundInfo | None
    first_field: Field | None  # of an interlaced clip: the one shown first
    display_matrix: tuple[int, ...] | None = None
    frames_lost: int = 0  # that the file says it has after the last one that can be read

    @property
    def frames(self) -> FrameRange:
        """The range of the whole clip."""
        return FrameRange(0, self.frame_count)

    @property
    def is_large(self) -> bool:
        """Whether few of its frames should be held at once."""
        return self.width * self.height > LARGE_PICTURE

    def upright_to_stored(self, max_side: int) -> np.ndarray:
        """Return the (2, 3) float64 matrix from pixels of `Frame.upright_rgb8(max_side)` to stored pixels."""
        return self._view(max_side).to_stored()

    def upright_to_square(self, max_side: int) -> np.ndarray:
        """Return the (2, 3) matrix from pixels of `Frame.upright_rgb8(max_side)` to square pixels."""
        return np.diag([float(self.sample_aspect), 1.0]) @ self.upright_to_stored(max_side)

    def upright_size(self, max_side: int) -> tuple[int, int]:
        """Return width and height of `Frame.upright_rgb8(max_side)`."""
        view = self._view(max_side)
        width, height = view.scaled_width, view.scaled_height
        return (width, height) if self.rotation % 180 == 0 else (height, width)

    def squeeze(self, matrices: np.ndarray) -> np.ndarray:
        """Return (..., 2, 3) matrices that lead to stored pixels, from ones that lead to square pixels.

        Square pixels are the stored ones made as wide as they are shown: there a face keeps its proportions.
        """
        return np.diag([1.0 / float(self.sample_aspect), 1.0]) @ matrices

    def _view(self, max_side: int) -> UprightView:
        return UprightView.fit(self.width, self.height, self.rotation, self.sample_aspect, max_side)


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame. `planes` are Y Cb Cr [A] or R G B [A], code values as decoded, read-only."""

    index: int
    planes: tuple[np.ndarray, ...]
    info: SourceInfo
    _video: VideoFrame = field(repr=False)

    @property
    def pixels(self) -> PixelFormat:
        """The format of the planes."""
        return self.info.pixels

    @property
    def colour(self) -> ColourTags:
        """How the code values are meant."""
        return self.info.colour

    def upright_rgb8(self, max_side: int) -> np.ndarray:
        """Return a small upright picture, (H, W, 3) uint8 R'G'B', its longest side at most `max_side`."""
        return self.info._view(max_side).draw(self._video, self.info.colour)


class Source:
    """An open clip. Frames may be read by several iterators at once, each from its own thread."""

    def __init__(self, path: Path, rate: Fraction | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[Reader] = []
        self._unpack = threading.local()
        self._is_closed = False
        reader = Reader(path)
        try:
            self._index, first = _examine(reader, path)
            self.info, self._native_rate = _describe(reader, path, self._index, first, rate)
        except BaseException:
            reader.close()
            raise
        self._idle.append(reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Iterators still running end on their own."""
        self._is_closed = True
        with self._lock:
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()

    def frame(self, index: int) -> Frame:
        """Return one frame. Reading on from the last one read costs no seek.

        Raises RequestError `range.outside`, MediaError `source.corrupt`.
        """
        self._check_range(FrameRange(index, index + 1))
        reader = self._borrow()
        try:
            return self._read(reader, index)
        finally:
            self._give_back(reader)

    def frames(self, frames: FrameRange, *, still: Callable[[], None] | None = None) -> Iterator[Frame]:
        """Yield the frames of a range in order, decoded ahead in a thread of its own.

        `still` is called often, also while waiting; what it raises (the job was cancelled) ends the reading.
        Raises RequestError `range.outside`, MediaError `source.corrupt` at the frame that is damaged.
        """
        return self.map(frames, lambda frame: frame, still=still)

    def map(
        self, frames: FrameRange, make: Callable[[Frame], T], *, still: Callable[[], None] | None = None
    ) -> Iterator[T]:
        """Yield what `make` makes of each frame of a range; it is called in the thread that decodes ahead.

        Otherwise as `frames`.
        """
        self._check_range(frames)
        stop = threading.Event()
        depth = _QUEUED_LARGE_FRAMES if self.info.is_large else _QUEUED_FRAMES
        return prefetch(self._decode(frames, make, stop), depth=depth, stop=stop, still=still)

    def sound(self, frames: FrameRange, sample_rate: int = 16000) -> np.ndarray:
        """Return the clip's own sound under a range as mono float32, silence where there is none.

        The length is exact: from `sample_at(frames.start)` to `sample_at(frames.stop)`.
        """
        start_s = int(self._index.pts[0]) * self._index.time_base
        return read_mono(self._path, frames, self.info.rate, sample_rate, start_s=start_s)

    def _decode(self, frames: FrameRange, make: Callable[[Frame], T], halt: threading.Event) -> Iterator[T]:
        reader = self._borrow()
        try:
            for index in frames:
                yield make(self._read(reader, index, halt))
        finally:
            self._give_back(reader)

    def _read(self, reader: Reader, index: int, halt: threading.Event | None = None) -> Frame:
        try:
            video = reader.read(self._ordinal(index), halt)
        except MediaError as error:
            message = f"Frame {index} of {self._path.name} cannot be decoded: the file is damaged there."
            raise MediaError("source.corrupt", message, detail=error.message) from error
        if (video.width, video.height) != (self.info.width, self.info.height):
            raise MediaError(
                "source.corrupt", f"{self._path.name} changes its picture size at frame {index}."
            )
        if not hasattr(self._unpack, "reformatter"):
            self._unpack.reformatter = VideoReformatter()
        return Frame(index, planes_of(video, self.info.pixels, self._unpack.reformatter), self.info, video)

    def _ordinal(self, index: int) -> int:
        """Return which of the stream's frames is shown at position `index` of the conformed clip."""
        index_ = self._index
        if not self.info.is_vfr:
            return min(int(index * self._native_rate / self.info.rate), len(index_.pts) - 1)
        ticks = int(index_.pts[0]) + int(index / self.info.rate / index_.time_base)
        return int(np.searchsorted(index_.pts, ticks, side="right")) - 1

    def _check_range(self, frames: FrameRange) -> None:
        if len(frames) == 0 or frames.clip(self.info.frames) != frames:
            raise RequestError(
                "range.outside",
                f"Frames {frames.start} to {frames.stop} do not lie inside the clip, "
                f"which has {self.info.frame_count} frames.",
            )

    def _borrow(self) -> Reader:
        assert not self._is_closed, "the source is closed"
        with self._lock:
            if self._idle:
                return self._idle.pop()
        reader = Reader(self._path)
        reader.set_up(self._index)
        return reader

    def _give_back(self, reader: Reader) -> None:
        with self._lock:
            if not self._is_closed and not self._idle:
                self._idle.append(reader)
                return
        reader.close()


def open_source(path: Path, rate: Fraction | None = None) -> Source:
    """Open a clip, conformed to `rate` (None: its own; a variable-rate clip's nearest standard rate).

    Frame k of the conformed clip is the stream's frame whose time on screen contains k / rate, counted from
    the first frame. Raises MediaError `source.missing`, `source.unreadable`, `source.no_video`.
    """
    if rate is not None and not 1 <= rate <= 1000:
        raise ValueError(f"rate is {rate}; it must be from 1 to 1000")
    return Source(Path(path), rate)


def _examine(reader: Reader, path: Path) -> tuple[FrameIndex, VideoFrame]:
    """Index the stream and decode its first frame. Leading frames that nothing can decode are left out."""
    index = build_index(reader.container, reader.stream, path)
    if index is None:
        raise MediaError("source.unreadable", f"{path} holds no frame with a timestamp.")
    reader.set_up(index)
    leading = int(np.searchsorted(index.pts, index.key_pts[0]))
    for ordinal in range(len(index.pts)):
        try:
            first = reader.read(ordinal)
        except MediaError:
            if ordinal >= leading + 16:
                break
            continue
        if 0 < ordinal <= leading:
            index = index.without_first(ordinal)
            reader.use(index)
        return index, first
    raise MediaError("source.unreadable", f"No frame of {path} can be decoded.")


def _describe(
    reader: Reader, path: Path, index: FrameIndex, first: VideoFrame, rate: Fraction | None
) -> tuple[SourceInfo, Fraction]:
    """Return what the clip is, and its own rate."""
    stream = reader.stream
    planar = planar_name(first.format.name)
    if planar is None:
        raise MediaError(
            "source.unreadable", f"{path} has pixels of a kind that is not supported ({first.format.name})."
        )
    even = even_rate(index, [stream.average_rate, stream.guessed_rate, stream.base_rate])
    native = even or uneven_rate(index)
    rate = rate or native
    matrix = read_display_matrix(first)
    info = SourceInfo(
        path=path,
        width=first.width,
        height=first.height,
        rotation=rotation_of(matrix),
        rate=rate,
        frame_count=_count(index, even, rate),
        is_vfr=even is None,
        pixels=pixel_format(planar),
        colour=read_colour(first, reader.container_colour),
        sample_aspect=stream.sample_aspect_ratio or Fraction(1),
        timecode=conform_timecode(read_timecode(reader.container, stream), native, rate),
        reel=read_reel(reader.container, stream),
        sound=sound_info(reader.container),
        first_field=first_field_of(first, stream.codec_context),
        display_matrix=matrix,
        frames_lost=frames_lost(index, stream, rate),
    )
    return info, native


def _count(index: FrameIndex, even: Fraction | None, rate: Fraction) -> int:
    """Return how many frames of `rate` begin while the clip is on screen."""
    if even is not None:
        return max(1, -(-len(index.pts) * rate // even)) if rate != even else len(index.pts)
    ticks = int(index.pts[-1] - index.pts[0]) + index.last_duration
    return max(1, -(-ticks * index.time_base * rate // 1))
