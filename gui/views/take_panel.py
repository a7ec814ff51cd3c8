"""The chosen take beside the player: its badge and why, what was measured, and what can be done with it."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from daemon.protocol.jobs import Take
from gui.models.take_list import take_title
from gui.models.take_words import BADGE_COLOURS, FIGURES, about_text, badge_text, figure_text
from gui.texts import Key, text
from gui.theme import GAP, colour
from gui.views.parts import ShortLabel, clear, column, heading, muted, named, wrapped

KEYS: dict[Key, str] = {
    "takes.accept": "A",
    "takes.reject": "X",
    "takes.again": "N",
    "takes.final": "D",
    "takes.blind": "B",
}
_ALWAYS: tuple[Key, ...] = ("takes.blind", "takes.show_job")  # without the daemon, too


class TakePanel(QWidget):
    """Words and buttons; what the buttons do is the page's matter."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(250)
        self.buttons: dict[Key, QPushButton] = {}
        layout = column(self)
        self._title = named(wrapped(), "title")
        self._badge = wrapped()
        self._about = muted()
        self._about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._name = named(ShortLabel(), "muted")
        self._figures = QGridLayout()
        self._figures.setVerticalSpacing(6)
        self._figures.setHorizontalSpacing(GAP * 2)
        self._told = wrapped()
        self._told.hide()
        for item in (self._title, self._told, self._badge, self._about, self._name):
            layout.addWidget(item)
        layout.addSpacing(GAP)
        layout.addWidget(heading("takes.measured"))
        layout.addLayout(self._figures)
        layout.addStretch(1)
        verdict = QHBoxLayout()
        for key in ("takes.accept", "takes.reject"):
            verdict.addWidget(self._button(key))
            self.buttons[key].setCheckable(True)
        layout.addLayout(verdict)
        for key in ("takes.again", "takes.final", "takes.blind", "takes.show_job"):
            layout.addWidget(self._button(key))
        self._drag_hint = muted(text("takes.drag_hint"))
        layout.addWidget(self._drag_hint)

    def on(self, key: Key, act: Callable[[], object]) -> None:
        """Say what a button does."""
        self.buttons[key].clicked.connect(lambda _=False: act())

    def show_take(self, take: Take | None, why_not: dict[Key, str], *, is_online: bool) -> None:
        """Show a take; `why_not` says of buttons why they cannot be pressed."""
        for key, button in self.buttons.items():
            reason = "" if is_online or key in _ALWAYS else text("hint.offline")
            reason = reason or why_not.get(key, "")
            button.setEnabled(take is not None and not reason)
            hint = text("hint.key", key=KEYS[key]) if key in KEYS else ""
            button.setToolTip(reason or hint)
        self.buttons["takes.accept"].setChecked(take is not None and take.verdict == "accepted")
        self.buttons["takes.reject"].setChecked(take is not None and take.verdict == "rejected")
        self._drag_hint.setVisible(take is not None)
        clear(self._figures)
        if take is None:
            self._title.setText(text("takes.none_chosen"))
            self._badge.clear()
            self._about.clear()
            self._name.show_words("")
            return
        self._title.setText(take_title(take))
        self._badge.setText(badge_text(take))
        self._badge.setStyleSheet(f"color: {colour(BADGE_COLOURS[take.badge]).name()};")
        self._about.setText("\n".join([about_text(take), *take.notes]))
        self._name.show_words(Path(take.path).name)
        self._show_figures(take)

    def tell(self, sentence: str) -> None:
        """Say something about the take that is shown, until another one is."""
        self._told.setText(sentence)
        self._told.setVisible(bool(sentence))

    def _show_figures(self, take: Take) -> None:
        for row, (name, (key, _)) in enumerate(FIGURES.items()):
            self._figures.addWidget(named(QLabel(text(key)), "muted"), row, 0)
            number = QLabel(figure_text(take, name) or text("figure.unknown"))
            self._figures.addWidget(number, row, 1, Qt.AlignmentFlag.AlignRight)

    def _button(self, key: Key) -> QPushButton:
        button = self.buttons[key] = QPushButton(text(key))
        return button
