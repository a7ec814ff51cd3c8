"""The mask over the picture: shown as the daemon will draw it, moved and painted out with the mouse."""

import math
from enum import Enum

import msgspec
from PySide6.QtCore import QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QPainter,
    QPainterPath,
    QPainterPathStroker,
    QPen,
    QPolygonF,
    QTransform,
)

from daemon.protocol.jobs import MASK_LIMITS, PAINT_LIMITS, MaskSpec, PaintOut
from gui.models.faces import PLAIN, SIDE, Outline, tinted
from gui.models.polyline import simplified
from gui.theme import DARK

BRUSH = 0.12  # of the face's width, at first
BRUSH_STEP = 1.2
BRUSH_LIMITS = (0.02, 0.6)
_TINT, _INK, _WET = QColor(DARK.bad), QColor(DARK.warn), QColor(DARK.warn)  # on pictures, in every theme
_TINT.setAlpha(120)
_WASH = QColor(_INK)
_WASH.setAlpha(50)
_WET.setAlpha(110)
_SCREEN = QRectF(-2000, -2000, 8000, 8000)  # beyond it nothing is drawn, however near the picture is seen
_TOLERANCE = 0.4  # px of the mask's picture
_SMOOTH = 0.25  # of the brush: points of a stroke nearer to each other are left out


class Hand(Enum):
    """What the mouse does to the mask."""

    LOOK = "look"
    MOVE = "move"
    BRUSH = "brush"
    LASSO = "lasso"
    RESTORE = "restore"


class MaskTool(QObject):
    """A PictureTool (gui/views/viewer.py). Edits are told of, never made here."""

    edited = Signal(
        object, str
    )  # the MaskSpec that is wanted, and a word that joins edits to one step of undo
    brush_changed = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.hand = Hand.LOOK
        self.is_shown = False
        self.frame = 0
        self.lasts: tuple[int | None, int | None] = (None, None)  # from and up to which frame a stroke counts
        self.brush = BRUSH
        self._mask = PLAIN
        self._outline: Outline | None = None
        self._scale = 1.0  # pixels of the mask's picture in one of the clip as shown
        self._points: list[QPointF] = []  # of the stroke under way, in the mask's picture
        self._grabbed: tuple[QPointF, tuple[float, float]] | None = None
        self._at: QPointF | None = None
        self._strokes = 0
        self._drawn: tuple[object, QImage] | None = None
        self._dry: tuple[object, list[PaintOut], QPointF, QImage] | None = None

    def show_mask(self, mask: MaskSpec | None, outline: Outline | None, width: int) -> None:
        """Show the mask of another shot or face; `width` is that of the clip as shown."""
        self._mask, self._outline = mask or PLAIN, outline
        self._scale = outline.size[0] / max(1, width) if outline is not None else 1.0
        self._drawn = None

    # Painting.

    def paint(self, painter: QPainter, to_screen: QTransform) -> None:
        """Paint the mask, what is painted out of it, and the brush."""
        if not self.is_shown or self._outline is None:
            return
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        to_screen = QTransform.fromScale(1 / self._scale, 1 / self._scale) * to_screen
        place = self._outline.to_picture(self.frame)
        if place is not None:
            painter.setTransform(place * to_screen)
            painter.drawImage(0, 0, self._picture(place))
        painter.resetTransform()
        self._paint_ink(painter, to_screen)
        painter.restore()

    def _picture(self, place: QTransform) -> QImage:
        assert self._outline is not None
        key = (self.frame, self._mask, id(self._outline), _TINT.rgba())
        if self._drawn is None or self._drawn[0] != key:
            image = tinted(self._outline.draw(self.frame, self._mask), _TINT)
            painter = QPainter(image)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Clear)
            painter.setTransform(place.inverted()[0])
            for painted in self._polygons():
                painter.fillPath(path_of(painted), Qt.GlobalColor.black)
            painter.end()
            self._drawn = (key, image)
        return self._drawn[1]

    def _paint_ink(self, painter: QPainter, to_screen: QTransform) -> None:
        """Paint what is painted out, the stroke under way, and the brush."""
        shown = self._polygons()
        if shown:
            at, dry = self._dry_ink(shown, to_screen, painter.device().devicePixelRatioF())
            painter.drawImage(at, dry)
        painter.setPen(QPen(_INK, 1.25))
        radius = self._radius() * math.sqrt(abs(to_screen.determinant()))
        points = to_screen.map(QPolygonF(self._points))
        if self.hand is Hand.BRUSH:
            if self._at is not None:
                painter.drawEllipse(to_screen.map(self._at), radius, radius)
            if self._points:
                painter.setPen(QPen(_WET, 2 * radius, c=Qt.PenCapStyle.RoundCap, j=Qt.PenJoinStyle.RoundJoin))
                painter.drawPolyline(points) if points.size() > 1 else painter.drawPoint(points.at(0))
        elif self.hand is Hand.LASSO and self._points:
            painter.drawPolyline(points)

    def _dry_ink(self, shown: list[PaintOut], to_screen: QTransform, ratio: float) -> tuple[QPointF, QImage]:
        """Return the polygons as a picture, and where it lies; drawn anew when they or the view change."""
        key = (tuple(map(id, shown)), to_screen, ratio)
        if self._dry is None or self._dry[0] != key:
            polygons = [to_screen.map(polygon_of(painted)) for painted in shown]
            area = QRectF()
            for polygon in polygons:
                area = area.united(polygon.boundingRect())
            area = area.adjusted(-2, -2, 2, 2) & _SCREEN
            size = (area.size() * ratio).toSize().expandedTo(QSize(1, 1))
            image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
            image.setDevicePixelRatio(ratio)
            image.fill(Qt.GlobalColor.transparent)
            painter = QPainter(image)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(_INK, 1.25))
            painter.setBrush(_WASH)
            painter.translate(-area.topLeft())
            for polygon in polygons:
                painter.drawPolygon(polygon)
            painter.end()
            self._dry = (key, shown, area.topLeft(), image)
        return self._dry[2], self._dry[3]

    def _polygons(self) -> list[PaintOut]:
        """Return the polygons that count in the frame that is shown."""
        return [painted for painted in self._mask.paint_out if counts_in(painted, self.frame)]

    # Mouse.

    def press(self, at: QPointF) -> bool:
        """Take hold of the mask, or begin a stroke."""
        if not self.is_shown or self._outline is None or self.hand is Hand.LOOK:
            return False
        at = at * self._scale
        if self.hand is Hand.MOVE:
            self._grabbed = (at, self._mask.shift)
            self._strokes += 1
        elif self.hand is Hand.RESTORE:
            self._restore(at)
        else:
            self._points = [at]
        return True

    def move(self, at: QPointF, *, is_held: bool) -> Qt.CursorShape | None:
        """Move the mask, or go on with the stroke."""
        self._at = at = at * self._scale
        if is_held and self._grabbed is not None:
            self._shift(at)
        elif is_held and self._points:
            away = at - self._points[-1]
            if math.hypot(away.x(), away.y()) >= _SMOOTH * self._radius():
                self._points.append(at)
        if not self.is_shown:
            return None
        pointers = {Hand.MOVE: Qt.CursorShape.SizeAllCursor, Hand.RESTORE: Qt.CursorShape.PointingHandCursor}
        return pointers.get(self.hand, None if self.hand is Hand.LOOK else Qt.CursorShape.CrossCursor)

    def release(self, at: QPointF) -> None:
        """End a stroke: from now on it is painted out."""
        points, self._grabbed = self._points, None
        if not points:
            return
        path = self._stroke() if self.hand is Hand.BRUSH else QPainterPath()
        self._points = []
        if self.hand is Hand.LASSO:
            path.addPolygon(QPolygonF([*points, points[0]]))
            area = path.boundingRect()
            if area.width() * area.height() < 9:
                return
        self._paint_out(path)

    def turn_brush(self, steps: float) -> None:
        """Make the brush larger or smaller."""
        low, high = BRUSH_LIMITS
        self.brush = min(high, max(low, self.brush * BRUSH_STEP**steps))
        self.brush_changed.emit(self.brush)

    def _face_width(self) -> float:
        """Return the width of the face in pixels of the mask's picture."""
        place = self._outline.to_picture(self.frame) if self._outline is not None else None
        if self._outline is None or place is None:
            return 100.0
        return math.sqrt(abs(place.determinant())) * SIDE * float(self._outline.parts["face_width"])

    def _radius(self) -> float:
        return self.brush * self._face_width() / 2

    def _stroke(self) -> QPainterPath:
        path = QPainterPath(self._points[0])
        for point in self._points[1:] or [self._points[0] + QPointF(0.01, 0)]:
            path.lineTo(point)
        stroker = QPainterPathStroker()
        stroker.setWidth(2 * self._radius())
        stroker.setCapStyle(Qt.PenCapStyle.RoundCap)
        stroker.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        outline = stroker.createStroke(path)
        outline.setFillRule(Qt.FillRule.WindingFill)
        return outline.simplified()

    def _paint_out(self, path: QPainterPath) -> None:
        first, stop = self.lasts
        made = [
            PaintOut(points=_thinned(polygon), in_=first, out=stop)
            for polygon in path.toFillPolygons()
            if polygon.size() > 3
        ]
        paint_out = [*self._mask.paint_out, *made]
        if made and len(paint_out) <= PAINT_LIMITS["polygons"]:
            self.edited.emit(msgspec.structs.replace(self._mask, paint_out=paint_out), "")

    def _restore(self, at: QPointF) -> None:
        """Take the topmost stroke under the pointer away."""
        for index in reversed(range(len(self._mask.paint_out))):
            painted = self._mask.paint_out[index]
            if counts_in(painted, self.frame) and path_of(painted).contains(at):
                rest = [*self._mask.paint_out[:index], *self._mask.paint_out[index + 1 :]]
                self.edited.emit(msgspec.structs.replace(self._mask, paint_out=rest), "")
                return

    def _shift(self, at: QPointF) -> None:
        assert self._grabbed is not None
        assert self._outline is not None
        place = self._outline.to_picture(self.frame)
        if place is None:
            return
        start, (right, down) = self._grabbed
        unit = SIDE * float(self._outline.parts["face_width"])
        moved = place.inverted()[0].map(at) - place.inverted()[0].map(start)
        low, high = MASK_LIMITS["shift"]
        shift = (
            round(min(high, max(low, right + moved.x() / unit)), 4),
            round(min(high, max(low, down + moved.y() / unit)), 4),
        )
        self.edited.emit(msgspec.structs.replace(self._mask, shift=shift), f"mask move {self._strokes}")


def counts_in(painted: PaintOut, frame: int) -> bool:
    """Say whether a polygon counts in a frame; the app writes frame numbers only."""
    first, stop = painted.in_, painted.out
    return not (isinstance(first, int) and frame < first) and not (isinstance(stop, int) and frame >= stop)


def polygon_of(painted: PaintOut) -> QPolygonF:
    """Return a polygon as Qt draws it."""
    return QPolygonF([QPointF(x, y) for x, y in painted.points])


def path_of(painted: PaintOut) -> QPainterPath:
    """Return a polygon as a closed path, even-odd where it crosses itself."""
    path = QPainterPath()
    path.addPolygon(polygon_of(painted))
    path.closeSubpath()
    return path


def _thinned(polygon: QPolygonF) -> list[tuple[float, float]]:
    """Return a polygon's points without those that are hardly off the line between their neighbours."""
    points = [(polygon.at(i).x(), polygon.at(i).y()) for i in range(polygon.size())]
    tolerance = _TOLERANCE
    kept = simplified(points, tolerance)
    while len(kept) > PAINT_LIMITS["points"]:
        tolerance *= 2
        kept = simplified(points, tolerance)
    return [(round(x, 1), round(y, 1)) for x, y in kept]
