"""Transport icons, drawn, so that they are the same with every font."""

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF

_SIDE = 16


def icon(name: str, colour: QColor, faint: QColor) -> QIcon:
    """Return an icon in a colour, and in a faint one where its button is disabled."""
    found = QIcon()
    found.addPixmap(_draw(name, colour), QIcon.Mode.Normal)
    found.addPixmap(_draw(name, faint), QIcon.Mode.Disabled)
    return found


def _draw(name: str, colour: QColor) -> QPixmap:
    pixmap = QPixmap(_SIDE * 4, _SIDE * 4)
    pixmap.setDevicePixelRatio(4)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(colour)
    painter.setPen(Qt.PenStyle.NoPen)
    for shape in _SHAPES[name]:
        if isinstance(shape, QRectF):
            painter.drawRect(shape)
        else:
            painter.drawPolygon(shape)
    if name == "loop":
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.6))
        painter.drawArc(QRectF(3, 3.5, 10, 9), 60 * 16, 290 * 16)
    if name == "sound":
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.3))
        for side in (5.0, 9.5):
            painter.drawArc(QRectF(9.2 - side / 2, 8 - side / 2, side, side), -50 * 16, 100 * 16)
    painter.end()
    return pixmap


def _polygon(*points: tuple[float, float]) -> QPolygonF:
    return QPolygonF([QPointF(x, y) for x, y in points])


_SHAPES: dict[str, list[QRectF | QPolygonF]] = {
    "play": [_polygon((4, 2.5), (13, 8), (4, 13.5))],
    "pause": [QRectF(4, 3, 3, 10), QRectF(9, 3, 3, 10)],
    "back": [_polygon((11, 3), (5, 8), (11, 13)), QRectF(12, 3, 1.5, 10)],
    "on": [_polygon((5, 3), (11, 8), (5, 13)), QRectF(2.5, 3, 1.5, 10)],
    "first": [QRectF(2.5, 3, 1.8, 10), _polygon((13, 3), (6, 8), (13, 13))],
    "last": [QRectF(11.7, 3, 1.8, 10), _polygon((3, 3), (10, 8), (3, 13))],
    "sound": [_polygon((1.5, 6), (4.5, 6), (8, 2.8), (8, 13.2), (4.5, 10), (1.5, 10))],
    "loop": [_polygon((9.5, 0.5), (14, 3.4), (9.5, 6.2))],
}
