"""Tables as every page shows them: whole rows, flat, with a column that takes what is left."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QStyledItemDelegate, QTableView

from gui.models.column_table import ColumnTable
from gui.texts import Key, text

_ROW, _HEADER, _LEAST = 34, 32, 48  # px


def make_table(
    model: ColumnTable, delegate: QStyledItemDelegate, name: Key, widths: Sequence[int]
) -> QTableView:
    """Return a table; `widths` in px, and 0 for a column that has a share of what is left."""
    table = QTableView()
    table.setModel(model)
    table.setItemDelegate(delegate)
    delegate.setParent(table)
    table.setAccessibleName(text(name))
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setTabKeyNavigation(False)  # Tab leads out of it
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(_ROW)
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setFixedHeight(_HEADER)
    header.setMinimumSectionSize(_LEAST)
    for number, width in enumerate(widths):
        if width:
            table.setColumnWidth(number, width)
        else:
            header.setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)
    return table
