"""Batch: many shots from a list, a timeline or a folder of pairs, checked row by row, sent in one go."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from daemon.client import Client
from daemon.protocol.errors import DubwrightError, ErrorInfo
from gui.link import Link
from gui.media.background import Background
from gui.models.batch import (
    TIMELINE_SUFFIXES,
    BatchError,
    Checked,
    Row,
    check,
    pair_folder,
    read_list,
    read_timeline,
    write_list,
)
from gui.models.batch_table import BatchTable
from gui.texts import Key, text
from gui.theme import GAP
from gui.views.batch_delegate import BatchDelegate
from gui.views.file_target import FileTarget
from gui.views.parts import muted, named, on_key, show_error
from gui.views.table import make_table

_WIDTHS = (0, 180, 160, 110, 110, 64, 76, 80, 64)  # px of each column; 0: what is left
Outcome = tuple[str, str, str]  # a row's key; its job's id or ""; why it was refused or ""


class BatchPage(FileTarget):
    """A table and what can be done with it."""

    def __init__(self, link: Link, background: Background) -> None:
        super().__init__()
        self.setObjectName("page")
        self._link, self._background = link, background
        self.rows = BatchTable()
        self.table = make_table(self.rows, BatchDelegate(), "batch.name", _WIDTHS)
        self.setFocusProxy(self.table)
        self.buttons: dict[Key, QPushButton] = {}
        side = named(QWidget(), "panel")
        layout = QVBoxLayout(side)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._make_bar())
        layout.addWidget(self.table, 1)
        self._empty = muted(text("batch.empty"))
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(self._empty, 1)
        layout.addLayout(self._make_foot())
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(side)
        self.rows.changed.connect(self._show)
        self.rows.check_wanted.connect(self._check)
        link.state_changed.connect(self._show)
        self._show()

    def take_in(self, path: Path, *, voice_track: str = "") -> None:
        """Add the rows of a list, a folder, or a timeline (which needs the name of its voice track)."""
        if path.is_dir():
            self._read(path, lambda: pair_folder(path))
        elif path.suffix.lower() in TIMELINE_SUFFIXES:
            if voice_track:
                self._read(path, lambda: read_timeline(path, voice_track))
            else:
                self._ask_for_track(path)
        else:
            self._read(path, lambda: read_list(path))

    # Making.

    def _make_bar(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(GAP * 2, GAP, GAP * 2, GAP)
        row.setSpacing(6)
        self._title = named(QLabel(), "title")
        row.addWidget(self._title, 1)
        for key, act, hint in (
            ("batch.open", self._choose_list, "batch.open_hint"),
            ("batch.folder", self._choose_folder, "batch.folder_hint"),
            ("batch.save", self._save, ""),
            ("batch.remove", self._remove, ""),
            ("batch.clear", self.rows.remove_sent, ""),
        ):
            button = self._button(key, act)
            button.setToolTip(text(hint) if hint else "")
            row.addWidget(button)
        on_key(self, "Del", self.buttons["batch.remove"].click)
        return row

    def _make_foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(GAP * 2, GAP, GAP * 2, GAP)
        row.setSpacing(GAP)
        self._note = muted(text("batch.hint"))
        row.addWidget(self._note, 1)
        row.addWidget(self._button("batch.tonight", lambda: self.submit(tonight=True)))
        row.addWidget(named(self._button("batch.submit", self.submit), "primary"))
        on_key(self, "Ctrl+Return", self.buttons["batch.submit"].click)
        return row

    def _button(self, key: Key, act: Callable[[], object]) -> QPushButton:
        button = self.buttons[key] = QPushButton(text(key))
        button.clicked.connect(lambda _=False: act())
        return button

    # Reading.

    def _read(self, path: Path, read: Callable[[], Sequence[Row]]) -> None:
        self._note.setText(text("batch.reading", name=path.name))

        def call() -> Sequence[Row] | str:
            try:
                return read()
            except (BatchError, OSError) as error:
                return str(error)

        def done(found: Sequence[Row] | str) -> None:
            self._note.setText(text("batch.hint"))
            if isinstance(found, str):
                self._complain(found)
            else:
                self.rows.add(found)

        self._background.run(call, done)

    def _check(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._background.run(
                lambda row=row: check(row), lambda found, row=row: self.rows.set_checked(row, found)
            )

    def _choose_list(self) -> None:
        kinds = " ".join(f"*{suffix}" for suffix in (".csv", *sorted(TIMELINE_SUFFIXES)))
        name, _ = QFileDialog.getOpenFileName(self, text("batch.open"), filter=kinds)
        if name:
            self.take_in(Path(name))

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, text("batch.folder"))
        if name:
            self.take_in(Path(name))

    def _ask_for_track(self, path: Path) -> None:
        dialog = QInputDialog(self)
        dialog.setWindowTitle(text("batch.track"))
        dialog.setLabelText(text("batch.track_ask"))
        dialog.setTextValue("1")
        dialog.textValueSelected.connect(lambda name: self.take_in(path, voice_track=name) if name else None)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, text("batch.save"), filter="*.csv")
        if name:
            try:
                write_list(self.rows.rows, Path(name).with_suffix(".csv"))
            except BatchError as error:
                self._complain(str(error))

    def _remove(self) -> None:
        self.rows.remove([index.row() for index in self.table.selectionModel().selectedRows()])

    def _complain(self, sentence: str) -> None:
        show_error(self, ErrorInfo("batch", sentence, ""))

    # Showing and sending.

    def _show(self) -> None:
        counts = self.rows.counts()
        has_rows = self.rows.rowCount() > 0
        self._title.setText(
            text("batch.title", ready=counts["ready"], wrong=counts["wrong"], sent=counts["sent"])
        )
        self.table.setVisible(has_rows)
        self._empty.setVisible(not has_rows)
        for key in ("batch.save", "batch.remove"):
            self.buttons[key].setEnabled(has_rows)
        self.buttons["batch.clear"].setEnabled(counts["sent"] > 0)
        reason = "" if self._link.is_online else text("hint.offline")
        reason = reason or ("" if counts["ready"] else text("batch.nothing"))
        for key in ("batch.submit", "batch.tonight"):
            self.buttons[key].setEnabled(not reason)
            self.buttons[key].setToolTip(reason or text("hint.key", key="Ctrl+Enter"))
        if not reason:
            self.buttons["batch.tonight"].setToolTip("")

    def submit(self, *, tonight: bool = False) -> None:
        """Put every row that is ready on the queue. A row that was sent before is not sent again."""
        ready = [(row.key, found) for row, found in self.rows.ready()]
        self._link.ask(
            lambda client: _submit_all(client, ready, tonight=tonight),
            self._take_outcomes,
            lambda info: show_error(self, info),
        )

    def _take_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        for key, job_id, refusal in outcomes:
            if job_id:
                self.rows.set_sent(key, job_id)
            else:
                self.rows.set_refused(key, refusal)


def _submit_all(client: Client, ready: Sequence[tuple[str, Checked]], *, tonight: bool) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for key, checked in ready:
        assert checked.spec is not None
        try:
            outcomes.append((key, client.submit(checked.spec, key=key, tonight=tonight).job_id, ""))
        except DubwrightError as error:
            info = error.to_info()
            if info.code.startswith("daemon."):
                raise
            outcomes.append((key, "", f"{info.message} {info.hint}".strip()))
    return outcomes
