"""One waveform of the time strip, drawn once for each place and size and kept as a picture."""

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter

from gui.models.clips import PEAKS_A_SECOND, SILENT, Sound, sound_of
from gui.texts import Key

_INSET = 3  # px above and below the loudest
_MOST_GAIN = 12.0  # quiet sounds are drawn larger, up to so many times


class Lane:
    """A sound, and where its first sample lies, in frames from the strip's start."""

    def __init__(self, name: Key) -> None:
        self.name: Key = name
        self.at = 0.0
        self.sound: Sound = SILENT
        self._gain = 1.0
        self._kept: dict[tuple[object, ...], QImage] = {}

    def set(self, samples: np.ndarray) -> None:
        """Take in other samples, (n, 2) int16 at 48 kHz."""
        self.show(sound_of(samples))

    def show(self, sound: Sound) -> None:
        """Take in another sound."""
        if sound is not self.sound:
            self.sound = sound
            loudest = float(np.abs(sound.peaks).max(initial=0.0))
            self._gain = min(_MOST_GAIN, 1 / loudest) if loudest > 0 else 1.0
            self._kept.clear()

    def paint(
        self,
        painter: QPainter,
        area: QRectF,
        *,
        at: float,
        first: float,
        shown: float,
        rate: float,
        tint: QColor,
    ) -> None:
        """Paint the sound as if it lay at `at`; `area` shows `shown` frames from `first` on."""
        if len(self.sound.peaks) == 0 or shown <= 0:
            return
        scale = painter.device().devicePixelRatioF()
        size = (max(1, round(area.width() * scale)), max(1, round(area.height() * scale)))
        key = (at, first, shown, rate, size, tint.rgba())
        if key not in self._kept:
            if len(self._kept) > 3:
                self._kept.clear()
            self._kept[key] = self._draw(size, (first - at) / rate, shown / rate, tint)
        painter.drawImage(area, self._kept[key])

    def _draw(self, size: tuple[int, int], first_s: float, shown_s: float, tint: QColor) -> QImage:
        width, height = size
        edges = (first_s + np.arange(width + 1) / width * shown_s) * PEAKS_A_SECOND
        low, high = (peaks * self._gain for peaks in self._columns(edges))
        middle, half = height / 2, height / 2 - _INSET
        rows = np.arange(height)[:, None] + 0.5
        is_inside = (rows >= middle - high * half - 0.5) & (rows <= middle - low * half + 0.5)
        is_inside &= ~np.isnan(low)
        pixels = np.zeros((height, width), np.uint32)
        share = tint.alpha()
        premultiplied = [share, *(part * share // 255 for part in (tint.red(), tint.green(), tint.blue()))]
        pixels[is_inside] = int.from_bytes(bytes(premultiplied), "big")
        return QImage(pixels.data, width, height, QImage.Format.Format_ARGB32_Premultiplied).copy()

    def _columns(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the most between each two edges (in peaks); NaN where there is no sound."""
        peaks = self.sound.peaks
        starts = np.clip(np.floor(edges[:-1]).astype(int), 0, len(peaks) - 1)
        is_there = (edges[1:] > 0) & (edges[:-1] < len(peaks))
        low, high = np.full(len(starts), np.nan), np.full(len(starts), np.nan)
        chosen = starts[is_there]
        if len(chosen):
            stop = min(len(peaks), int(np.ceil(edges[1:][is_there][-1])))
            inside = peaks[: max(stop, chosen[-1] + 1)]
            low[is_there] = np.minimum.reduceat(inside[:, 0], chosen)
            high[is_there] = np.maximum.reduceat(inside[:, 1], chosen)
        return low, high
