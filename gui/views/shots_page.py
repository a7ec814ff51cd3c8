"""Shots: drop a clip, set in and out, lay its voice, choose the face, mend the mask, submit."""

from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from gui.link import Link
from gui.media.background import Background
from gui.media.clip import ClipFacts
from gui.media.player import Track
from gui.media.sound import SOUND_SUFFIXES
from gui.models.batch import PICTURE_SUFFIXES
from gui.models.faces import Face
from gui.models.job_table import JobTable
from gui.models.project import ProjectModel
from gui.models.shot import Shot
from gui.models.shot_desk import ShotDesk
from gui.models.sound_mix import SoundMix
from gui.texts import Key, text
from gui.theme import GAP
from gui.views.align_panel import KEY as ALIGN_KEY
from gui.views.align_panel import AlignPanel
from gui.views.face_panel import FacePanel
from gui.views.file_target import FileTarget
from gui.views.mask_bar import MaskBar
from gui.views.mask_tool import Hand, MaskTool
from gui.views.parts import muted, named, on_key, show_error
from gui.views.player_panel import PlayerPanel
from gui.views.shot_form import ShotForm
from gui.views.shot_list import ShotList
from gui.views.strip import Proposal, Strip


class ShotsPage(FileTarget):
    """List of shots, picture with mask and strip, and the form of the chosen one."""

    submitted = Signal(str)

    def __init__(self, link: Link, jobs: JobTable, project: ProjectModel, background: Background) -> None:
        super().__init__()
        self.setObjectName("page")
        self.desk = ShotDesk(link, jobs, project, background)
        self._mix = SoundMix(background)
        self._make()
        self._connect()
        self._make_keys()
        self._show()

    @property
    def shot(self) -> Shot | None:
        """The chosen shot."""
        return self.desk.shot

    @property
    def has_faces(self) -> bool:
        """Whether the faces of the shot's range are known."""
        return self.desk.has_faces

    @property
    def faces(self) -> list[Face]:
        """The faces found in the shot's range."""
        return self.desk.faces

    def first_face(self) -> str:
        """Return the id of the first face found, or "auto"."""
        return self.faces[0].face_id if self.faces else "auto"

    def take_in(self, path: Path) -> None:
        """Add a clip as a shot, or give the chosen shot a voice."""
        self.desk.take_in(path)

    # Making.

    def _make(self) -> None:
        self.list = ShotList()
        self.panel = PlayerPanel(Strip(("lane.original", "lane.voice"), is_editable=True), has_modes=False)
        self.mask_bar, self.mask_tool = MaskBar(), MaskTool()
        self.panel.viewer.tool = self.mask_tool
        self.setFocusProxy(self.panel.viewer)
        self.face_panel, self.align_panel = FacePanel(), AlignPanel()
        self.find_faces = self.face_panel.search
        self.form = ShotForm(self.align_panel, self.face_panel)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.mask_bar)
        column.addWidget(self.panel, 1)
        splitter = QSplitter()
        for part in (self.list, middle, self._make_right()):
            splitter.addWidget(part)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([210, 940, 330])
        for place in range(3):
            splitter.setCollapsible(place, False)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)

    def _make_right(self) -> QWidget:
        side = named(QWidget(), "panel")
        side.setMinimumWidth(316)
        layout = QVBoxLayout(side)
        layout.setContentsMargins(0, GAP * 2, 0, GAP * 2)
        layout.setSpacing(GAP)
        inside = QWidget()
        around = QVBoxLayout(inside)
        around.setContentsMargins(GAP * 2, 0, GAP * 2, 0)
        around.addWidget(self.form)
        around.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout.addWidget(scroll, 1)
        layout.addLayout(self._make_foot())
        return side

    def _make_foot(self) -> QVBoxLayout:
        self.estimate = muted()
        self.submit = named(QPushButton(text("shots.submit")), "primary")
        self.hold = QPushButton(text("shots.submit_held"))
        foot = QVBoxLayout()
        foot.setContentsMargins(GAP * 2, 0, GAP * 2, 0)
        foot.setSpacing(GAP)
        foot.addWidget(self.estimate)
        buttons = QHBoxLayout()
        buttons.setSpacing(GAP)
        buttons.addWidget(self.submit, 1)
        buttons.addWidget(self.hold)
        foot.addLayout(buttons)
        return foot

    def _connect(self) -> None:
        desk, strip, form, player = self.desk, self.panel.strip, self.form, self.panel.player
        desk.changed.connect(self._show)
        desk.said.connect(self._say)
        desk.failed.connect(lambda info: show_error(self, info))
        desk.submitted.connect(self.submitted)
        self.list.chosen.connect(desk.choose)
        self.list.add.clicked.connect(self._choose_clip)
        self.list.remove.clicked.connect(desk.remove)
        strip.range_dragged.connect(lambda in_, out, merge: desk.change(merge=merge, in_=in_, out=out))
        strip.voice_dragged.connect(lambda frame, merge: desk.change(merge=merge, voice_at=frame))
        strip.marks_edited.connect(desk.set_marks)
        form.edited.connect(lambda fields: desk.change(**fields))
        form.voice_wanted.connect(self._choose_voice)
        form.relink_wanted.connect(self._relink)
        self.find_faces.clicked.connect(desk.find_faces)
        self.face_panel.chosen.connect(lambda face: desk.change(face=face))
        self.panel.viewer.clicked.connect(lambda at: desk.choose_face_at(at, player.position))
        for source in (self.mask_bar, self.mask_tool):
            source.edited.connect(desk.set_mask)
        for signal in (self.mask_bar.shown, self.mask_bar.hand_chosen, self.mask_bar.lasts_chosen):
            signal.connect(self._show_mask)
        self.align_panel.wanted.connect(desk.align)
        self.align_panel.accepted.connect(desk.accept_alignment)
        self.align_panel.dismissed.connect(desk.dismiss_alignment)
        self.submit.clicked.connect(lambda: desk.submit(hold=False))
        self.hold.clicked.connect(lambda: desk.submit(hold=True))
        player.failed.connect(lambda _track, sentence: self._say(sentence))
        player.position_changed.connect(self._show_mask)
        self._mix.ready.connect(player.set_sound)

    def _make_keys(self) -> None:
        desk, player, bar = self.desk, self.panel.player, self.mask_bar
        keys = {
            "I": lambda: desk.set_in(player.position),
            "O": lambda: desk.set_out(player.position),
            "V": lambda: desk.change(voice_at=player.position),
            ALIGN_KEY: self.align_panel.press,
            "Escape": desk.dismiss_alignment,
            "M": lambda: desk.mark(player.position),
            "Delete": lambda: desk.unmark(player.position),
            "W": bar.show_it.click,
            "B": bar.hands[Hand.BRUSH].click,
            "[": lambda: self._turn_brush(-1),
            "]": lambda: self._turn_brush(1),
            "Ctrl+Return": self.submit.click,
        }
        for key, act in keys.items():
            on_key(self, key, act)

    # Files.

    def _choose_clip(self) -> None:
        kinds = _kinds("shots.clips", PICTURE_SUFFIXES)
        names, _ = QFileDialog.getOpenFileNames(self, text("shots.add"), self.desk.folder(), kinds)
        for name in names:
            self.take_in(Path(name))

    def _choose_voice(self) -> None:
        kinds = _kinds("shots.voices", SOUND_SUFFIXES)
        name, _ = QFileDialog.getOpenFileName(self, text("shots.voice"), self.desk.folder(), kinds)
        if name:
            self.desk.change(voice=str(Path(name).absolute()))

    def _relink(self, old: str) -> None:
        name, _ = QFileDialog.getOpenFileName(self, text("shots.relink", name=Path(old).name))
        if name:
            self.desk.relink(old, Path(name))

    # Showing.

    def _show(self) -> None:
        desk = self.desk
        shot, facts = desk.shot, desk.facts
        self.list.show_shots(*desk.rows())
        self.list.remove.setEnabled(shot is not None)
        self.panel.viewer.message = desk.why_no_picture()
        if shot is None or facts is None or self.panel.viewer.message:
            self.panel.player.unload()
        else:
            self._show_clip(shot, facts)
        voice = desk.sounds[1]
        self.form.show_shot(shot, facts, voice_s=voice.seconds if voice else 0.0, missing=desk.missing)
        self.face_panel.show_faces(desk.faces, None if shot is None else shot.face)
        self._show_mask()
        self._show_actions()

    def _show_clip(self, shot: Shot, facts: ClipFacts) -> None:
        player, strip = self.panel.player, self.panel.strip
        self.panel.timecode_start = facts.timecode
        loaded = player.tracks.get("original")
        if loaded is None or loaded.path != facts.path:
            player.load({"original": Track(facts.path)}, rate=facts.rate, count=facts.frame_count)
            player.seek(shot.in_)
            self._mix.forget()
        if (player.in_, player.out) != (shot.in_, shot.out):
            player.set_range(shot.in_, shot.out)
        strip.show_shot(self.desk.sounds, voice_at=shot.voice_frame, marks=list(shot.leave_alone))
        found = self.desk.found
        strip.proposal = None if found is None else Proposal(found.voice_at, found.in_frames(facts.rate))
        self._mix.want(shot, facts, *self.desk.sounds)

    def _say(self, sentence: str) -> None:
        self.panel.viewer.message = sentence
        self.panel.viewer.update()

    def _show_mask(self, *_: object) -> None:
        """Show the mask of the frame that is seen, and give the mouse its hand."""
        shot, facts, outline = self.desk.shot, self.desk.facts, self.desk.outline
        tool, bar, frame = self.mask_tool, self.mask_bar, self.panel.player.position
        tool.is_shown, tool.hand, tool.frame = bar.show_it.isChecked(), bar.hand, frame
        tool.lasts = bar.lasts_from(frame, round(facts.rate) if facts else 25)
        mask = None if shot is None else shot.mask
        tool.show_mask(mask, outline, facts.width if facts else 1)
        bar.setEnabled(shot is not None)
        bar.show_mask(mask, note="" if outline is not None else text("mask.no_face"))
        self.panel.viewer.update()

    def _show_actions(self) -> None:
        desk, offline, reason = self.desk, self.desk.offline_reason(), self.desk.why_not()
        for button in (self.submit, self.hold):
            button.setEnabled(not reason)
            button.setToolTip(reason or text("hint.key", key="Ctrl+Enter"))
        self.face_panel.show_search(
            is_busy=desk.faces_look.is_busy, is_possible=desk.facts is not None, offline=offline
        )
        self.align_panel.show_found(
            desk.found,
            voice_frame=0 if desk.shot is None else desk.shot.voice_frame,
            is_busy=desk.align_look.is_busy,
            why_not=reason,
        )
        self.estimate.setText(reason or desk.estimate())

    def _turn_brush(self, steps: int) -> None:
        self.mask_tool.turn_brush(steps)
        self.panel.viewer.update()


def _kinds(name: Key, suffixes: Iterable[str]) -> str:
    """Return what a file dialog offers: files of a kind, or all."""
    usual = " ".join(sorted(f"*{suffix}" for suffix in suffixes))
    everything = text("shots.all_files")
    return f"{text(name)} ({usual});;{everything} (*)"
