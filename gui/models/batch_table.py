"""The rows of a batch as a table whose cells can be corrected."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QModelIndex, Qt, Signal

from gui.models.batch import Checked, Row
from gui.models.column_table import ColumnTable, Index
from gui.texts import Key, text

WORD_ROLE = Qt.ItemDataRole.UserRole + 1
"""How a row stands."""

Standing = Literal["checking", "ready", "wrong", "sent"]

COLUMNS: tuple[tuple[str, Key], ...] = (
    ("", "batch.column_status"),
    ("clip", "batch.column_clip"),
    ("voice", "batch.column_voice"),
    ("in", "batch.column_in"),
    ("out", "batch.column_out"),
    ("takes", "batch.column_takes"),
    ("engine", "batch.column_engine"),
    ("quality", "batch.column_quality"),
    ("seed", "batch.column_seed"),
)
_FIXED = ("", "clip", "voice")


class BatchTable(ColumnTable):
    """Rows, and what was found when they were checked."""

    titles = tuple(title for _, title in COLUMNS)

    check_wanted = Signal(list)  # rows that are new or were changed
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row]
        self._checked: dict[str, Checked] = {}  # by the row's key
        self._sent: dict[str, str] = {}  # key to job id

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return list(self._rows)

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows and have them checked."""
        if rows:
            at = len(self._rows)
            self.beginInsertRows(QModelIndex(), at, at + len(rows) - 1)
            self._rows += rows
            self.endInsertRows()
            self.check_wanted.emit(list(rows))
            self.changed.emit()

    def remove(self, numbers: Sequence[int]) -> None:
        """Take rows out."""
        for number in sorted(set(numbers), reverse=True):
            self.beginRemoveRows(QModelIndex(), number, number)
            del self._rows[number]
            self.endRemoveRows()
        self.changed.emit()

    def remove_sent(self) -> None:
        """Take out what is on the queue."""
        self.remove([number for number, row in enumerate(self._rows) if row.key in self._sent])

    def set_checked(self, row: Row, found: Checked) -> None:
        """Take in what was found of a row, unless it was changed since."""
        if row in self._rows:
            self._checked[row.key] = found
            self._touch(self._rows.index(row))

    def set_sent(self, key: str, job_id: str) -> None:
        """Note that a row is a job now."""
        self._sent[key] = job_id
        self._touch_key(key)

    def set_refused(self, key: str, sentence: str) -> None:
        """Note that the daemon refused a row."""
        self._checked[key] = Checked(None, sentence)
        self._touch_key(key)

    def ready(self) -> list[tuple[Row, Checked]]:
        """Return the rows that can be submitted."""
        return [(row, self._checked[row.key]) for row in self._rows if self._word(row) == "ready"]

    def counts(self) -> dict[Standing, int]:
        """Return how many rows stand how."""
        found: dict[Standing, int] = {"checking": 0, "ready": 0, "wrong": 0, "sent": 0}
        for row in self._rows:
            found[self._word(row)] += 1
        return found

    def _word(self, row: Row) -> Standing:
        if row.key in self._sent:
            return "sent"
        checked = self._checked.get(row.key)
        if checked is None:
            return "checking"
        return "wrong" if checked.spec is None else "ready"

    def _touch_key(self, key: str) -> None:
        number = next((at for at, row in enumerate(self._rows) if row.key == key), None)
        if number is not None:
            self._touch(number)

    def _touch(self, number: int) -> None:
        self._touch_row(number)
        self.changed.emit()

    def _sentence(self, row: Row) -> str:
        match self._word(row):
            case "sent":
                return text("batch.sent", id=self._sent[row.key])
            case "checking":
                return text("batch.checking")
            case _:
                return self._checked[row.key].sentence

    # What the view asks.

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        row, (name, title) = self._rows[index.row()], COLUMNS[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return self._cell(row, name)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{text(title)}: {self._cell(row, name)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{self._sentence(row)}\n{row.clip}\n{row.voice}"
        return self._word(row) if role == WORD_ROLE else None

    def _cell(self, row: Row, name: str) -> str:
        if not name:
            return self._sentence(row)
        if name in ("clip", "voice"):
            return Path(row.clip if name == "clip" else row.voice).name
        return str(row.fields.get(name, ""))

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Let what is not a path be edited until the row is sent."""
        found = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        is_open = index.isValid() and self._word(self._rows[index.row()]) != "sent"
        if is_open and COLUMNS[index.column()][0] not in _FIXED:
            found |= Qt.ItemFlag.ItemIsEditable
        return found

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: N802
        """Take in a correction and have the row checked anew."""
        row, name = self._rows[index.row()], COLUMNS[index.column()][0]
        written: Any = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or written == self._cell(row, name):
            return False
        if row.is_from_timeline and name not in ("engine", "quality") and written.isdigit():
            written = int(written)
        changed = self._rows[index.row()] = row.change(name, written)
        self._checked.pop(row.key, None)
        self._touch(index.row())
        self.check_wanted.emit([changed])
        return True
