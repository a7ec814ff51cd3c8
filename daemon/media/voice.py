"""The new voice: its own samples, cut to a frame range exactly, and what they say about speech.

The samples go to the take as they are in the file: sample rate, channels and depth kept. Only `remap`, which
stretches the voice, and the joins of a `loop` compute new ones.
"""

import wave
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import soxr

from daemon.media.activity import speech_activity
from daemon.media.segment import FrameRange, sample_at
from daemon.media.stretch import stretch
from daemon.media.voice_file import VoiceInfo, load_voice
from daemon.protocol.errors import MediaError
from daemon.protocol.jobs import DurationMode

__all__ = ["ConformedVoice", "Voice", "VoiceInfo", "open_voice", "speech_activity"]

_ANALYSIS_RATE = 16000
_FADE_S = Fraction(5, 1000)
_CANCELLED = 1 / 64  # of the loudest channel, what the mean of eight keeps of it: less, and they cancel out


@dataclass(frozen=True, eq=False)
class ConformedVoice:
    """A voice laid under a frame range: sample 0 is the first of the range, the length is the range's."""

    info: VoiceInfo
    samples: np.ndarray  # (n, channels) int16, int32 or float32; 24 bits lie in the upper bits of an int32
    mono16k: np.ndarray  # (m,) float32 at 16 kHz, for analysis only
    covered: FrameRange  # frames of the range under which the voice itself lies; silence was added elsewhere

    @property
    def sample_rate(self) -> int:
        """Samples a second of `samples`."""
        return self.info.sample_rate

    @property
    def layout(self) -> str:
        """FFmpeg's name of the channel layout, such as stereo or 5.1."""
        return self.info.layout

    @property
    def sample_format(self) -> str:
        """FFmpeg's name of the packed sample format: s16, s32 or flt."""
        return self.info.sample_format

    @property
    def pcm_codec(self) -> str:
        """The PCM encoder that keeps every bit."""
        return self.info.pcm_codec

    def save(self, path: Path) -> None:
        """Write the samples as a WAV file (float samples as 32-bit integers)."""
        samples, depth = self.samples, self.info.depth
        if samples.dtype == np.float32:
            samples = np.clip(np.rint(samples.astype(np.float64) * 2.0**31), -(2.0**31), 2.0**31 - 1).astype(
                "<i4"
            )
        data = samples.astype("<i2" if depth == 16 else "<i4", copy=False).tobytes()
        if depth == 24:
            data = np.frombuffer(data, np.uint8).reshape(-1, 4)[:, 1:].tobytes()
        with wave.open(str(path), "wb") as file:
            file.setnchannels(samples.shape[1])
            file.setsampwidth(depth // 8)
            file.setframerate(self.sample_rate)
            file.writeframes(data)


class Voice:
    """A voice file, decoded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info, self._samples = load_voice(path)

    def conform(
        self, frames: FrameRange, rate: Fraction, voice_at: int, mode: DurationMode
    ) -> ConformedVoice:
        """Lay the voice under `frames`, its first sample at frame `voice_at`, and fill what it does not
        reach.

        cut_off, silence: silence before and after; loop: again from its start; bounce: backwards and forwards
        in turn; remap: stretched, pitch kept, to end with the range. Raises MediaError `voice.empty`.
        """
        sample_rate, count = self.info.sample_rate, len(self._samples)
        start, stop, at = (
            sample_at(frame, rate, sample_rate) for frame in (frames.start, frames.stop, voice_at)
        )
        first, last = start - at, stop - at  # the range, in samples of the voice
        reaches = last > 0 and (first < count or mode in ("loop", "bounce", "remap"))
        if count == 0 or not reaches:
            raise MediaError("voice.empty", f"{self.path.name} has no sound under frames {frames.start} to "
                                            f"{frames.stop}.")  # fmt: skip
        pick = {"loop": self._looped, "bounce": self._bounced, "remap": self._remapped}.get(mode, self._plain)
        samples = np.zeros((stop - start, self.info.channels), self._samples.dtype)
        lead = max(0, -first)
        samples[lead:] = pick(max(0, first), last)
        reach = last if mode in ("loop", "bounce", "remap") else min(last, count)
        covered = _frames_within(frames, rate, sample_rate, at + max(0, first), at + reach)
        return ConformedVoice(self.info, samples, _mono16k(samples, sample_rate, frames, rate), covered)

    def _plain(self, first: int, last: int) -> np.ndarray:
        out = np.zeros((last - first, self.info.channels), self._samples.dtype)
        piece = self._samples[first:last]
        out[: len(piece)] = piece
        return out

    def _looped(self, first: int, last: int) -> np.ndarray:
        """Repeat the voice; where one pass ends and the next begins, both fade over 5 ms."""
        count = len(self._samples)
        place = np.arange(first, last)
        out = np.asarray(self._samples[place % count])
        fade = min(int(_FADE_S * self.info.sample_rate), count // 2)
        if last <= count or fade == 0:
            return out
        to_start = np.where(place < count, fade, place % count)  # the first pass begins as it is
        to_end = count - 1 - place % count
        gain = np.clip((np.minimum(to_start, to_end) + 0.5) / fade, 0, 1)
        touched = gain < 1
        return _scaled(out, gain, touched)

    def _bounced(self, first: int, last: int) -> np.ndarray:
        """Go forwards, then backwards, then forwards; the turning samples are not repeated."""
        period = max(1, 2 * (len(self._samples) - 1))
        place = np.arange(first, last) % period
        return np.asarray(self._samples[np.minimum(place, period - place)])

    def _remapped(self, first: int, last: int) -> np.ndarray:
        if last == len(self._samples):
            return self._plain(first, last)
        return stretch(np.asarray(self._samples), last, self.info.sample_rate)[first:]


def open_voice(path: Path) -> Voice:
    """Read a voice file, or the sound of a video. Raises MediaError `voice.missing`, `voice.unreadable`."""
    return Voice(Path(path))


def _scaled(samples: np.ndarray, gain: np.ndarray, touched: np.ndarray) -> np.ndarray:
    values = samples[touched].astype(np.float64) * gain[touched, None]
    samples[touched] = values if samples.dtype.kind == "f" else np.rint(values)
    return samples


def _mono16k(samples: np.ndarray, sample_rate: int, frames: FrameRange, rate: Fraction) -> np.ndarray:
    """Return the sound at 16 kHz, as long as the range to the sample."""
    count = sample_at(frames.stop, rate, _ANALYSIS_RATE) - sample_at(frames.start, rate, _ANALYSIS_RATE)
    peak = np.float32(2.0 ** (8 * samples.dtype.itemsize - 1)) if samples.dtype.kind == "i" else np.float32(1)
    mono = _heard(samples) / peak
    if sample_rate != _ANALYSIS_RATE:
        mono = soxr.resample(mono, sample_rate, _ANALYSIS_RATE, quality="HQ")
    out = np.zeros(count, np.float32)
    out[: len(mono)] = mono[:count]
    return out


def _heard(samples: np.ndarray) -> np.ndarray:
    """Return the mean of the channels, or the loudest one where they cancel each other out, (n,) float32."""
    mean = samples.mean(axis=1, dtype=np.float32)
    powers = np.square(samples, dtype=np.float32).sum(axis=0)
    if np.square(mean).sum() >= _CANCELLED * powers.max():
        return mean
    return samples[:, int(powers.argmax())].astype(np.float32)


def _frames_within(frames: FrameRange, rate: Fraction, sample_rate: int, start: int, stop: int) -> FrameRange:
    """Return the frames of a range that have some sample of `start` to `stop` (samples of the clip) under
    them.
    """
    first = int(Fraction(start, sample_rate) * rate)
    last = -(-Fraction(stop, sample_rate) * rate // 1)
    return FrameRange(first, int(last)).clip(frames)
