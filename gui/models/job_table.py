"""The jobs as a table: what runs, what waits in its order, then what ended, newest first.

Ten thousand jobs must not hold up the window. So the whole list is sorted and compared on the link's thread
(`list_jobs`, `compare`), and one changed job moves one row.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from PySide6.QtCore import QMimeData, QModelIndex, Qt, Signal

from daemon.protocol.jobs import FINAL_STATES, Job, JobState, Progress
from gui.models.column_table import ColumnTable, Index
from gui.models.job_words import cell_texts, is_work, job_tooltip
from gui.texts import Key, text

JOB_ROLE = Qt.ItemDataRole.UserRole + 1
MIME_TYPE = "application/x-dubwright-job"

STATE, SHOT, VOICE, ENGINE, TAKES, PROGRESS, ETA, SENDER, SUBMITTED = range(9)
COLUMNS: tuple[Key, ...] = (
    "column.state",
    "column.shot",
    "column.voice",
    "column.engine",
    "column.takes",
    "column.progress",
    "column.eta",
    "column.sender",
    "column.submitted",
)
WAITING = (JobState.QUEUED, JobState.HELD, JobState.PAUSED)


class Listing(NamedTuple):
    """All jobs, ready to be shown."""

    jobs: dict[str, Job]
    rows: list[str]
    active_count: int  # rows that have not ended; they come first
    counts: dict[JobState, int]


class Active(NamedTuple):
    """The unfinished jobs as the daemon lists them now."""

    order: list[str]
    changed: list[Job]  # those that are not as they were known


def list_jobs(jobs: Sequence[Job]) -> Listing:
    """Arrange all jobs."""
    shown = [job for job in jobs if is_work(job)]
    active = [job.job_id for job in shown if job.state not in FINAL_STATES]
    ended = [job for job in shown if job.state in FINAL_STATES]
    ended.sort(key=lambda job: job.finished_at or 0.0, reverse=True)
    counts: dict[JobState, int] = {}
    for job in shown:
        counts[job.state] = counts.get(job.state, 0) + 1
    rows = [*active, *(job.job_id for job in ended)]
    return Listing({job.job_id: job for job in jobs}, rows, len(active), counts)


def compare(jobs: Sequence[Job], known: dict[str, Job]) -> Active:
    """Return the order of unfinished jobs, and those that differ from what was known."""
    return Active([job.job_id for job in jobs], [job for job in jobs if known.get(job.job_id) != job])


class JobTable(ColumnTable):
    """Redub and generate jobs; the app's own questions (faces, probe, check) are kept but not shown."""

    titles = COLUMNS
    moved = Signal(str, object, object)  # job id, id to run before or None, priority or None
    changed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, Job] = {}
        self._rows: list[str]
        self._active_count = 0
        self._counts: dict[JobState, int] = {}
        self._texts: dict[str, tuple[str, ...]] = {}

    def job(self, job_id: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(job_id)

    def jobs(self) -> Iterable[Job]:
        """Return all jobs, of every kind."""
        return self._jobs.values()

    def job_at(self, row: int) -> Job:
        """Return the job of a row."""
        return self._jobs[self._rows[row]]

    def texts_at(self, row: int) -> tuple[str, ...]:
        """Return the words of a row."""
        job_id = self._rows[row]
        found = self._texts.get(job_id)
        if found is None:
            found = self._texts[job_id] = cell_texts(self._jobs[job_id])
        return found

    def row_of(self, job_id: str) -> int | None:
        """Return the row of a job, or None when it is not shown."""
        job = self._jobs.get(job_id)
        return None if job is None or not is_work(job) else self._rows.index(job_id)

    def counts(self) -> dict[JobState, int]:
        """Return how many shown jobs are in each state."""
        return self._counts

    # What the link tells.

    def set_all(self, listing: Listing) -> None:
        """Take in the whole list."""
        self.beginResetModel()
        self._jobs, self._rows, self._active_count, self._counts = listing
        self._texts.clear()
        self.endResetModel()

    def set_active(self, active: Active) -> None:
        """Take in the unfinished jobs, in their order."""
        for job in active.changed:
            self.put(job)
        now = self._rows[: self._active_count]
        known = set(now)
        wanted = [job_id for job_id in active.order if job_id in known]
        listed = set(wanted)
        wanted += [job_id for job_id in now if job_id not in listed]
        if wanted != now:
            self._reorder(wanted)

    def put(self, job: Job) -> None:
        """Take in one job."""
        old = self._jobs.get(job.job_id)
        is_ended = job.state in FINAL_STATES
        if is_work(job):
            self._count(old, job)
            self._texts.pop(job.job_id, None)
            if old is None:
                self._insert(job)
            else:
                self._jobs[job.job_id] = job
                if (old.state in FINAL_STATES) != is_ended:
                    self._move(job.job_id, is_ended=is_ended)
                self._touch(job.job_id)
        self._jobs[job.job_id] = job
        self.changed.emit(job.job_id)

    def progress(self, job_id: str, progress: Progress) -> None:
        """Take in how far a job is."""
        job = self._jobs.get(job_id)
        if job is not None and job.state is JobState.RUNNING:
            self._jobs[job_id] = msgspec.structs.replace(job, progress=progress)
            self._texts.pop(job_id, None)
            self._touch(job_id)
            self.changed.emit(job_id)

    def _count(self, old: Job | None, new: Job) -> None:
        if old is not None:
            self._counts[old.state] -= 1
        self._counts[new.state] = self._counts.get(new.state, 0) + 1

    def _insert(self, job: Job) -> None:
        row = self._active_count  # the last that waits, or the newest that ended
        self.beginInsertRows(QModelIndex(), row, row)
        self._jobs[job.job_id] = job
        self._rows.insert(row, job.job_id)
        self._active_count += job.state not in FINAL_STATES
        self.endInsertRows()

    def _move(self, job_id: str, *, is_ended: bool) -> None:
        """Put a job that ended first among the ended, and one that was put back last among the others."""
        row = self._rows.index(job_id)
        to = self._active_count - 1 if is_ended else self._active_count
        self._active_count += -1 if is_ended else 1
        if row == to:
            return
        self.beginMoveRows(QModelIndex(), row, row, QModelIndex(), to + 1 if to > row else to)
        self._rows.insert(to, self._rows.pop(row))
        self.endMoveRows()

    def _reorder(self, active: list[str]) -> None:
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        ids = [self._rows[index.row()] for index in before]
        self._rows[: self._active_count] = active
        after = [
            self.index(self._rows.index(job_id), index.column())
            for job_id, index in zip(ids, before, strict=True)
        ]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _touch(self, job_id: str) -> None:
        row = self.row_of(job_id)
        if row is not None:
            self._touch_row(row)

    # What the view asks.

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        if role == JOB_ROLE:
            return self.job_at(index.row())
        if role == Qt.ItemDataRole.DisplayRole:
            return self.texts_at(index.row())[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return job_tooltip(self.job_at(index.row()))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{text(COLUMNS[index.column()])}: {self.texts_at(index.row())[index.column()]}"
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Let waiting jobs be dragged, and dropped between others."""
        found = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        if self.job_at(index.row()).state in WAITING:
            found |= Qt.ItemFlag.ItemIsDragEnabled
        return found

    def supportedDropActions(self) -> Qt.DropAction:  # noqa: N802
        """Allow moving."""
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:  # noqa: N802
        """Say what a dragged job is."""
        return [MIME_TYPE]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:  # noqa: N802
        """Carry the job's id."""
        data = QMimeData()
        data.setData(MIME_TYPE, self._rows[indexes[0].row()].encode())
        return data

    def dropMimeData(  # noqa: N802
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        """Ask for the job's new place. The rows move when the daemon says so."""
        job_id = bytes(data.data(MIME_TYPE).data()).decode()
        if job_id not in self._jobs:
            return False
        self.ask_to_move(job_id, parent.row() if parent.isValid() and row < 0 else row)
        return False  # the view must not remove the row itself

    def ask_to_move(self, job_id: str, row: int) -> None:
        """Ask for a job to run before the one in `row`; behind the last waiting one it runs last."""
        waiting = [other for other in self._rows[: self._active_count] if self._jobs[other].state in WAITING]
        target = self._rows[row] if 0 <= row < len(self._rows) else None
        if target is not None and self._jobs[target].state is JobState.RUNNING:
            target = waiting[0] if waiting else None
        if target == job_id:
            return
        if target in waiting:
            self.moved.emit(job_id, target, None)
        elif waiting and waiting[-1] != job_id:
            self.moved.emit(job_id, None, max(-1000, self._jobs[waiting[-1]].priority - 1))
