"""The takes as a list, newest job first, each a file that can be dragged into an editor."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PySide6.QtCore import (
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    QUrl,
    Signal,
)
from PySide6.QtGui import QImage

from daemon.protocol.jobs import Take
from gui.texts import Key, text

Index = QModelIndex | QPersistentModelIndex

TAKE_ROLE = Qt.ItemDataRole.UserRole + 1
THUMBNAIL_ROLE = Qt.ItemDataRole.UserRole + 2


class Origin(NamedTuple):
    """Where a take lies on its source."""

    source: Path
    first: int  # the source's frame under the take's frame 0
    in_: int  # of the re-dubbed range, in frames of the take
    out: int


class TakeList(QAbstractListModel):
    """Every take the daemon knows."""

    changed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._takes: list[Take] = []
        self._thumbnails: dict[str, QImage] = {}

    def take_at(self, row: int) -> Take:
        """Return the take of a row."""
        return self._takes[row]

    def find(self, take_id: str) -> Take | None:
        """Return a take by its id."""
        row = self.row_of(take_id)
        return None if row is None else self._takes[row]

    def row_of(self, take_id: str) -> int | None:
        """Return the row of a take."""
        return next((row for row, take in enumerate(self._takes) if take.take_id == take_id), None)

    def siblings(self, take: Take) -> list[Take]:
        """Return the takes of the same job, this one included, by number."""
        job = job_of(take)
        return sorted((other for other in self._takes if job_of(other) == job), key=number_of)

    def set_all(self, takes: Sequence[Take]) -> None:
        """Take in the whole list, oldest first as the daemon gives it."""
        self.beginResetModel()
        jobs = list(dict.fromkeys(job_of(take) for take in takes))
        rank = {job: place for place, job in enumerate(reversed(jobs))}
        self._takes = sorted(takes, key=lambda take: (rank[job_of(take)], number_of(take)))
        self.endResetModel()

    def put(self, take: Take) -> None:
        """Take in one take, new or changed."""
        row = self.row_of(take.take_id)
        if row is not None:
            self._takes[row] = take
            self.dataChanged.emit(self.index(row), self.index(row))
        else:
            rows = [at for at, other in enumerate(self._takes) if job_of(other) == job_of(take)]
            at = rows[-1] + 1 if rows else 0
            self.beginInsertRows(QModelIndex(), at, at)
            self._takes.insert(at, take)
            self.endInsertRows()
        self.changed.emit(take.take_id)

    def set_thumbnail(self, take_id: str, image: QImage) -> None:
        """Take in a take's small picture."""
        self._thumbnails[take_id] = image
        row = self.row_of(take_id)
        if row is not None:
            self.dataChanged.emit(self.index(row), self.index(row))

    def has_thumbnail(self, take_id: str) -> bool:
        """Say whether a take's small picture is there."""
        return take_id in self._thumbnails

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Return how many takes there are."""
        return 0 if parent.isValid() else len(self._takes)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a row shows."""
        if not index.isValid():
            return None
        take = self._takes[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return Path(take.path).name
            case Qt.ItemDataRole.ToolTipRole:
                return take.path
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{take_title(take)}, {text(BADGE_KEYS[take.badge])}, {Path(take.path).name}"
            case _ if role == TAKE_ROLE:
                return take
            case _ if role == THUMBNAIL_ROLE:
                return self._thumbnails.get(take.take_id)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Let takes be dragged out."""
        return (
            Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsDragEnabled
            if index.isValid()
            else Qt.ItemFlag.NoItemFlags
        )

    def mimeTypes(self) -> list[str]:  # noqa: N802
        """Say that a dragged take is a file."""
        return ["text/uri-list"]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:  # noqa: N802
        """Carry the files of the takes, as a file manager would."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(self._takes[index.row()].path) for index in indexes])
        return data


def job_of(take: Take) -> str:
    """Return the id of the job that made a take."""
    return take.take_id.rpartition("-")[0]


def number_of(take: Take) -> int:
    """Return a take's number in its job."""
    return int(take.take_id.rpartition("-")[2])


def take_title(take: Take) -> str:
    """Return what a person calls a take."""
    return text("take.title", n=number_of(take))


def read_origin(take: Take) -> Origin | None:
    """Return where a take lies on its source, as its sidecar says; None when that cannot be read."""
    try:
        sidecar = json.loads(Path(take.sidecar).read_text(encoding="utf-8"))
        plan = sidecar["plan"]
        before, after = plan["handles"]
        return Origin(
            Path(sidecar["source"]["path"]), plan["range"][0] - before, before, plan["frames"] - after
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


BADGE_KEYS: dict[str, Key] = {"pass": "badge.pass", "look": "badge.look", "fail": "badge.fail"}
VERDICT_KEYS: dict[str, Key] = {
    "none": "verdict.none",
    "accepted": "verdict.accepted",
    "rejected": "verdict.rejected",
}
