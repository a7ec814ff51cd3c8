"""The bar over the picture that shows the mask and changes it."""

from collections.abc import Callable

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from daemon.protocol.jobs import MASK_LIMITS, MaskSpec
from gui.models.faces import PLAIN
from gui.texts import Key, text
from gui.theme import GAP
from gui.views.fields import choice, show_value, slider
from gui.views.mask_tool import Hand
from gui.views.parts import named

_HANDS: tuple[tuple[Hand, Key], ...] = (
    (Hand.MOVE, "mask.move"),
    (Hand.BRUSH, "mask.brush"),
    (Hand.LASSO, "mask.lasso"),
    (Hand.RESTORE, "mask.restore"),
)
_TIPS: dict[Hand, Key] = {
    Hand.MOVE: "mask.move_tip",
    Hand.BRUSH: "mask.brush_tip",
    Hand.LASSO: "mask.lasso_tip",
    Hand.RESTORE: "mask.restore_tip",
}
_LASTS: tuple[tuple[str, Key], ...] = (
    ("all", "mask.all"),
    ("on", "mask.from_here"),
    ("until", "mask.until_here"),
    ("around", "mask.around_here"),
)
_CHEVRON, _SLIDER = 44, 52  # px
_STEPS = 100  # of a slider to a width of the face


class MaskBar(QWidget):
    """Tells of edits as the mask that is wanted, with a word that joins edits to one step of undo."""

    edited = Signal(object, str)
    shown = Signal(bool)
    hand_chosen = Signal(Hand)
    lasts_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._mask, self._note = PLAIN, ""
        row = QHBoxLayout(self)
        row.setContentsMargins(GAP, 6, GAP, 6)
        row.setSpacing(4)
        self.show_it = self._button("mask.show", self._toggle, tip="mask.show_tip")
        row.addWidget(self.show_it)
        self.tools = QWidget()
        tools = QHBoxLayout(self.tools)
        tools.setContentsMargins(0, 0, 0, 0)
        tools.setSpacing(4)
        self.hands: dict[Hand, QToolButton] = {}
        for hand, key in _HANDS:
            button = self._button(key, lambda hand=hand: self._choose_hand(hand), tip=_TIPS[hand])
            self.hands[hand] = button
            tools.addWidget(button)
        self.lasts = choice(_LASTS, lambda value: self.lasts_chosen.emit(value))
        widest = max(self.lasts.fontMetrics().horizontalAdvance(text(key)) for _, key in _LASTS)
        self.lasts.setMinimumWidth(widest + _CHEVRON)
        self.lasts.setToolTip(text("mask.lasts_tip"))
        self.lasts.setAccessibleName(text("mask.lasts_tip"))
        tools.addWidget(self.lasts)
        self.grow = self._slider(tools, "mask.grow", "grow")
        self.feather = self._slider(tools, "mask.feather", "feather")
        self.reset = self._button("mask.reset", lambda: self.edited.emit(PLAIN, ""), tip="mask.reset_tip")
        self.reset.setCheckable(False)
        tools.addWidget(self.reset)
        row.addWidget(self.tools)
        self.note = named(QLabel(), "muted")
        row.addWidget(self.note, 1)
        row.addStretch(1)
        self._toggle()

    @property
    def hand(self) -> Hand:
        """What the mouse does to the mask."""
        if not self.show_it.isChecked():
            return Hand.LOOK
        return next((hand for hand, button in self.hands.items() if button.isChecked()), Hand.LOOK)

    def show_mask(self, mask: MaskSpec | None, *, note: str) -> None:
        """Show a shot's mask; `note` says why it cannot be seen, if it cannot."""
        self._mask = mask or PLAIN
        show_value(self.grow, round(self._mask.grow * _STEPS))
        show_value(self.feather, round(self._mask.feather * _STEPS))
        self.reset.setEnabled(self._mask != PLAIN)
        self._note = note
        self._show_tools()

    def lasts_from(self, frame: int, second: int) -> tuple[int | None, int | None]:
        """Return from and up to which frame a stroke made at `frame` counts; None: all the way.

        second: how many frames one has.
        """
        return {
            "on": (frame, None),
            "until": (None, frame + 1),
            "around": (max(0, frame - second // 2), frame + second // 2 + 1),
        }.get(self.lasts.currentData(), (None, None))

    def _button(self, key: Key, act: Callable[[], object], *, tip: Key) -> QToolButton:
        button = QToolButton()
        button.setText(text(key))
        button.setToolTip(text(tip))
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda _=False: act())
        return button

    def _slider(self, row: QHBoxLayout, key: Key, name: str) -> QSlider:
        label = named(QLabel(text(key)), "muted")
        low, high = (round(end * _STEPS) for end in MASK_LIMITS[name])
        made = slider(low, high, key, lambda value: self._change(name, value))
        made.setFixedWidth(_SLIDER)
        label.setBuddy(made)
        row.addWidget(label)
        row.addWidget(made)
        return made

    def _change(self, name: str, value: int) -> None:
        changed = msgspec.structs.replace(self._mask, **{name: value / _STEPS})
        self.edited.emit(changed, f"mask {name}")

    def _toggle(self) -> None:
        self._show_tools()
        self.shown.emit(self.show_it.isChecked())
        self.hand_chosen.emit(self.hand)

    def _show_tools(self) -> None:
        """Show the tools, or why there is nothing to work on."""
        is_shown = self.show_it.isChecked()
        self.tools.setVisible(is_shown and not self._note)
        self.note.setText(self._note if is_shown else "")

    def _choose_hand(self, chosen: Hand) -> None:
        """Take a hand, or put it away; never two at once."""
        for hand, button in self.hands.items():
            if hand is not chosen:
                button.setChecked(False)
        self.hand_chosen.emit(self.hand)
