"""Who speaks: the faces found in the range as pictures to click."""

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from gui.models.faces import Face
from gui.texts import text
from gui.theme import GAP
from gui.views.parts import clear, named

_SIDE = 56
_MOST = 8  # faces with a button; more are chosen in the picture


class FacePanel(QWidget):
    """A button a face, the first for the daemon's own choice."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP)
        self._row = QHBoxLayout()
        self._row.setSpacing(4)
        around = QHBoxLayout()
        around.addLayout(self._row)
        around.addStretch(1)
        layout.addLayout(around)
        self.search = QPushButton(text("shots.find_faces"))
        layout.addWidget(self.search)
        self._group = QButtonGroup(self)
        self._shown: tuple[object, ...] = ()

    def show_faces(self, faces: Sequence[Face], face: str | None) -> None:
        """Show the faces, the one called `face` chosen; None: there is no shot."""
        shown = (face, *(id(one) for one in faces))
        if shown == self._shown:
            return
        self._shown = shown
        clear(self._row)
        if face is None:
            return
        self._add("auto", text("shots.face_auto"), None, face)
        for one in faces[:_MOST]:
            hint = text("shots.face_hint", n=one.face_id, count=one.count)
            self._add(one.face_id, hint, QPixmap.fromImage(one.thumbnail), face)
        if face != "auto" and face not in {one.face_id for one in faces[:_MOST]}:
            self._add(face, text("shots.face_n", n=face), None, face)
        for before, after in pairwise([self.search, *self.buttons()]):
            QWidget.setTabOrder(before, after)

    def show_search(self, *, is_busy: bool, is_possible: bool, offline: str) -> None:
        """Show whether the range can be searched now, or why not."""
        self.search.setText(text("shots.finding" if is_busy else "shots.find_faces"))
        self.search.setEnabled(is_possible and not offline and not is_busy)
        self.search.setToolTip(offline)

    def buttons(self) -> list[QToolButton]:
        """Return the buttons from left to right."""
        items = (self._row.itemAt(index) for index in range(self._row.count()))
        found = (item.widget() for item in items if item is not None)
        return [button for button in found if isinstance(button, QToolButton)]

    def _add(self, name: str, hint: str, picture: QPixmap | None, chosen: str) -> None:
        button = named(QToolButton(), "face")
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(hint)
        button.setAccessibleName(hint)
        button.setChecked(chosen == name)
        if picture is None:
            button.setText(text("shots.face_any") if name == "auto" else name)
        else:
            button.setIcon(QIcon(picture))
            button.setIconSize(QSize(_SIDE, _SIDE))
        button.clicked.connect(lambda _=False: self.chosen.emit(name))
        self._group.addButton(button)
        self._row.addWidget(button)
