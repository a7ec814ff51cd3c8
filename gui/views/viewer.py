"""Paints what the player shows: original, take, side by side, wipe, difference, overlay alone, mask."""

from typing import Any, Protocol

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.media.clip import ClipFacts
from gui.media.comparison import difference, laid_over, paint_squares, tinted
from gui.media.player import Player
from gui.models.mode import MODE_KEYS, NEEDS_ALPHA, Mode
from gui.texts import text
from gui.theme import DARK, colour
from gui.views.canvas import make_canvas
from gui.views.framing import Framing

_SHARP_ZOOM = 3.0  # from here on pixels are shown as squares; in memory, where smoothing is slow, from 1 on
_GRIP = 12
_SETTLE_MS = 150
_ON_PICTURE = QColor(DARK.accent)  # in every theme


class PictureTool(Protocol):
    """Something drawn over the picture, that may take the mouse. Places are in pixels of the clip."""

    def paint(self, painter: QPainter, to_screen: QTransform) -> None:
        """Paint over the picture; `to_screen` leads from pixels of the clip to those of the widget."""
        ...

    def press(self, at: QPointF) -> bool:
        """Begin a stroke; False leaves the click to the viewer."""
        ...

    def move(self, at: QPointF, *, is_held: bool) -> Qt.CursorShape | None:
        """Go on, or only hover; return the pointer to show."""
        ...

    def release(self, at: QPointF) -> None:
        """End what `press` began."""
        ...


class Viewer(QWidget):
    """The picture. Wheel zooms, the middle button or Alt with the left one pans, a wipe's edge is dragged."""

    clicked = Signal(QPointF)  # in pixels of the clip

    def __init__(self, player: Player) -> None:
        super().__init__()
        self._player = player
        self.mode = Mode.TAKE
        self.message = ""
        self.blind: tuple[str, str] | None = None  # tracks shown as A and B in place of original and take
        self.take_track = "take"  # the one that is laid over the original
        self.tool: PictureTool | None = None
        self._framing = Framing()
        self._wipe = 0.5
        self._drag: tuple[str, QPointF, QPointF] | None = None
        self._last: dict[str, QImage] = {}
        self.setMinimumSize(320, 180)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # a click leaves the field that was written in
        self.setAccessibleName(text("viewer.name"))
        player.pictures_changed.connect(self.update)
        self._canvas = make_canvas(self, self.paint)
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settle.timeout.connect(self._limit_width)
        player.speed_changed.connect(self._limit_width)
        player.opened.connect(self._limit_width)
        player.range_changed.connect(self._last.clear)

    @property
    def has_alpha(self) -> bool:
        """Whether the take is an overlay."""
        facts = self._facts("take")
        return facts is not None and facts.has_alpha

    def set_mode(self, mode: Mode) -> None:
        """Show something else."""
        self.mode = mode
        self._limit_width()
        self.update()

    def fit(self) -> None:
        """Show the whole picture."""
        self._framing.fit()
        self._limit_width()
        self.update()

    def zoom_to(self, zoom: float) -> None:
        """Show a pixel of the clip as `zoom` pixels of the screen."""
        self._framing.zoom_to(zoom)
        self._limit_width()
        self.update()

    # Painting.

    def update(self, *area: Any) -> None:
        """Paint anew soon, wherever it is drawn."""
        if self._canvas is None:
            super().update(*area)
        else:
            self._canvas.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Paint the frame, unless the GPU does."""
        if self._canvas is None:
            painter = QPainter(self)
            self.paint(painter)
            painter.end()

    def paint(self, painter: QPainter) -> None:
        """Paint the frame."""
        painter.fillRect(self.rect(), colour("stage"))
        for name in self._player.tracks:
            image = self._player.picture(name)
            if image is not None:
                self._last[name] = image
        if not self._last or self.message:
            self._write(painter, self.message or (text("viewer.wait") if self._player.tracks else ""))
            return
        mode = self._possible_mode()
        if mode is Mode.SIDE:
            self._paint_side_by_side(painter)
        elif mode is Mode.WIPE:
            self._paint_wipe(painter)
        else:
            self._paint_pane(painter, self.rect(), mode)

    def _possible_mode(self) -> Mode:
        if "take" not in self._last:
            return Mode.ORIGINAL
        if "original" not in self._last or (self.mode in NEEDS_ALPHA and not self.has_alpha):
            return Mode.TAKE
        return self.mode

    def _paint_side_by_side(self, painter: QPainter) -> None:
        left, right = self._halves()
        if self.blind is None:
            self._paint_pane(painter, left, Mode.ORIGINAL)
            self._paint_pane(painter, right, Mode.TAKE)
            return
        shown = self.take_track
        for pane, track in zip((left, right), self.blind, strict=True):
            self.take_track = track
            self._paint_pane(painter, pane, Mode.TAKE)
        self.take_track = shown

    def _paint_wipe(self, painter: QPainter) -> None:
        edge = round(self.width() * self._wipe)
        for mode, clip in (
            (Mode.ORIGINAL, QRect(0, 0, edge, self.height())),
            (Mode.TAKE, QRect(edge, 0, self.width() - edge, self.height())),
        ):
            painter.save()
            painter.setClipRect(clip)
            self._paint_pane(painter, self.rect(), mode, label_in=clip)
            painter.restore()
        painter.setPen(QPen(_ON_PICTURE, 1.5))
        painter.drawLine(edge, 0, edge, self.height())

    def _paint_pane(self, painter: QPainter, pane: QRect, mode: Mode, label_in: QRect | None = None) -> None:
        painter.save()
        painter.setClipRect(pane if label_in is None else label_in)
        target = self._target(pane)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._is_smooth())
        self._paint_picture(painter, target, mode)
        if self.tool is not None and mode is Mode.ORIGINAL:
            self.tool.paint(painter, self._to_screen(target))
        painter.restore()
        self._paint_label(painter, label_in or pane, mode)

    def _paint_picture(self, painter: QPainter, target: QRectF, mode: Mode) -> None:
        original, take = self._last.get("original"), self._last.get(self.take_track)
        if mode is Mode.ORIGINAL and original is not None:
            painter.drawImage(target, original)
        elif mode is Mode.DIFFERENCE and original is not None and take is not None:
            painter.drawImage(target, difference(original, laid_over(original, take)))
        elif mode is Mode.OVERLAY and take is not None:
            paint_squares(painter, target.toAlignedRect().intersected(self.rect()))
            painter.drawImage(target, take)
        elif mode is Mode.MASK and original is not None and take is not None:
            painter.drawImage(target, original)
            painter.drawImage(target, tinted(take, colour("bad", 150)))
        else:
            if original is not None and (take is None or take.hasAlphaChannel()):
                painter.drawImage(target, original)
            if take is not None:
                painter.drawImage(target, take)

    def _paint_label(self, painter: QPainter, pane: QRect, mode: Mode) -> None:
        if "take" not in self._player.tracks or pane.width() < 60:
            return
        word = text(MODE_KEYS[mode])
        if self.blind is not None:
            word = "AB"[self.blind.index(self.take_track)]
        metrics = painter.fontMetrics()
        box = QRectF(pane.left() + 10, 10, metrics.horizontalAdvance(word) + 16, metrics.height() + 6)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 170))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(QColor("#f0f0f0"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, word)

    def _write(self, painter: QPainter, words: str) -> None:
        painter.setPen(QColor("#a8a8a8"))
        area = self.rect().adjusted(24, 24, -24, -24)
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(area, int(flags), words)

    # Where things are.

    def _facts(self, track: str) -> ClipFacts | None:
        decoder = self._player.decoders.get(track)
        return None if decoder is None else decoder.facts

    def _size(self) -> tuple[int, int]:
        facts = self._facts("original") or self._facts("take")
        return (16, 9) if facts is None else (facts.width, facts.height)

    def _halves(self) -> tuple[QRect, QRect]:
        half = (self.width() - 2) // 2
        return QRect(0, 0, half, self.height()), QRect(half + 2, 0, half, self.height())

    def _pane(self) -> QRect:
        return self._halves()[0] if self.mode is Mode.SIDE else self.rect()

    def _target(self, pane: QRect) -> QRectF:
        return self._framing.target(pane, self._size())

    def _to_screen(self, target: QRectF) -> QTransform:
        scale = target.width() / self._size()[0]
        return QTransform(scale, 0, 0, scale, target.left(), target.top())

    def _in_clip(self, at: QPointF) -> QPointF:
        return self._to_screen(self._target(self._pane())).inverted()[0].map(at)

    def _is_smooth(self) -> bool:
        """Whether pictures are smoothed. Below full size they are decoded at the size they have on screen."""
        return self._canvas is not None and self._framing.zoom < _SHARP_ZOOM

    def _limit_width(self, *_: object) -> None:
        """Decode no more than is seen: the size of the pane while all is shown, every pixel once zoomed."""
        pane = self._pane()
        is_small = self._framing.zoom * self.devicePixelRatioF() < 1
        width = self._target(pane).width() * self.devicePixelRatioF()
        self._player.limit_width(round(width) if is_small else 0)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Decode for the new size once it stays."""
        if self._canvas is not None:
            self._canvas.setGeometry(self.rect())
        self._settle.start()

    # Mouse.

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Zoom about the pointer."""
        notches = event.angleDelta().y() / 120
        self._framing.zoom_about(event.position(), self._pane(), self._size(), notches)
        self._limit_width()
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Begin to pan or to wipe, or click."""
        is_pan = event.button() == Qt.MouseButton.MiddleButton or (
            event.button() == Qt.MouseButton.LeftButton
            and event.modifiers() & Qt.KeyboardModifier.AltModifier
        )
        if is_pan:
            self._drag = ("pan", event.position(), QPointF(self._framing.centre))
        elif self.mode is Mode.WIPE and event.button() == Qt.MouseButton.LeftButton:
            self._drag = ("wipe", event.position(), QPointF())
            self._set_wipe(event.position().x())
        elif event.button() == Qt.MouseButton.LeftButton:
            at = self._in_clip(event.position())
            if self.tool is not None and self.tool.press(at):
                self._drag = ("tool", event.position(), QPointF())
                return
            self.clicked.emit(at)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Pan or wipe, or go on with the tool."""
        if self.tool is not None and (self._drag is None or self._drag[0] == "tool"):
            shape = self.tool.move(self._in_clip(event.position()), is_held=self._drag is not None)
            self.unsetCursor() if shape is None else self.setCursor(shape)
            self.update()
            return
        if self._drag is None:
            is_near = abs(event.position().x() - self.width() * self._wipe) < _GRIP
            shape = Qt.CursorShape.SplitHCursor if self.mode is Mode.WIPE and is_near else None
            self.unsetCursor() if shape is None else self.setCursor(shape)
            return
        kind, start, centre = self._drag
        if kind == "wipe":
            self._set_wipe(event.position().x())
            return
        target = self._target(self._pane())
        moved = event.position() - start
        self._framing.centre_on(
            QPointF(centre.x() - moved.x() / target.width(), centre.y() - moved.y() / target.height())
        )
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """End panning or wiping, or the tool's stroke."""
        if self._drag is not None and self._drag[0] == "tool" and self.tool is not None:
            self.tool.release(self._in_clip(event.position()))
            self.update()
        self._drag = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Change between the whole picture and every pixel."""
        if self.tool is not None and self.tool.press(self._in_clip(event.position())):
            self._drag = ("tool", event.position(), QPointF())
        elif self.mode is not Mode.WIPE:
            self.fit() if self._framing.zoom else self.zoom_to(1.0)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        """Show the usual pointer again."""
        self.unsetCursor()

    def _set_wipe(self, x: float) -> None:
        self._wipe = min(1.0, max(0.0, x / max(1, self.width())))
        self.update()
