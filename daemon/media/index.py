"""The table of a video stream's frames: when each is shown, and where decoding must begin to get it.

Containers lie about frame counts and rates; packets do not. One pass over the packets, nothing decoded, gives
every timestamp. In QuickTime files of even spacing the container's own sample table gives the same without
reading the samples.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

_STANDARD_RATES = tuple(
    Fraction(n, d)
    for n, d in (
        (24000, 1001),
        (24, 1),
        (25, 1),
        (30000, 1001),
        (30, 1),
        (48000, 1001),
        (48, 1),
        (50, 1),
        (60000, 1001),
        (60, 1),
        (100, 1),
        (120000, 1001),
        (120, 1),
        (15, 1),
        (12, 1),
        (10, 1),
        (15000, 1001),
        (20, 1),
        (240, 1),
    )
)
_DURATION = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_ROUNDING = 1  # frames by which a duration may be off
_DEEPEST_REORDER = 16
_PROBED_PACKETS = 64  # well beyond the deepest reordering of any codec


@dataclass(frozen=True)
class FrameIndex:
    """All frames of a stream in the order they are shown. Times are in the stream's `time_base`."""

    time_base: Fraction
    pts: np.ndarray  # (n,) int64, rising
    key_pts: np.ndarray  # (m,) int64, rising: frames at which decoding may begin
    key_dts: np.ndarray  # (m,) int64: what to seek to for each of them
    last_duration: int
    reorder_depth: int  # frames the decoder must hold back to show them in order
    lead: int  # frames that may be shown before, and predicted from, one stored earlier

    def ordinal(self, pts: int) -> int | None:
        """Return which frame is shown at exactly `pts`, or None."""
        place = int(np.searchsorted(self.pts, pts))
        return place if place < len(self.pts) and self.pts[place] == pts else None

    def key_before(self, ordinal: int) -> int:
        """Return the last key (its place in `key_pts`) that is shown no later than the frame."""
        return max(0, int(np.searchsorted(self.key_pts, self.pts[ordinal], side="right")) - 1)

    def without_first(self, count: int) -> "FrameIndex":
        """Leave out the first frames, which nothing can decode (a cut in the middle of an open group)."""
        return replace(self, pts=self.pts[count:])


def build_index(container: InputContainer, stream: VideoStream, path: Path) -> FrameIndex | None:
    """List the stream's frames, or return None when it has none with a timestamp.

    Moves the container's position.
    """
    index = _index_from_table(container, stream, path)
    if index is not None:
        return index
    if container.format.name.startswith("mov"):  # the table's check has read the first packets
        container.seek(min((entry.timestamp for entry in stream.index_entries), default=0), stream=stream)
    return _index_from_packets(container, stream)


@dataclass(frozen=True)
class _Packets:
    """Packets in the order they are stored: (n,) int64 or bool each."""

    pts: np.ndarray
    dts: np.ndarray
    is_key: np.ndarray
    is_hidden: np.ndarray  # by an edit list: decoded, because others are predicted from it, never shown
    duration: int  # of the last one


def _index_from_packets(container: InputContainer, stream: VideoStream) -> FrameIndex | None:
    packets = _read_packets(container, stream, None)
    if packets is None:
        return None
    index = _make_index(packets, Fraction(stream.time_base or 1))
    return _with_lost_frames(index) if container.format.name == "mpegts" else index


def _read_packets(container: InputContainer, stream: VideoStream, limit: int | None) -> _Packets | None:
    rows: list[tuple[int, int, bool, bool, int]] = []
    try:
        for packet in islice(container.demux(stream), limit):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or packet.size == 0:
                continue
            dts = packet.dts if packet.dts is not None else stamp
            rows.append((stamp, dts, packet.is_keyframe, packet.is_discard, packet.duration or 0))
    except FFmpegError:
        pass  # a file cut short: the packets before the cut are good
    first_key = next((place for place, row in enumerate(rows) if row[2]), 0)
    if all(is_hidden for *_, is_hidden, _ in rows[first_key:]):
        return None
    pts, dts, is_key, is_hidden, durations = zip(*rows[first_key:], strict=True)
    return _Packets(
        np.array(pts, np.int64),
        np.array(dts, np.int64),
        np.array(is_key, bool),
        np.array(is_hidden, bool),
        durations[-1],
    )


def _make_index(packets: _Packets, time_base: Fraction) -> FrameIndex:
    keys = np.flatnonzero(packets.is_key) if packets.is_key.any() else np.array([0])
    order = np.argsort(packets.pts[keys], kind="stable")
    pts = np.unique(packets.pts[~packets.is_hidden])
    step = int(np.median(np.diff(pts))) if len(pts) > 1 else 0
    return FrameIndex(
        time_base,
        pts,
        packets.pts[keys][order],
        packets.dts[keys][order],
        packets.duration or step or max(1, round(Fraction(1, 25) / time_base)),
        _reorder_depth(packets.pts),
        _lead(packets.pts),
    )


def _with_lost_frames(index: FrameIndex) -> FrameIndex:
    """List also the frames whose packets a transport stream lost, so that the others keep their numbers.

    Nothing can decode them: to ask for one, or for one predicted from it, is an error, not a wrong picture.
    """
    if len(index.pts) < 2:
        return index
    first, step = int(index.pts[0]), float(1 / uneven_rate(index) / index.time_base)
    places = np.rint((index.pts - first) / step).astype(np.int64)
    is_even = np.abs(index.pts - first - places * step).max() <= 2 and len(np.unique(places)) == len(places)
    if not is_even or places[-1] + 1 > 2 * len(places):
        return index
    lost = np.setdiff1d(np.arange(places[-1] + 1), places)
    return replace(index, pts=np.union1d(index.pts, first + np.rint(lost * step).astype(np.int64)))


def _reorder_depth(pts: np.ndarray) -> int:
    """Return the most frames that are stored before, and shown after, one frame."""
    depth, held = 0, np.empty(0, np.int64)
    for value in pts.tolist() if np.any(np.diff(pts) < 0) else []:
        depth = max(depth, int(np.count_nonzero(held > value)))
        held = np.append(held, value)[-_DEEPEST_REORDER:]
    return depth


def _lead(pts: np.ndarray) -> int:
    """Return the most frames that are stored after, and shown before, one frame."""
    counts = np.zeros(len(pts), np.int64)
    for ahead in range(1, min(len(pts), _DEEPEST_REORDER + 1)):
        counts[:-ahead] += pts[:-ahead] > pts[ahead:]
    return int(counts.max(initial=0))


def _index_from_table(container: InputContainer, stream: VideoStream, path: Path) -> FrameIndex | None:
    """Read a QuickTime sample table: decode times, keys and places, but no display times.

    With even spacing the display times are the decode times moved by a constant, which the first packets
    tell. Returns None where that does not hold; then the packets must be read.
    """
    if not container.format.name.startswith("mov"):
        return None
    entries = [entry for entry in stream.index_entries if not entry.is_discard]
    if (
        len(entries) < 2 * _PROBED_PACKETS
        or len(entries) != len(stream.index_entries)
        or len(entries) != stream.frames
    ):
        return None
    size = path.stat().st_size
    dts = np.array([entry.timestamp for entry in entries], np.int64)
    is_key = np.array([entry.is_keyframe for entry in entries], bool)
    is_stored = np.array([entry.pos + entry.size <= size for entry in entries], bool)
    head = _read_packets(container, stream, _PROBED_PACKETS)
    if head is None or len(set(np.diff(dts).tolist())) != 1 or not is_stored.all() or head.dts[0] != dts[0]:
        return None
    return _index_from_even_table(head, dts, is_key, Fraction(stream.time_base or 1))


def _index_from_even_table(
    head: _Packets, dts: np.ndarray, is_key: np.ndarray, time_base: Fraction
) -> FrameIndex | None:
    step = int(dts[1] - dts[0])
    shift = int(head.pts.min() - dts[0])
    depth = _reorder_depth(head.pts)
    settled = np.sort(head.pts)[: len(head.pts) - depth]
    if shift % step or not np.array_equal(settled, dts[: len(settled)] + shift) or not is_key[0]:
        return None
    if depth == 0 and not np.array_equal(head.pts, head.dts + shift):
        return None
    if depth and not _is_closed(head, shift):
        return None
    keys = dts[is_key]
    return FrameIndex(time_base, dts + shift, keys + shift, keys, step, depth, _lead(head.pts))


def _is_closed(head: _Packets, shift: int) -> bool:
    """Say whether every key among the packets is shown in the place it is stored in (no leading pictures)."""
    keys = head.is_key
    return bool(np.array_equal(head.pts[keys], head.dts[keys] + shift))


def frames_lost(index: FrameIndex, stream: VideoStream, rate: Fraction) -> int:
    """Return how many frames more than can be read a Matroska file says it has: it is damaged or cut short.

    Its reader ends there without an error. The tag DURATION, which FFmpeg and mkvmerge write, is the time at
    which the stream's last frame ends.
    """
    told = next((text for name, text in stream.metadata.items() if name.startswith("DURATION")), "")
    match = _DURATION.fullmatch(told)
    if match is None:
        return 0
    hours, minutes, seconds = (Fraction(group) for group in match.groups())
    end = (int(index.pts[-1]) + index.last_duration) * index.time_base
    lost = round(((hours * 60 + minutes) * 60 + seconds - end) * rate)
    return lost if lost > _ROUNDING else 0


def even_rate(index: FrameIndex, told: list[Fraction | None]) -> Fraction | None:
    """Return the rate at which all frames follow evenly, to the rounding of the time base, or None.

    Rates `told` by the container are tried, then the standard ones; the one that fits best wins, so that
    files whose clock is coarse (1 ms in Matroska) still give 24000/1001 and 60000/1001.
    """
    rates = [rate for rate in told if rate]
    candidates = [*map(_standard, rates), *_STANDARD_RATES, *rates]
    if len(index.pts) < 2:
        return candidates[0] if rates else Fraction(25)
    tick = float(index.time_base)
    seconds = (index.pts - index.pts[0]).astype(np.float64) * tick
    best: tuple[float, Fraction] | None = None
    for rate in candidates:
        error = seconds - np.arange(len(seconds)) / float(rate)
        spread = float(error.max() - error.min()) / 2
        fits = spread <= min(max(1.01 * tick, 5e-5), 0.2 / float(rate))
        if fits and (best is None or spread < 0.8 * best[0] - 1e-9):
            best = (spread, rate)
    return best[1] if best else None


def _standard(rate: Fraction) -> Fraction:
    """Return the standard rate that `rate` is a rounding of, or `rate` itself."""
    nearest = min(_STANDARD_RATES, key=lambda standard: abs(standard - rate))
    return nearest if abs(nearest / rate - 1) < Fraction(1, 5000) else rate


def uneven_rate(index: FrameIndex) -> Fraction:
    """Return the standard rate nearest to the usual distance between frames of a variable-rate stream."""
    usual = float(np.median(np.diff(index.pts))) * float(index.time_base)
    return min(_STANDARD_RATES, key=lambda rate: abs(np.log(float(rate) * usual)))
