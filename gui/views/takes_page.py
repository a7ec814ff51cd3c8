"""Takes: the list of all, the player that compares one with its original, what was measured, the verdict."""

from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import msgspec
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListView,
    QPushButton,
    QSplitter,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import RedubSpec, Take
from gui.link import Link
from gui.media.background import Background
from gui.media.clip import Clip, ClipError
from gui.media.player import Track
from gui.media.sound import read_sound
from gui.models.job_table import JobTable
from gui.models.take_list import (
    BADGE_KEYS,
    TAKE_ROLE,
    THUMBNAIL_ROLE,
    VERDICT_KEYS,
    Origin,
    TakeList,
    job_of,
    read_origin,
    take_title,
)
from gui.texts import Key, text
from gui.theme import GAP, colour
from gui.views.parts import column, heading, muted, named, on_key, show_error, wrapped
from gui.views.player_panel import PlayerPanel
from gui.views.strip import Strip

_THUMBNAIL = QSize(96, 60)
_ROW = 76
_SETTLE_MS = 120  # keys held down run through the list; only where they stop is a take opened
BADGE_COLOURS = {"pass": "good", "look": "warn", "fail": "bad"}
_VERDICT_COLOURS = {"accepted": "good", "rejected": "bad", "none": "muted"}

_FIGURES: dict[str, tuple[Key, str]] = {
    "av_offset_ms": ("figure.av_offset", "{:+.0f} ms"),
    "av_confidence": ("figure.av_confidence", "{:.2f}"),
    "seam_delta_e": ("figure.seam", "{:.2f} ΔE"),
    "colour_shift_delta_e": ("figure.colour", "{:.2f} ΔE"),
    "outside_max_difference": ("figure.outside", "{:.0f}"),
    "chunk_jump": ("figure.jump", "{:.2f} L*"),
    "silence_leak": ("figure.leak", "{:.3f}"),
    "likeness": ("figure.likeness", "{:.2f}"),
    "frames_passed_through": ("figure.passed", "{:.0f}"),
}


class TakesPage(QWidget):
    """List, player, evidence."""

    job_wanted = Signal(str)

    def __init__(self, link: Link, jobs: JobTable, takes: TakeList, background: Background) -> None:
        super().__init__()
        self.setObjectName("page")
        self._link, self._jobs, self._takes, self._background = link, jobs, takes, background
        self._current = ""
        self.list = self._make_list()
        self.panel = PlayerPanel(Strip(("lane.original", "lane.voice")), has_modes=True)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._load)
        splitter = QSplitter()
        splitter.addWidget(self._make_left())
        splitter.addWidget(self.panel)
        splitter.addWidget(self._make_right())
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([280, 900, 280])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        takes.modelReset.connect(self._restore)
        takes.rowsInserted.connect(lambda *_: self._show())
        takes.changed.connect(self._on_take)
        link.state_changed.connect(self._show)
        self.panel.player.failed.connect(self._on_failed)
        self.panel.player.opened.connect(self._on_opened)
        self.list.selectionModel().currentRowChanged.connect(lambda now, _: self._choose(now))
        self._make_keys()
        self._show()

    @property
    def take(self) -> Take | None:
        """The chosen take."""
        return self._takes.find(self._current)

    def select(self, take_id: str) -> None:
        """Choose a take."""
        row = self._takes.row_of(take_id)
        if row is not None:
            self.list.setCurrentIndex(self._takes.index(row))

    def select_job(self, job_id: str) -> None:
        """Choose the first take of a job."""
        self.select(f"{job_id}-1")

    # Making.

    def _make_list(self) -> QListView:
        view = QListView()
        view.setModel(self._takes)
        view.setItemDelegate(TakeDelegate(view))
        view.setAccessibleName(text("takes.name"))
        view.setDragEnabled(True)
        view.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        view.setUniformItemSizes(True)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setMinimumWidth(230)
        return view

    def _make_left(self) -> QWidget:
        side = named(QWidget(), "panel")
        layout = QVBoxLayout(side)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._summary = named(QLabel(), "title")
        self._summary.setContentsMargins(GAP * 2, 14, GAP * 2, 12)
        layout.addWidget(self._summary)
        layout.addWidget(self.list, 1)
        self._empty = muted(text("takes.empty"))
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setContentsMargins(GAP * 3, 0, GAP * 3, 0)
        layout.addWidget(self._empty, 1)
        return side

    def _make_right(self) -> QWidget:
        side = named(QWidget(), "panel")
        side.setMinimumWidth(250)
        layout = column(side)
        self._title = named(wrapped(), "title")
        self._badge = wrapped()
        self._about = muted()
        self._about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._figures = QFormLayout()
        self._figures.setVerticalSpacing(6)
        self._figures.setHorizontalSpacing(GAP * 2)
        self.accept = self._button("takes.accept", lambda: self.judge("accepted"))
        self.reject = self._button("takes.reject", lambda: self.judge("rejected"))
        self.again = self._button("takes.again", self.try_again)
        self.show_job = self._button("takes.show_job", self._show_its_job)
        for button in (self.accept, self.reject):
            button.setCheckable(True)
        verdict = QHBoxLayout()
        verdict.addWidget(self.accept)
        verdict.addWidget(self.reject)
        for item in (self._title, self._badge, self._about):
            layout.addWidget(item)
        layout.addSpacing(GAP)
        layout.addWidget(heading("takes.measured"))
        layout.addLayout(self._figures)
        layout.addStretch(1)
        layout.addLayout(verdict)
        layout.addWidget(self.again)
        layout.addWidget(self.show_job)
        self._drag_hint = muted(text("takes.drag_hint"))
        layout.addWidget(self._drag_hint)
        return side

    def _button(self, key: Key, act: Any) -> QPushButton:
        button = QPushButton(text(key))
        button.clicked.connect(lambda _=False: act())
        return button

    def _make_keys(self) -> None:
        for key, act in (
            ("A", self.accept.click),
            ("X", self.reject.click),
            ("N", self.again.click),
            ("Up", lambda: self._move_by(-1)),
            ("Down", lambda: self._move_by(1)),
        ):
            on_key(self, key, act)

    # Choosing.

    def _move_by(self, rows: int) -> None:
        row = self.list.currentIndex().row() + rows
        if 0 <= row < self._takes.rowCount():
            self.list.setCurrentIndex(self._takes.index(row))

    def _restore(self) -> None:
        row = self._takes.row_of(self._current)
        if row is None and self._takes.rowCount():
            row = 0
        if row is not None:
            self.list.setCurrentIndex(self._takes.index(row))
        self._show()
        self._fetch_thumbnails()

    def _choose(self, index: QModelIndex) -> None:
        if not index.isValid():
            return
        take_id = self._takes.take_at(index.row()).take_id
        if take_id != self._current:
            self._current = take_id
            self._settle.start()
        self._show()

    def _on_take(self, take_id: str) -> None:
        if not self._current:
            self.select(take_id)
        self._show()
        self._fetch_thumbnails()

    # The player.

    def _load(self) -> None:
        take = self.take
        if take is None:
            self.panel.player.unload()
            return
        origin = read_origin(take)
        if not Path(take.path).exists():
            self.panel.player.unload()
            self.panel.viewer.message = text("takes.gone", path=take.path)
            self.panel.viewer.update()
            return
        self.panel.viewer.message = ""
        player = self.panel.player
        mark = player.position if player.count == take.frames else None
        tracks = {"take": Track(Path(take.path))}
        if origin is not None and origin.source.is_file():
            tracks = {"original": Track(origin.source, origin.first), **tracks}
        self.panel.first_frame = 0 if origin is None else origin.first
        player.load(tracks, rate=Fraction(*take.rate), count=take.frames)
        if origin is not None:
            player.set_range(origin.in_, origin.out)
            player.seek(origin.in_ if mark is None else mark)
        self._load_sound(take, origin)

    def _load_sound(self, take: Take, origin: Origin | None) -> None:
        rate = Fraction(*take.rate)
        start_s = 0.0 if origin is None else float(origin.first / rate)
        length_s = float(take.frames / rate)

        def read() -> tuple[Any, Any]:
            original = None if origin is None else read_sound(origin.source, start_s, length_s)
            return original, read_sound(Path(take.path), 0.0, length_s)

        def done(found: tuple[Any, Any]) -> None:
            if take.take_id != self._current:
                return
            original, voice = found
            lanes = self.panel.strip.lanes
            if original is not None:
                lanes[0].set(original)
            lanes[1].set(voice)
            self.panel.player.set_sound(voice)
            self.panel.strip.update()

        self._background.run(read, done)

    def _on_opened(self, track: str) -> None:
        facts = self.panel.player.decoders[track].facts
        if track == "original" and facts is not None:
            self.panel.timecode_start = facts.timecode
            self.panel.show_position()

    def _on_failed(self, track: str, sentence: str) -> None:
        self.panel.viewer.message = sentence
        self.panel.viewer.update()

    def _fetch_thumbnails(self) -> None:
        for row in range(self._takes.rowCount()):
            take = self._takes.take_at(row)
            if not self._takes.has_thumbnail(take.take_id):
                self._takes.set_thumbnail(take.take_id, QImage())
                self._background.run(
                    lambda take=take: make_thumbnail(take),
                    lambda image, take=take: self._takes.set_thumbnail(take.take_id, image),
                )

    # The evidence.

    def _show(self) -> None:
        count = self._takes.rowCount()
        self._summary.setText(text("takes.summary", n=count))
        self.list.setVisible(count > 0)
        self._empty.setVisible(count == 0)
        take = self.take
        is_online = self._link.is_online
        for button, key in (
            (self.accept, "A"),
            (self.reject, "X"),
            (self.again, "N"),
            (self.show_job, ""),
        ):
            button.setEnabled(take is not None and (is_online or button is self.show_job))
            hint = text("hint.key", key=key) if key else ""
            button.setToolTip(hint if is_online else text("hint.offline"))
        self.accept.setChecked(take is not None and take.verdict == "accepted")
        self.reject.setChecked(take is not None and take.verdict == "rejected")
        self._show_take(take)

    def _show_take(self, take: Take | None) -> None:
        while self._figures.rowCount():
            self._figures.removeRow(0)
        self._drag_hint.setVisible(take is not None)
        if take is None:
            self._title.setText(text("takes.none_chosen"))
            self._badge.clear()
            self._about.clear()
            return
        self._title.setText(take_title(take))
        reasons = take.checks.get("reasons") or []
        self._badge.setText("\n".join([text(BADGE_KEYS[take.badge]), *reasons]))
        self._badge.setStyleSheet(f"color: {colour(BADGE_COLOURS[take.badge]).name()};")
        self._about.setText(
            text(
                "takes.about",
                engine=take.engine,
                seed=take.seed,
                frames=take.frames,
                name=Path(take.path).name,
            )
        )
        for name, (key, form) in _FIGURES.items():
            value = take.checks.get(name)
            shown = text("figure.unknown") if value is None else form.format(value)
            number = QLabel(shown)
            number.setAlignment(Qt.AlignmentFlag.AlignRight)
            label = muted(text(key))
            label.setWordWrap(False)
            self._figures.addRow(label, number)

    # Doing.

    def judge(self, verdict: Literal["accepted", "rejected"]) -> None:
        """Accept or reject the take; the same again takes it back."""
        take = self.take
        if take is None:
            return
        wanted = "none" if take.verdict == verdict else verdict
        self._link.ask(
            lambda client: client.set_verdict(take.take_id, wanted), self._takes.put, self._on_refused
        )

    def try_again(self) -> None:
        """Put the take's job on the queue once more with the next seed, for one take."""
        take = self.take
        job = None if take is None else self._jobs.job(job_of(take))
        if take is None or job is None or not isinstance(job.spec, RedubSpec):
            return
        seeds = [other.seed for other in self._takes.siblings(take)]
        spec = msgspec.structs.replace(job.spec, seed=max(seeds) + 1, takes=1)
        self._link.ask(
            lambda client: client.submit(spec),
            lambda made: self.job_wanted.emit(made.job_id),
            self._on_refused,
        )

    def _show_its_job(self) -> None:
        take = self.take
        if take is not None:
            self.job_wanted.emit(job_of(take))

    def _on_refused(self, info: ErrorInfo) -> None:
        self._show()
        show_error(self, info)


class TakeDelegate(QStyledItemDelegate):
    """Draws a take: small picture, title, engine and seed, badge."""

    def sizeHint(  # noqa: N802
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Every row is as high as any other."""
        return QSize(200, _ROW)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw a row."""
        take: Take = index.data(TAKE_ROLE)
        rect = QRect(option.rect)  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:  # type: ignore[attr-defined]
            painter.fillRect(rect, colour("raised"))
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()), colour("accent"))
        frame = QRect(rect.left() + 14, rect.top() + 8, _THUMBNAIL.width(), _THUMBNAIL.height())
        self._picture(painter, frame, index.data(THUMBNAIL_ROLE))
        left = frame.right() + 12
        width = rect.right() - left - 10
        clip = Path(take.path).stem.rsplit("_", 2)[0]
        verdict = "" if take.verdict == "none" else f"  {text(VERDICT_KEYS[take.verdict])}"
        lines = (
            (clip, "text"),
            (text("takes.row", title=take_title(take), engine=take.engine), "muted"),
            (f"{text(BADGE_KEYS[take.badge])}{verdict}", BADGE_COLOURS[take.badge]),
        )
        for number, (words, name) in enumerate(lines):
            painter.setPen(colour(name))
            line = QRect(left, rect.top() + 9 + number * 20, width, 18)
            shown = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, width)
            painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter), shown)
        painter.restore()

    def _picture(self, painter: QPainter, frame: QRect, image: QImage | None) -> None:
        painter.fillRect(frame, colour("stage"))
        if image is not None and not image.isNull():
            size = image.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
            place = QRect(0, 0, size.width(), size.height())
            place.moveCenter(frame.center())
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(QRectF(place), image)
        painter.setPen(QPen(colour("line"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(frame)


def make_thumbnail(take: Take) -> QImage:
    """Return the middle frame of a take as it is seen, small; empty when it cannot be read."""
    width = _THUMBNAIL.width() * 2
    middle = take.frames // 2
    origin = read_origin(take)
    try:
        seen = QImage()
        if origin is not None and origin.source.is_file():
            seen = _small(origin.source, middle + origin.first, width)
        over = _small(Path(take.path), middle, width)
    except (ClipError, ValueError):
        return QImage()
    if seen.isNull() or not over.hasAlphaChannel():
        return over
    painter = QPainter(seen)
    painter.drawImage(QRectF(seen.rect()), over)
    painter.end()
    return seen


def _small(path: Path, frame: int, width: int) -> QImage:
    with Clip(path) as clip:
        pixels = clip.picture(frame, max_width=width)
        form = QImage.Format.Format_ARGB32 if clip.facts.has_alpha else QImage.Format.Format_RGB32
        return QImage(pixels.data, pixels.shape[1], pixels.shape[0], pixels.shape[1] * 4, form).copy()
