"""The strip under the picture: play-head, in and out, waveforms of original and voice."""

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.media.sound import SAMPLE_RATE, peaks_of
from gui.texts import Key, text
from gui.theme import colour

_GRIP = 7
_LANE = 44
_RULER = 18


class Lane:
    """One waveform: samples, where they lie, and its peaks at the width drawn last."""

    def __init__(self, name: Key) -> None:
        self.name: Key = name
        self.samples = np.zeros((0, 2), np.int16)
        self.at = 0.0  # frames from the strip's start
        self._peaks = np.zeros((0, 2))

    def set(self, samples: np.ndarray) -> None:
        """Take in other samples."""
        self.samples = samples
        self._peaks = np.zeros((0, 2))

    def peaks(self, width: int) -> np.ndarray:
        """Return (width, 2) peaks."""
        if len(self._peaks) != width:
            self._peaks = peaks_of(self.samples, width)
        return self._peaks


class Strip(QWidget):
    """Frames from left to right."""

    sought = Signal(int)
    range_dragged = Signal(int, int)
    voice_dragged = Signal(int)

    def __init__(self, lanes: tuple[Key, ...] = (), *, is_editable: bool = False) -> None:
        super().__init__()
        self.lanes = [Lane(name) for name in lanes]
        self.count = 0
        self.rate = 25.0
        self.position = 0
        self.in_ = 0
        self.out = 0
        self._is_editable = is_editable
        self._drag = ""
        self._grabbed = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAccessibleName(text("strip.name"))

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as its lanes."""
        return QSize(400, _RULER + _LANE * len(self.lanes))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """As high as its lanes."""
        return QSize(120, self.sizeHint().height())

    def show_range(self, *, count: int, rate: float, in_: int, out: int) -> None:
        """Show another stretch."""
        self.count, self.rate, self.in_, self.out = count, rate, in_, out
        self.update()

    def show_position(self, frame: int) -> None:
        """Move the play-head."""
        self.position = frame
        self.update()

    # Painting.

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Paint the strip."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), colour("field"))
        if self.count == 0:
            return
        for number, lane in enumerate(self.lanes):
            self._paint_lane(painter, lane, _RULER + number * _LANE)
        left, right = self._x(self.in_), self._x(self.out)
        for shade in (
            QRectF(0, 0, left, self.height()),
            QRectF(right, 0, self.width() - right, self.height()),
        ):
            painter.fillRect(shade, colour("window", 170))
        painter.fillRect(QRectF(left, 0, right - left, 4), colour("accent"))
        self._paint_ticks(painter)
        self._paint_names(painter)
        painter.setPen(QPen(colour("accent"), 2))
        for x in (left + 1, right - 1):
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        self._paint_head(painter)

    def _paint_ticks(self, painter: QPainter) -> None:
        painter.setPen(colour("muted"))
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        step = next(
            (
                s
                for s in (1, 2, 5, 10, 30, 60, 300, 600, 3600)
                if s * self.rate / self.count * self.width() > 60
            ),
            3600,
        )
        for second in range(0, int(self.count / self.rate) + 1, step):
            x = self._x(second * self.rate)
            painter.drawLine(QPointF(x, _RULER - 5), QPointF(x, _RULER - 1))
            if x < self.width() - 34:
                painter.drawText(QPointF(x + 3, _RULER - 4), f"{second // 60}:{second % 60:02}")

    def _paint_lane(self, painter: QPainter, lane: Lane, top: int) -> None:
        painter.setPen(colour("line"))
        painter.drawLine(0, top, self.width(), top)
        middle = top + _LANE / 2
        if len(lane.samples):
            left = self._x(lane.at)
            length = len(lane.samples) / SAMPLE_RATE * self.rate
            width = max(1, round(self._x(lane.at + length) - left))
            painter.setPen(QPen(colour("muted" if lane is self.lanes[0] else "good"), 1))
            half = _LANE / 2 - 3
            for x, (low, high) in enumerate(lane.peaks(width)):
                if 0 <= left + x <= self.width():
                    top_y, low_y = middle - high * half, middle - low * half
                    painter.drawLine(QPointF(left + x, top_y), QPointF(left + x, max(low_y, top_y + 1)))

    def _paint_names(self, painter: QPainter) -> None:
        painter.setPen(colour("muted"))
        for number, lane in enumerate(self.lanes):
            painter.drawText(QPointF(6, _RULER + number * _LANE + 13), text(lane.name))

    def _paint_head(self, painter: QPainter) -> None:
        x = self._x(self.position + 0.5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colour("text"), 1))
        painter.drawLine(QPointF(x, 6), QPointF(x, self.height()))
        painter.setBrush(colour("text"))
        painter.drawPolygon(QPolygonF([QPointF(x - 5, 0), QPointF(x + 5, 0), QPointF(x, 8)]))

    def _x(self, frame: float) -> float:
        return frame / max(1, self.count) * self.width()

    def _frame(self, x: float) -> float:
        return x / max(1, self.width()) * self.count

    # Mouse.

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Take hold of in, out, the voice, or the play-head."""
        if self.count and event.button() == Qt.MouseButton.LeftButton:
            self._drag = self._part_at(event.position())
            self._grabbed = self._frame(event.position().x())
            self._drag_to(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Move what is held."""
        if self._drag:
            self._drag_to(event.position())
            return
        part = self._part_at(event.position())
        shapes = {"in": Qt.CursorShape.SizeHorCursor, "out": Qt.CursorShape.SizeHorCursor}
        self.setCursor(shapes.get(part, Qt.CursorShape.ArrowCursor))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Let go."""
        self._drag = ""

    def _part_at(self, at: QPointF) -> str:
        if self._is_editable:
            if abs(at.x() - self._x(self.in_)) < _GRIP:
                return "in"
            if abs(at.x() - self._x(self.out)) < _GRIP:
                return "out"
            is_voice = len(self.lanes) > 1 and at.y() > _RULER + _LANE and len(self.lanes[1].samples)
            if is_voice:
                return "voice"
        return "head"

    def _drag_to(self, at: QPointF) -> None:
        frame = self._frame(at.x())
        near = min(self.count, max(0, round(frame)))
        match self._drag:
            case "in":
                self.range_dragged.emit(min(near, self.out - 1), self.out)
            case "out":
                self.range_dragged.emit(self.in_, max(near, self.in_ + 1))
            case "voice":
                moved = round(frame - self._grabbed)
                if moved:
                    self._grabbed += moved
                    self.voice_dragged.emit(round(self.lanes[1].at) + moved)
            case _:
                self.sought.emit(min(self.count - 1, max(0, int(frame))))
