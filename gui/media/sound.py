"""Sound of clips and voices: samples of a stretch of a file, and their peaks for drawing."""

from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

SAMPLE_RATE = 48_000
CHANNELS = 2
SOUND_SUFFIXES = frozenset(
    {".wav", ".aif", ".aiff", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".bwf"}
)


def read_sound(path: Path, start_s: float = 0.0, length_s: float | None = None) -> np.ndarray:
    """Return (n, 2) int16 at 48 kHz from `start_s` of the file's time on; empty when it has no sound.

    Silence fills what lies before the file's first sample.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return np.zeros((0, CHANNELS), np.int16)
            return _decode(container, start_s, length_s)
    except (FFmpegError, OSError):
        return np.zeros((0, CHANNELS), np.int16)


def sound_length_s(path: Path) -> float | None:
    """Return how long the sound of a file is, as the file says; None when it has none."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            return (container.duration or 0) / 1_000_000
    except (FFmpegError, OSError):
        return None


def _decode(container: InputContainer, start_s: float, length_s: float | None) -> np.ndarray:
    stream = container.streams.audio[0]
    if start_s > 1:
        container.seek(int((start_s - 0.5) * 1_000_000))
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE)
    blocks: list[np.ndarray] = []
    first_s: float | None = None
    stop_s = None if length_s is None else start_s + length_s
    for frame in container.decode(stream):
        if first_s is None:
            first_s = float(frame.time or 0.0)
        blocks += [block.to_ndarray().reshape(-1, CHANNELS) for block in resampler.resample(frame)]
        if stop_s is not None and frame.time is not None and frame.time > stop_s + 0.1:
            break
    blocks += [block.to_ndarray().reshape(-1, CHANNELS) for block in resampler.resample(None)]
    samples = np.concatenate(blocks) if blocks else np.zeros((0, CHANNELS), np.int16)
    skip = round((start_s - (first_s or 0.0)) * SAMPLE_RATE)
    samples = samples[skip:] if skip >= 0 else np.pad(samples, ((-skip, 0), (0, 0)))
    return samples if length_s is None else samples[: round(length_s * SAMPLE_RATE)]
