"""The morning's report: what the night brought, first what needs a person."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

from daemon.protocol.messages import ReportReply
from daemon.protocol.night import ReportJob
from gui.models.night import report_facts, report_line, report_parts, report_title
from gui.texts import Key, text
from gui.theme import colour
from gui.views.parts import column, muted, named, wrapped

_NARROW, _LOW = 460, 240  # px, of a report without jobs


class ReportDialog(QDialog):
    """Reads like a page; a double click opens a job's takes."""

    takes_wanted = Signal(str)

    def __init__(self, found: ReportReply, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(text("report.name", night=found.report.night))
        self.resize(720, 560)
        layout = column(self)
        layout.addWidget(named(wrapped(report_title(found.report)), "big"))
        layout.addWidget(muted("\n".join(report_facts(found.report))))
        self.list = QListWidget()
        self.list.setAccessibleName(text("report.jobs"))
        self.list.setWordWrap(True)
        for key, jobs in report_parts(found.report):
            self._add_part(key, jobs)
        self.list.itemActivated.connect(self._open)
        layout.addWidget(self.list, 1)
        if self.list.count() == 0:
            self.list.hide()
            layout.addWidget(wrapped(text("report.nothing")))
            layout.addStretch(1)
            self.resize(_NARROW, _LOW)
        buttons = QDialogButtonBox()
        if found.html is not None:
            page = buttons.addButton(text("report.page"), QDialogButtonBox.ButtonRole.ActionRole)
            url = QUrl.fromLocalFile(str(Path(found.html)))
            page.clicked.connect(lambda _=False: QDesktopServices.openUrl(url))
        buttons.addButton(text("error.close"), QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        layout.addWidget(buttons)

    def _add_part(self, key: Key, jobs: Sequence[ReportJob]) -> None:
        title = QListWidgetItem(text(key).upper())
        title.setFlags(Qt.ItemFlag.ItemIsEnabled)
        title.setForeground(colour("muted"))
        self.list.addItem(title)
        for job in jobs:
            item = QListWidgetItem(report_line(job))
            item.setData(Qt.ItemDataRole.UserRole, job.job_id if job.takes else "")
            if job.error is not None or job.missed:
                item.setForeground(colour("bad"))
            self.list.addItem(item)

    def _open(self, item: QListWidgetItem) -> None:
        job_id = item.data(Qt.ItemDataRole.UserRole)
        if job_id:
            self.takes_wanted.emit(job_id)
            self.accept()
