"""Draws the cells of the queue: a state's dot, a progress bar, words.

It asks the model directly and keeps what it can: a screen full of jobs is three hundred cells.
"""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from daemon.protocol.jobs import JobState
from gui.models.job_table import ETA, PROGRESS, STATE, JobTable
from gui.theme import colour

_BAR = 4
_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_QUIET = (JobState.DONE, JobState.CANCELLED)


class JobDelegate(QStyledItemDelegate):
    """Draws one cell."""

    def __init__(self, jobs: JobTable) -> None:
        super().__init__()
        self._jobs = jobs

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw a cell."""
        row, number = index.row(), index.column()
        job = self._jobs.job_at(row)
        rect: QRect = option.rect  # type: ignore[attr-defined]
        if option.state & QStyle.StateFlag.State_Selected:  # type: ignore[attr-defined]
            painter.fillRect(rect, colour("raised"))
        words = self._jobs.texts_at(row)[number]
        left, low = 12, 0
        if number == STATE:
            self._dot(painter, rect, STATE_COLOURS[job.state])
            left = 28
        elif number == PROGRESS and job.state is JobState.RUNNING and job.progress is not None:
            self._bar(painter, rect, job.progress.fraction)
            low = _BAR + 4
        if not words:
            return
        is_quiet = number >= ETA or (job.state in _QUIET and number != STATE)
        name = "bad" if job.state is JobState.FAILED and number == PROGRESS else "text"
        painter.setPen(colour("muted" if is_quiet else name))
        area = rect.adjusted(left, 0, -8, -low)
        metrics = painter.fontMetrics()
        painter.drawText(area, _LEFT, metrics.elidedText(words, Qt.TextElideMode.ElideRight, area.width()))

    def _dot(self, painter: QPainter, rect: QRect, name: str) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour(name))
        painter.drawEllipse(rect.left() + 12, rect.center().y() - 3, 8, 8)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _bar(self, painter: QPainter, rect: QRect, fraction: float) -> None:
        track = QRect(rect.left() + 12, rect.bottom() - _BAR - 4, rect.width() - 24, _BAR)
        painter.fillRect(track, colour("line"))
        track.setWidth(round(track.width() * fraction))
        painter.fillRect(track, colour("accent"))


STATE_COLOURS = {
    JobState.QUEUED: "muted",
    JobState.HELD: "warn",
    JobState.RUNNING: "accent",
    JobState.PAUSED: "warn",
    JobState.DONE: "good",
    JobState.FAILED: "bad",
    JobState.CANCELLED: "faint",
}
