"""Blind comparison: A and B are two takes in a hidden order; which is which is told when one is chosen."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from gui.models.blind import BlindPair, Side
from gui.models.take_list import take_title
from gui.texts import Key, text
from gui.views.parts import column, muted, named, on_key, wrapped


class BlindPanel(QWidget):
    """Look at A, at B, at both; choose."""

    looked_at = Signal(str)  # "a", "b" or "both"
    chosen = Signal(object, object)  # the better take, the other
    ended = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumWidth(250)
        self._pair: BlindPair | None = None
        layout = column(self)
        layout.addWidget(named(wrapped(text("blind.title")), "title"))
        layout.addWidget(muted(text("blind.how")))
        self.look: dict[str, QPushButton] = {}
        row = QHBoxLayout()
        for number, (side, key) in enumerate((("a", "blind.a"), ("b", "blind.b"), ("both", "blind.both"))):
            button = self.look[side] = QPushButton(text(key))
            button.setCheckable(True)
            button.setAutoExclusive(True)
            button.setToolTip(text("hint.key", key=number + 1))
            button.clicked.connect(lambda _=False, side=side: self.looked_at.emit(side))
            on_key(self, str(number + 1), button.click)
            row.addWidget(button)
        layout.addLayout(row)
        self.better: dict[Side, QPushButton] = {}
        self._add_better(layout, "a", "blind.a_better", "A")
        self._add_better(layout, "b", "blind.b_better", "B")
        layout.addStretch(1)
        self.stop = QPushButton(text("blind.stop"))
        self.stop.setToolTip(text("hint.key", key="Esc"))
        self.stop.clicked.connect(lambda _=False: self.ended.emit())
        on_key(self, "Escape", self.stop.click)
        layout.addWidget(self.stop, alignment=Qt.AlignmentFlag.AlignBottom)

    def _add_better(self, layout: QVBoxLayout, side: Side, words: Key, key: str) -> None:
        button = self.better[side] = QPushButton(text(words))
        button.setToolTip(text("hint.key", key=key))
        button.clicked.connect(lambda _=False: self._choose(side))
        on_key(self, key, button.click)
        layout.addWidget(button)

    def begin(self, pair: BlindPair) -> None:
        """Offer a pair, A first."""
        self._pair = pair
        self.look["a"].setChecked(True)
        self.look["a"].setFocus()
        self.looked_at.emit("a")

    def _choose(self, side: Side) -> None:
        if self._pair is not None:
            self.chosen.emit(*self._pair.choose(side))


def revealed(pair: BlindPair) -> str:
    """Return the sentence that says which was which."""
    a, b = (text("blind.which", title=take_title(take), seed=take.seed) for take in pair)
    return text("blind.revealed", a=a, b=b)
