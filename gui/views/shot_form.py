"""The form of a shot: in and out, the voice and where it lies, who speaks, and how takes are made."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from daemon.protocol.jobs import PROMPT_LIMIT
from gui.media.clip import ClipFacts
from gui.models.shot import Shot
from gui.models.shot_words import range_of_voice, voice_text
from gui.texts import Key, text
from gui.theme import GAP
from gui.views.fields import FileButton, TimecodeField, add_row, choice, number, show_value
from gui.views.parts import column, heading, muted, named, wrapped

_ENGINES: tuple[tuple[str, Key], ...] = (
    ("auto", "engine.auto"),
    ("rewrite", "engine.rewrite"),
    ("wan", "engine.wan"),
)
_QUALITIES: tuple[tuple[str, Key], ...] = (
    ("draft", "quality.draft"),
    ("standard", "quality.standard"),
    ("final", "quality.final"),
)
_DURATIONS: tuple[tuple[str, Key], ...] = (
    ("silence", "duration.silence"),
    ("cut_off", "duration.cut_off"),
    ("loop", "duration.loop"),
    ("bounce", "duration.bounce"),
    ("remap", "duration.remap"),
)
_DELIVERIES: tuple[tuple[str, Key], ...] = (("overlay", "deliver.overlay"), ("baked", "deliver.baked"))
_EARLIEST = -100_000  # frames: a voice may begin before the clip does


class ShotForm(QWidget):
    """Shows a shot and tells of edits as `{field: value}`, with `merge` where they are one step of undo."""

    edited = Signal(dict)
    voice_wanted = Signal()
    relink_wanted = Signal(str)

    def __init__(self, voice_extra: QWidget, face_panel: QWidget) -> None:
        """voice_extra: what stands under the voice's fields; face_panel: who speaks."""
        super().__init__()
        self._missing = ""
        self._voice_range: tuple[int, int] | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP)
        self._name = named(wrapped(), "title")
        self._about = muted()
        self._relink = QPushButton(text("shots.relink_button"))
        self._relink.clicked.connect(lambda: self.relink_wanted.emit(self._missing))
        for widget in (self._name, self._about, self._relink):
            layout.addWidget(widget)
        for key, section in (
            ("shots.range", self._make_range()),
            ("shots.voice", self._make_voice(voice_extra)),
            ("shots.face", face_panel),
            ("shots.takes", self._make_takes()),
        ):
            layout.addSpacing(4)
            layout.addWidget(heading(key))
            layout.addWidget(section)
        self._order_keys(voice_extra, face_panel)

    def show_shot(self, shot: Shot | None, facts: ClipFacts | None, *, voice_s: float, missing: str) -> None:
        """Show a shot; `facts` are None while they are not known, `missing` is a file that is gone."""
        self._missing = missing
        self.setEnabled(shot is not None)
        self._relink.setVisible(bool(missing))
        self._name.setText(text("shots.none") if shot is None else Path(shot.clip).name)
        self._about.setText("" if facts is None else _describe(facts))
        self._about.setVisible(facts is not None)
        if shot is None:
            return
        last = facts.frame_count if facts else 0
        self.in_.show_frame(shot.in_, facts, 0, shot.out - 1)
        self.out.show_frame(shot.out, facts, shot.in_ + 1, last)
        self.voice_at.show_frame(shot.voice_frame, facts, _EARLIEST, last - 1)
        self._show_voice(shot, facts, voice_s)
        for field, value in (
            (self.engine, shot.engine),
            (self.quality, shot.quality),
            (self.duration, shot.duration_mode),
            (self.deliver, shot.deliver),
            (self.takes, shot.takes),
            (self.seed, shot.seed),
            (self.handles, shot.handles),
        ):
            show_value(field, value)
        self._show_wan(shot)

    def _show_voice(self, shot: Shot, facts: ClipFacts | None, voice_s: float) -> None:
        self.voice.set_name(Path(shot.voice).name if shot.voice else text("shots.choose_voice"))
        self.voice.setToolTip(shot.voice)
        is_known = facts is not None and shot.voice and voice_s > 0
        self._voice_range = None
        if is_known and facts is not None:
            self._voice_note.setText(voice_text(shot, facts, voice_s))
            self._voice_range = range_of_voice(shot, facts, voice_s)
        self._voice_note.setVisible(bool(is_known))
        first, stop = self._voice_range or (0, 0)
        self.fit.setVisible(first < stop and (first, stop) != (shot.in_, shot.out))

    def _show_wan(self, shot: Shot) -> None:
        """Offer what the wan engine alone reads where it is chosen."""
        is_wan = shot.engine == "wan"
        for field in (self.quality, self.prompt):
            field.setEnabled(is_wan)
            field.setToolTip("" if is_wan else text("shots.wan_only"))
        if not (self.prompt.hasFocus() and self.prompt.isModified()):
            self.prompt.setText(shot.prompt)

    # Making.

    def _make_range(self) -> QWidget:
        self.in_, self.out = TimecodeField(), TimecodeField()
        section, form = _section()
        add_row(form, "shots.in", self.in_)
        add_row(form, "shots.out", self.out)
        self._connect_time(self.in_, "in_")
        self._connect_time(self.out, "out")
        return section

    def _make_voice(self, extra: QWidget) -> QWidget:
        self.voice = FileButton()
        self.voice.clicked.connect(self.voice_wanted)
        self.voice_at = TimecodeField()
        self._connect_time(self.voice_at, "voice_at")
        self.duration = choice(_DURATIONS, lambda value: self.edited.emit({"duration_mode": value}))
        self._voice_note = muted()
        fields, form = _section()
        add_row(form, "shots.file", self.voice)
        add_row(form, "shots.voice_at", self.voice_at)
        add_row(form, "shots.duration", self.duration)
        self.fit = QPushButton(text("shots.fit"))
        self.fit.clicked.connect(self._fit_range)
        section = QWidget()
        layout = column(section, margin=0)  # a form would give wrapped words too little height
        for widget in (fields, self._voice_note, self.fit, extra):
            layout.addWidget(widget)
        return section

    def _make_takes(self) -> QWidget:
        self.engine = choice(_ENGINES, lambda value: self.edited.emit({"engine": value}))
        self.quality = choice(_QUALITIES, lambda value: self.edited.emit({"quality": value}))
        self.prompt = QLineEdit()
        self.prompt.setMaxLength(PROMPT_LIMIT)
        self.prompt.setPlaceholderText(text("shots.prompt_hint"))
        self.prompt.editingFinished.connect(self._read_prompt)
        self.prompt.returnPressed.connect(self.prompt.clearFocus)
        self.takes = self._number("takes", 1, 64)
        self.seed = self._number("seed", 0, 2**31 - 1)
        self.handles = self._number("handles", 0, 1000)
        self.deliver = choice(_DELIVERIES, lambda value: self.edited.emit({"deliver": value}))
        section, form = _section()
        for key, field in (
            ("shots.engine", self.engine),
            ("shots.quality", self.quality),
            ("shots.prompt", self.prompt),
            ("shots.takes_seed", self._pair(self.takes, self.seed)),
            ("shots.handles", self.handles),
            ("shots.deliver", self.deliver),
        ):
            add_row(form, key, field)
        return section

    def _order_keys(self, voice_extra: QWidget, face_panel: QWidget) -> None:
        """Have Tab go through the form from top to bottom, whenever its parts were made."""
        inside = [
            *(self._relink, self.in_, self.out, self.voice, self.voice_at, self.duration, self.fit),
            *(*voice_extra.findChildren(QPushButton), *face_panel.findChildren(QPushButton)),
            *(self.engine, self.quality, self.prompt, self.takes, self.seed, self.handles, self.deliver),
        ]
        for before, after in pairwise(inside):
            QWidget.setTabOrder(before, after)

    def _connect_time(self, field: TimecodeField, name: str) -> None:
        field.entered.connect(lambda frame: self.edited.emit({name: frame}))
        field.complained.connect(self._complain)

    def _complain(self, sentence: str) -> None:
        self._voice_note.setText(sentence)
        self._voice_note.show()

    def _fit_range(self) -> None:
        if self._voice_range is not None:
            first, stop = self._voice_range
            self.edited.emit({"in_": first, "out": stop})

    def _read_prompt(self) -> None:
        if self.prompt.isModified():
            self.prompt.setModified(False)
            self.edited.emit({"prompt": self.prompt.text().strip()})

    def _number(self, name: str, low: int, high: int) -> Any:
        return number(low, high, lambda value: self.edited.emit({name: value, "merge": name}))

    def _pair(self, left: QWidget, right: QWidget) -> QWidget:
        pair = QWidget()
        row = QHBoxLayout(pair)
        row.setContentsMargins(0, 0, 0, 0)
        left.setAccessibleName(text("column.takes"))
        right.setAccessibleName(text("shots.seed"))
        row.addWidget(left, 1)
        row.addWidget(right, 2)
        return pair


def _section() -> tuple[QWidget, QFormLayout]:
    section = QWidget()
    form = QFormLayout(section)
    form.setContentsMargins(0, 0, 0, 0)
    form.setVerticalSpacing(5)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    return section, form


def _describe(facts: ClipFacts) -> str:
    shown = f"{float(facts.rate):.3f}".rstrip("0").rstrip(".")
    key: Key = "shots.about_variable" if facts.is_variable else "shots.about"
    return text(key, width=facts.width, height=facts.height, rate=shown, frames=facts.frame_count)
