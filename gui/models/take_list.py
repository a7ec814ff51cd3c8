"""The takes as a list, newest job first, each a file that can be dragged into an editor."""

import json
from collections.abc import Iterable, Sequence
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


class Origin(NamedTuple):
    """Where a take lies on its source."""

    source: Path
    first: int  # the source's frame under the take's frame 0
    in_: int  # of the re-dubbed range, in frames of the take
    out: int


class TakeListing(NamedTuple):
    """All takes, newest job first, ready to be shown."""

    takes: list[Take]
    by_job: dict[str, list[Take]]


def list_takes(takes: Sequence[Take]) -> TakeListing:
    """Arrange all takes, given oldest first as the daemon lists them. For the link's thread."""
    by_job: dict[str, list[Take]] = {}
    for take in takes:
        by_job.setdefault(job_of(take), []).append(take)
    newest_first = {job_id: sorted(by_job[job_id], key=number_of) for job_id in reversed(by_job)}
    return TakeListing([take for made in newest_first.values() for take in made], newest_first)


class TakeList(QAbstractListModel):
    """Every take the daemon knows, or those of one shot."""

    changed = Signal(str)
    thumbnail_wanted = Signal(object)  # a take that is seen and has no picture yet

    def __init__(self) -> None:
        super().__init__()
        self._all: list[Take] = []
        self._takes: list[Take] = []  # those shown
        self._by_job: dict[str, list[Take]] = {}  # newest first
        self._jobs: frozenset[str] | None = None
        self._thumbnails: dict[str, QImage] = {}

    def take_at(self, row: int) -> Take:
        """Return the take of a row."""
        return self._takes[row]

    def find(self, take_id: str) -> Take | None:
        """Return a take by its id, shown or not."""
        made = self.of_job(take_id.rpartition("-")[0])
        return next((take for take in made if take.take_id == take_id), None)

    def row_of(self, take_id: str) -> int | None:
        """Return the row of a take; None when it is not shown."""
        return next((row for row, take in enumerate(self._takes) if take.take_id == take_id), None)

    def job_ids(self) -> list[str]:
        """Return the jobs that made takes, newest first."""
        return list(self._by_job)

    def of_job(self, job_id: str) -> list[Take]:
        """Return the takes of a job, by number."""
        return self._by_job.get(job_id, [])

    def siblings(self, take: Take) -> list[Take]:
        """Return the takes of the same job, this one included, by number."""
        return self.of_job(job_of(take))

    def show_jobs(self, job_ids: Iterable[str] | None) -> None:
        """Show the takes of some jobs only; of all with None."""
        wanted = None if job_ids is None else frozenset(job_ids)
        if wanted != self._jobs:
            self.beginResetModel()
            self._jobs = wanted
            self._takes = [take for take in self._all if self._is_shown(take)]
            self.endResetModel()

    def set_all(self, listing: TakeListing) -> None:
        """Take in the whole list."""
        self.beginResetModel()
        self._all, self._by_job = listing
        self._takes = [take for take in self._all if self._is_shown(take)]
        self.endResetModel()

    def put(self, take: Take) -> None:
        """Take in one take, new or changed."""
        made = self._by_job.get(job_of(take))
        if made is None:
            made = []
            self._by_job = {job_of(take): made, **self._by_job}
        known = next((at for at, other in enumerate(made) if other.take_id == take.take_id), None)
        if known is not None:
            self._all[self._all.index(made[known])] = take
            made[known] = take
            row = self.row_of(take.take_id)
            if row is not None:
                self._takes[row] = take
                self.dataChanged.emit(self.index(row), self.index(row))
        else:
            made.append(take)
            self._all.insert(_place(self._all, take), take)
            if self._is_shown(take):
                row = _place(self._takes, take)
                self.beginInsertRows(QModelIndex(), row, row)
                self._takes.insert(row, take)
                self.endInsertRows()
        self.changed.emit(take.take_id)

    def set_thumbnail(self, take_id: str, image: QImage) -> None:
        """Take in a take's small picture."""
        self._thumbnails[take_id] = image
        row = self.row_of(take_id)
        if row is not None:
            self.dataChanged.emit(self.index(row), self.index(row))

    def thumbnail(self, take: Take) -> QImage:
        """Return a take's small picture; empty, and asked for, when it is not there yet."""
        found = self._thumbnails.get(take.take_id)
        if found is None:
            found = self._thumbnails[take.take_id] = QImage()
            self.thumbnail_wanted.emit(take)
        return found

    def has_thumbnails(self) -> bool:
        """Say whether every small picture that was asked for is there."""
        return bool(self._thumbnails) and not any(image.isNull() for image in self._thumbnails.values())

    def _is_shown(self, take: Take) -> bool:
        return self._jobs is None or job_of(take) in self._jobs

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


def _place(takes: Sequence[Take], take: Take) -> int:
    """Return where a new take goes: behind the last of its job, or, of a new job, first."""
    same = [at for at, other in enumerate(takes) if job_of(other) == job_of(take)]
    return same[-1] + 1 if same else 0


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
