"""The form of a shot: in and out as timecode, the voice and where it lies, engine, takes, delivery."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from gui.media.clip import ClipFacts
from gui.models.project import Shot
from gui.models.timecode import clip_timecode, parse_position
from gui.texts import Key, text
from gui.views.parts import muted, named, wrapped

_ENGINES: tuple[tuple[str, Key], ...] = (
    ("auto", "engine.auto"),
    ("rewrite", "engine.rewrite"),
    ("wan", "engine.wan"),
)
_DURATIONS: tuple[tuple[str, Key], ...] = (
    ("silence", "duration.silence"),
    ("cut_off", "duration.cut_off"),
    ("loop", "duration.loop"),
    ("bounce", "duration.bounce"),
    ("remap", "duration.remap"),
)
_DELIVERIES: tuple[tuple[str, Key], ...] = (("overlay", "deliver.overlay"), ("baked", "deliver.baked"))


_VOICE_WIDTH = 170  # px; a longer name of a file is shortened in the middle


class ShotForm(QWidget):
    """Shows a shot and tells of edits as `{field: value}`."""

    edited = Signal(dict)
    voice_wanted = Signal()
    relink_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._shot: Shot | None = None
        self._facts: ClipFacts | None = None
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(5)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        self._name = named(wrapped(), "title")
        self._about = muted()
        self._relink = QPushButton(text("shots.relink_button"))
        self._relink.clicked.connect(self._ask_to_relink)
        form.addRow(self._name)
        form.addRow(self._about)
        form.addRow(self._relink)
        self.in_ = self._timecode_field("in_")
        self.out = self._timecode_field("out")
        self.voice_at = self._timecode_field("voice_at")
        self.voice = QPushButton()
        self.voice.clicked.connect(self.voice_wanted)
        self._voice_note = muted()
        self.engine = self._choice(_ENGINES, "engine")
        self.duration = self._choice(_DURATIONS, "duration_mode")
        self.deliver = self._choice(_DELIVERIES, "deliver")
        self.takes = self._number("takes", 1, 64)
        self.seed = self._number("seed", 0, 2**31 - 1)
        self.handles = self._number("handles", 0, 1000)
        for key, field in (
            ("shots.in", self.in_),
            ("shots.out", self.out),
            ("shots.voice", self.voice),
            ("shots.voice_at", self.voice_at),
            ("shots.duration", self.duration),
            ("shots.engine", self.engine),
            ("shots.takes_seed", self._pair(self.takes, self.seed)),
            ("shots.handles", self.handles),
            ("shots.deliver", self.deliver),
        ):
            self._add_row(form, key, field)
        form.addRow(self._voice_note)

    def show_shot(self, shot: Shot | None, facts: ClipFacts | None, *, voice_s: float) -> None:
        """Show a shot; `facts` of its clip are None while they are not known."""
        self._shot, self._facts = shot, facts
        self.setEnabled(shot is not None)
        missing = "" if shot is None else _missing_file(shot)
        self._relink.setVisible(bool(missing))
        self._name.setText(text("shots.none") if shot is None else Path(shot.clip).name)
        self._about.setText("" if facts is None else _describe(facts))
        if shot is None:
            return
        self._show_times(shot)
        name = Path(shot.voice).name if shot.voice else text("shots.choose_voice")
        mode = Qt.TextElideMode.ElideMiddle
        self.voice.setText(self.voice.fontMetrics().elidedText(name, mode, _VOICE_WIDTH))
        self.voice.setToolTip(shot.voice)
        self._voice_note.setText(self._compare_lengths(shot, voice_s))
        for box, value in (
            (self.engine, shot.engine),
            (self.duration, shot.duration_mode),
            (self.deliver, shot.deliver),
        ):
            box.blockSignals(True)
            box.setCurrentIndex(box.findData(value))
            box.blockSignals(False)
        for spin, number in ((self.takes, shot.takes), (self.seed, shot.seed), (self.handles, shot.handles)):
            spin.blockSignals(True)
            spin.setValue(number)
            spin.blockSignals(False)

    def _show_times(self, shot: Shot) -> None:
        facts = self._facts
        voice_at = shot.in_ if shot.voice_at is None else shot.voice_at
        for field, frame in ((self.in_, shot.in_), (self.out, shot.out), (self.voice_at, voice_at)):
            is_known = facts is not None
            field.setEnabled(is_known)
            field.setText(clip_timecode(frame, facts.rate, facts.timecode) if facts else "")
            self._mark(field, "")

    def _compare_lengths(self, shot: Shot, voice_s: float) -> str:
        if self._facts is None or not shot.voice or voice_s == 0:
            return ""
        range_s = float((shot.out - shot.in_) / self._facts.rate)
        return text("shots.lengths", voice=f"{voice_s:.2f}", range=f"{range_s:.2f}")

    # Fields.

    def _add_row(self, form: QFormLayout, key: Key, field: QWidget) -> None:
        label = named(QLabel(text(key)), "muted")
        label.setBuddy(field)
        field.setAccessibleName(text(key))
        field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        form.addRow(label, field)

    def _timecode_field(self, name: str) -> QLineEdit:
        field = named(QLineEdit(), "timecode")
        field.setToolTip(text("shots.timecode_hint"))
        field.editingFinished.connect(lambda: self._read_time(field, name))
        return field

    def _read_time(self, field: QLineEdit, name: str) -> None:
        shot, facts = self._shot, self._facts
        if shot is None or facts is None or not field.isModified():
            return
        field.setModified(False)
        try:
            frame = parse_position(field.text(), facts.rate, facts.timecode)
        except ValueError:
            self._mark(field, text("shots.bad_timecode", text=field.text()))
            return
        low, high = {
            "in_": (0, shot.out - 1),
            "out": (shot.in_ + 1, facts.frame_count),
            "voice_at": (0, facts.frame_count - 1),
        }[name]
        if not low <= frame <= high:
            ends = (clip_timecode(end, facts.rate, facts.timecode) for end in (low, high))
            self._mark(field, text("shots.outside", low=next(ends), high=next(ends)))
            return
        self._mark(field, "")
        self.edited.emit({name: frame})

    def _mark(self, field: QLineEdit, wrong: str) -> None:
        field.setProperty("wrong", bool(wrong))
        field.setToolTip(wrong or text("shots.timecode_hint"))
        field.style().unpolish(field)
        field.style().polish(field)
        if wrong:
            self._voice_note.setText(wrong)

    def _choice(self, choices: tuple[tuple[str, Key], ...], name: str) -> QComboBox:
        box = QComboBox()
        for value, key in choices:
            box.addItem(text(key), value)
        box.activated.connect(lambda _: self.edited.emit({name: box.currentData()}))
        return box

    def _number(self, name: str, low: int, high: int) -> QSpinBox:
        spin = QSpinBox()
        spin.setRange(low, high)
        spin.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        spin.setKeyboardTracking(False)
        spin.valueChanged.connect(lambda value: self.edited.emit({name: value, "merge": name}))
        return spin

    def _pair(self, left: QWidget, right: QWidget) -> QWidget:
        pair = QWidget()
        row = QHBoxLayout(pair)
        row.setContentsMargins(0, 0, 0, 0)
        left.setAccessibleName(text("column.takes"))
        right.setAccessibleName(text("shots.seed"))
        row.addWidget(left, 1)
        row.addWidget(right, 2)
        return pair

    def _ask_to_relink(self) -> None:
        if self._shot is not None:
            self.relink_wanted.emit(_missing_file(self._shot))


def _missing_file(shot: Shot) -> str:
    for path in (shot.clip, shot.voice):
        if path and not Path(path).is_file():
            return path
    return ""


def _describe(facts: ClipFacts) -> str:
    rate: Any = facts.rate
    shown = f"{float(rate):.3f}".rstrip("0").rstrip(".")
    key: Key = "shots.about_variable" if facts.is_variable else "shots.about"
    return text(key, width=facts.width, height=facts.height, rate=shown, frames=facts.frame_count)
