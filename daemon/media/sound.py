"""A clip's own sound, mono, for analysis: which sound goes with which picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from pathlib import Path

import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard

from daemon.media.local import open_local
from daemon.media.segment import FrameRange, sample_at

_MARGIN_S = Fraction(1, 2)  # decoded before and after, so that neither codec nor resampler starts cold
_JITTER_S = 0.02  # timestamps off by less are the container's rounding, not a gap


@dataclass(frozen=True)
class SoundInfo:
    """The sound stream that belongs to the picture."""

    sample_rate: int
    channels: int


def choose_sound(container: InputContainer) -> AudioStream | None:
    """Return the stream that players play, or None."""
    best = container.streams.best("audio")
    stream = next((stream for stream in container.streams.audio if stream is best), None)
    return stream if stream is not None and stream.codec_context is not None else None


def sound_info(container: InputContainer) -> SoundInfo | None:
    """Describe the sound stream, or return None."""
    stream = choose_sound(container)
    if stream is None or not stream.codec_context.sample_rate:
        return None
    return SoundInfo(stream.codec_context.sample_rate, stream.codec_context.channels)


def mono_float(frame: AudioFrame) -> np.ndarray:
    """Return the mean of the channels, (n,) float32 in -1..1."""
    samples = frame.to_ndarray()
    if samples.dtype.kind == "u":
        samples = samples.astype(np.float32) / 128 - 1
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
    channels = frame.layout.nb_channels
    planes = samples if frame.format.is_planar else samples.reshape(-1, channels).T
    return planes.mean(axis=0, dtype=np.float32)


def read_mono(
    path: Path, frames: FrameRange, rate: Fraction, sample_rate: int, *, start_s: Fraction
) -> np.ndarray:
    """Return the sound under `frames` as mono float32 at `sample_rate`, exact in place and length.

    `start_s` is the time of frame 0 on the file's clock. Where there is no sound, or it cannot be decoded,
    there is silence.
    """
    start, stop = (sample_at(frame, rate, sample_rate) for frame in (frames.start, frames.stop))
    out = np.zeros(stop - start, np.float32)
    with open_local(path) as container:
        stream = choose_sound(container)
        if stream is None or not stream.codec_context.sample_rate:
            return out
        _fill(out, container, stream, start, sample_rate, start_s)
    return out


def _fill(
    out: np.ndarray,
    container: InputContainer,
    stream: AudioStream,
    start: int,
    sample_rate: int,
    start_s: Fraction,
) -> None:
    """Resample the stream into `out`, whose first sample is number `start` of the clip."""
    native = stream.codec_context.sample_rate
    grid = sample_rate // gcd(sample_rate, native)  # every `grid` samples, both clocks meet on a whole sample
    first = (start - int(_MARGIN_S * sample_rate)) // grid * grid
    first_native = first * native // sample_rate
    wanted = (start - first + len(out)) * native // sample_rate + int(_MARGIN_S * native)
    _seek(container, stream, start_s + Fraction(first_native, native) - _MARGIN_S)
    resampler = soxr.ResampleStream(native, sample_rate, 1, dtype="float32", quality="HQ")
    done = first - start
    for piece in _contiguous(
        decode_sound(container, stream), native, first_native + round(start_s * native), wanted
    ):
        done = _put(out, resampler.resample_chunk(piece), done)
        if done >= len(out):
            return
    _put(out, resampler.resample_chunk(np.zeros(0, np.float32), last=True), done)


def _put(out: np.ndarray, piece: np.ndarray, place: int) -> int:
    """Write a piece at `place`, which may lie before or after `out`. Return the place after it."""
    skip = max(0, -place)
    target = out[place + skip : place + len(piece)] if len(piece) > skip else out[:0]
    target[:] = piece[skip : skip + len(target)]
    return place + len(piece)


def _seek(container: InputContainer, stream: AudioStream, time_s: Fraction) -> None:
    try:
        container.seek(
            max(int(time_s / Fraction(stream.time_base or 1)), stream.start_time or 0), stream=stream
        )
    except FFmpegError:
        container.seek(0)  # raw streams cannot seek by time; decode from their start


def decode_sound(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Yield what can be decoded of one stream; a damaged packet is left out, as players do."""
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            yield from packet.decode()
        except FFmpegError:
            continue


def _contiguous(
    frames: Iterator[AudioFrame], sample_rate: int, first: int, count: int
) -> Iterator[np.ndarray]:
    """Lay decoded frames on a line of `count` samples from sample `first` on, gaps filled with silence."""
    place = first
    for frame in frames:
        samples = mono_float(frame)
        at = place if frame.pts is None else round(frame.pts * Fraction(frame.time_base or 1) * sample_rate)
        if place > first and abs(at - place) < _JITTER_S * sample_rate:
            at = place
        if at > place:
            yield np.zeros(min(at, first + count) - place, np.float32)
        skip = max(0, place - at)
        end = min(at + len(samples), first + count)
        if end > at + skip:
            yield samples[skip : end - at]
        place = max(place, end)
        if place >= first + count:
            return
    if place < first + count:
        yield np.zeros(first + count - place, np.float32)
