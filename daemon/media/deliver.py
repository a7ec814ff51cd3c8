"""Writes a take: pictures in the codec asked for, the voice untouched, and every tag of the source.

Encoding runs in a thread of its own, so that it overlaps with the compositing of the next frame. The bytes
depend on nothing but what is written: no dates, no version strings, a fixed number of encoder threads.
"""

import queue
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from daemon.media.codecs import check_size, coded_format, find_codec, plane_format
from daemon.media.convert import Conversion, Planes, plan_conversion
from daemon.media.folder_writer import FolderWriter
from daemon.media.movie_writer import MovieWriter
from daemon.media.pixels import PixelFormat
from daemon.media.source import SourceInfo
from daemon.media.storage import map_write_errors, part_of
from daemon.media.tags import UNSPECIFIED, as_dnxhr, as_prores
from daemon.media.voice import ConformedVoice
from daemon.protocol.errors import DubwrightError

_QUEUED_FRAMES, _QUEUED_LARGE_FRAMES = 3, 1


class TakeWriter:
    """Takes frames in order and encodes them in the background.

    An error of the encoder or the disk is raised by the next `write` or by `close`.
    """

    def __init__(
        self, part: Path, sink: MovieWriter | FolderWriter, convert: "_Converter", *, queued: int
    ) -> None:
        self.part = part  # where the take lies until the caller renames it
        self.frames_written = 0
        self._sink = sink
        self._convert = convert
        self._waiting: queue.Queue[tuple[Planes, PixelFormat] | None] = queue.Queue(queued)
        self._error: BaseException | None = None
        self._gives_up = False
        self._thread = threading.Thread(target=self._encode_all, name="encode", daemon=True)
        self._thread.start()

    def write(self, planes: Planes, pixels: PixelFormat) -> None:
        """Append one frame. The planes must not change afterwards.

        Raises MachineError `disk.full` or `dest.unwritable`, of this frame or an earlier one; then the take
        is given up and removed.
        """
        if self._error is not None:
            self.abort()
            self._raise_error()
        self._waiting.put((planes, pixels))
        self.frames_written += 1

    def close(self) -> Path:
        """Finish the file and return where it lies. Raises as `write`; then the file is gone."""
        self._waiting.put(None)
        self._thread.join()
        try:
            self._raise_error()
            with map_write_errors(self.part):
                self._sink.close()
        except DubwrightError:
            self._remove()
            raise
        return self.part

    def abort(self) -> None:
        """Stop and remove what was written."""
        self._gives_up = True
        self._waiting.put(None)
        self._thread.join()
        self._remove()

    def _encode_all(self) -> None:
        while (item := self._waiting.get()) is not None:
            if self._error is not None or self._gives_up:
                continue  # keep taking, so that no writer waits for room
            try:
                with map_write_errors(self.part):
                    self._sink.write(self._convert(*item))
            except BaseException as error:  # noqa: BLE001 - raised again where the caller is
                self._error = error

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _remove(self) -> None:
        self._sink.discard()
        if self.part.is_dir():
            shutil.rmtree(self.part, ignore_errors=True)
        else:
            self.part.unlink(missing_ok=True)


class _Converter:
    """Converts frames to what the encoder takes; the plan is made at the first frame."""

    def __init__(self, plan: Callable[[PixelFormat], Conversion]) -> None:
        self._plan = plan
        self._pixels: PixelFormat | None = None
        self._conversion: Conversion | None = None

    def __call__(self, planes: Planes, pixels: PixelFormat) -> Planes:
        if self._conversion is None or pixels != self._pixels:
            self._conversion, self._pixels = self._plan(pixels), pixels
        return self._conversion.apply(planes)


def open_writer(
    path: Path,
    *,
    codec: str,
    info: SourceInfo,
    first_frame: int,
    alpha: bool,
    voice: ConformedVoice | None,
    pixels: PixelFormat | None = None,
) -> TakeWriter:
    """Begin a take that will be called `path`; it is written beside it, and `close` says where.

    The rate, colour tags, reel, display matrix and pixel shape are those of `info`; the timecode is that of
    `first_frame`. `pixels` is the format of the planes to come: None for the source's own, or for an overlay
    10-bit 4:4:4 with alpha. A gray format makes a matte.
    Raises RequestError `job.invalid` when the codec cannot hold the picture, MachineError `dest.unwritable`,
    `disk.full`.
    """
    chosen = find_codec(codec)
    pixels = pixels or (OVERLAY_PIXELS if alpha else info.pixels)
    coded = check_picture(codec, info, alpha=alpha, pixels=pixels)
    target = plane_format(coded)

    def plan(given: PixelFormat) -> Conversion:
        colour = info.colour
        if chosen.encoder == "dnxhd" and given.is_rgb and colour.matrix in (0, UNSPECIFIED):
            colour = replace(colour, matrix=1)  # the only one that its header can name
        return plan_conversion(given, colour, target, height=info.height, keeps_range=chosen.keeps_range)

    part = part_of(path)
    with map_write_errors(part):
        if chosen.container is None:
            sink = FolderWriter(part, chosen, coded, info=info, first_frame=first_frame, voice=voice)
        else:
            colour = plan(pixels).colour
            if chosen.encoder.startswith("prores"):
                colour = as_prores(colour)
            elif chosen.encoder == "dnxhd":
                colour = as_dnxhr(colour, info.height)
            sink = MovieWriter(
                part, chosen, coded, info=info, first_frame=first_frame, colour=colour, voice=voice
            )
    queued = _QUEUED_LARGE_FRAMES if info.is_large else _QUEUED_FRAMES
    return TakeWriter(part, sink, _Converter(plan), queued=queued)


def check_picture(codec: str, info: SourceInfo, *, alpha: bool, pixels: PixelFormat | None = None) -> str:
    """Return the pixel format in which `codec` holds the picture; `pixels` as in `open_writer`.

    Raises RequestError `job.invalid` when it cannot.
    """
    chosen = find_codec(codec)
    coded = coded_format(chosen, pixels or (OVERLAY_PIXELS if alpha else info.pixels), alpha=alpha)
    check_size(chosen, coded, info.width, info.height)
    return coded


OVERLAY_PIXELS = PixelFormat("yuva444p10le", 10, 0, 0, is_rgb=False, has_alpha=True)
"""What an overlay's planes are: Y Cb Cr A, 4:4:4, 10 bit, straight alpha from 0 to 1023."""


def matte_pixels(depth: int) -> PixelFormat:
    """Return the format of a matte's one plane, 0 to 2**depth - 1; depth 8, 10, 12 or 16."""
    if depth not in (8, 10, 12, 16):
        raise ValueError(f"depth is {depth}; it must be 8, 10, 12 or 16")
    return PixelFormat("gray" if depth == 8 else f"gray{depth}le", depth, 0, 0, is_rgb=False, has_alpha=False)
