"""The shots of the project, and the buttons that add and remove them."""

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.texts import text
from gui.theme import GAP
from gui.views.parts import named

_ROW = QSize(100, 48)


class ShotList(QWidget):
    """Tells which shot is chosen."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(196)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        title = named(QLabel(text("shots.title")), "title")
        title.setContentsMargins(GAP * 2, 14, GAP * 2, 12)
        self.rows = QListWidget()
        self.rows.setAccessibleName(text("shots.name"))
        self.rows.currentItemChanged.connect(self._choose)
        self.add = QPushButton(text("shots.add"))
        self.remove = QPushButton(text("shots.remove"))
        buttons = QHBoxLayout()
        buttons.setContentsMargins(GAP, GAP, GAP, GAP)
        buttons.setSpacing(GAP)
        buttons.addWidget(self.add)
        buttons.addWidget(self.remove)
        layout.addWidget(title)
        layout.addWidget(self.rows, 1)
        layout.addLayout(buttons)

    def show_shots(self, rows: Sequence[tuple[int, str]], current: int) -> None:
        """Show (id, words) of each shot; only what changed is touched."""
        self.rows.blockSignals(True)
        while self.rows.count() > len(rows):
            self.rows.takeItem(self.rows.count() - 1)
        for place, (shot_id, words) in enumerate(rows):
            item = self.rows.item(place)
            if item is None:
                item = QListWidgetItem()
                item.setSizeHint(_ROW)
                self.rows.addItem(item)
            if item.text() != words:
                item.setText(words)
            item.setData(Qt.ItemDataRole.UserRole, shot_id)
            if shot_id == current:
                self.rows.setCurrentRow(place)
        self.rows.blockSignals(False)

    def _choose(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.chosen.emit(int(item.data(Qt.ItemDataRole.UserRole)))
