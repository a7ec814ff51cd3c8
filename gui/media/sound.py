"""Sound of clips and voices: samples of a stretch of a file, their peaks for drawing, and playing them.

Playing is pulled by the sound device, so the device's own clock leads and the picture follows.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from PySide6.QtCore import QIODevice, QObject

try:
    from PySide6 import QtMultimedia
except ImportError:  # on Linux it needs libpulse; without it the app is silent
    QtMultimedia = None

SAMPLE_RATE = 48_000
CHANNELS = 2
SOUND_SUFFIXES = frozenset(
    {".wav", ".aif", ".aiff", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".bwf"}
)
_FRAME_BYTES = 2 * CHANNELS


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


def peaks_of(samples: np.ndarray, count: int) -> np.ndarray:
    """Return (count, 2) float: the lowest and highest value, -1 to 1, in each of `count` equal parts."""
    if len(samples) == 0 or count <= 0:
        return np.zeros((max(0, count), 2))
    mono = samples.mean(axis=1) / 32768
    edges = np.linspace(0, len(mono), count + 1).astype(int)[:-1]
    edges = np.minimum(edges, len(mono) - 1)
    return np.stack([np.minimum.reduceat(mono, edges), np.maximum.reduceat(mono, edges)], axis=1)


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


def has_sound_device() -> bool:
    """Say whether sound can be heard here."""
    return QtMultimedia is not None and not QtMultimedia.QMediaDevices.defaultAudioOutput().isNull()


class Sink(Protocol):
    """What plays: QAudioSink, or in tests one that only pulls."""

    def start(self, device: QIODevice, /) -> None:
        """Pull from `device` from now on."""

    def stop(self) -> None:
        """Pull no more."""

    def setVolume(self, volume: float, /) -> None:  # noqa: N802
        """Set the loudness, 0 to 1."""

    def bufferSize(self) -> int:  # noqa: N802
        """Return how many bytes it keeps ahead."""
        ...

    def bytesFree(self) -> int:  # noqa: N802
        """Return how many of these are not filled."""
        ...


def open_device() -> Sink | None:
    """Return the default device, ready for our samples; None where there is none."""
    if QtMultimedia is None:
        return None
    device = QtMultimedia.QMediaDevices.defaultAudioOutput()
    if device.isNull():
        return None
    form = QtMultimedia.QAudioFormat()
    form.setSampleRate(SAMPLE_RATE)
    form.setChannelCount(CHANNELS)
    form.setSampleFormat(QtMultimedia.QAudioFormat.SampleFormat.Int16)
    sink: Any = QtMultimedia.QAudioSink(device, form)
    return sink


class SoundOutput(QObject):
    """Plays samples and tells how much of them was heard."""

    def __init__(
        self, parent: QObject | None = None, *, open_sink: Callable[[], Sink | None] = open_device
    ) -> None:
        super().__init__(parent)
        self._open_sink = open_sink
        self._sink: Sink | None = None
        self._tape: Tape | None = None
        self._volume = 1.0

    def play(self, samples: np.ndarray) -> bool:
        """Play from the first sample; False when there is no device or nothing to play."""
        self.stop()
        sink = self._open_sink() if len(samples) else None
        if sink is None:
            return False
        self._tape = Tape(samples)
        # A buffer of its own would take more than is heard, and the picture would lead by it.
        self._tape.open(QIODevice.OpenModeFlag.ReadOnly | QIODevice.OpenModeFlag.Unbuffered)
        self._sink = sink
        sink.setVolume(self._volume)
        sink.start(self._tape)
        return True

    def heard_s(self) -> float | None:
        """Return how many seconds were heard since `play`; None when nothing plays."""
        if self._sink is None or self._tape is None:
            return None
        waiting = self._sink.bufferSize() - self._sink.bytesFree()
        return max(0, self._tape.given - waiting) / (SAMPLE_RATE * _FRAME_BYTES)

    def set_volume(self, volume: float) -> None:
        """Set the loudness, 0 to 1."""
        self._volume = volume
        if self._sink is not None:
            self._sink.setVolume(volume)

    def stop(self) -> None:
        """Be silent."""
        if self._sink is not None:
            self._sink.stop()
            self._sink = None
        if self._tape is not None:
            self._tape.close()
            self._tape = None


class Tape(QIODevice):
    """The samples as the device reads them; silence after their end, so that the clock goes on."""

    def __init__(self, samples: np.ndarray) -> None:
        """samples: (n, 2) int16. They are read where they lie: minutes of sound are not copied."""
        super().__init__()
        self._data = memoryview(np.ascontiguousarray(samples).data).cast("B")
        self.given = 0

    def readData(self, maxlen: int) -> bytes:  # noqa: N802
        """Give the next bytes."""
        size = maxlen - maxlen % _FRAME_BYTES
        block = bytes(self._data[self.given : self.given + size])
        self.given += size
        return block + bytes(size - len(block))

    def writeData(self, data: bytes | bytearray | memoryview, len: int) -> int:  # noqa: N802
        """Refuse: this is only read."""
        return -1

    def bytesAvailable(self) -> int:  # noqa: N802
        """Say that there is always more."""
        return 1 << 20

    def isSequential(self) -> bool:  # noqa: N802
        """Say that it is read from start to end."""
        return True
