"""Takes: the cards of all or of one shot, the player that compares one with its original, the verdict."""

import random
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import RedubSpec, Take
from gui.link import Link
from gui.media.background import Background
from gui.media.frame_folder import sound_file
from gui.media.player import Track
from gui.media.sound import read_sound
from gui.media.thumbnail import make_thumbnail
from gui.models.blind import BlindPair, shuffle
from gui.models.follow_up import ShotKey, final_of, next_take_of, shot_of
from gui.models.job_table import JobTable
from gui.models.take_list import Origin, TakeList, job_of, read_origin
from gui.texts import Key, text
from gui.theme import GAP
from gui.views.blind_panel import BlindPanel, revealed
from gui.views.fields import choice
from gui.views.parts import muted, named, on_key, show_error
from gui.views.player_panel import PlayerPanel
from gui.views.strip import Strip
from gui.views.take_grid import TakeGrid
from gui.views.take_panel import KEYS, TakePanel
from gui.views.viewer import Mode

_SETTLE_MS = 120  # keys held down run through the cards; only where they stop is a take opened


class _Opened(NamedTuple):
    """What was read of a take before it is shown."""

    take: Take
    origin: Origin | None
    has_file: bool
    has_original: bool


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
        self._link, self._jobs, self._takes, self._background = link, jobs, takes, background
        self._chance = chance or random.Random()
        self._current = ""
        self._pair: BlindPair | None = None
        self._offered: list[ShotKey] = []
        self._by_shot: dict[ShotKey, list[str]] = {}  # ids of jobs
        self._shot: ShotKey | None = None  # the one whose takes are shown; None: all
        self.list = TakeGrid(takes)
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
        self._connect()
        self._show()

    @property
    def take(self) -> Take | None:
        """The chosen take."""
        return self._takes.find(self._current)

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
        takes, details, player = self._takes, self.details, self.panel.player
        self._settle.timeout.connect(self._open)
        takes.modelReset.connect(self._restore)
        takes.rowsInserted.connect(lambda *_: self._show_shots())
        takes.changed.connect(self._on_take)
        self._jobs.modelReset.connect(self._show_shots)
        self._link.state_changed.connect(self._show)
        player.failed.connect(lambda _track, sentence: self._say(sentence))
        player.opened.connect(self._on_opened)
        self.list.selectionModel().currentRowChanged.connect(lambda now, _: self._choose(now))
        self.shots.currentIndexChanged.connect(lambda _: self._filter())
        details.on("takes.accept", lambda: self.judge("accepted"))
        details.on("takes.reject", lambda: self.judge("rejected"))
        details.on("takes.again", self.try_again)
        details.on("takes.final", self.make_final)
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
        row = self._takes.row_of(self._current)
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
        if take_id != self._current:
            self._current = take_id
            self.details.tell("")
            self._settle.start()
        self._show()

    def _on_take(self, take_id: str) -> None:
        if not self._current:
            self.select(take_id)
        self._show()

    def _shots(self) -> dict[ShotKey, list[str]]:
        found: dict[ShotKey, list[str]] = {}
        for job_id in self._takes.job_ids():
            job = self._jobs.job(job_id)
            if job is not None and isinstance(job.spec, RedubSpec):
                found.setdefault(shot_of(job.spec), []).append(job_id)
        return found

    def _show_shots(self) -> None:
        """Offer the shots that have takes, the chosen one kept."""
        shots = self._by_shot = self._shots()
        names = [text("takes.all_shots", n=len(shots))]
        names += [text("takes.shot", name=Path(s.source).stem, first=s.in_, last=s.out) for s in shots]
        self._offered = list(shots)
        self.shots.blockSignals(True)
        self.shots.clear()
        self.shots.addItems(names)
        is_kept = self._shot is not None and self._shot in shots
        self.shots.setCurrentIndex(self._offered.index(self._shot) + 1 if is_kept and self._shot else 0)
        self.shots.blockSignals(False)
        self._filter()

    def _filter(self) -> None:
        row = self.shots.currentIndex()
        self._shot = self._offered[row - 1] if row > 0 else None
        self._takes.show_jobs(None if self._shot is None else self._by_shot[self._shot])

    # The player.

    def _open(self) -> None:
        take = self.take
        if take is None:
            self.panel.player.unload()
            return
        self._background.run(lambda: _read(take), self._load)

    def _load(self, opened: _Opened) -> None:
        take, origin = opened.take, opened.origin
        if take.take_id != self._current or self._pair is not None:
            return
        player = self.panel.player
        if not opened.has_file:
            player.unload()
            self._say(text("takes.gone", path=take.path))
            return
        self._say("")
        mark = player.position if player.count == take.frames else None
        tracks = {"take": Track(Path(take.path))}
        if origin is not None and opened.has_original:
            tracks = {"original": Track(origin.source, origin.first), **tracks}
        self.panel.first_frame = 0 if origin is None else origin.first
        player.load(tracks, rate=Fraction(*take.rate), count=take.frames)
        if origin is not None:
            player.set_range(origin.in_, origin.out)
            player.seek(origin.in_ if mark is None else mark)
        self._load_sound(take, origin)

    def _load_sound(self, take: Take, origin: Origin | None) -> None:
        rate = Fraction(*take.rate)
        length_s = float(take.frames / rate)

        def read() -> tuple[np.ndarray | None, np.ndarray]:
            start_s = 0.0 if origin is None else float(origin.first / rate)
            original = None if origin is None else read_sound(origin.source, start_s, length_s)
            return original, read_sound(sound_file(Path(take.path)), 0.0, length_s)

        def done(found: tuple[Any, Any]) -> None:
            if take.take_id == self._current:
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

    def _say(self, sentence: str) -> None:
        self.panel.viewer.message = sentence
        self.panel.viewer.update()

    # Showing.

    def _show(self) -> None:
        count = self._takes.rowCount()
        self._summary.setText(text("takes.summary", n=count))
        self.list.setVisible(count > 0)
        self._empty.setVisible(count == 0)
        self.details.show_take(self.take, self._why_not(), is_online=self._link.is_online)

    def _why_not(self) -> dict[Key, str]:
        take = self.take
        if take is None:
            return {}
        reasons: dict[Key, str] = {}
        if self._spec_of(take) is None:
            reasons = dict.fromkeys(("takes.again", "takes.final"), text("takes.why_job"))
        elif take.engine == "wan" and take.quality != "draft":
            reasons["takes.final"] = text("takes.why_final")
        if self._rival_of(take) is None:
            reasons["takes.blind"] = text("takes.why_blind")
        return reasons

    def _spec_of(self, take: Take) -> RedubSpec | None:
        job = self._jobs.job(job_of(take))
        return job.spec if job is not None and isinstance(job.spec, RedubSpec) else None

    # Doing.

    def judge(self, verdict: Literal["accepted", "rejected"]) -> None:
        """Accept or reject the take; the same again takes it back."""
        take = self.take
        if take is not None:
            wanted = "none" if take.verdict == verdict else verdict
            self._link.ask(
                lambda client: client.set_verdict(take.take_id, wanted), self._takes.put, self._on_refused
            )

    def try_again(self) -> None:
        """Put the take's job on the queue once more with the next seed, for one take."""
        take = self.take
        spec = None if take is None else self._spec_of(take)
        if take is not None and spec is not None:
            self._submit(next_take_of(spec, [other.seed for other in self._takes.siblings(take)]))

    def make_final(self) -> None:
        """Have the take made again in final quality."""
        take = self.take
        spec = None if take is None else self._spec_of(take)
        if take is not None and spec is not None:
            self._submit(final_of(spec, take))

    def _submit(self, spec: RedubSpec) -> None:
        self._link.ask(
            lambda client: client.submit(spec),
            lambda made: self.job_wanted.emit(made.job_id),
            self._on_refused,
        )

    def _on_refused(self, info: ErrorInfo) -> None:
        self._show()
        show_error(self, info)

    # Comparing blind.

    def compare_blind(self) -> None:
        """Show the take and another of its shot as A and B, in a hidden order."""
        take = self.take
        rival = None if take is None else self._rival_of(take)
        if take is None or rival is None:
            return
        pair = self._pair = shuffle(take, rival, self._chance)

        def begin(opened: _Opened) -> None:
            if self._pair is not pair:
                return
            tracks = {"take": Track(Path(pair.a.path)), "other": Track(Path(pair.b.path))}
            if opened.origin is not None and opened.has_original:
                tracks = {"original": Track(opened.origin.source, opened.origin.first), **tracks}
            player = self.panel.player
            mark = player.position if player.count == take.frames else 0
            player.load(tracks, rate=Fraction(*take.rate), count=min(take.frames, rival.frames))
            player.seek(mark)
            self.panel.show_modes(is_shown=False)
            self.panel.viewer.blind = ("take", "other")
            self.list.setEnabled(False)
            self._side.setCurrentWidget(self.blind)
            self.blind.begin(pair)
            self._load_sound(take, opened.origin)

        self._background.run(lambda: _read(take), begin)

    def _rival_of(self, take: Take) -> Take | None:
        """Return the next take of the same shot and length, or the one before."""
        spec = self._spec_of(take)
        jobs = [job_of(take)] if spec is None else self._by_shot.get(shot_of(spec), [])
        made = [other for job_id in jobs for other in self._takes.of_job(job_id)]
        same = [other for other in made if other.frames == take.frames]
        at = next((at for at, other in enumerate(same) if other.take_id == take.take_id), 0)
        return same[(at + 1) % len(same)] if len(same) > 1 else None

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


def _read(take: Take) -> _Opened:
    origin = read_origin(take)
    has_original = origin is not None and origin.source.is_file()
    return _Opened(take, origin, Path(take.path).exists(), has_original)
