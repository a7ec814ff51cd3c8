"""Plays an original and a take in step: one frame number, one clock, as many decoders as there are pictures.

Without widgets. The sound device's clock leads where there is one and the speed is 1; else the machine's,
which also takes over when the device stands still: it was unplugged, or its server went away.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QImage

from gui.media.decoder import Decoder
from gui.media.sound import SAMPLE_RATE
from gui.media.sound_output import Loop, Sink, SoundOutput, open_device

MAX_SPEED = 8
_TICK_MS = 5
_WAKING_S = 3.0  # so long a device may take before anything is heard: some, and wireless ones, wake slowly
_STANDING_S = 0.5  # a device that was heard and then stands still for so long is gone
_FIRST_HEARD_S = 0.1


@dataclass(frozen=True)
class Track:
    """A clip on the player: frame k of the player is frame k + `offset` of the clip."""

    path: Path
    offset: int = 0


class Player(QObject):
    """Position, speed, loop; pictures by track name ("original", "take")."""

    position_changed = Signal(int)
    speed_changed = Signal(int)
    pictures_changed = Signal()
    range_changed = Signal()
    opened = Signal(str)
    failed = Signal(str, str)

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        open_sink: Callable[[], Sink | None] = open_device,
    ) -> None:
        """clock: seconds, for when no sound leads. open_sink: where sound goes to."""
        super().__init__(parent)
        self._clock = clock
        self.tracks: dict[str, Track] = {}
        self.decoders: dict[str, Decoder] = {}
        self.rate = Fraction(25)
        self.count = 0
        self.position = 0
        self.speed = 0
        self.is_looping = True
        self.dropped = 0
        self.in_ = 0
        self.out = 0
        self._sound = SoundOutput(self, open_sink=open_sink)
        self._samples: np.ndarray | None = None
        self._has_sound_clock = False
        self._heard = (0.0, 0.0)  # seconds of sound, and when that was last another figure
        self._started_at = (0.0, 0)
        self._heading = 0  # where the last step went: what lies there is decoded first
        self._scaled_width = 0
        self._is_closed = False
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)

    def load(self, tracks: dict[str, Track], *, rate: Fraction, count: int) -> None:
        """Show other clips from their first frame; `count` frames at `rate`. Nothing once it is closed."""
        if self._is_closed:
            return
        self.stop()
        self._replace_decoders(tracks)
        self.rate, self.count = rate, count
        self.in_, self.out = 0, count
        self._samples = None
        self.position = 0
        self.range_changed.emit()
        self.seek(0)

    def unload(self) -> None:
        """Show nothing."""
        self.load({}, rate=Fraction(25), count=0)

    def close(self) -> None:
        """Stop, and end every thread."""
        self._is_closed = True
        self.stop()
        self._replace_decoders({})

    def set_sound(self, samples: np.ndarray) -> None:
        """Give the sound of the whole stretch: (n, 2) int16 at 48 kHz, its first sample at frame 0."""
        self._samples = samples
        self._go_on()

    def set_range(self, in_: int, out: int) -> None:
        """Set the half-open range that is looped."""
        self.in_, self.out = max(0, in_), min(self.count, out)
        self.range_changed.emit()
        self._go_on()

    def set_looping(self, is_looping: bool) -> None:
        """Say whether it begins anew at the out point."""
        self.is_looping = is_looping
        self._go_on()

    def renew_sound(self) -> None:
        """Go on with the sound device there is now."""
        self._go_on()

    def set_volume(self, volume: float) -> None:
        """Set the loudness, 0 to 1."""
        self._sound.set_volume(volume)

    def limit_width(self, scaled_width: int) -> None:
        """Decode pictures as wide as this (0: as they are)."""
        self._scaled_width = scaled_width
        for decoder in self.decoders.values():
            decoder.limit_width(scaled_width)

    def picture(self, track: str) -> QImage | None:
        """Return a track's picture at the position, if it is decoded."""
        return self._picture_at(track, self.position)

    def seek(self, frame: int) -> None:
        """Go to a frame."""
        self._heading = 0
        self._go_to(frame)

    def rest(self) -> None:
        """Stop, and let go of the pictures until the next `seek`: nobody looks."""
        self.stop()
        for decoder in self.decoders.values():
            decoder.rest()

    def step(self, frames: int) -> None:
        """Stop and go some frames on, or back."""
        self.stop()
        self._heading = -1 if frames < 0 else 1
        self._go_to(self.position + frames)

    def toggle(self) -> None:
        """Play, or stop."""
        if self.speed:
            self.stop()
        else:
            self.play(1)

    def shuttle(self, direction: int) -> None:
        """Play in a direction; each further call doubles the speed (the J and L keys)."""
        if self.speed * direction > 0:
            self.play(max(-MAX_SPEED, min(MAX_SPEED, self.speed * 2)))
        else:
            self.play(direction)

    def play(self, speed: int) -> None:
        """Play at a speed: 1 is as shot, negative is backwards."""
        if self.count == 0:
            return
        if speed > 0 and self.position >= self.out - 1:
            self.position = self.in_
        self.speed = speed
        self.dropped = 0
        self._restart_clock()
        self._timer.start()
        self.speed_changed.emit(speed)

    def stop(self) -> None:
        """Stop where it is."""
        self._timer.stop()
        self._sound.stop()
        if self.speed:
            self.speed = 0
            self._want()
            self.speed_changed.emit(0)

    def _go_to(self, frame: int) -> None:
        self.position = min(max(0, frame), max(0, self.count - 1))
        self._want()
        self.position_changed.emit(self.position)
        self.pictures_changed.emit()
        self._go_on()

    def _go_on(self) -> None:
        """If it plays, play on from here as things are now."""
        if self.speed:
            self._restart_clock()

    def _restart_clock(self) -> None:
        self._sound.stop()
        self._has_sound_clock = False
        if self.speed == 1 and self._samples is not None:
            first, start, stop = (self._sample_at(frame) for frame in (self.position, self.in_, self.out))
            loop = Loop(start, stop) if self.is_looping and start < stop else None
            self._has_sound_clock = self._sound.play(self._samples, first, loop)
        now = self._clock()
        self._heard, self._started_at = (0.0, now), (now, self.position)

    def _sample_at(self, frame: int) -> int:
        return round(frame / self.rate * SAMPLE_RATE)

    def _tick(self) -> None:
        passed = int(self._elapsed_s() * self.speed * float(self.rate))
        due = self._started_at[1] + passed
        is_over = due >= self.out if self.speed > 0 else due < self.in_
        if is_over and not self.is_looping:
            self.stop()
            self.seek(min(max(due, self.in_), self.out - 1))
            return
        if is_over:
            due = self._in_loop(due)
        if due != self.position:
            self._show(due)

    def _elapsed_s(self) -> float:
        """Return the seconds since it began to play, by the clock that leads."""
        if self._has_sound_clock:
            heard, now = self._sound.heard_s(), self._clock()
            if heard != self._heard[0]:
                self._heard = (heard, now)
            patience = _STANDING_S if heard > _FIRST_HEARD_S else _WAKING_S
            if now - self._heard[1] < patience:
                return heard
            self._sound.stop()
            self._has_sound_clock = False
            self._started_at = (now, self.position)
        return self._clock() - self._started_at[0]

    def _show(self, due: int) -> None:
        """Show the frame that is due if all its pictures are there; else the latest that is whole."""
        ahead = 1 if self.speed > 0 else -1
        for decoder, track in zip(self.decoders.values(), self.tracks.values(), strict=True):
            loop = (self.in_ + track.offset, self.out + track.offset) if self.is_looping else None
            decoder.want(due + track.offset, direction=ahead, loop=loop)
        passed = [self.position + ahead * n for n in range(1, self._frames_to(due) + 1)]
        for late, frame in enumerate(reversed([self._in_loop(frame) for frame in passed])):
            if all(self._picture_at(name, frame) is not None for name in self.tracks):
                self.dropped += len(passed) - late - 1 if abs(self.speed) == 1 else 0
                self.position = frame
                self.position_changed.emit(frame)
                self.pictures_changed.emit()
                return

    def _frames_to(self, due: int) -> int:
        """Return how many frames on in the direction of play a frame is."""
        ahead = due - self.position if self.speed > 0 else self.position - due
        return ahead if ahead > 0 else ahead + self.out - self.in_

    def _in_loop(self, frame: int) -> int:
        """Return the frame that is shown when a loop has run over its end."""
        is_over = frame >= self.out if self.speed > 0 else frame < self.in_
        return self.in_ + (frame - self.in_) % max(1, self.out - self.in_) if is_over else frame

    def _picture_at(self, track: str, frame: int) -> QImage | None:
        decoder = self.decoders.get(track)
        return None if decoder is None else decoder.picture(frame + self.tracks[track].offset)

    def _want(self) -> None:
        for name, decoder in self.decoders.items():
            decoder.want(self.position + self.tracks[name].offset, direction=self._heading)

    def _replace_decoders(self, tracks: dict[str, Track]) -> None:
        """Keep the decoders whose clip stays, end the others."""
        old, self.decoders, self.tracks = self.decoders, {}, dict(tracks)
        for name, track in tracks.items():
            kept = old.get(name)
            if kept is not None and kept.path == track.path and not kept.error:
                self.decoders[name] = old.pop(name)
                continue
            decoder = Decoder(track.path)
            decoder.limit_width(self._scaled_width)
            decoder.ready.connect(self._on_ready)
            decoder.opened.connect(lambda name=name: self.opened.emit(name))
            decoder.failed.connect(lambda text, name=name: self.failed.emit(name, text))
            self.decoders[name] = decoder
        for decoder in old.values():
            decoder.close()

    def _on_ready(self, frame: int) -> None:
        if any(frame == self.position + track.offset for track in self.tracks.values()):
            self.pictures_changed.emit()
