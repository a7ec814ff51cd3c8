"""Two pictures set against each other: one over the other, how far they are apart, a mask in a colour."""

import numpy as np
from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QColor, QImage, QPainter

_DOUBLINGS = 3  # a difference is shown eight times as bright
_SQUARE = 12  # px
_DARK, _LIGHT = QColor("#262626"), QColor("#303030")


def laid_over(original: QImage, take: QImage) -> QImage:
    """Return the take as it is seen: an overlay on its original, a baked one as it is."""
    if not take.hasAlphaChannel():
        return take
    made = original.copy()
    painter = QPainter(made)
    painter.drawImage(QRectF(made.rect()), take)
    painter.end()
    return made


def difference(original: QImage, take: QImage) -> QImage:
    """Return how far apart two pictures are, eight times as bright."""
    if take.size() != original.size():  # one of them is not decoded at the new size yet
        take = take.scaled(original.size())
    a, b = (np.frombuffer(image.constBits(), np.uint8) for image in (original, take))
    apart = np.minimum(np.maximum(a, b) - np.minimum(a, b), 255 >> _DOUBLINGS) << _DOUBLINGS
    made = QImage(apart.data, original.width(), original.height(), QImage.Format.Format_RGB32)
    return made.copy()


def tinted(overlay: QImage, tint: QColor) -> QImage:
    """Return the overlay's alpha in one colour."""
    made = QImage(overlay.size(), QImage.Format.Format_ARGB32_Premultiplied)
    made.fill(tint)
    painter = QPainter(made)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_DestinationIn)
    painter.drawImage(0, 0, overlay)
    painter.end()
    return made


def paint_squares(painter: QPainter, area: QRect) -> None:
    """Fill an area with the squares that stand for nothing."""
    painter.fillRect(area, _DARK)
    for row, top in enumerate(range(area.top(), area.bottom(), _SQUARE)):
        for left in range(area.left() + _SQUARE * (row % 2), area.right(), 2 * _SQUARE):
            painter.fillRect(QRect(left, top, _SQUARE, _SQUARE).intersected(area), _LIGHT)
