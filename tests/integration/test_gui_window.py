"""The app as a whole: every key of its page, names for screen readers, settings, a foreign daemon."""

import errno
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible, QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QSpinBox,
    QWidget,
)

import daemon.client
from daemon.demo import SHOT
from daemon.paths import find_paths
from daemon.protocol.messages import ScheduleReply
from daemon.protocol.night import ScheduleSettings
from gui.app import SHOTS, App
from gui.link import LinkState
from gui.models.settings import RECENT_LIMIT, Settings, read_settings, write_settings
from gui.texts import ENGLISH
from gui.theme import palette
from gui.views.schedule_dialog import ScheduleDialog
from gui.views.settings_dialog import SettingsDialog
from tests.qt_app import qt_without_complaints, wait_until
from tests.studio import open_studio

CONTROLS = (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QSlider, QSpinBox, QAbstractItemView)


@pytest.fixture
def qt() -> Iterator[QApplication]:
    with qt_without_complaints() as application:
        yield application


@pytest.fixture
def app(qt: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An app whose line to the daemon was not opened."""
    monkeypatch.setenv("DUBWRIGHT_HOME", str(tmp_path / "home"))
    made = App(qt, language="en")
    made.window.show()
    yield made
    made.window.close()


def keys_of(app: App) -> set[str]:
    """Return every key that does something."""
    shortcuts = [shortcut.key() for shortcut in app.window.findChildren(QShortcut)]
    shortcuts += [action.shortcut() for action in app.window.findChildren(QAction)]
    shortcuts += [button.shortcut() for button in app.window.findChildren(QAbstractButton)]
    portable = QKeySequence.SequenceFormat.PortableText
    return {key.toString(portable) for key in shortcuts if not key.isEmpty()}


def test_every_key_on_the_keyboard_page_does_something(app: App) -> None:
    known = keys_of(app)
    names = {"Ctrl+Enter": "Ctrl+Return", "Esc": "Esc"}
    rows = [line.partition("\t")[0] for line in ENGLISH["keys.all"].splitlines() if "\t" in line]
    for row in rows:
        for word in re.split(r"\s+", row.replace("…", " ").replace("·", " ").strip()):
            key = names.get(word, word)
            assert key in known, f"{row!r}: {key}"
    for number in range(1, 6):
        assert f"Ctrl+{number}" in known


def is_part_of_another(control: QWidget) -> bool:
    """Whether Qt made it as a piece of a control that has the name."""
    inside = type(control.parent()).__name__
    is_piece = control.objectName().startswith("qt_") or isinstance(control, QHeaderView)
    return is_piece or inside in ("QSpinBox", "QFrame", "QComboBoxPrivateContainer")


def controls_of(parent: QWidget) -> list[QWidget]:
    found = [control for control in parent.findChildren(QWidget) if isinstance(control, CONTROLS)]
    return [control for control in found if not is_part_of_another(control)]


def name_of(control: QWidget) -> str:
    interface = QAccessible.queryAccessibleInterface(control)
    return "" if interface is None else interface.text(QAccessible.Text.Name)


def test_every_control_has_a_name_for_a_screen_reader(app: App) -> None:
    link, settings = app.link, ScheduleSettings()
    found = ScheduleReply(
        settings=settings, is_open=False, opens_at=None, closes_at=None, waiting=0, held_back=[]
    )
    dialogs = [SettingsDialog(app.settings, app.window), ScheduleDialog(link, found, app.window)]
    for parent in (app.window, *dialogs):
        controls = controls_of(parent)
        assert controls
        nameless = [f"{type(c).__name__} in {type(c.parent()).__name__}" for c in controls if not name_of(c)]
        assert nameless == []
    painted = [app.shots_page.panel.viewer, app.shots_page.panel.strip, app.queue_page.night._strip]
    assert all(name_of(widget) for widget in painted)


def is_tabbed(control: QWidget) -> bool:
    return bool(control.focusPolicy() & Qt.FocusPolicy.TabFocus)


def has_arrows(control: QWidget) -> bool:
    """Whether the arrow keys lead to it from the one of its group that Tab reaches."""
    group = control.group() if isinstance(control, QAbstractButton) else None
    return group is not None and group.exclusive() and any(is_tabbed(other) for other in group.buttons())


def test_tab_reaches_every_control_and_goes_down_the_form(app: App) -> None:
    app.project.add_shot(SHOT, out=100)
    wait_until(lambda: app.shots_page.desk.facts is not None)
    for number in range(app.window.stack.count()):
        app.window.show_page(number)
        QApplication.processEvents()
        reached: list[QWidget] = []
        at = app.window.nextInFocusChain()
        while at is not app.window and at not in reached:
            reached.append(at)
            at = at.nextInFocusChain()
        shown = [c for c in controls_of(app.window) if c.isVisible() and c.isEnabled()]
        left_out = [c for c in shown if not (is_tabbed(c) and c in reached) and not has_arrows(c)]
        assert [name_of(control) for control in left_out] == []
        if number == SHOTS:
            form = [c for c in reached if c in shown and app.shots_page.form.isAncestorOf(c)]
            heights = [control.mapTo(app.shots_page.form, QPoint()).y() for control in form]
            assert len(form) > 8
            assert heights == sorted(heights), [name_of(control) for control in form]


def test_no_button_has_the_keys_when_a_page_is_opened(app: App) -> None:
    app.window.activateWindow()
    for number in range(app.window.stack.count()):
        app.window.show_page(number)
        QApplication.processEvents()
        assert not isinstance(app.window.focusWidget(), QAbstractButton | QComboBox), number


def test_a_clicked_button_leaves_the_keys_to_the_player(app: App) -> None:
    for button in app.window.centralWidget().findChildren(QAbstractButton):
        assert not button.focusPolicy() & Qt.FocusPolicy.ClickFocus, name_of(button)


def test_settings_are_kept_and_unreadable_ones_are_as_at_first(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    settings = Settings(theme="light", language="zh", volume=0.5)
    for number in range(RECENT_LIMIT + 3):
        settings.remember(tmp_path / f"{number}.dubwright")
    settings.remember(tmp_path / "5.dubwright")
    write_settings(settings, path)
    found = read_settings(path)
    assert found == settings
    assert len(found.recent) == RECENT_LIMIT
    assert found.recent[0] == found.project == str(tmp_path / "5.dubwright")
    path.write_text("{", encoding="utf-8")
    assert read_settings(path) == Settings()


def test_a_theme_is_taken_at_once_and_kept(app: App) -> None:
    app.show_settings()
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, SettingsDialog)
    dialog._theme.setCurrentIndex(dialog._theme.findData("contrast"))
    dialog.accept()
    assert palette().window == "#000000"
    assert read_settings(find_paths().config / "app.json").theme == "contrast"
    dialog._theme.setCurrentIndex(dialog._theme.findData("dark"))
    app._take_settings(dialog)


def test_recent_projects_are_offered_and_opened(app: App, tmp_path: Path) -> None:
    for name in ("monday", "tuesday"):
        path = tmp_path / f"{name}.dubwright"
        path.write_text(json.dumps({"version": 1, "shots": []}), encoding="utf-8")
        app.open_project(path)
    offered = [action.text() for action in app.window._recent.actions()]
    assert offered == [str(tmp_path / "tuesday.dubwright"), str(tmp_path / "monday.dubwright")]
    app.window._recent.actions()[1].trigger()
    assert app.project.path == tmp_path / "monday.dubwright"
    assert "monday" in app.window.windowTitle()


def test_a_project_of_a_newer_version_gets_a_sentence_and_nothing_changes(app: App, tmp_path: Path) -> None:
    before = app.project.path
    path = tmp_path / "new.dubwright"
    path.write_text(json.dumps({"version": 99, "shots": []}), encoding="utf-8")
    app.open_project(path)
    box = QApplication.activeModalWidget()
    assert box is not None
    assert "newer" in box.property("text")
    box.close()
    assert app.project.path == before


def test_a_full_disk_is_a_sentence_and_the_edit_stays(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_room)
    app.project.add_shot(tmp_path / "a.mov", out=100)
    wait_until(lambda: QApplication.activeModalWidget() is not None)
    box = QApplication.activeModalWidget()
    assert box is not None
    assert "No space left" in box.property("text")
    box.close()
    assert len(app.project.project.shots) == 1
    monkeypatch.undo()
    app.project.change_shot(1, out=50)
    app.project.flush()
    assert json.loads(app.project.path.read_text(encoding="utf-8"))["shots"][0]["out"] == 50


def test_a_daemon_of_another_version_is_a_state_with_a_reason(
    qt: QApplication, tmp_path: Path, face_models: Path
) -> None:
    with open_studio(tmp_path, face_models), pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemon.client, "OLDEST_VERSION", 99)
        patch.setattr(daemon.client, "PROTOCOL_VERSION", 99)
        app = App(qt, language="en")
        app.window.show()
        app.start()
        wait_until(lambda: app.link.state is LinkState.REFUSED)
        assert app.link.error is not None
        assert app.link.error.code == "protocol.version"
        assert not app.queue_page.buttons["queue.cancel"].isEnabled()
        patch.undo()
        patch.setenv("DUBWRIGHT_HOME", str(tmp_path / "home"))
        wait_until(lambda: app.link.is_online)
        app.window.close()
