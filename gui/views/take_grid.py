"""The takes as cards: picture, badge, seed, engine and the figures that count, of one shot or of all."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from daemon.protocol.jobs import Take
from gui.models.take_list import TAKE_ROLE, TakeList
from gui.models.take_words import BADGE_COLOURS, card_lines
from gui.texts import text
from gui.theme import colour

CARD_WIDTH = 152  # at least
_EDGE = 8
_LINE = 18
_LINES = 4


class TakeGrid(QListView):
    """As many columns as there is room for."""

    def __init__(self, takes: TakeList) -> None:
        super().__init__()
        self.setModel(takes)
        self._delegate = TakeDelegate(takes, self)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName(text("takes.name"))
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(CARD_WIDTH + 20)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Fill the width, as if the scroll bar were there: its coming must not change the columns."""
        width = self.width() - self.verticalScrollBar().sizeHint().width() - 1
        self._delegate.width = width // max(1, width // CARD_WIDTH)
        self.scheduleDelayedItemsLayout()
        super().resizeEvent(event)


class TakeDelegate(QStyledItemDelegate):
    """Draws a card."""

    def __init__(self, takes: TakeList, parent: QWidget) -> None:
        super().__init__(parent)
        self._takes = takes
        self.width = CARD_WIDTH

    def sizeHint(  # noqa: N802
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Every card is as large as any other."""
        return QSize(self.width, self._picture_height() + _LINES * _LINE + 3 * _EDGE)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw a card."""
        take: Take = index.data(TAKE_ROLE)
        rect: QRect = option.rect  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:  # type: ignore[attr-defined]
            painter.setPen(QPen(colour("accent"), 2))
            painter.setBrush(colour("raised"))
            painter.drawRoundedRect(QRectF(rect).adjusted(3, 3, -3, -3), 5, 5)
        frame = QRect(
            rect.left() + _EDGE, rect.top() + _EDGE, rect.width() - 2 * _EDGE, self._picture_height()
        )
        _draw_picture(painter, frame, self._takes.thumbnail(take))
        painter.setClipRect(rect)
        for number, (words, name) in enumerate(card_lines(take)):
            line = QRect(frame.left() + 2, frame.bottom() + 5 + number * _LINE, frame.width() - 4, _LINE)
            if number == 0:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(colour(BADGE_COLOURS[take.badge]))
                painter.drawEllipse(line.right() - 9, line.center().y() - 4, 9, 9)
                line.setRight(line.right() - 14)
            painter.setPen(colour(name))
            shown = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, line.width())
            painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter), shown)
        painter.restore()

    def _picture_height(self) -> int:
        return (self.width - 2 * _EDGE) * 9 // 16


def _draw_picture(painter: QPainter, frame: QRect, image: QImage) -> None:
    painter.fillRect(frame, colour("stage"))
    if not image.isNull():
        size = image.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(0, 0, size.width(), size.height())
        place.moveCenter(frame.center())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(place), image)
