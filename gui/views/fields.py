"""Fields of a form: a timecode, a choice, a number, each telling of what was entered."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QWidget,
)

from daemon.protocol.errors import RequestError
from daemon.protocol.timecode import clip_timecode, parse_timecode, resolve_position
from gui.media.clip import ClipFacts
from gui.texts import Key, text
from gui.theme import colour
from gui.views.parts import named

Widget = TypeVar("Widget", bound=QWidget)
_LABEL_WIDTH = 82  # px: the fields of all sections begin at one line
_FIELD_WIDTH = 120
_SLIDER_KEYS = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End)
_INSET = 5  # px before the text of a number, as in other fields
_BUTTON_PADDING = 28  # px of a button's own


class TimecodeField(QLineEdit):
    """A position in a clip: a timecode, or a frame number. What is wrong with it stands in its tooltip."""

    entered = Signal(int)
    complained = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("timecode")
        self._facts: ClipFacts | None = None
        self._limits = (0, 0)
        self.editingFinished.connect(self._read)
        self.returnPressed.connect(self.clearFocus)  # the keys of the page work again
        self._mark("")

    def show_frame(self, frame: int, facts: ClipFacts | None, low: int, high: int) -> None:
        """Show a position; from `low` to `high` is allowed."""
        self._facts, self._limits = facts, (low, high)
        self.setEnabled(facts is not None)
        if not (self.hasFocus() and self.isModified()):
            self.setText("" if facts is None else _timecode(frame, facts))
        self._mark("")

    def _read(self) -> None:
        facts = self._facts
        if facts is None or not self.isModified():
            return
        self.setModified(False)
        try:
            frame = resolve_position(self.text(), facts.rate, facts.timecode, facts.frame_count)
        except RequestError:
            self._mark(text("shots.bad_timecode", text=self.text()))
            return
        low, high = self._limits
        if not low <= frame <= high:
            self._mark(text("shots.outside", low=_timecode(low, facts), high=_timecode(high, facts)))
            return
        self._mark("")
        self.entered.emit(frame)

    def _mark(self, wrong: str) -> None:
        if self.property("wrong") != bool(wrong):
            self.setProperty("wrong", bool(wrong))
            self.style().unpolish(self)
            self.style().polish(self)
        self.setToolTip(wrong or text("shots.timecode_hint"))
        if wrong:
            self.complained.emit(wrong)


def _timecode(frame: int, facts: ClipFacts) -> str:
    """Return a clip's timecode, or a bare number where there is none so early."""
    start = parse_timecode(facts.timecode or "00:00:00:00", facts.rate)
    return clip_timecode(frame, facts.rate, facts.timecode) if start + frame >= 0 else str(frame)


class FileButton(QPushButton):
    """A button with a file's name, shortened in the middle where it is too long."""

    def __init__(self) -> None:
        super().__init__()
        self._name = ""

    def set_name(self, name: str) -> None:
        """Show another name."""
        self._name = name
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Fit the name into the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.width() - _BUTTON_PADDING
        self.setText(self.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideMiddle, room))


class Choice(QComboBox):
    """A flat box of choices. Its chevron is drawn here: a style sheet knows arrows as files alone."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the field, and the chevron over it."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colour("muted" if self.isEnabled() else "faint"), 1.5))
        right, middle = self.width() - 13, self.height() / 2
        painter.drawPolyline(
            [QPointF(right - 4, middle - 2), QPointF(right, middle + 2), QPointF(right + 4, middle - 2)]
        )
        painter.end()


class Tick(QCheckBox):
    """A box to tick; the tick is drawn here, as the chevron above."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the box, and the tick over it."""
        super().paintEvent(event)
        if self.isChecked():
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(colour("on_accent"), 2))
            left, middle = 4, self.height() / 2
            painter.drawPolyline(
                [QPointF(left, middle), QPointF(left + 3, middle + 3), QPointF(left + 8, middle - 3)]
            )
            painter.end()


class _Guard(QObject):
    """Keeps the wheel for scrolling while a field has no focus, and the arrows for a slider that has it."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Let the form scroll, and a slider move rather than the picture."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            is_own = isinstance(watched, QSlider) and event.key() in _SLIDER_KEYS
            event.setAccepted(is_own)
            return is_own
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def _guarded(widget: Widget) -> Widget:
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_Guard(widget))
    return widget


def choice(
    choices: Sequence[tuple[object, Key]], chosen: Callable[[object], object] | None = None
) -> QComboBox:
    """Return a box of values with their words."""
    box = Choice()
    for value, key in choices:
        box.addItem(text(key), value)
    if chosen is not None:
        box.activated.connect(lambda _: chosen(box.currentData()))
    return _guarded(box)


def number(low: int, high: int, entered: Callable[[int], object] | None = None) -> QSpinBox:
    """Return a field for a whole number."""
    spin = QSpinBox()
    spin.setRange(low, high)
    spin.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
    spin.setKeyboardTracking(False)
    if entered is not None:
        spin.valueChanged.connect(entered)
    spin.lineEdit().setTextMargins(_INSET, 0, _INSET, 0)
    spin.lineEdit().returnPressed.connect(spin.clearFocus)
    return _guarded(spin)


def slider(low: int, high: int, name: Key, moved: Callable[[int], object]) -> QSlider:
    """Return a slider."""
    made = QSlider(Qt.Orientation.Horizontal)
    made.setRange(low, high)
    made.setAccessibleName(text(name))
    made.setToolTip(text(name))
    made.valueChanged.connect(moved)
    return _guarded(made)


def show_value(field: QComboBox | QSpinBox | QSlider, value: object) -> None:
    """Show a value without telling of it."""
    field.blockSignals(True)
    if isinstance(field, QComboBox):
        field.setCurrentIndex(field.findData(value))
    elif isinstance(value, int):
        field.setValue(value)
    field.blockSignals(False)


def add_row(form: QFormLayout, key: Key, field: QWidget) -> None:
    """Add a field with its label, which is its name for screen readers, too."""
    label = named(QLabel(text(key)), "muted")
    label.setBuddy(field)
    label.setMinimumWidth(_LABEL_WIDTH)
    field.setAccessibleName(text(key))
    field.setMinimumWidth(_FIELD_WIDTH)
    field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    form.addRow(label, field)
