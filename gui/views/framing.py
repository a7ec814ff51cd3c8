"""Where a picture lies in its pane: as a whole, or near, with some place of it in the middle."""

from PySide6.QtCore import QPointF, QRect, QRectF

_MAX_ZOOM, _MIN_ZOOM = 32.0, 0.05
_STEP = 1.25  # of a notch of the wheel

Size = tuple[int, int]


class Framing:
    """`zoom`: how many pixels of the screen a pixel of the clip has; 0 shows the whole picture."""

    def __init__(self) -> None:
        self.zoom = 0.0
        self.centre = QPointF(0.5, 0.5)  # of the pane, in sides of the picture

    def fit(self) -> None:
        """Show the whole picture."""
        self.zoom, self.centre = 0.0, QPointF(0.5, 0.5)

    def zoom_to(self, zoom: float) -> None:
        """Show it nearer or from farther away."""
        self.zoom = min(_MAX_ZOOM, max(_MIN_ZOOM, zoom))

    def target(self, pane: QRect, size: Size) -> QRectF:
        """Return where a picture of a size lies."""
        width, height = size
        scale = self._scale(pane, size)
        if not self.zoom:  # whole pixels: a picture decoded at this size is drawn as it is
            wide = min(pane.width(), round(width * scale))
            area = QRect(0, 0, wide, max(1, round(height * wide / width)))
            area.moveCenter(pane.center())
            return QRectF(area)
        left = pane.left() + pane.width() / 2 - self.centre.x() * width * scale
        top = pane.top() + pane.height() / 2 - self.centre.y() * height * scale
        return QRectF(left, top, width * scale, height * scale)

    def zoom_about(self, at: QPointF, pane: QRect, size: Size, notches: float) -> None:
        """Zoom; what lies under `at` stays there."""
        before = self.target(pane, size)
        x, y = (at.x() - before.left()) / before.width(), (at.y() - before.top()) / before.height()
        self.zoom_to(self._scale(pane, size) * _STEP**notches)
        width, height = (side * self.zoom for side in size)
        middle = QPointF(pane.center())
        self.centre_on(QPointF(x - (at.x() - middle.x()) / width, y - (at.y() - middle.y()) / height))

    def centre_on(self, centre: QPointF) -> None:
        """Have another place in the middle; it is inside of the picture."""
        self.centre = QPointF(min(1.0, max(0.0, centre.x())), min(1.0, max(0.0, centre.y())))

    def _scale(self, pane: QRect, size: Size) -> float:
        return self.zoom or min(pane.width() / size[0], pane.height() / size[1])
