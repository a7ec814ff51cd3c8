"""A shot's sound as its take will carry it, mixed off the window's thread; only the latest wish counts."""

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QObject, Signal

from gui.media.background import Background
from gui.media.clip import ClipFacts
from gui.media.sound import SAMPLE_RATE
from gui.models.clips import SILENT, Sound, mix
from gui.models.shot import Shot


@dataclass(frozen=True, eq=False)
class _Wish:
    original: Sound
    voice: Sound
    samples: tuple[int, int, int, int]  # length of the clip, in, out, where the voice begins

    def is_like(self, other: "_Wish | None") -> bool:
        return other is not None and (self.original, self.voice, self.samples) == (
            other.original,
            other.voice,
            other.samples,
        )


class SoundMix(QObject):
    """Mixes what is wished for and tells of it."""

    ready = Signal(np.ndarray)

    def __init__(self, background: Background) -> None:
        super().__init__()
        self._background = background
        self._wish: _Wish | None = None
        self._made: _Wish | None = None
        self._is_busy = False

    def want(self, shot: Shot, facts: ClipFacts, original: Sound | None, voice: Sound | None) -> None:
        """Ask for the sound of a shot."""
        places = (facts.frame_count, shot.in_, shot.out, shot.voice_frame)
        samples = tuple(round(place / facts.rate * SAMPLE_RATE) for place in places)
        self._wish = _Wish(original or SILENT, voice or SILENT, samples)  # pyright: ignore[reportArgumentType]
        self._go_on()

    def forget(self) -> None:
        """Another clip is loaded: what was mixed before counts for nothing."""
        self._made = None

    def _go_on(self) -> None:
        wish = self._wish
        if wish is None or self._is_busy or wish.is_like(self._made):
            return
        self._is_busy, self._made = True, wish
        length, start, stop, at = wish.samples
        self._background.run(
            lambda: mix(wish.original, wish.voice, length=length, start=start, stop=stop, at=at), self._take
        )

    def _take(self, samples: np.ndarray) -> None:
        self._is_busy = False
        if self._made is not None:
            self.ready.emit(samples)
        self._go_on()
