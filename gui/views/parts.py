"""Small pieces that every page uses: headings, error boxes, rows."""

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QAbstractButton, QLabel, QLayout, QMessageBox, QVBoxLayout, QWidget

from daemon.protocol.errors import ErrorInfo
from gui.link import describe
from gui.texts import Key, text
from gui.theme import GAP

Widget = TypeVar("Widget", bound=QWidget)


def named(widget: Widget, name: str) -> Widget:
    """Give a widget the name under which the style sheet knows it."""
    widget.setObjectName(name)
    return widget


def wrapped(words: str = "") -> QLabel:
    """Return a label that breaks its lines."""
    label = QLabel(words)
    label.setWordWrap(True)
    return label


class ShortLabel(QLabel):
    """A name on one line, shortened in its middle where it is too long; the whole of it is its tooltip."""

    def __init__(self) -> None:
        super().__init__()
        self._words = ""
        self.setMinimumWidth(1)

    def show_words(self, words: str) -> None:
        """Show another name."""
        self._words = words
        self.setToolTip(words)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Fit the name into the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._words, Qt.TextElideMode.ElideMiddle, self.width()))


def on_key(parent: QWidget, key: str, act: Callable[[], object]) -> None:
    """Do something at a key while `parent` is seen."""
    QShortcut(QKeySequence(key), parent).activated.connect(lambda: act())


def leave_keys(parent: QWidget) -> None:
    """Let no button inside take the keys when it is clicked: Space goes on to play. Tab still reaches it."""
    for button in parent.findChildren(QAbstractButton):
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)


def clear(layout: QLayout) -> None:
    """Take every widget out of a layout."""
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()


def heading(key: Key) -> QLabel:
    """Return a small heading."""
    return named(QLabel(text(key).upper()), "heading")


def muted(words: str = "") -> QLabel:
    """Return a line of lesser weight that wraps."""
    return named(wrapped(words), "muted")


def column(parent: QWidget | None = None, *, margin: int = GAP * 2, spacing: int = GAP) -> QVBoxLayout:
    """Return a vertical layout with the usual distances."""
    layout = QVBoxLayout(parent) if parent is not None else QVBoxLayout()
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(spacing)
    return layout


def show_error(parent: QWidget, info: ErrorInfo) -> None:
    """Say what went wrong and what to do, with a button that copies the details. Does not block."""
    box = QMessageBox(QMessageBox.Icon.NoIcon, text("app.name"), info.message, parent=parent)
    box.setInformativeText(info.hint)
    copy = box.addButton(text("error.copy"), QMessageBox.ButtonRole.ActionRole)
    copy.clicked.disconnect()
    copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(describe(info)))
    box.setEscapeButton(box.addButton(text("error.close"), QMessageBox.ButtonRole.AcceptRole))
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()
