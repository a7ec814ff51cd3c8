"""Under the voice: have it aligned to the original, and take or leave what was found."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from gui.models.alignment import Found
from gui.texts import text
from gui.theme import GAP
from gui.views.parts import muted, named

KEY = "A"


class AlignPanel(QWidget):
    """A button that asks, then one that accepts; the key does whichever is next."""

    wanted = Signal()
    accepted = Signal()
    dismissed = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP)
        row = QHBoxLayout()
        row.setSpacing(GAP)
        self.ask = QPushButton(text("align.ask"))
        self.accept = named(QPushButton(text("align.accept")), "primary")
        self.dismiss = QPushButton(text("align.dismiss"))
        self.ask.clicked.connect(self.wanted)
        self.accept.clicked.connect(self.accepted)
        self.dismiss.clicked.connect(self.dismissed)
        for button in (self.ask, self.accept, self.dismiss):
            row.addWidget(button, 1)
        layout.addLayout(row)
        self.note = muted()
        layout.addWidget(self.note)
        for button in (self.ask, self.accept):
            button.setToolTip(text("hint.key", key=KEY))

    def press(self) -> None:
        """Do what is next."""
        button = self.accept if self.accept.isVisibleTo(self) else self.ask
        if button.isEnabled():
            button.click()

    def show_found(self, found: Found | None, *, voice_frame: int, is_busy: bool, why_not: str) -> None:
        """Show what was found of the shot's voice where it lies now, or why it cannot be asked for."""
        is_open = found is not None and found.voice_at != voice_frame
        self.ask.setVisible(not is_open)
        self.accept.setVisible(is_open)
        self.dismiss.setVisible(is_open)
        self.ask.setText(text("align.busy" if is_busy else "align.ask"))
        self.ask.setEnabled(not is_busy and not why_not)
        self.ask.setToolTip(why_not or text("hint.key", key=KEY))
        self.note.setText("" if found is None else _describe(found, voice_frame))
        self.note.setVisible(found is not None)


def _describe(found: Found, voice_frame: int) -> str:
    moved = found.voice_at - voice_frame
    key = "align.fits" if moved == 0 else "align.later" if moved > 0 else "align.earlier"
    said = [text(key, n=abs(moved)), text("align.confidence", share=found.share)]
    if found.confidence < 0.5:
        said.append(text("align.doubtful"))
    elif found.most_drift_ms:
        said.append(text("align.drift", ms=found.most_drift_ms))
    return " ".join(said)
