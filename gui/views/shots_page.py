"""Shots: drop a clip, set in and out, give it a voice, choose the face, see what it will take, submit."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QIcon, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from daemon.client import Client
from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import FINAL_STATES, FacesSpec, Job, JobState
from gui.link import Link
from gui.media.background import Background
from gui.media.clip import Clip, ClipError, ClipFacts
from gui.media.player import Track
from gui.media.sound import SAMPLE_RATE, read_sound
from gui.models.job_table import JobTable
from gui.models.job_words import duration_text
from gui.models.project import ProjectModel, Shot, seconds_a_frame
from gui.models.timecode import clip_timecode
from gui.texts import text
from gui.theme import GAP
from gui.views.parts import clear, heading, muted, named, on_key, show_error
from gui.views.player_panel import PlayerPanel
from gui.views.shot_form import ShotForm
from gui.views.strip import Strip

SOUND_SUFFIXES = frozenset(
    {".wav", ".aif", ".aiff", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".bwf"}
)
_LONGEST_SOUND_S = 600.0
_FACE_SIDE = 56


class ShotsPage(QWidget):
    """List of shots, picture with strip, and the form of the chosen one."""

    submitted = Signal(str)

    def __init__(self, link: Link, jobs: JobTable, project: ProjectModel, background: Background) -> None:
        super().__init__()
        self.setObjectName("page")
        self._link, self._jobs, self._model, self._background = link, jobs, project, background
        self._current = 0
        self._facts: dict[str, ClipFacts] = {}
        self._faces: dict[tuple[str, int, int], list[dict[str, Any]]] = {}
        self._faces_job: tuple[str, tuple[str, int, int]] | None = None
        self._heard = ("", "")
        self._voice = np.zeros((0, 2), np.int16)
        self.setAcceptDrops(True)
        self.panel = PlayerPanel(Strip(("lane.original", "lane.voice"), is_editable=True), has_modes=False)
        self.form = ShotForm()
        splitter = QSplitter()
        splitter.addWidget(self._make_left())
        splitter.addWidget(self.panel)
        splitter.addWidget(self._make_right())
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([220, 940, 320])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        self._connect()
        self._show()

    @property
    def shot(self) -> Shot | None:
        """The chosen shot."""
        return self._model.project.shot(self._current)

    @property
    def has_faces(self) -> bool:
        """Whether the faces of the shot's range are known."""
        key = self._face_key()
        return key is not None and key in self._faces

    def first_face(self) -> str:
        """Return the id of the first face found, or "auto"."""
        key = self._face_key()
        found = [] if key is None else self._faces.get(key, [])
        return str(found[0]["id"]) if found else "auto"

    # Making.

    def _make_left(self) -> QWidget:
        side = named(QWidget(), "panel")
        side.setMinimumWidth(180)
        layout = QVBoxLayout(side)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        title = named(QLabel(text("shots.title")), "title")
        title.setContentsMargins(GAP * 2, 14, GAP * 2, 12)
        self.list = QListWidget()
        self.list.setAccessibleName(text("shots.name"))
        self.list.setIconSize(QSize(0, 0))
        self.add = QPushButton(text("shots.add"))
        self.add.clicked.connect(self._choose_clip)
        self.remove = QPushButton(text("shots.remove"))
        self.remove.clicked.connect(lambda: self._model.remove_shot(self._current))
        row = QHBoxLayout()
        row.setContentsMargins(GAP * 2, GAP, GAP * 2, GAP)
        row.setSpacing(GAP)
        row.addWidget(self.add)
        row.addWidget(self.remove)
        layout.addWidget(title)
        layout.addWidget(self.list, 1)
        layout.addLayout(row)
        return side

    def _make_right(self) -> QWidget:
        side = named(QWidget(), "panel")
        side.setMinimumWidth(300)
        layout = QVBoxLayout(side)
        layout.setContentsMargins(GAP * 2, GAP * 2, GAP * 2, GAP * 2)
        layout.setSpacing(GAP)
        layout.addWidget(self.form)
        layout.addSpacing(GAP)
        layout.addWidget(heading("shots.face"))
        row = QHBoxLayout()
        self._face_row = QHBoxLayout()
        self._face_group = QButtonGroup(self)
        row.addLayout(self._face_row)
        row.addStretch(1)
        layout.addLayout(row)
        self.find_faces = QPushButton(text("shots.find_faces"))
        self.find_faces.clicked.connect(self._find_faces)
        layout.addWidget(self.find_faces)
        layout.addStretch(1)
        self.estimate = muted()
        self.submit = named(QPushButton(text("shots.submit")), "primary")
        self.hold = QPushButton(text("shots.submit_held"))
        layout.addWidget(self.estimate)
        buttons = QHBoxLayout()
        buttons.setSpacing(GAP)
        buttons.addWidget(self.submit, 1)
        buttons.addWidget(self.hold)
        layout.addLayout(buttons)
        return side

    def _connect(self) -> None:
        player, strip = self.panel.player, self.panel.strip
        self._model.changed.connect(self._show)
        self.list.currentItemChanged.connect(lambda now, _: self._choose(now))
        strip.range_dragged.connect(lambda in_, out: self._change(merge="range", in_=in_, out=out))
        strip.voice_dragged.connect(lambda frame: self._change(merge="voice", voice_at=max(0, frame)))
        self.form.edited.connect(lambda fields: self._change(**fields))
        self.form.voice_wanted.connect(self._choose_voice)
        self.form.relink_wanted.connect(self._relink)
        self.submit.clicked.connect(lambda: self._submit(hold=False))
        self.hold.clicked.connect(lambda: self._submit(hold=True))
        self._link.state_changed.connect(self._show_actions)
        self._jobs.changed.connect(self._on_job)
        self._jobs.modelReset.connect(self._show_actions)
        player.failed.connect(lambda _track, sentence: self._complain(sentence))
        for key, act in (
            ("I", lambda: self._change(in_=min(player.position, self._out() - 1))),
            ("O", lambda: self._change(out=max(player.position + 1, self._in() + 1))),
            ("V", lambda: self._change(voice_at=player.position)),
            ("Ctrl+Return", self.submit.click),
        ):
            on_key(self, key, act)

    # Adding.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        """Accept files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        """Take in clips and voices."""
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.take_in(Path(url.toLocalFile()))

    def take_in(self, path: Path) -> None:
        """Add a clip as a shot, or give the chosen shot a voice."""
        if path.suffix.lower() in SOUND_SUFFIXES:
            if self.shot is None:
                self._complain(text("shots.voice_first", name=path.name))
            else:
                self._change(voice=str(path.resolve()))
            return
        self._background.run(lambda: _examine(path), lambda found: self._add(path, found))

    def _add(self, path: Path, found: ClipFacts | str) -> None:
        if isinstance(found, str):
            show_error(self, ErrorInfo("source.unreadable", found, text("shots.bad_clip_hint")))
            return
        self._facts[str(path.resolve())] = found
        shot = self._model.add_shot(path, out=found.frame_count)
        self._select(shot.shot_id)

    def _choose_clip(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, text("shots.add"))
        for name in names:
            self.take_in(Path(name))

    def _choose_voice(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, text("shots.voice"))
        if name:
            self._change(voice=str(Path(name).resolve()))

    def _relink(self, old: str) -> None:
        name, _ = QFileDialog.getOpenFileName(self, text("shots.relink", name=Path(old).name))
        if name:
            self._model.relink(old, str(Path(name).resolve()))

    # Showing.

    def _select(self, shot_id: int) -> None:
        for row in range(self.list.count()):
            if self.list.item(row).data(Qt.ItemDataRole.UserRole) == shot_id:
                self.list.setCurrentRow(row)

    def _choose(self, item: QListWidgetItem | None) -> None:
        chosen = 0 if item is None else int(item.data(Qt.ItemDataRole.UserRole))
        if chosen != self._current:
            self._current = chosen
            self._show_shot()

    def _show(self) -> None:
        shots = self._model.project.shots
        names = [(shot.shot_id, self._row_text(shot)) for shot in shots]
        self.list.blockSignals(True)
        self.list.clear()
        for shot_id, name in names:
            item = QListWidgetItem(name)
            item.setData(Qt.ItemDataRole.UserRole, shot_id)
            item.setSizeHint(QSize(100, 48))
            self.list.addItem(item)
        self.list.blockSignals(False)
        if self.shot is None:
            self._current = shots[0].shot_id if shots else 0
        self._select(self._current)
        self._show_shot()

    def _row_text(self, shot: Shot) -> str:
        facts = self._facts.get(shot.clip)
        rate = Fraction(25) if facts is None else facts.rate
        length = max(0, shot.out - shot.in_)
        voice = Path(shot.voice).name if shot.voice else text("shots.no_voice")
        return f"{shot.name}   {float(length / rate):.1f} s\n{voice}"

    def _show_shot(self) -> None:
        shot = self.shot
        player = self.panel.player
        if shot is None:
            player.unload()
            self.panel.viewer.message = text("shots.empty")
        elif not Path(shot.clip).is_file():
            player.unload()
            self.panel.viewer.message = text("shots.missing", path=shot.clip)
        elif shot.clip not in self._facts:
            self._background.run(lambda: _examine(Path(shot.clip)), lambda f: self._learn(shot.clip, f))
        else:
            self._show_clip(shot, self._facts[shot.clip])
        facts = None if shot is None else self._facts.get(shot.clip)
        self.form.show_shot(shot, facts, voice_s=len(self._voice) / SAMPLE_RATE)
        self._show_faces()
        self._show_actions()
        self.panel.viewer.update()

    def _learn(self, clip: str, found: ClipFacts | str) -> None:
        if isinstance(found, str):
            self._complain(found)
            return
        self._facts[clip] = found
        self._show()

    def _show_clip(self, shot: Shot, facts: ClipFacts) -> None:
        player, strip = self.panel.player, self.panel.strip
        self.panel.viewer.message = ""
        self.panel.timecode_start = facts.timecode
        loaded = player.tracks.get("original")
        if loaded is None or loaded.path != facts.path:
            player.load({"original": Track(facts.path)}, rate=facts.rate, count=facts.frame_count)
            player.seek(shot.in_)
        player.set_range(shot.in_, shot.out)
        strip.lanes[1].at = shot.in_ if shot.voice_at is None else shot.voice_at
        if self._heard != (shot.clip, shot.voice):
            self._heard = (shot.clip, shot.voice)
            self._listen(shot)
        else:
            self._mix(shot, facts)
        strip.update()

    def _listen(self, shot: Shot) -> None:
        def read() -> tuple[np.ndarray, np.ndarray]:
            original = read_sound(Path(shot.clip), 0.0, _LONGEST_SOUND_S)
            voice = read_sound(Path(shot.voice), 0.0, _LONGEST_SOUND_S) if shot.voice else original[:0]
            return original, voice

        def done(found: tuple[np.ndarray, np.ndarray]) -> None:
            if self._heard == (shot.clip, shot.voice):
                lanes = self.panel.strip.lanes
                lanes[0].set(found[0])
                lanes[1].set(found[1])
                self._voice = found[1]
                self._show_shot()

        self._background.run(read, done)

    def _mix(self, shot: Shot, facts: ClipFacts) -> None:
        """Lay the voice over the original's sound inside the range, as the take will carry it."""
        original = self.panel.strip.lanes[0].samples
        length = int(facts.frame_count / facts.rate * SAMPLE_RATE)
        mixed = np.zeros((length, 2), np.int16)
        mixed[: min(length, len(original))] = original[:length]
        if len(self._voice):
            start, stop = (int(frame / facts.rate * SAMPLE_RATE) for frame in (shot.in_, shot.out))
            at = start if shot.voice_at is None else int(shot.voice_at / facts.rate * SAMPLE_RATE)
            lane = np.zeros_like(mixed)
            part = self._voice[: max(0, length - at)]
            lane[at : at + len(part)] = part
            mixed[start:stop] = lane[start:stop]
        self.panel.player.set_sound(mixed)

    def _complain(self, sentence: str) -> None:
        self.panel.viewer.message = sentence
        self.panel.viewer.update()

    # Editing.

    def _change(self, *, merge: str = "", **fields: Any) -> None:
        if self.shot is not None:
            self._model.change_shot(self._current, merge=merge, **fields)

    def _in(self) -> int:
        return self.shot.in_ if self.shot else 0

    def _out(self) -> int:
        return self.shot.out if self.shot else 1

    # Faces.

    def _face_key(self) -> tuple[str, int, int] | None:
        shot = self.shot
        return None if shot is None else (shot.clip, shot.in_, shot.out)

    def _find_faces(self) -> None:
        key = self._face_key()
        if key is None:
            return
        spec = FacesSpec(source=key[0], in_=key[1], out=key[2])

        def sent(job: Job) -> None:
            self._faces_job = (job.job_id, key)
            self._show_actions()

        self._link.ask(lambda client: client.submit(spec), sent, lambda info: show_error(self, info))

    def _on_job(self, job_id: str) -> None:
        job = self._jobs.job(job_id)
        if self._faces_job is not None and self._faces_job[0] == job_id and job is not None:
            self._show_actions()
            if job.state in FINAL_STATES:
                self._link.ask(lambda client: client.job(job_id), self._take_faces)
        elif job is not None and job.state is JobState.DONE:
            self._show_actions()

    def _take_faces(self, job: Job) -> None:
        waiting, self._faces_job = self._faces_job, None
        if waiting is None:
            return
        if job.error is not None:
            show_error(self, job.error)
        self._faces[waiting[1]] = (job.result or {}).get("faces", [])
        self._show_faces()
        self._show_actions()

    def _show_faces(self) -> None:
        clear(self._face_row)
        shot, key = self.shot, self._face_key()
        if shot is None or key is None:
            return
        self._add_face("auto", text("shots.face_auto"), None, shot)
        for face in self._faces.get(key, []):
            hint = text("shots.face_hint", n=face["id"], count=face["frames"])
            self._add_face(str(face["id"]), hint, face["thumbnail"], shot)
        known = {str(face["id"]) for face in self._faces.get(key, [])}
        if shot.face != "auto" and shot.face not in known:
            self._add_face(shot.face, text("shots.face_n", n=shot.face), None, shot)

    def _add_face(self, face: str, hint: str, picture: str | None, shot: Shot) -> None:
        button = named(QToolButton(), "face")
        button.setCheckable(True)
        button.setToolTip(hint)
        button.setAccessibleName(hint)
        button.setChecked(shot.face == face)
        if picture is None:
            button.setText(text("shots.face_any") if face == "auto" else face)
        else:
            button.setIcon(QIcon(QPixmap(picture)))
            button.setIconSize(QSize(_FACE_SIDE, _FACE_SIDE))
        button.clicked.connect(lambda _=False: self._change(face=face))
        self._face_group.addButton(button)
        self._face_row.addWidget(button)

    # Submitting.

    def _show_actions(self) -> None:
        shot = self.shot
        facts = None if shot is None else self._facts.get(shot.clip)
        reason = self._why_not(shot, facts)
        for button in (self.submit, self.hold):
            button.setEnabled(not reason)
            button.setToolTip(reason or text("hint.key", key="Ctrl+Enter"))
        self.remove.setEnabled(shot is not None)
        is_searching = self._faces_job is not None
        self.find_faces.setText(text("shots.finding" if is_searching else "shots.find_faces"))
        self.find_faces.setEnabled(facts is not None and self._link.is_online and not is_searching)
        self.find_faces.setToolTip("" if self._link.is_online else text("hint.offline"))
        self.estimate.setText(reason or self._estimate(shot))

    def _why_not(self, shot: Shot | None, facts: ClipFacts | None) -> str:
        if shot is None or facts is None:
            return text("shots.why_clip")
        if not shot.voice:
            return text("shots.why_voice")
        if not Path(shot.voice).is_file():
            return text("shots.missing", path=shot.voice)
        if not 0 <= shot.in_ < shot.out <= facts.frame_count:
            return text("shots.why_range", end=clip_timecode(facts.frame_count, facts.rate, facts.timecode))
        return "" if self._link.is_online else text("hint.offline")

    def _estimate(self, shot: Shot | None) -> str:
        if shot is None:
            return ""
        frames = shot.out - shot.in_
        pace = seconds_a_frame(list(self._jobs.jobs()), shot.engine)
        if pace is None:
            return text("shots.estimate_unknown", takes=shot.takes, frames=frames)
        time = duration_text(pace * frames * shot.takes)
        return text("shots.estimate", takes=shot.takes, frames=frames, time=time)

    def _submit(self, *, hold: bool) -> None:
        shot = self.shot
        if shot is None:
            return
        spec = shot.to_spec()

        def send(client: Client) -> Job:
            return client.submit(spec, hold=hold)

        def sent(job: Job) -> None:
            self._model.change_shot(shot.shot_id, jobs=[*shot.jobs, job.job_id])
            self.submitted.emit(job.job_id)

        self._link.ask(send, sent, lambda info: show_error(self, info))


def _examine(path: Path) -> ClipFacts | str:
    try:
        with Clip(path) as clip:
            return clip.facts
    except ClipError as error:
        return str(error)
