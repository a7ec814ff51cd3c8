"""Reads a clip frame by frame, exactly: frame N is the picture that a plain decode shows as the N-th.

One pass over the packets lists every display time. To show a frame, seek to the decode time of a key at or
before it and decode until its display time comes; should the decoder come out behind it (open groups of
pictures), begin one key earlier.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from daemon.protocol.timecode import conform_timecode
from gui.texts import text

_HD_LINES = 720  # from here on, an untagged picture is BT.709
_UNTAGGED = 2
_STANDARD_RATES = tuple(
    Fraction(*pair)
    for pair in (
        (24000, 1001),
        (24, 1),
        (25, 1),
        (30000, 1001),
        (30, 1),
        (48, 1),
        (50, 1),
        (60000, 1001),
        (60, 1),
        (12, 1),
        (15, 1),
        (100, 1),
        (120, 1),
    )
)


class _UnwantedError(Exception):
    """Nobody waits for the frame any more."""


class ClipError(Exception):
    """A file that cannot be shown; the text is a sentence for a person."""


@dataclass(frozen=True)
class ClipFacts:
    """What a clip is. `frame_count` and `timecode` count at `rate`."""

    path: Path
    rate: Fraction
    frame_count: int
    width: int  # as shown, square pixels
    height: int
    rotation: int  # degrees the stored picture is turned by to be shown
    has_alpha: bool
    has_sound: bool
    is_variable: bool
    timecode: str | None


class Clip:
    """An open clip. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open `path` and list its frames. Raises ClipError."""
        self._reformatter = VideoReformatter()  # it keeps its tables from frame to frame
        self._next: int | None = None  # the place in `_pts` that decoding would give next
        if not path.is_file():
            raise ClipError(text("clip.gone", name=path.name, folder=path.parent))
        try:
            self._container = av.open(str(path))
        except (FFmpegError, OSError) as error:
            raise ClipError(text("clip.unreadable", name=path.name)) from error
        try:
            self.facts = self._examine(path)
        except FFmpegError as error:
            self._container.close()
            raise ClipError(text("clip.unreadable", name=path.name)) from error
        except ClipError:
            self._container.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def picture(self, frame: int, *, scaled_width: int = 0) -> np.ndarray:
        """Return what is shown at `frame`, `scaled_width` pixels wide (0: as it is). Raises ClipError.

        Upright: (height, width, 4) uint8, B G R A, straight alpha.
        """
        return self.pictures(frame, before=0, scaled_width=scaled_width)[frame]

    def pictures(
        self,
        frame: int,
        *,
        before: int,
        scaled_width: int = 0,
        is_unwanted: Callable[[], bool] | None = None,
    ) -> dict[int, np.ndarray]:
        """Return the picture at `frame`, and those of up to `before` frames passed on the way to it.

        Stepping back through a long group of pictures would decode it anew for every frame without them.
        Nothing is returned when `is_unwanted` says so on the way. Raises ClipError.
        """
        if not 0 <= frame < self.facts.frame_count:
            raise ValueError(f"frame is {frame}; the clip has {self.facts.frame_count}")
        place = self._place_of(frame)
        found: dict[int, np.ndarray] = {}

        def keep(passed: VideoFrame) -> None:
            at = int(np.searchsorted(self._pts, passed.pts or 0))
            if place - before <= at < place:
                found[at] = self._to_pixels(passed, scaled_width)
            if is_unwanted is not None and is_unwanted():
                raise _UnwantedError

        self._on_pass = _ignore if self.facts.is_variable else keep
        try:
            found[frame] = self._to_pixels(self._decode(place), scaled_width)
        except _UnwantedError:
            self._next = None
            return {}
        except FFmpegError as error:
            self._next = None
            raise ClipError(text("clip.damaged", name=self.facts.path.name, frame=frame)) from error
        finally:
            self._on_pass = _ignore  # or the clip would keep the pictures for as long as it is open
        return found

    def _place_of(self, frame: int) -> int:
        if not self.facts.is_variable:
            return min(frame, len(self._pts) - 1)
        ticks = int(self._pts[0]) + int(frame / self.facts.rate / self._time_base)
        return int(np.searchsorted(self._pts, ticks, side="right")) - 1

    def _decode(self, place: int) -> VideoFrame:
        target = int(self._pts[place])
        if self._held is not None and self._held.pts == target:
            return self._held
        is_near = self._next is not None and self._next <= place <= self._next + self._key_distance(place)
        if is_near:
            found = self._decode_until(target)
            if found is not None:
                return self._keep(found, place)
        key = max(0, int(np.searchsorted(self._key_pts, target, side="right")) - 1)
        while key >= 0:
            self._container.seek(int(self._key_dts[key]), stream=self._stream, backward=True)
            self._decoded = self._container.decode(self._stream)
            found = self._decode_until(target)
            if found is not None:
                return self._keep(found, place)
            key -= 1
        raise ClipError(text("clip.damaged", name=self.facts.path.name, frame=place))

    def _key_distance(self, place: int) -> int:
        """Return how many frames may be decoded on the way to `place` before a seek is the shorter way."""
        key = int(np.searchsorted(self._key_pts, self._pts[place], side="right")) - 1
        at = int(np.searchsorted(self._pts, self._key_pts[max(0, key)]))
        return max(2, place - at)

    def _keep(self, frame: VideoFrame, place: int) -> VideoFrame:
        self._held, self._next = frame, place + 1
        return frame

    def _decode_until(self, target: int) -> VideoFrame | None:
        for frame in self._decoded:
            if frame.pts == target:
                return frame
            if frame.pts is not None and frame.pts > target:
                return None
            if frame.pts is not None and frame.pts >= self._pts[0]:
                self._on_pass(frame)
        return None

    def _to_pixels(self, frame: VideoFrame, scaled_width: int) -> np.ndarray:
        sideways = self.facts.rotation in (90, 270)
        width, height = self.facts.width, self.facts.height
        if scaled_width > 0:
            width, height = scaled_width, max(1, round(height * scaled_width / width))
        stored = (height, width) if sideways else (width, height)
        colorspace = None
        if int(frame.colorspace) == _UNTAGGED and frame.height >= _HD_LINES:
            colorspace = Colorspace.ITU709
        converted = self._reformatter.reformat(
            frame,
            *stored,
            "bgra",
            src_colorspace=colorspace,
            interpolation=Interpolation.BILINEAR,
            threads=1,  # libswscale writes past a strip's end, over another thread's
        )
        pixels = converted.to_ndarray()
        turns = {0: 0, 90: 1, 180: 2, 270: 3}[self.facts.rotation]
        return np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels)

    def _examine(self, path: Path) -> ClipFacts:
        if not self._container.streams.video:
            raise ClipError(text("clip.no_picture", name=path.name))
        stream = self._stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self._time_base = Fraction(stream.time_base or 1)
        self._list_frames(path)
        self._container.seek(int(self._key_dts[0]), stream=stream, backward=True)
        self._decoded = self._container.decode(stream)
        self._held: VideoFrame | None = None
        first = self._first_frame(path)
        even = self._even_rate()
        rate = even or self._usual_rate()
        rotation = round(first.rotation) % 360
        rotation = rotation if rotation in (0, 90, 180, 270) else 0
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        width, height = round(first.width * aspect), first.height
        count = len(self._pts)
        if even is None:
            ticks = int(self._pts[-1] - self._pts[0]) + self._last_duration
            count = max(1, -(-(ticks * self._time_base * rate) // 1))
        return ClipFacts(
            path=path,
            rate=rate,
            frame_count=int(count),
            width=height if rotation in (90, 270) else width,
            height=width if rotation in (90, 270) else height,
            rotation=rotation,
            has_alpha=any(component.is_alpha for component in first.format.components),
            has_sound=bool(self._container.streams.audio),
            is_variable=even is None,
            timecode=self._read_timecode(rate),
        )

    def _first_frame(self, path: Path) -> VideoFrame:
        try:
            first = next(self._decoded)
        except (StopIteration, FFmpegError) as error:
            raise ClipError(text("clip.no_frames", name=path.name)) from error
        shown = np.searchsorted(self._pts, first.pts or 0)
        self._pts = self._pts[shown:]  # what a cut in an open group left undecodable
        return self._keep(first, 0)

    def _list_frames(self, path: Path) -> None:
        rows: list[tuple[int, int, bool, int]] = []
        try:
            for packet in self._container.demux(self._stream):
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is None or packet.size == 0 or packet.is_discard:
                    continue
                dts = packet.dts if packet.dts is not None else stamp
                rows.append((stamp, dts, packet.is_keyframe, packet.duration or 0))
        except FFmpegError:
            pass  # a file cut short: what came before is good
        if not rows:
            raise ClipError(text("clip.no_frames", name=path.name))
        keys = sorted((pts, dts) for pts, dts, is_key, _ in rows if is_key) or [rows[0][:2]]
        self._pts = np.unique(np.array([row[0] for row in rows], np.int64))
        self._key_pts = np.array([pts for pts, _ in keys], np.int64)
        self._key_dts = np.array([dts for _, dts in keys], np.int64)
        step = int(np.median(np.diff(self._pts))) if len(self._pts) > 1 else 1
        self._last_duration = rows[-1][3] or step

    def _even_rate(self) -> Fraction | None:
        told = [Fraction(r) for r in (self._stream.average_rate, self._stream.guessed_rate) if r]
        if len(self._pts) < 2:
            return _standard(told[0]) if told else Fraction(25)
        tick = float(self._time_base)
        seconds = (self._pts - self._pts[0]).astype(np.float64) * tick
        for rate in [*map(_standard, told), *_STANDARD_RATES, *told]:
            error = seconds - np.arange(len(seconds)) / float(rate)
            if np.ptp(error) / 2 <= min(max(1.01 * tick, 5e-5), 0.2 / float(rate)):
                return rate
        return None

    def _usual_rate(self) -> Fraction:
        usual = float(np.median(np.diff(self._pts))) * float(self._time_base)
        return min(_STANDARD_RATES, key=lambda rate: abs(np.log(float(rate) * usual)))

    def _read_timecode(self, rate: Fraction) -> str | None:
        for holder in (self._stream, *self._container.streams, self._container):
            for key, value in holder.metadata.items():
                if key.lower() == "timecode":  # Matroska writes it in capitals
                    return conform_timecode(value.strip(), rate, rate)
        return None


def _ignore(_: VideoFrame) -> None:
    pass


def _standard(rate: Fraction) -> Fraction:
    nearest = min(_STANDARD_RATES, key=lambda standard: abs(standard - rate))
    return nearest if abs(nearest / rate - 1) < Fraction(1, 5000) else rate
