"""The queue: every job, how far it is, and what can be done with it."""

from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from daemon.client import Client
from daemon.protocol.jobs import TRANSITIONS, Job, JobState
from gui.link import Link
from gui.models.job_table import JobTable
from gui.models.job_words import counts_text
from gui.texts import Key, text
from gui.theme import GAP
from gui.views.job_delegate import JobDelegate
from gui.views.job_panel import JobPanel
from gui.views.night_bar import NightBar
from gui.views.parts import muted, named, on_key, show_error
from gui.views.table import make_table

_WIDTHS = (92, 0, 0, 72, 58, 0, 62, 118, 90)  # px of each column; 0: a share of what is left


class _Action(NamedTuple):
    key: str
    call: Callable[[Client, str], object]
    from_: tuple[JobState, ...]


_ACTIONS: dict[Key, _Action] = {
    "queue.pause": _Action("P", lambda c, j: c.pause(j), (JobState.QUEUED, JobState.RUNNING)),
    "queue.resume": _Action("R", lambda c, j: c.resume(j), (JobState.PAUSED,)),
    "queue.hold": _Action("H", lambda c, j: c.hold(j), (JobState.QUEUED, JobState.RUNNING)),
    "queue.tonight": _Action(
        "M", lambda c, j: c.hold(j, tonight=True), (JobState.QUEUED, JobState.RUNNING, JobState.HELD)
    ),
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
        self.details = JobPanel(link)
        self.details.takes_wanted.connect(self.takes_wanted)
        self.setFocusProxy(self.table)
        splitter = QSplitter()
        splitter.addWidget(self._make_left())
        splitter.addWidget(self.details)
        splitter.setStretchFactor(0, 1)
        splitter.setSizes([1200, 300])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        jobs.modelReset.connect(self._restore)
        for signal in (jobs.rowsInserted, jobs.rowsMoved):
            signal.connect(lambda *_: self._restore())
        jobs.dataChanged.connect(lambda *_: self._show())
        jobs.moved.connect(self._move)
        self.night.takes_wanted.connect(self.takes_wanted)
        self.night.foretold.connect(self._show)
        link.state_changed.connect(self._show)
        self.table.selectionModel().currentRowChanged.connect(lambda now, _: self._choose(now))
        self._show()

    def select(self, job_id: str) -> None:
        """Choose a job."""
        row = self._jobs.row_of(job_id)
        if row is not None:
            self.table.selectRow(row)

    # Making.

    def _make_table(self) -> QTableView:
        table = make_table(self._jobs, JobDelegate(self._jobs), "queue.name", _WIDTHS)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        table.setDragDropOverwriteMode(False)
        table.setDropIndicatorShown(True)
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
        self.night = NightBar(self._link)
        layout.addWidget(self.night)
        return side

    # Showing.

    def _restore(self) -> None:
        row = self._jobs.row_of(self._current)
        if row is None and self._jobs.rowCount():
            row = 0
        if row is not None and row != self.table.currentIndex().row():
            self.table.selectRow(row)
        self._show()

    def _choose(self, index: QModelIndex) -> None:
        if not index.isValid():
            return
        job_id = self._jobs.job_at(index.row()).job_id
        self._current = job_id
        self._show()

    def _show(self) -> None:
        self._summary.setText(counts_text(self._jobs.counts()) or text("queue.nothing"))
        has_rows = self._jobs.rowCount() > 0
        self.table.setVisible(has_rows)
        self._empty.setVisible(not has_rows)
        job = self._jobs.job(self._current)
        self._show_buttons(job)
        self.details.show_job(job, self.night.forecast_of(self._current))

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
