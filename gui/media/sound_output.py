"""Plays samples on the sound device, and knows the devices as they come and go.

Playing is pulled by the device, so the device's own clock leads and the picture follows.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from PySide6.QtCore import QIODevice, QObject, Signal

from gui.media.sound import CHANNELS, SAMPLE_RATE

_FRAME_BYTES = 2 * CHANNELS


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


class Loop(NamedTuple):
    """Samples that are played again and again: from `start` up to `stop`."""

    start: int
    stop: int


@functools.cache
def _multimedia() -> Any:
    """Return Qt's multimedia, loaded when it is first needed; None where a library of it is missing."""
    try:
        from PySide6 import QtMultimedia
    except ImportError:  # on Linux it needs libpulse; without it the app is silent
        return None
    return QtMultimedia


def open_device() -> Sink | None:
    """Return the default device, ready for our samples; None where there is none."""
    multimedia = _multimedia()
    if multimedia is None:
        return None
    device = multimedia.QMediaDevices.defaultAudioOutput()
    if device.isNull():
        return None
    form = multimedia.QAudioFormat()
    form.setSampleRate(SAMPLE_RATE)
    form.setChannelCount(CHANNELS)
    form.setSampleFormat(multimedia.QAudioFormat.SampleFormat.Int16)
    return multimedia.QAudioSink(device, form)


class SoundDevices(QObject):
    """Tells when sound goes to another device than before, or to none."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._devices: Any = None
        self._default = b""

    @property
    def has_any(self) -> bool:
        """Whether sound can be heard; before `watch` this is not known."""
        return bool(self._default)

    def watch(self) -> None:
        """Begin to look. Loads a library and asks the machine, so after the window is there."""
        multimedia = _multimedia()
        if multimedia is not None and self._devices is None:
            self._devices = multimedia.QMediaDevices(self)
            self._devices.audioOutputsChanged.connect(self._look)
            self._look()

    def _look(self) -> None:
        device = self._devices.defaultAudioOutput()
        default = b"" if device.isNull() else device.id().data()
        if default != self._default:
            self._default = default
            self.changed.emit()


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

    def play(self, samples: np.ndarray, first: int, loop: Loop | None = None) -> bool:
        """Play from the sample `first`; False when there is no device or nothing to play."""
        self.stop()
        sink = self._open_sink() if len(samples) else None
        if sink is None:
            return False
        self._tape = Tape(samples, first, loop)
        # A buffer of its own would take more than is heard, and the picture would lead by it.
        self._tape.open(QIODevice.OpenModeFlag.ReadOnly | QIODevice.OpenModeFlag.Unbuffered)
        self._sink = sink
        sink.setVolume(self._volume)
        sink.start(self._tape)
        return True

    def heard_s(self) -> float:
        """Return how many seconds were heard since `play`, every round of a loop counted."""
        if self._sink is None or self._tape is None:
            return 0.0
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

    def __init__(self, samples: np.ndarray, first: int, loop: Loop | None) -> None:
        """samples: (n, 2) int16. They are read where they lie: minutes of sound are not copied."""
        super().__init__()
        self._data = memoryview(np.ascontiguousarray(samples).data).cast("B")
        self._at = first * _FRAME_BYTES
        self._loop = None if loop is None else Loop(loop.start * _FRAME_BYTES, loop.stop * _FRAME_BYTES)
        self.given = 0

    def readData(self, maxlen: int) -> bytes:  # noqa: N802
        """Give the next bytes."""
        wanted = maxlen - maxlen % _FRAME_BYTES
        self.given += wanted
        parts: list[bytes] = []
        while wanted:
            parts.append(self._read(wanted))
            wanted -= len(parts[-1])
        return b"".join(parts)

    def _read(self, most: int) -> bytes:
        """Read up to the end of the loop, or `most` bytes."""
        if self._loop is not None:
            if self._at >= self._loop.stop:
                self._at = self._loop.start
            most = min(most, self._loop.stop - self._at)
        block = bytes(self._data[self._at : self._at + most])
        self._at += most
        return block + bytes(most - len(block))

    def writeData(self, data: bytes | bytearray | memoryview, len: int) -> int:  # noqa: N802
        """Refuse: this is only read."""
        return -1

    def bytesAvailable(self) -> int:  # noqa: N802
        """Say that there is always more."""
        return 1 << 20

    def isSequential(self) -> bool:  # noqa: N802
        """Say that it is read from start to end."""
        return True
