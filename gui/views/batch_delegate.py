"""Draws the cells of a batch: how a row stands by a dot and in words, the rest as text that can be edited."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from gui.models.batch_table import WORD_ROLE
from gui.theme import colour

_COLOURS = {"checking": "muted", "ready": "good", "wrong": "bad", "sent": "accent"}


class BatchDelegate(QStyledItemDelegate):
    """Draws one cell."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw a cell."""
        rect: QRect = option.rect  # type: ignore[attr-defined]
        if option.state & QStyle.StateFlag.State_Selected:  # type: ignore[attr-defined]
            painter.fillRect(rect, colour("raised"))
        word = index.data(WORD_ROLE)
        left, name = 12, "muted" if word == "sent" else "text"
        if index.column() == 0:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour(_COLOURS[word]))
            painter.drawEllipse(rect.left() + 12, rect.center().y() - 3, 8, 8)
            left, name = 28, "bad" if word == "wrong" else name
        painter.setPen(colour(name))
        area = rect.adjusted(left, 0, -8, 0)
        words = painter.fontMetrics().elidedText(index.data(), Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), words)
