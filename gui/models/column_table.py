"""A table of rows with titled columns: what every such model answers a view in the same way."""

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from gui.texts import Key, text

Index = QModelIndex | QPersistentModelIndex


class ColumnTable(QAbstractTableModel):
    """`titles` are the keys of the columns' words; `_rows` is what the rows are made of."""

    titles: tuple[Key, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Any] = []

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Return how many rows there are; a row has none below it."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(self.titles)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return a column's title."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return text(self.titles[section])
        return None

    def _touch_row(self, row: int) -> None:
        """Tell the view that a row is to be drawn anew."""
        self.dataChanged.emit(self.index(row, 0), self.index(row, len(self.titles) - 1))
