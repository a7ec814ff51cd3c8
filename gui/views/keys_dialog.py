"""What every key does, page by page, in two columns."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.texts import text
from gui.theme import GAP
from gui.views.parts import named

_LEFT = 2  # sections in the left column
_KEYS_WIDTH = 108  # px


class KeysDialog(QDialog):
    """Reads `keys.all`: a title, then lines of keys, a tab and what they do, then an empty line."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(text("menu.keys"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        columns = QHBoxLayout(self)
        columns.setContentsMargins(GAP * 3, GAP * 3, GAP * 3, GAP * 3)
        columns.setSpacing(GAP * 6)
        sections = text("keys.all").split("\n\n")
        for part in (sections[:_LEFT], sections[_LEFT:]):
            column = QVBoxLayout()
            column.setSpacing(GAP * 2)
            for section in part:
                column.addLayout(_section(section.splitlines()))
            column.addStretch(1)
            columns.addLayout(column)


def _section(lines: list[str]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(GAP * 3)
    grid.setVerticalSpacing(GAP // 2)
    grid.setColumnMinimumWidth(0, _KEYS_WIDTH)
    grid.setColumnStretch(1, 1)
    grid.addWidget(named(QLabel(lines[0].upper()), "heading"), 0, 0, 1, 2)
    for row, line in enumerate(lines[1:], 1):
        keys, _, words = line.partition("\t")
        grid.addWidget(named(QLabel(keys), "muted"), row, 0)
        grid.addWidget(QLabel(words), row, 1)
    return grid
