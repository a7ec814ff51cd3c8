"""Decodes frames of one video stream from any place, exactly.

The seek that is right: to the decode time of the key that is shown no later than the wanted frame, then
forward until the timestamp is met; one key further back if the decoder gave nothing for it.
"""

import itertools
import os
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from av import VideoFrame
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from daemon.media.index import FrameIndex
from daemon.media.local import open_local
from daemon.media.tags import context_colour
from daemon.protocol.errors import MediaError

_MAX_THREADS = 8
LARGE_PICTURE = 4_000_000  # pixels; above, every thread of a decoder and every frame that waits costs tens
# of megabytes
_MAX_STEPS_BACK = 3
_REMEMBERED_PACKETS = 256


def open_container(path: Path) -> InputContainer:
    """Open a media file. Nothing but local files is ever read, whatever a playlist in it asks for.

    Raises MediaError `source.missing` or `source.unreadable`.
    """
    if not path.exists():
        raise MediaError("source.missing", f"There is no file {path}.")
    if path.is_dir():
        raise MediaError("source.unreadable", f"{path} is a folder, not a media file.")
    try:
        container = open_local(path)
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError("source.unreadable", f"{path} cannot be read as media: {reason}.") from error
    if container.format.name == "tty":  # FFmpeg draws any text file as a picture
        container.close()
        raise MediaError("source.unreadable", f"{path} is a text file, not media.")
    return container


def choose_video(container: InputContainer, path: Path) -> VideoStream:
    """Return the stream to work on and let the container skip all others.

    Cover pictures of sound files are no video. Raises MediaError `source.no_video`.
    """
    best = container.streams.best("video")
    streams = [
        stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        raise MediaError("source.no_video", f"{path} has no video stream.")
    chosen = next((stream for stream in streams if stream is best), streams[0])
    if chosen.codec_context is None:
        raise MediaError("source.unreadable", f"{path} is in a video format that is not known here.")
    for stream in container.streams:
        if stream is not chosen:
            stream.discard = Discard.all
    return chosen


@dataclass(slots=True)
class _Decoded:
    """A frame on its way out."""

    place: int  # in the order shown
    frame: VideoFrame
    is_damaged: bool
    spoils: int | None  # frames stored after this packet are damaged too


class HaltedError(Exception):
    """Reading was given up in the middle; nobody waits for the frame."""


class Reader:
    """One decoder at one place of the file. Not for two threads at once."""

    def __init__(self, path: Path, index: FrameIndex | None = None) -> None:
        self.container = open_container(path)
        try:
            self.stream = choose_video(self.container, path)
        except MediaError:
            self.container.close()
            raise
        self.container_colour = context_colour(self.stream)  # before the decoder puts its own there
        self._path = path
        self._index = index
        self._next: int | None = None  # the frame the running decode gives next
        self._frames: Iterator[_Decoded] | None = None
        self._stored: dict[int, int] = {}  # display time -> number of the packet, of the last ones read

    def set_up(self, index: FrameIndex) -> None:
        """Take the index and make the decoder ready; call once, before the first frame is read."""
        self._index = index
        context = self.stream.codec_context
        is_large = context.width * context.height > LARGE_PICTURE
        context.thread_type = "AUTO"
        context.thread_count = min(_MAX_THREADS // 2 if is_large else _MAX_THREADS, os.cpu_count() or 1)
        if index.reorder_depth > context.reorder_depth:  # else a decoder that has to guess it drops frames
            context.reorder_depth = index.reorder_depth

    def close(self) -> None:
        """Let go of the file and the decoder."""
        self._frames = None
        self.container.close()

    def use(self, index: FrameIndex) -> None:
        """Count frames by another index of the same stream from now on."""
        self._index = index
        self._frames = None

    def read(self, ordinal: int, halt: threading.Event | None = None) -> VideoFrame:
        """Return the frame shown as number `ordinal`; the one after the last read one costs no seek.

        Raises MediaError `source.corrupt` when it is damaged, or predicted from a damaged one; HaltedError
        soon after `halt` was set.
        """
        assert self._index is not None
        if self._frames is None or self._next is None or not self._is_ahead(ordinal):
            self._seek(self._index.key_before(ordinal))
        key = self._index.key_before(ordinal)
        for steps_back in range(_MAX_STEPS_BACK + 1):
            frame = self._advance(ordinal, halt)
            if frame is not None:
                return frame
            if key - steps_back <= 0 or steps_back == _MAX_STEPS_BACK:
                break
            self._seek(key - steps_back - 1)
        self._frames = None
        raise MediaError("source.corrupt", f"Frame {ordinal} of {self._path.name} is damaged or missing.")

    def _is_ahead(self, ordinal: int) -> bool:
        """Say whether decoding on gets to the frame without passing a key to which a seek could jump."""
        assert self._index is not None
        assert self._next is not None
        if ordinal < self._next:
            return False
        key = self._index.key_before(ordinal)
        return self._index.key_pts[key] <= self._index.pts[self._next] or ordinal - self._next < 8

    def _seek(self, key: int) -> None:
        assert self._index is not None
        self._frames = self._decode_from(key)
        self._next = 0

    def _advance(self, ordinal: int, halt: threading.Event | None) -> VideoFrame | None:
        """Decode until the frame comes. Return None if the decoder passed it or it is damaged."""
        assert self._frames is not None
        for decoded in self._frames:
            self._next = decoded.place + 1
            if halt is not None and halt.is_set():
                raise HaltedError
            if decoded.place == ordinal and not decoded.is_damaged:
                return decoded.frame
            if decoded.place >= ordinal:
                return None
        return None

    def _decode_from(self, key: int) -> Iterator[_Decoded]:
        """Yield the frames from a key on, in the order they are shown.

        A frame is damaged when it is itself, or when one it may be predicted from is damaged or missing: all
        that are stored after that one, up to the next key. Some of those are shown before it, so frames are
        held back until it is known.
        """
        index = self._index
        assert index is not None
        self.container.seek(int(index.key_dts[key]), stream=self.stream, backward=True)
        held: deque[_Decoded] = deque()
        for decoded in self._follow(int(index.key_pts[key])):
            if decoded.spoils is not None:
                for earlier in held:
                    earlier.is_damaged |= self._stored_at(earlier.place) > decoded.spoils
            held.append(decoded)
            if len(held) > index.lead:
                yield held.popleft()
        yield from held

    def _follow(self, start: int) -> Iterator[_Decoded]:
        """Yield the frames shown from timestamp `start` on, and which of them spoil others."""
        index = self._index
        assert index is not None
        keys = frozenset(index.key_pts.tolist())
        expected: int | None = None
        is_damaged = False
        for frame in self._decode_packets():
            pts = frame.pts if frame.pts is not None else frame.dts
            place = index.ordinal(pts) if pts is not None else None
            if place is None or pts is None or pts < start:
                continue  # a leading picture, or one that an edit list hides
            is_gap = expected is not None and place != expected
            is_damaged = ((is_damaged or is_gap) and pts not in keys) or frame.is_corrupt
            spoils = self._stored_at(expected) if is_gap and expected is not None else None
            if frame.is_corrupt:
                spoils = self._stored_at(place)
            expected = place + 1
            yield _Decoded(place, frame, is_damaged, spoils)

    def _stored_at(self, place: int) -> int:
        """Return where, counted in packets, a lately read frame is stored; far behind all for a lost one."""
        assert self._index is not None
        return self._stored.get(int(self._index.pts[place]), 1 << 62)

    def _decode_packets(self) -> Iterator[VideoFrame]:
        """Yield each frame the decoder gives; what it cannot decode is missing from them."""
        packets = self.container.demux(self.stream)
        self._stored.clear()
        for count in itertools.count():
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                self._note(packet, count)
                yield from packet.decode()
            except FFmpegError:
                continue

    def _note(self, packet: "Packet[VideoStream]", count: int) -> None:
        if packet.pts is not None:
            self._stored[packet.pts] = count
        if len(self._stored) > _REMEMBERED_PACKETS:
            del self._stored[next(iter(self._stored))]
