"""Roughly what a running job paints: frames side by side, as wide as there is room."""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.texts import text
from gui.theme import colour


class Preview(QWidget):
    """Hidden until there is a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.image = QImage()
        self.setAccessibleName(text("queue.preview_name"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.hide()

    def show_picture(self, data: bytes, words: str) -> None:
        """Show a JPEG; `words` say how far it is. What cannot be read is not shown."""
        image = QImage.fromData(data)
        if image.isNull():
            return
        self.image = image
        self.setToolTip(words)
        self.show()
        self.updateGeometry()
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self.image = QImage()
        self.hide()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as the picture is at this width."""
        if self.image.isNull():
            return QSize(0, 0)
        return QSize(200, max(1, round(self.image.height() * self.width() / self.image.width())))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Paint it."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), colour("stage"))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        size = self.image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter.drawImage(QRectF(0, 0, size.width(), size.height()), self.image)
        painter.end()
