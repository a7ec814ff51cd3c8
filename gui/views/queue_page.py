"""The queue: every job, how far it is, and what can be done with it."""

from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from daemon.client import Client
from daemon.protocol.jobs import TRANSITIONS, Job, JobState, RedubSpec
from daemon.protocol.messages import LogEntry
from gui.link import Link
from gui.models.job_table import ETA, JOB_ROLE, PROGRESS, STATE, JobTable, cell_text, job_tooltip, time_text
from gui.texts import Key, text
from gui.theme import GAP, colour
from gui.views.parts import column, heading, muted, named, on_key, show_error, wrapped

_ROW = 34
_BAR = 4


class _Action(NamedTuple):
    key: str
    call: Callable[[Client, str], object]
    from_: tuple[JobState, ...]


_ACTIONS: dict[Key, _Action] = {
    "queue.pause": _Action("P", lambda c, j: c.pause(j), (JobState.QUEUED, JobState.RUNNING)),
    "queue.resume": _Action("R", lambda c, j: c.resume(j), (JobState.PAUSED,)),
    "queue.hold": _Action("H", lambda c, j: c.hold(j), (JobState.QUEUED,)),
    "queue.release": _Action("G", lambda c, j: c.release(j), (JobState.HELD,)),
    "queue.retry": _Action("T", lambda c, j: c.retry(j), (JobState.FAILED, JobState.CANCELLED)),
    "queue.cancel": _Action(
        "Del",
        lambda c, j: c.cancel(j),
        tuple(state for state, to in TRANSITIONS.items() if JobState.CANCELLED in to),
    ),
}


class QueuePage(QWidget):
    """Table at the left, the chosen job at the right."""

    takes_wanted = Signal(str)

    def __init__(self, link: Link, jobs: JobTable) -> None:
        super().__init__()
        self.setObjectName("page")
        self._link = link
        self._jobs = jobs
        self._current = ""
        self.table = self._make_table()
        splitter = QSplitter()
        splitter.addWidget(self._make_left())
        splitter.addWidget(self._make_right())
        splitter.setStretchFactor(0, 1)
        splitter.setSizes([1100, 340])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        jobs.modelReset.connect(self._restore)
        jobs.dataChanged.connect(lambda *_: self._show())
        jobs.moved.connect(self._move)
        link.state_changed.connect(self._show)
        link.job_logged.connect(self._add_log)
        self.table.selectionModel().currentRowChanged.connect(lambda now, _: self._choose(now))
        self._show()

    def select(self, job_id: str) -> None:
        """Choose a job."""
        row = self._jobs.row_of(job_id)
        if row is not None:
            self.table.selectRow(row)

    # Making.

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setModel(self._jobs)
        table.setAccessibleName(text("queue.name"))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        table.setDragDropOverwriteMode(False)
        table.setDropIndicatorShown(True)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setItemDelegate(JobDelegate(table))
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(_ROW)
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for number, width in enumerate((96, 160, 104, 74, 68, 210, 60, 96, 104)):
            table.setColumnWidth(number, width)
        header.setSectionResizeMode(PROGRESS, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(48)
        header.setFixedHeight(32)
        return table

    def _make_left(self) -> QWidget:
        side = named(QWidget(), "panel")
        layout = QVBoxLayout(side)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        bar = QHBoxLayout()
        bar.setContentsMargins(GAP * 2, GAP, GAP * 2, GAP)
        bar.setSpacing(6)
        self._summary = named(QLabel(), "title")
        bar.addWidget(self._summary, 1)
        self.buttons: dict[Key, QPushButton] = {}
        for key, action in _ACTIONS.items():
            button = QPushButton(text(key))
            button.clicked.connect(lambda _=False, key=key: self._act(key))
            on_key(self, action.key, button.click)
            self.buttons[key] = button
            bar.addWidget(button)
        layout.addLayout(bar)
        layout.addWidget(self.table, 1)
        self._empty = muted(text("queue.empty"))
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(self._empty, 1)
        return side

    def _make_right(self) -> QWidget:
        side = named(QWidget(), "panel")
        side.setMinimumWidth(280)
        layout = column(side)
        self._title = named(wrapped(), "title")
        self._facts = muted()
        self._facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._error = wrapped()
        self._open = QPushButton(text("queue.open_takes"))
        self._open.clicked.connect(lambda: self.takes_wanted.emit(self._current))
        self._log = QPlainTextEdit()
        self._log.setReadOnly(True)
        self._log.setPlaceholderText(text("queue.log_empty"))
        self._log.setAccessibleName(text("queue.log"))
        for widget in (self._title, self._facts, self._error, self._open, heading("queue.log")):
            layout.addWidget(widget)
        layout.addWidget(self._log, 1)
        return side

    # Showing.

    def _restore(self) -> None:
        row = self._jobs.row_of(self._current)
        if row is None and self._jobs.rowCount():
            row = 0
        if row is not None:
            self.table.selectRow(row)
        self._show()

    def _choose(self, index: QModelIndex) -> None:
        if not index.isValid():
            return
        job_id = self._jobs.job_at(index.row()).job_id
        if job_id != self._current:
            self._current = job_id
            self._log.clear()
            self._link.ask(lambda client: client.job_log(job_id), lambda found: self._set_log(job_id, found))
        self._show()

    def _show(self) -> None:
        counts = self._jobs.counts()
        held = counts.get(JobState.HELD, 0) + counts.get(JobState.PAUSED, 0)
        self._summary.setText(
            text(
                "queue.summary",
                running=counts.get(JobState.RUNNING, 0),
                waiting=counts.get(JobState.QUEUED, 0),
                held=held,
                failed=counts.get(JobState.FAILED, 0),
            )
        )
        has_rows = self._jobs.rowCount() > 0
        self.table.setVisible(has_rows)
        self._empty.setVisible(not has_rows)
        job = self._jobs.job(self._current)
        self._show_buttons(job)
        self._show_job(job)

    def _show_buttons(self, job: Job | None) -> None:
        for key, button in self.buttons.items():
            action = _ACTIONS[key]
            is_possible = job is not None and job.state in action.from_
            button.setEnabled(is_possible and self._link.is_online)
            hint = text("hint.key", key=action.key)
            if not self._link.is_online:
                hint = text("hint.offline")
            elif not is_possible:
                hint = text("queue.not_possible")
            button.setToolTip(hint)

    def _show_job(self, job: Job | None) -> None:
        is_shown = job is not None and isinstance(job.spec, RedubSpec)
        self._open.setEnabled(is_shown and job is not None and job.state is JobState.DONE)
        if not is_shown or job is None:
            self._title.setText(text("queue.none_chosen"))
            self._facts.clear()
            self._error.clear()
            return
        self._title.setText(cell_text(job, 1))
        lines = [job_tooltip(job) if job.error is None else "", text("queue.id", id=job.job_id)]
        if job.attempts > 1:
            lines.append(text("queue.attempts", n=job.attempts))
        self._facts.setText("\n".join(line for line in lines if line))
        error = job.error
        self._error.setText("" if error is None else f"{error.message}\n{error.hint}")
        self._error.setVisible(error is not None)
        self._error.setStyleSheet(f"color: {colour('bad').name()};")

    def _set_log(self, job_id: str, entries: list[LogEntry]) -> None:
        if job_id == self._current:
            self._log.setPlainText("\n".join(f"{time_text(entry.at)}  {entry.sentence}" for entry in entries))

    def _add_log(self, job_id: str, at: float, sentence: str) -> None:
        if job_id == self._current:
            self._log.appendPlainText(f"{time_text(at)}  {sentence}")

    # Doing.

    def _act(self, key: Key) -> None:
        job_id = self._current
        call = _ACTIONS[key].call
        self._link.ask(lambda client: call(client, job_id), failed=lambda info: show_error(self, info))

    def _move(self, job_id: str, before: str | None, priority: int | None) -> None:
        self._link.ask(
            lambda client: client.reorder(job_id, before=before, priority=priority),
            failed=lambda info: show_error(self, info),
        )


class JobDelegate(QStyledItemDelegate):
    """Draws a state's dot and a progress bar."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw a cell."""
        job: Job = index.data(JOB_ROLE)
        painter.save()
        rect = QRect(option.rect)  # type: ignore[attr-defined]
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)  # type: ignore[attr-defined]
        if is_chosen:
            painter.fillRect(rect, colour("raised"))
        left = 12
        if index.column() == STATE:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour(_STATE_COLOURS[job.state]))
            painter.drawEllipse(rect.left() + 12, rect.center().y() - 3, 8, 8)
            left = 28
        is_running = job.state is JobState.RUNNING and job.progress is not None
        if index.column() == PROGRESS and is_running and job.progress is not None:
            self._bar(painter, rect, job.progress.fraction)
            rect = rect.adjusted(0, 0, 0, -_BAR - 4)
        quiet = job.state in (JobState.DONE, JobState.CANCELLED) and index.column() != STATE
        name = "bad" if job.state is JobState.FAILED and index.column() == PROGRESS else "text"
        painter.setPen(colour("muted" if quiet or index.column() >= ETA else name))
        area = rect.adjusted(left, 0, -8, 0)
        words = painter.fontMetrics().elidedText(index.data(), Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), words)
        painter.restore()

    def _bar(self, painter: QPainter, rect: QRect, fraction: float) -> None:
        track = QRect(rect.left() + 12, rect.bottom() - _BAR - 4, rect.width() - 24, _BAR)
        painter.fillRect(track, colour("line"))
        painter.fillRect(
            QRect(track.topLeft(), track.size()).adjusted(0, 0, -round(track.width() * (1 - fraction)), 0),
            colour("accent"),
        )


_STATE_COLOURS = {
    JobState.QUEUED: "muted",
    JobState.HELD: "warn",
    JobState.RUNNING: "accent",
    JobState.PAUSED: "warn",
    JobState.DONE: "good",
    JobState.FAILED: "bad",
    JobState.CANCELLED: "faint",
}
