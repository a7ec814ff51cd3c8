"""The jobs as a table: what runs, what waits in its order, then what ended, newest first."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QAbstractTableModel, QMimeData, QModelIndex, QPersistentModelIndex, Qt, Signal

from daemon.protocol.jobs import FINAL_STATES, Job, JobState, Progress, RedubSpec
from gui.texts import Key, text

Index = QModelIndex | QPersistentModelIndex

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
_WAITING = (JobState.QUEUED, JobState.HELD, JobState.PAUSED)


class JobTable(QAbstractTableModel):
    """Redub jobs; other kinds (faces, probe, check) are kept but not shown."""

    moved = Signal(str, object, object)  # job id, id to run before or None, priority or None
    changed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, Job] = {}
        self._order: list[str] = []  # unfinished ones, as the daemon lists them
        self._rows: list[str] = []
        self._row_of: dict[str, int] = {}

    def job(self, job_id: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(job_id)

    def jobs(self) -> Iterable[Job]:
        """Return all jobs, of every kind."""
        return self._jobs.values()

    def job_at(self, row: int) -> Job:
        """Return the job of a row."""
        return self._jobs[self._rows[row]]

    def row_of(self, job_id: str) -> int | None:
        """Return the row of a job, or None when it is not shown."""
        return self._row_of.get(job_id)

    # What the link tells.

    def set_all(self, jobs: Sequence[Job]) -> None:
        """Take in the whole list."""
        self._jobs = {job.job_id: job for job in jobs}
        self._order = [job.job_id for job in jobs if job.state not in FINAL_STATES]
        self._arrange()

    def set_active(self, jobs: Sequence[Job]) -> None:
        """Take in the unfinished jobs, in their order."""
        for job in jobs:
            self._jobs[job.job_id] = job
        self._order = [job.job_id for job in jobs]
        self._arrange()

    def put(self, job: Job) -> None:
        """Take in one job."""
        self._jobs[job.job_id] = job
        if job.state in FINAL_STATES:
            self._order = [other for other in self._order if other != job.job_id]
        elif job.job_id not in self._order:
            self._order.append(job.job_id)
        self._arrange()
        self._touch(job.job_id)
        self.changed.emit(job.job_id)

    def progress(self, job_id: str, progress: Progress) -> None:
        """Take in how far a job is."""
        job = self._jobs.get(job_id)
        if job is not None and job.state is JobState.RUNNING:
            self._jobs[job_id] = msgspec.structs.replace(job, progress=progress)
            self._touch(job_id)
            self.changed.emit(job_id)

    def counts(self) -> dict[JobState, int]:
        """Return how many shown jobs are in each state."""
        found: dict[JobState, int] = {}
        for job_id in self._rows:
            state = self._jobs[job_id].state
            found[state] = found.get(state, 0) + 1
        return found

    def _arrange(self) -> None:
        shown = {job_id for job_id, job in self._jobs.items() if isinstance(job.spec, RedubSpec)}
        active = [job_id for job_id in self._order if job_id in shown]
        ended = [job_id for job_id in shown if self._jobs[job_id].state in FINAL_STATES]
        ended.sort(key=lambda job_id: self._jobs[job_id].finished_at or 0.0, reverse=True)
        rows = active + ended
        if rows == self._rows:
            if rows:
                self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(COLUMNS) - 1))
            return
        self.beginResetModel()
        self._rows = rows
        self._row_of = {job_id: row for row, job_id in enumerate(rows)}
        self.endResetModel()

    def _touch(self, job_id: str) -> None:
        row = self._row_of.get(job_id)
        if row is not None:
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    # What the view asks.

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Return how many jobs are shown."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return a column's title."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return text(COLUMNS[section])
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        job = self.job_at(index.row())
        if role == JOB_ROLE:
            return job
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(job, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return job_tooltip(job)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{text(COLUMNS[index.column()])}: {cell_text(job, index.column())}"
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Let waiting jobs be dragged, and dropped between others."""
        found = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        if self.job_at(index.row()).state in _WAITING:
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
        waiting = [other for other in self._rows if self._jobs[other].state in _WAITING]
        target = self._rows[row] if 0 <= row < len(self._rows) else None
        if target is not None and self._jobs[target].state is JobState.RUNNING:
            target = waiting[0] if waiting else None
        if target == job_id:
            return
        if target in waiting:
            self.moved.emit(job_id, target, None)
        elif waiting and waiting[-1] != job_id:
            self.moved.emit(job_id, None, max(-1000, self._jobs[waiting[-1]].priority - 1))


def cell_text(job: Job, column: int) -> str:
    """Return the words in a cell."""
    spec = job.spec
    assert isinstance(spec, RedubSpec)
    match column:
        case 0:
            return text(JOB_STATE_KEYS[job.state])
        case 1:
            return f"{Path(spec.source).name}  {spec.in_} – {spec.out}"
        case 2:
            return Path(spec.voice).name
        case 3:
            return spec.engine
        case 4:
            return str(spec.takes)
        case 5:
            return progress_text(job)
        case 6:
            is_known = job.state is JobState.RUNNING and job.progress and job.progress.eta_s is not None
            return duration_text(job.progress.eta_s or 0) if is_known and job.progress else ""
        case 7:
            key = _SENDER_KEYS.get(job.submitted_by)
            return job.submitted_by if key is None else text(key)
        case _:
            return time_text(job.submitted_at)


def progress_text(job: Job) -> str:
    """Return how far a job is, in words."""
    if job.state is JobState.RUNNING and job.progress is not None:
        stage = text(_STAGE_KEYS.get(job.progress.stage, "stage.other"))
        return f"{job.progress.fraction:.0%}  {stage}"
    if job.state is JobState.DONE and job.started_at and job.finished_at:
        return text("job.took", time=duration_text(job.finished_at - job.started_at))
    if job.state is JobState.FAILED and job.error is not None:
        return job.error.message
    return ""


def job_tooltip(job: Job) -> str:
    """Return the paths of a job, and its error with the hint."""
    spec = job.spec
    assert isinstance(spec, RedubSpec)
    lines = [spec.source, spec.voice]
    if job.error is not None:
        lines += [job.error.message, job.error.hint]
    return "\n".join(line for line in lines if line)


def duration_text(seconds: float) -> str:
    """Return a length of time as people say it."""
    if seconds < 60:
        return text("time.seconds", n=max(1, round(seconds)))
    if seconds < 3600:
        return text("time.minutes", n=round(seconds / 60))
    return text("time.hours", n=int(seconds // 3600), m=int(seconds % 3600 // 60))


def time_text(at: float) -> str:
    """Return a moment: the time of today, else with the date."""
    moment = time.localtime(at)
    is_today = time.strftime("%F", moment) == time.strftime("%F")
    return time.strftime("%H:%M" if is_today else "%d %b %H:%M", moment)


JOB_STATE_KEYS: dict[JobState, Key] = {
    JobState.QUEUED: "state.queued",
    JobState.HELD: "state.held",
    JobState.RUNNING: "state.running",
    JobState.PAUSED: "state.paused",
    JobState.DONE: "state.done",
    JobState.FAILED: "state.failed",
    JobState.CANCELLED: "state.cancelled",
}
_SENDER_KEYS: dict[str, Key] = {
    "app": "sender.app",
    "cli": "sender.cli",
    "demo": "sender.demo",
    "plugin": "sender.plugin",
}
_STAGE_KEYS: dict[str, Key] = {
    "probe": "stage.probe",
    "track": "stage.track",
    "voice": "stage.voice",
    "learn": "stage.learn",
    "engine": "stage.engine",
    "deliver": "stage.deliver",
    "check": "stage.check",
}
