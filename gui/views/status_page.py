"""Status: how the daemon, the GPU and the models are, what is missing, and what to do about it.

Also the first page of a first run on which something is missing.
"""

import shutil
import time
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from daemon.client import Client
from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import JobState
from daemon.protocol.messages import ListModelsReply, StatusReply
from gui.link import Link, LinkState, describe
from gui.models.health import FACES, gpu_text, worker_text
from gui.models.job_words import JOB_STATE_KEYS, duration_text
from gui.texts import Key, text
from gui.theme import GAP, colour
from gui.views.check_section import CheckSection
from gui.views.models_section import ModelsSection
from gui.views.parts import clear, heading, muted, named, wrapped

_REFRESH_MS = 2000
_WIDTH = 760

STATE_KEYS: dict[LinkState, Key] = {
    LinkState.CONNECTING: "link.connecting",
    LinkState.ONLINE: "link.online",
    LinkState.AWAY: "link.away",
    LinkState.REFUSED: "link.refused",
}
STATE_COLOURS = {
    LinkState.CONNECTING: "warn",
    LinkState.ONLINE: "good",
    LinkState.AWAY: "bad",
    LinkState.REFUSED: "bad",
}


class StatusPage(QWidget):
    """One column: state, problems, GPU, models, workers, folders, and a check of the machine."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.setObjectName("page")
        self._link = link
        self._status: StatusReply | None = None
        self._free_bytes: int | None = None
        self._timer = QTimer(self, interval=_REFRESH_MS)
        self._timer.timeout.connect(self._ask)
        body = QWidget()
        self._layout = QVBoxLayout(body)
        self._layout.setContentsMargins(GAP * 4, GAP * 4, GAP * 4, GAP * 4)
        self._layout.setSpacing(GAP)
        self._make_head()
        self._problems = QVBoxLayout()
        self._layout.addLayout(self._problems)
        self.check = CheckSection()
        self._layout.addWidget(self.check)
        self._gpus = self._section("status.gpus")
        self.models = ModelsSection()
        self._layout.addSpacing(GAP * 2)
        self._layout.addWidget(heading("status.models"))
        self._layout.addWidget(self.models)
        self._workers = self._section("status.workers")
        self._queue = self._section("status.queue")
        self._folders = self._section("status.folders")
        self._layout.addStretch(1)
        body.setMaximumWidth(_WIDTH)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(body)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        scroll.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        link.state_changed.connect(self._show)
        link.state_changed.connect(self._ask_all)
        link.workers_changed.connect(self._ask)
        link.schedule_changed.connect(self._ask)
        self.models.changed.connect(self._ask_models)
        self.check.changed.connect(self._ask_all)
        self._show()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Keep up to date while it is seen."""
        self._timer.start()
        self._ask_all()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Ask no more."""
        self._timer.stop()

    def close_commands(self) -> None:
        """End the commands that run for this page."""
        self.models.command.stop()
        self.check.command.stop()

    def welcome(self) -> None:
        """Say that this is a first run and something is missing."""
        self._welcome.setText(text("status.welcome"))
        self._welcome.show()

    def _make_head(self) -> None:
        self._title = named(QLabel(), "big")
        self._welcome = wrapped()
        self._welcome.hide()
        self._sentence = muted()
        self.start = named(QPushButton(text("status.start")), "primary")
        self.start.clicked.connect(self._link.start_daemon)
        self.copy = QPushButton(text("error.copy"))
        self.copy.clicked.connect(self._copy_details)
        row = QHBoxLayout()
        row.addWidget(self.start)
        row.addWidget(self.copy)
        row.addStretch(1)
        for widget in (self._title, self._welcome, self._sentence):
            self._layout.addWidget(widget)
        self._layout.addLayout(row)

    def _section(self, key: Key) -> QFormLayout:
        self._layout.addSpacing(GAP * 2)
        self._layout.addWidget(heading(key))
        form = QFormLayout()
        form.setHorizontalSpacing(GAP * 3)
        form.setVerticalSpacing(6)
        self._layout.addLayout(form)
        return form

    def _ask_all(self) -> None:
        self._ask()
        self._ask_models()

    def _ask(self) -> None:
        if self._link.is_online and self.isVisible():
            self._link.ask(_read_status, self._take)

    def _ask_models(self) -> None:
        if self._link.is_online:
            self._link.ask(lambda client: client.models(), self._take_models)

    def _take(self, found: tuple[StatusReply, int | None]) -> None:
        self._status, self._free_bytes = found
        self._show()

    def _take_models(self, found: ListModelsReply) -> None:
        self.models.show_models(found, self._link.host)
        has_faces = all(model.state != "missing" for model in found.models if model.task == FACES)
        self._welcome.setVisible(self._welcome.isVisibleTo(self) and not has_faces)

    def _show(self) -> None:
        link = self._link
        self._title.setText(state_text(link))
        self._title.setStyleSheet(f"color: {colour(STATE_COLOURS[link.state]).name()};")
        self.start.setVisible(link.state is LinkState.AWAY and link.host is None)
        status = self._status if link.is_online else None
        problems = list(status.problems) if status else []
        if link.error is not None:
            self._sentence.setText(f"{link.error.message} {link.error.hint}")
        elif status is not None:
            key: Key = "status.problems" if problems else "status.well"
            self._sentence.setText(
                text(key, version=status.version, time=duration_text(status.uptime_s), n=len(problems))
            )
        else:
            self._sentence.clear()
        self.copy.setVisible(bool(problems) or link.error is not None)
        self._show_problems(problems, status.held_back if status else [])
        self._show_rows(status)

    def _show_problems(self, problems: list[ErrorInfo], held_back: list[str]) -> None:
        clear(self._problems)
        for sentence in [*(f"{problem.message}\n{problem.hint}" for problem in problems), *held_back]:
            label = wrapped(sentence)
            label.setStyleSheet(f"color: {colour('warn').name()};")
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._problems.addWidget(label)

    def _show_rows(self, status: StatusReply | None) -> None:
        sections = (self._gpus, self._workers, self._queue, self._folders)
        for form in sections:
            while form.rowCount():
                form.removeRow(0)
        if status is None:
            for form in sections:
                form.addRow(muted(text("status.unknown")))
            return
        for gpu in status.gpus:
            self._row(self._gpus, gpu.name, gpu_text(gpu))
        if not status.gpus:
            self._gpus.addRow(wrapped(text("gpu.none")))
        for worker in status.workers:
            role = text("worker.engine" if worker.role == "engine" else "worker.inspect")
            self._row(self._workers, f"{role} ({worker.pid})", worker_text(worker))
        if not status.workers:
            self._workers.addRow(wrapped(text("worker.none")))
        for state, count in status.jobs.items():
            self._row(self._queue, text(JOB_STATE_KEYS[JobState(state)]), str(count))
        for key, folder in (("status.data", status.data), ("status.logs", status.logs)):
            self._row(self._folders, text(key), folder)
        if self._free_bytes is not None:
            size = text("status.gigabytes", n=f"{self._free_bytes / 2**30:.0f}")
            self._row(self._folders, text("status.free"), size)

    def _row(self, form: QFormLayout, name: str, value: str) -> None:
        shown = wrapped(value)
        shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        label = named(QLabel(name), "muted")
        label.setMinimumWidth(180)
        form.addRow(label, shown)

    def _copy_details(self) -> None:
        problems = list(self._status.problems) if self._status else []
        found = [self._link.error] if self._link.error is not None else problems
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        QGuiApplication.clipboard().setText("\n\n".join([stamp, *map(describe, found)]))


def state_text(link: Link) -> str:
    """Return how the daemon is, and where if that is another machine."""
    words = text(STATE_KEYS[link.state])
    return words if link.host is None else text("link.on", state=words, name=link.host.name)


def _read_status(client: Client) -> tuple[StatusReply, int | None]:
    """Ask on the link's thread, and look at this machine's disk there, too: it may be slow."""
    status = client.status()
    if client.host is not None:
        return status, None
    try:
        return status, shutil.disk_usage(Path(status.data)).free
    except OSError:
        return status, None
