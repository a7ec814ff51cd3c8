"""The strip under the picture: play-head, in and out, ranges left alone, waveforms of original and voice."""

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.models.clips import SILENT, Sound
from gui.texts import Key, text
from gui.theme import colour
from gui.views.lane import Lane

_GRIP = 7
_LANE = 46
_RULER = 18
_MARKS = 14  # height of the row of ranges left alone
_DRIFT = 4
_LEAST_SHOWN = 12  # frames
_TICKS_S = (1, 2, 5, 10, 30, 60, 300, 600, 3600)


@dataclass(frozen=True)
class Proposal:
    """Where a reading fits: `at` in frames, and (in, out, drift in frames) of its stretches there."""

    at: float
    drifts: list[tuple[int, int, float]]


class Strip(QWidget):
    """Frames from left to right; the wheel with Ctrl shows fewer or more of them, alone it moves along."""

    sought = Signal(int)
    range_dragged = Signal(int, int, str)  # in, out, and a word that joins the edits of one drag
    voice_dragged = Signal(int, str)
    marks_edited = Signal(list, str)  # the ranges that are wanted, and a word that joins edits

    def __init__(self, lanes: tuple[Key, ...] = (), *, is_editable: bool = False) -> None:
        super().__init__()
        self.lanes = [Lane(name) for name in lanes]
        self.count = 0
        self.rate = 25.0
        self.position = 0
        self.in_ = 0
        self.out = 0
        self.marks: list[tuple[int, int]] = []
        self.proposal: Proposal | None = None
        self._first, self._shown = 0.0, 0.0
        self._is_editable = is_editable
        self._drag = ""
        self._grabbed = 0.0
        self._held_mark = (0, 0)
        self._drags = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(text("strip.name"))

    @property
    def _top(self) -> int:
        """Where the lanes begin."""
        return _RULER + (_MARKS if self._is_editable else 0)

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as its lanes."""
        return QSize(400, self._top + _LANE * len(self.lanes))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """As high as its lanes."""
        return QSize(120, self.sizeHint().height())

    def show_range(self, *, count: int, rate: float, in_: int, out: int) -> None:
        """Show another stretch; all of it when it is of another length."""
        if count != self.count:
            self._first, self._shown = 0.0, float(count)
        self.count, self.rate, self.in_, self.out = count, rate, in_, out
        self.update()

    def show_shot(
        self, sounds: tuple[Sound | None, Sound | None], *, voice_at: float, marks: list[tuple[int, int]]
    ) -> None:
        """Show the sounds of original and voice, where the voice lies, and the ranges left alone."""
        for lane, sound in zip(self.lanes, sounds, strict=True):
            lane.show(sound or SILENT)
        self.lanes[1].at, self.marks = voice_at, marks
        self.update()

    def show_position(self, frame: int) -> None:
        """Move the play-head, and bring it into view."""
        self.position = frame
        if not self._drag and not self._first <= frame < self._first + self._shown:
            self._look_at(frame - self._shown * 0.1, self._shown)
        self.update()

    def zoom(self, factor: float, around: float) -> None:
        """Show fewer frames (above 1) or more; the frame `around` stays where it is."""
        shown = min(float(self.count), max(float(min(_LEAST_SHOWN, self.count)), self._shown / factor))
        self._look_at(around - (around - self._first) * shown / max(self._shown, 1e-6), shown)

    def _look_at(self, first: float, shown: float) -> None:
        self._first, self._shown = min(max(0.0, first), self.count - shown), shown
        self.update()

    # Painting.

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Paint the strip."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), colour("field"))
        if self.count == 0:
            return
        for number, lane in enumerate(self.lanes):
            self._paint_lane(painter, lane, self._top + number * _LANE)
        self._paint_proposal(painter)
        left, right = self._x(self.in_), self._x(self.out)
        for shade in (
            QRectF(0, 0, left, self.height()),
            QRectF(right, 0, self.width() - right, self.height()),
        ):
            if shade.width() > 0:
                painter.fillRect(shade, colour("window", 170))
        painter.fillRect(QRectF(left, 0, right - left, 3), colour("accent"))
        self._paint_ticks(painter)
        self._paint_names(painter)
        self._paint_marks(painter)
        painter.setPen(QPen(colour("accent"), 2))
        for x in (left + 1, right - 1):
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        self._paint_head(painter)

    def _paint_ticks(self, painter: QPainter) -> None:
        painter.setPen(colour("muted"))
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        second_px = self.rate / max(self._shown, 1e-6) * self.width()
        step = next((step for step in _TICKS_S if step * second_px > 60), _TICKS_S[-1])
        first = int(self._first / self.rate / step) * step
        for second in range(first, int((self._first + self._shown) / self.rate) + 1, step):
            x = self._x(second * self.rate)
            painter.drawLine(QPointF(x, _RULER - 5), QPointF(x, _RULER - 1))
            if x < self.width() - 34:
                painter.drawText(QPointF(x + 6, _RULER - 5), f"{second // 60}:{second % 60:02}")

    def _paint_lane(self, painter: QPainter, lane: Lane, top: int) -> None:
        painter.setPen(colour("line"))
        painter.drawLine(0, top, self.width(), top)
        is_leaving = self.proposal is not None and round(self.proposal.at) != round(lane.at)
        tint = colour("muted") if lane is self.lanes[0] else colour("good", 80 if is_leaving else 255)
        self._paint_sound(painter, lane, top, lane.at, tint)

    def _paint_sound(self, painter: QPainter, lane: Lane, top: int, at: float, tint: QColor) -> None:
        area = QRectF(0, top + 1, self.width(), _LANE - 2)
        lane.paint(painter, area, at=at, first=self._first, shown=self._shown, rate=self.rate, tint=tint)

    def _paint_proposal(self, painter: QPainter) -> None:
        """Show where the reading would lie, and how far its stretches drift there."""
        if self.proposal is None or len(self.lanes) < 2:
            return
        top, lane = self._top + _LANE, self.lanes[1]
        if round(self.proposal.at) != round(lane.at):
            self._paint_sound(painter, lane, top, self.proposal.at, colour("accent"))
        for first, stop, drift in self.proposal.drifts:
            word = "good" if abs(drift) <= 1.5 else "warn" if abs(drift) <= 4 else "bad"
            left, right = self._x(first), self._x(stop)
            painter.fillRect(
                QRectF(left, top + _LANE - _DRIFT, max(2.0, right - left - 1), _DRIFT), colour(word)
            )

    def _paint_names(self, painter: QPainter) -> None:
        painter.setPen(colour("muted"))
        metrics = painter.fontMetrics()
        for number, lane in enumerate(self.lanes):
            name = text(lane.name)
            top = self._top + number * _LANE
            painter.fillRect(
                QRectF(2, top + 2, metrics.horizontalAdvance(name) + 8, 13), colour("field", 190)
            )
            painter.drawText(QPointF(6, top + 12), name)

    def _paint_marks(self, painter: QPainter) -> None:
        if not self._is_editable:
            return
        painter.setPen(colour("line"))
        painter.drawLine(0, _RULER, self.width(), _RULER)
        if not self.marks:
            painter.setPen(colour("muted"))
            painter.drawText(QPointF(6, _RULER + 11), text("strip.marks_hint"))
        for first, stop in self.marks:
            left, right = self._x(first), self._x(stop)
            painter.fillRect(QRectF(left, _RULER + 2, right - left, _MARKS - 3), colour("warn"))
            hatch = QBrush(colour("warn", 90), Qt.BrushStyle.BDiagPattern)
            painter.fillRect(QRectF(left, self._top, right - left, self.height() - self._top), hatch)
            painter.setPen(colour("on_accent"))
            word = text("strip.mark")
            if painter.fontMetrics().horizontalAdvance(word) < right - left - 8:
                painter.drawText(QPointF(left + 4, _RULER + 11), word)

    def _paint_head(self, painter: QPainter) -> None:
        x = self._x(self.position + 0.5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colour("text"), 1))
        painter.drawLine(QPointF(x, 6), QPointF(x, self.height()))
        painter.setBrush(colour("text"))
        painter.drawPolygon(QPolygonF([QPointF(x - 5, 0), QPointF(x + 5, 0), QPointF(x, 8)]))

    def _x(self, frame: float) -> float:
        return (frame - self._first) / max(1e-6, self._shown) * self.width()

    def _frame(self, x: float) -> float:
        return self._first + x / max(1, self.width()) * self._shown

    # Mouse.

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Show fewer or more frames, or others."""
        if self.count == 0:
            return
        turned = event.angleDelta().y() or event.angleDelta().x()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(1.25 ** (turned / 120), self._frame(event.position().x()))
        else:
            self._look_at(self._first - turned / 120 * self._shown * 0.1, self._shown)
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Take hold of in, out, the voice, a range left alone, or the play-head."""
        if self.count == 0 or event.button() != Qt.MouseButton.LeftButton:
            return
        at = event.position()
        self._drag = self._part_at(at)
        self._grabbed = self._frame(at.x())
        self._drags += 1
        if self._drag.startswith("mark"):
            self._held_mark = self._mark_at(at) or self._new_mark(at)
        else:
            self._drag_to(at)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Remove a range left alone."""
        mark = self._mark_at(event.position())
        if mark is None:
            self.mousePressEvent(event)
            return
        self._drag = ""
        self.marks_edited.emit([other for other in self.marks if other != mark], "")

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Move what is held."""
        if self._drag:
            self._drag_to(event.position())
            return
        part = self._part_at(event.position())
        sideways, hand = Qt.CursorShape.SizeHorCursor, Qt.CursorShape.OpenHandCursor
        shapes = {"in": sideways, "out": sideways, "mark in": sideways, "mark out": sideways, "voice": hand}
        self.setCursor(shapes.get(part, Qt.CursorShape.ArrowCursor))
        self.setToolTip(self._hint(part, self._frame(event.position().x())))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Let go."""
        self._drag = ""

    def _hint(self, part: str, frame: float) -> str:
        if part.startswith("mark"):
            return text("strip.marks_tip")
        drifts = [] if part != "voice" or self.proposal is None else self.proposal.drifts
        late = next((drift for first, stop, drift in drifts if first <= frame < stop), None)
        return "" if late is None else text("strip.drift", ms=f"{1000 * late / self.rate:+.0f}")

    def _part_at(self, at: QPointF) -> str:
        if not self._is_editable:
            return "head"
        if _RULER <= at.y() < self._top:
            return self._mark_part(at)
        if abs(at.x() - self._x(self.in_)) < _GRIP:
            return "in"
        if abs(at.x() - self._x(self.out)) < _GRIP:
            return "out"
        is_voice = len(self.lanes) > 1 and at.y() > self._top + _LANE and len(self.lanes[1].sound.peaks)
        return "voice" if is_voice else "head"

    def _mark_part(self, at: QPointF) -> str:
        mark = self._mark_at(at)
        if mark is None:
            return "mark new"
        if abs(at.x() - self._x(mark[0])) < _GRIP:
            return "mark in"
        return "mark out" if abs(at.x() - self._x(mark[1])) < _GRIP else "mark"

    def _mark_at(self, at: QPointF) -> tuple[int, int] | None:
        if not (self._is_editable and _RULER <= at.y() < self._top):
            return None
        near = (m for m in self.marks if self._x(m[0]) - _GRIP < at.x() < self._x(m[1]) + _GRIP)
        return next(near, None)

    def _new_mark(self, at: QPointF) -> tuple[int, int]:
        frame = min(self.count - 1, max(0, int(self._frame(at.x()))))
        return frame, frame

    def _drag_to(self, at: QPointF) -> None:
        frame = self._frame(at.x())
        near = min(self.count, max(0, round(frame)))
        match self._drag:
            case "in":
                self.range_dragged.emit(min(near, self.out - 1), self.out, f"in {self._drags}")
            case "out":
                self.range_dragged.emit(self.in_, max(near, self.in_ + 1), f"out {self._drags}")
            case "voice":
                moved = round(frame - self._grabbed)
                if moved:
                    self._grabbed += moved
                    self.voice_dragged.emit(round(self.lanes[1].at) + moved, f"voice {self._drags}")
            case "head":
                self.sought.emit(min(self.count - 1, max(0, int(frame))))
            case _:
                self._drag_mark(frame, near)

    def _drag_mark(self, frame: float, near: int) -> None:
        first, stop = self._held_mark
        match self._drag:
            case "mark in":
                changed = (min(near, stop - 1), stop)
            case "mark out":
                changed = (first, max(near, first + 1))
            case "mark new":
                start = int(self._grabbed)
                changed = (min(start, near), max(start + 1, near))
            case _:
                moved = round(frame - self._grabbed)
                self._grabbed += moved
                changed = (max(0, first + moved), max(0, first + moved) + stop - first)
        if changed != self._held_mark:
            others = [mark for mark in self.marks if mark != self._held_mark]
            self._held_mark = changed
            self.marks_edited.emit([*others, changed], f"marks {self._drags}")
