"""The foot of the queue: the night's window, what will fit into it, the schedule and the morning's report."""

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.messages import ForecastReply, ReportReply, ScheduleReply
from daemon.protocol.night import ForecastJob
from gui.link import Link
from gui.models.job_words import clock_text
from gui.models.night import FITS_COLOURS, report_title, window_text
from gui.texts import text
from gui.theme import GAP, colour
from gui.views.parts import named, show_error
from gui.views.report_dialog import ReportDialog
from gui.views.schedule_dialog import ScheduleDialog

_REFRESH_MS = 5000
_SETTLE_MS = 400


class NightBar(QWidget):
    """Asks the daemon for the forecast while it is seen, and soon after jobs changed."""

    foretold = Signal()
    takes_wanted = Signal(str)

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.setObjectName("pageBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._link = link
        self.forecast: ForecastReply | None = None
        self._words = QLabel()
        self._news = named(QLabel(), "muted")
        self._strip = NightStrip()
        self.schedule = QPushButton(text("night.schedule"))
        self.schedule.clicked.connect(lambda _=False: self._ask_schedule())
        self.report = QPushButton(text("night.report"))
        self.report.clicked.connect(lambda _=False: self.show_report())
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self._words, 1)
        row.addWidget(self._news)
        row.addWidget(self.schedule)
        row.addWidget(self.report)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP * 2, GAP, GAP * 2, GAP)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self._strip)
        self._timer = QTimer(self, interval=_REFRESH_MS)
        self._timer.timeout.connect(self._ask)
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settle.timeout.connect(self._ask)
        link.state_changed.connect(self._on_state)
        link.schedule_changed.connect(self._ask)
        for signal in (link.job_changed, link.active_listed):
            signal.connect(lambda _: self._settle.start())
        link.report_written.connect(lambda _: self._tell_report())
        self._on_state()

    def forecast_of(self, job_id: str) -> ForecastJob | None:
        """Return when a job will run."""
        found = self.forecast
        return None if found is None else next((job for job in found.jobs if job.job_id == job_id), None)

    def show_report(self, night: str | None = None) -> None:
        """Read the last report, or that of a night, and show it."""
        self._link.ask(lambda client: client.report(night), self._open_report, self._complain)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Keep up to date while it is seen."""
        self._timer.start()
        self._ask()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Ask no more."""
        self._timer.stop()
        self._settle.stop()

    def _ask(self) -> None:
        if self._link.is_online and self.isVisible():
            self._link.ask(lambda client: client.forecast(), self._take)

    def _take(self, found: ForecastReply) -> None:
        self.forecast = found
        self._words.setText(window_text(found))
        self._strip.show_forecast(found)
        self.foretold.emit()

    def _on_state(self) -> None:
        is_online = self._link.is_online
        for button in (self.schedule, self.report):
            button.setEnabled(is_online)
            button.setToolTip("" if is_online else text("hint.offline"))
        self._ask()

    def _tell_report(self) -> None:
        self._link.ask(
            lambda client: client.report(), lambda found: self._news.setText(report_title(found.report))
        )

    def _ask_schedule(self) -> None:
        self._link.ask(lambda client: client.schedule(), self._open_schedule, self._complain)

    def _open_schedule(self, found: ScheduleReply) -> None:
        dialog = ScheduleDialog(self._link, found, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.finished.connect(lambda _: self._ask())
        dialog.open()

    def _open_report(self, found: ReportReply) -> None:
        self._news.clear()
        dialog = ReportDialog(found, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.takes_wanted.connect(self.takes_wanted)
        dialog.open()

    def _complain(self, info: ErrorInfo) -> None:
        show_error(self, info)


class NightStrip(QWidget):
    """The window from left to right, and the jobs in it as blocks."""

    def __init__(self) -> None:
        super().__init__()
        self._found: ForecastReply | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(text("night.strip"))

    def show_forecast(self, found: ForecastReply) -> None:
        """Show another forecast."""
        self._found = found
        self.setVisible(found.opens_at is not None)
        self.setAccessibleDescription(window_text(found))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Two lines high."""
        return QSize(200, 30)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Paint the window, its hours and its jobs."""
        found = self._found
        if found is None or found.opens_at is None or found.closes_at is None:
            return
        painter = QPainter(self)
        opens, length = found.opens_at, max(1.0, found.closes_at - found.opens_at)
        scale = self.width() / length
        painter.fillRect(QRectF(0, 0, self.width(), 12), colour("field"))
        for job in found.jobs:
            if job.begins_at is None or job.ends_at is None or job.begins_at >= found.closes_at:
                continue
            left = max(0.0, (job.begins_at - opens) * scale)
            right = min(float(self.width()), (job.ends_at - opens) * scale)
            if right > 0:
                painter.fillRect(
                    QRectF(left, 1, max(1.0, right - left - 1), 10), colour(FITS_COLOURS[job.fits])
                )
        self._paint_hours(painter, opens, length, scale)
        painter.end()

    def _paint_hours(self, painter: QPainter, opens: float, length: float, scale: float) -> None:
        painter.setPen(colour("muted"))
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        step = next(step for step in (1, 2, 3, 6, 12, 24) if step * 3600 * scale > 60 or step == 24) * 3600
        for offset in range(0, int(length) + 1, step):
            x = offset * scale
            if x < self.width() - 30:
                painter.drawText(QRectF(x, 14, 60, 14), clock_text(opens + offset))
