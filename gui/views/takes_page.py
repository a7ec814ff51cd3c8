"""Takes: the cards of all or of one shot, the player that compares one with its original, the verdict."""

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import Take
from daemon.protocol.timecode import conform_timecode
from gui.link import Link
from gui.media.background import Background
from gui.media.thumbnail import make_thumbnail
from gui.models.blind import BlindPair, shuffle
from gui.models.job_table import JobTable
from gui.models.mode import Mode
from gui.models.take_desk import Opened, TakeDesk, open_take, read_sounds
from gui.models.take_list import Origin, TakeList, job_of
from gui.texts import text
from gui.theme import GAP
from gui.views.blind_panel import BlindPanel, revealed
from gui.views.fields import choice
from gui.views.parts import muted, named, on_key, show_error
from gui.views.player_panel import PlayerPanel
from gui.views.strip import Strip
from gui.views.take_grid import TakeGrid
from gui.views.take_panel import KEYS, TakePanel

_SETTLE_MS = 120  # keys held down run through the cards; only where they stop is a take opened


class TakesPage(QWidget):
    """Cards, player, evidence."""

    job_wanted = Signal(str)

    def __init__(
        self,
        link: Link,
        jobs: JobTable,
        takes: TakeList,
        background: Background,
        thumbnails: Background,
        *,
        chance: random.Random | None = None,
    ) -> None:
        """thumbnails: a thread of their own. chance: the order of a blind comparison."""
        super().__init__()
        self.setObjectName("page")
        self._link, self._takes, self._background = link, takes, background
        self.desk = TakeDesk(link, jobs, takes)
        self._chance = chance or random.Random()
        self._pair: BlindPair | None = None
        self.list = TakeGrid(takes)
        self.setFocusProxy(self.list)
        self.panel = PlayerPanel(Strip(("lane.original", "lane.voice")), has_modes=True)
        self.details = TakePanel()
        self.blind = BlindPanel()
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._side = QStackedWidget()
        self._side.addWidget(self.details)
        self._side.addWidget(self.blind)
        splitter = QSplitter()
        for widget in (self._make_left(), self.panel, self._side):
            splitter.addWidget(widget)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([352, 900, 280])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        takes.thumbnail_wanted.connect(
            lambda take: thumbnails.run(
                lambda: make_thumbnail(take), lambda image: takes.set_thumbnail(take.take_id, image)
            )
        )
        jobs.modelReset.connect(self._show_shots)
        self._connect()
        self._show()

    @property
    def take(self) -> Take | None:
        """The chosen take."""
        return self.desk.take

    def select(self, take_id: str) -> None:
        """Choose a take."""
        if self._takes.row_of(take_id) is None and self._takes.find(take_id) is not None:
            self.shots.setCurrentIndex(0)
        row = self._takes.row_of(take_id)
        if row is not None:
            self.list.setCurrentIndex(self._takes.index(row))

    def select_job(self, job_id: str) -> None:
        """Choose the first take of a job."""
        self.select(f"{job_id}-1")

    # Making.

    def _make_left(self) -> QWidget:
        side = named(QWidget(), "panel")
        layout = QVBoxLayout(side)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._summary = named(QLabel(), "title")
        self._summary.setContentsMargins(GAP * 2, 14, GAP * 2, 6)
        self.shots = choice(())
        self.shots.setAccessibleName(text("takes.filter"))
        self.shots.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        row = QHBoxLayout()
        row.setContentsMargins(GAP * 2, 0, GAP * 2, GAP)
        row.addWidget(self.shots)
        layout.addWidget(self._summary)
        layout.addLayout(row)
        layout.addWidget(self.list, 1)
        self._empty = muted(text("takes.empty"))
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setContentsMargins(GAP * 3, 0, GAP * 3, 0)
        layout.addWidget(self._empty, 1)
        return side

    def _connect(self) -> None:
        takes, desk, details, player = self._takes, self.desk, self.details, self.panel.player
        self._settle.timeout.connect(self._open)
        desk.refused.connect(self._on_refused)
        desk.submitted.connect(self.job_wanted)
        takes.modelReset.connect(self._restore)
        takes.rowsInserted.connect(lambda *_: self._show_shots())
        takes.changed.connect(self._on_take)
        self._link.state_changed.connect(self._show)
        player.failed.connect(lambda _track, sentence: self._say(sentence))
        player.opened.connect(self._on_opened)
        self.list.selectionModel().currentRowChanged.connect(lambda now, _: self._choose(now))
        self.shots.currentIndexChanged.connect(desk.show_shot)
        details.on("takes.accept", lambda: desk.judge("accepted"))
        details.on("takes.reject", lambda: desk.judge("rejected"))
        details.on("takes.again", desk.try_again)
        details.on("takes.final", desk.make_final)
        details.on("takes.blind", self.compare_blind)
        details.on("takes.show_job", lambda: self.job_wanted.emit(job_of(self.take)) if self.take else None)
        self.blind.looked_at.connect(self._look_at)
        self.blind.chosen.connect(self._end_blind)
        self.blind.ended.connect(self._end_blind)
        for key, letter in KEYS.items():
            on_key(details, letter, details.buttons[key].click)
        for key, rows in (("Up", -1), ("Down", 1)):
            on_key(details, key, lambda rows=rows: self._move_by(rows))

    # Choosing.

    def _move_by(self, rows: int) -> None:
        row = self.list.currentIndex().row() + rows
        if 0 <= row < self._takes.rowCount():
            self.list.setCurrentIndex(self._takes.index(row))

    def _restore(self) -> None:
        row = self._takes.row_of(self.desk.current)
        if row is None and self._takes.rowCount():
            row = 0
        if row is not None:
            self.list.setCurrentIndex(self._takes.index(row))
        self._show_shots()
        self._show()

    def _choose(self, index: QModelIndex) -> None:
        if not index.isValid():
            return
        take_id = self._takes.take_at(index.row()).take_id
        if take_id != self.desk.current:
            self.desk.current = take_id
            self.details.tell("")
            self._settle.start()
        self._show()

    def _on_take(self, take_id: str) -> None:
        if not self.desk.current:
            self.select(take_id)
        self._show()

    def _show_shots(self) -> None:
        """Offer the shots that have takes, the chosen one kept."""
        names, place = self.desk.read_shots()
        self.shots.blockSignals(True)
        self.shots.clear()
        self.shots.addItems(names)
        self.shots.setCurrentIndex(place)
        self.shots.blockSignals(False)
        self.desk.show_shot(place)

    # The player.

    def _open(self) -> None:
        take = self.take
        if take is None:
            self.panel.player.unload()
            return
        self._background.run(lambda: open_take(take), self._load)

    def _load(self, opened: Opened) -> None:
        take, origin = opened.take, opened.origin
        if take.take_id != self.desk.current or self._pair is not None:
            return
        player = self.panel.player
        if not opened.has_file:
            player.unload()
            self._say(text("takes.gone", path=take.path))
            return
        self._say("")
        mark = player.position if player.count == take.frames else None
        self.panel.first_frame = 0 if origin is None else origin.first
        pictures = opened.tracks(take=Path(take.path))
        player.load(pictures, rate=Fraction(*take.rate), count=take.frames)
        if origin is not None:
            player.set_range(origin.in_, origin.out)
            player.seek(origin.in_ if mark is None else mark)
        self._load_sound(take, origin)

    def _load_sound(self, take: Take, origin: Origin | None) -> None:
        def done(found: tuple[Any, Any]) -> None:
            if take.take_id == self.desk.current:
                original, voice = found
                lanes = self.panel.strip.lanes
                if original is not None:
                    lanes[0].set(original)
                lanes[1].set(voice)
                self.panel.player.set_sound(voice)
                self.panel.strip.update()

        self._background.run(lambda: read_sounds(take, origin), done)

    def _on_opened(self, track: str) -> None:
        facts = self.panel.player.decoders[track].facts
        if track == "original" and facts is not None:
            self.panel.timecode_start = conform_timecode(facts.timecode, facts.rate, self.panel.player.rate)
            self.panel.show_position()

    def _say(self, sentence: str) -> None:
        self.panel.viewer.message = sentence
        self.panel.viewer.update()

    # Showing.

    def _show(self) -> None:
        count = self._takes.rowCount()
        self._summary.setText(text("takes.summary", n=count))
        self.list.setVisible(count > 0)
        self._empty.setVisible(count == 0)
        self.details.show_take(self.take, self.desk.why_not(), is_online=self._link.is_online)

    def _on_refused(self, info: ErrorInfo) -> None:
        self._show()
        show_error(self, info)

    # Comparing blind.

    def compare_blind(self) -> None:
        """Show the take and another of its shot as A and B, in a hidden order."""
        take = self.take
        rival = None if take is None else self.desk.rival_of(take)
        if take is None or rival is None:
            return
        pair = self._pair = shuffle(take, rival, self._chance)

        def begin(opened: Opened) -> None:
            if self._pair is not pair:
                return
            pictures = opened.tracks(take=Path(pair.a.path), other=Path(pair.b.path))
            player = self.panel.player
            mark = player.position if player.count == take.frames else 0
            player.load(pictures, rate=Fraction(*take.rate), count=take.frames)
            player.seek(mark)
            self.panel.show_modes(is_shown=False)
            self.panel.viewer.blind = ("take", "other")
            self.list.setEnabled(False)
            self._side.setCurrentWidget(self.blind)
            self.blind.begin(pair)
            self._load_sound(take, opened.origin)

        self._background.run(lambda: open_take(take), begin)

    def _look_at(self, side: str) -> None:
        self.panel.viewer.take_track = "other" if side == "b" else "take"
        self.panel.viewer.set_mode(Mode.SIDE if side == "both" else Mode.TAKE)

    def _end_blind(self, better: Take | None = None, other: Take | None = None) -> None:
        pair, self._pair = self._pair, None
        self.panel.viewer.blind = None
        self.panel.viewer.take_track = "take"
        self.panel.show_modes(is_shown=True)
        self.list.setEnabled(True)
        self._side.setCurrentWidget(self.details)
        if pair is not None and better is not None:
            self.select(better.take_id)
            self.details.tell(revealed(pair))
        self._open()
