"""The window: menu, pages, and a bar at the foot with the pages' names and the state of the line."""

import html
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from PySide6.QtWidgets import QMainWindow as _QMainWindow

from gui.link import Link
from gui.models.job_table import JobTable
from gui.models.job_words import counts_text
from gui.models.project import ProjectModel
from gui.texts import Key, text
from gui.theme import GAP, colour
from gui.views.keys_dialog import KeysDialog
from gui.views.parts import leave_keys, named
from gui.views.status_page import STATE_COLOURS, state_text

PAGES: tuple[Key, ...] = ("page.shots", "page.takes", "page.queue", "page.batch", "page.status")
_MENU_KEYS: dict[Key, QKeySequence.StandardKey | str] = {
    "menu.new": QKeySequence.StandardKey.New,
    "menu.open": QKeySequence.StandardKey.Open,
    "menu.save_as": "Ctrl+Shift+S",
    "menu.quit": "Ctrl+Q",
    "menu.undo": QKeySequence.StandardKey.Undo,
    "menu.redo": "Ctrl+Shift+Z",
    "menu.settings": "Ctrl+,",
    "menu.keys": "F1",
}


class MainWindow(_QMainWindow):
    """Layout, menu and page changes; what the menu does is the app's matter."""

    closing = Signal()

    def __init__(self, link: Link, jobs: JobTable, project: ProjectModel, pages: list[QWidget]) -> None:
        super().__init__()
        self._link, self._jobs, self._project, self._pages = link, jobs, project, pages
        self.actions_by_key: dict[Key, QAction] = {}
        self.stack = QStackedWidget()
        for page in pages:
            self.stack.addWidget(page)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.stack, 1)
        layout.addWidget(self._make_bar())
        self.setCentralWidget(centre)
        self._make_menu()
        leave_keys(centre)
        link.state_changed.connect(self._show_state)
        jobs.modelReset.connect(self._show_work)
        jobs.dataChanged.connect(lambda *_: self._show_work())
        project.changed.connect(self._show_project)
        self.setMinimumSize(1080, 640)
        self.resize(QSize(1600, 1000).boundedTo(self.screen().availableSize()))
        self.show_page(0)
        self._show_state()
        self._show_work()
        self._show_project()

    def show_page(self, number: int) -> None:
        """Go to a page; its picture or its list has the keys, not the first of its buttons."""
        self.stack.setCurrentIndex(number)
        page = self._pages[number]
        inside = page.focusProxy() or page
        (inside if inside.isVisibleTo(page) else self.stack).setFocus()
        self._page_group.button(number).setChecked(True)

    def on_menu(self, key: Key, act: Callable[[], object]) -> None:
        """Say what an entry of the menu does."""
        self.actions_by_key[key].triggered.connect(lambda _=False: act())

    def set_recent(self, paths: list[str], act: Callable[[Path], object]) -> None:
        """Fill the menu of recent projects."""
        self._recent.clear()
        for name in paths:
            self._recent.addAction(name).triggered.connect(lambda _=False, name=name: act(Path(name)))
        self._recent.setEnabled(bool(paths))

    def _make_bar(self) -> QWidget:
        bar = named(QWidget(), "pageBar")
        row = QHBoxLayout(bar)
        row.setContentsMargins(GAP * 2, 0, GAP * 2, 0)
        row.setSpacing(0)
        self._state = QLabel()
        self._work = named(QLabel(), "muted")
        self._work.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._state, 1)
        self._page_group = QButtonGroup(self)
        for number, key in enumerate(PAGES):
            button = named(QPushButton(text(key)), "pageButton")
            button.setCheckable(True)
            button.setShortcut(f"Ctrl+{number + 1}")
            button.setToolTip(text("hint.key", key=f"Ctrl+{number + 1}"))
            button.clicked.connect(lambda _=False, number=number: self.show_page(number))
            self._page_group.addButton(button, number)
            row.addWidget(button)
        row.addWidget(self._work, 1)
        return bar

    def _make_menu(self) -> None:
        bar = self.menuBar()
        file = bar.addMenu(text("menu.file"))
        for key in ("menu.new", "menu.open"):
            self._add_action(file, key)
        self._recent = file.addMenu(text("menu.recent"))
        for key in ("menu.save_as", "menu.quit"):
            self._add_action(file, key)
        edit = bar.addMenu(text("menu.edit"))
        for key in ("menu.undo", "menu.redo", "menu.settings"):
            self._add_action(edit, key)
        self._add_action(bar.addMenu(text("menu.help")), "menu.keys")

    def _add_action(self, menu: QMenu, key: Key) -> None:
        action = menu.addAction(text(key))
        action.setShortcut(QKeySequence(_MENU_KEYS[key]))
        action.setMenuRole(QAction.MenuRole.NoRole)
        self.actions_by_key[key] = action

    def _show_state(self) -> None:
        state = self._link.state
        dot = f'<span style="color:{colour(STATE_COLOURS[state]).name()}">●</span>'
        self._state.setText(f"{dot}&nbsp; {html.escape(state_text(self._link))}")
        self._state.setToolTip("" if self._link.error is None else self._link.error.message)

    def _show_work(self) -> None:
        self._work.setText(counts_text(self._jobs.counts(), has_all=False))

    def _show_project(self) -> None:
        self.setWindowTitle(f"{self._project.path.stem} – {text('app.name')}")
        self.actions_by_key["menu.undo"].setEnabled(self._project.can_undo)
        self.actions_by_key["menu.redo"].setEnabled(self._project.can_redo)

    def show_keys(self) -> None:
        """Show what every key does."""
        KeysDialog(self).open()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Close; jobs go on in the daemon."""
        self.closing.emit()
        event.accept()
