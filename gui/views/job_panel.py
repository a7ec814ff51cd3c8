"""The chosen job beside the queue: what it is, what went wrong, its priority, what happened to it."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QWidget

from daemon.protocol.events import JobPreviewed
from daemon.protocol.job_messages import LogEntry
from daemon.protocol.jobs import Job, JobState, RedubSpec
from daemon.protocol.night import ForecastJob
from gui.link import Link
from gui.models.job_table import WAITING
from gui.models.job_words import cell_texts, history, job_tooltip
from gui.models.night import forecast_text
from gui.texts import text
from gui.theme import colour
from gui.views.fields import number
from gui.views.parts import column, heading, muted, named, show_error, wrapped
from gui.views.preview import Preview

_PRIORITY_WIDTH = 72  # px


class JobPanel(QWidget):
    """Shows one job; reads its log from the daemon and goes on listening."""

    takes_wanted = Signal(str)

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(280)
        self._link = link
        self._job_id = ""
        self._job: Job | None = None
        self._entries: list[LogEntry] = []
        layout = column(self)
        self._title = named(wrapped(), "title")
        self._facts = muted()
        self._facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._error = wrapped()
        self._open = QPushButton(text("queue.open_takes"))
        self._open.clicked.connect(lambda: self.takes_wanted.emit(self._job_id))
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setPlaceholderText(text("queue.log_empty"))
        self.log.setAccessibleName(text("queue.log"))
        self.preview = Preview()
        link.job_previewed.connect(self._show_preview)
        priority = self._make_priority()
        for widget in (self._title, self.preview, self._facts, self._error, priority, self._open):
            layout.addWidget(widget)
        layout.addWidget(heading("queue.log"))
        layout.addWidget(self.log, 1)
        link.job_logged.connect(self._add_log)
        link.state_changed.connect(lambda: self._read_log() if link.is_online else None)

    def show_job(self, job: Job | None, forecast: ForecastJob | None = None) -> None:
        """Show a job as it is now, and when it will run; or that none is chosen."""
        is_other = (job.job_id if job else "") != self._job_id
        self._job, self._job_id = job, job.job_id if job else ""
        self._priority_row.setVisible(job is not None)
        self._open.setVisible(job is not None and isinstance(job.spec, RedubSpec))
        self._error.setVisible(job is not None and job.error is not None)
        if job is None:
            self._title.setText(text("queue.none_chosen"))
            self._facts.clear()
            self.log.clear()
            self.preview.clear()
            return
        self._open.setEnabled(job.state is JobState.DONE)
        self._title.setText(cell_texts(job)[1])
        lines = [job_tooltip(job) if job.error is None else "", text("queue.id", id=job.job_id)]
        if job.attempts > 1:
            lines.append(text("queue.attempts", n=job.attempts))
        if forecast is not None:
            lines.append(forecast_text(forecast))
        self._facts.setText("\n".join(line for line in lines if line))
        if job.error is not None:
            self._error.setText(f"{job.error.message}\n{job.error.hint}")
            self._error.setStyleSheet(f"color: {colour('bad').name()};")
        self._show_priority(job)
        if is_other or job.state is not JobState.RUNNING:
            self.preview.clear()
        if is_other:
            self._read_log()
        else:
            self._show_log()

    def _show_preview(self, found: JobPreviewed) -> None:
        if found.job_id == self._job_id and self.isVisible():
            step = text(
                "queue.preview", chunk=found.chunk, chunks=found.chunks, step=found.step, steps=found.steps
            )
            self.preview.show_picture(found.picture, step)

    def _make_priority(self) -> QWidget:
        self._priority_row = QWidget()
        row = QHBoxLayout(self._priority_row)
        row.setContentsMargins(0, 0, 0, 0)
        label = QLabel(text("queue.priority"))
        self.priority = number(-1000, 1000, self._set_priority)
        self.priority.setAccessibleName(text("queue.priority"))
        self.priority.setFixedWidth(_PRIORITY_WIDTH)
        label.setBuddy(self.priority)
        row.addWidget(label, 1)
        row.addWidget(self.priority)
        return self._priority_row

    def _show_priority(self, job: Job) -> None:
        can_change = job.state in WAITING and self._link.is_online
        self.priority.blockSignals(True)
        if not self.priority.hasFocus():
            self.priority.setValue(job.priority)
        self.priority.blockSignals(False)
        self.priority.setEnabled(can_change)
        self.priority.setToolTip(text("queue.priority_hint" if can_change else "queue.not_possible"))

    def _set_priority(self, value: int) -> None:
        job_id = self._job_id
        self._link.ask(
            lambda client: client.reorder(job_id, priority=value), failed=lambda info: show_error(self, info)
        )

    def _read_log(self) -> None:
        job_id = self._job_id
        self._entries = []
        self._show_log()
        if job_id:
            self._link.ask(lambda client: client.job_log(job_id), lambda found: self._set_log(job_id, found))

    def _set_log(self, job_id: str, entries: list[LogEntry]) -> None:
        if job_id == self._job_id:
            self._entries = entries
            self._show_log()

    def _add_log(self, job_id: str, at: float, sentence: str) -> None:
        if job_id == self._job_id:
            self._entries = [*self._entries, LogEntry(at=at, sentence=sentence)]
            self._show_log()

    def _show_log(self) -> None:
        words = "" if self._job is None else "\n".join(history(self._job, self._entries))
        if words != self.log.toPlainText():
            self.log.setPlainText(words)
            self.log.moveCursor(QTextCursor.MoveOperation.End)
