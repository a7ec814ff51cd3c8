"""What tests of the app run in really fails: on Qt's warnings, threads that stay, timers that go on."""

import threading

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import QObject, QTimer, qWarning

from tests import qt_app
from tests.qt_app import qt_without_complaints


def test_a_warning_of_qt_fails() -> None:
    with pytest.raises(AssertionError, match="no such thing"), qt_without_complaints():
        qWarning("no such thing")


def test_a_warning_that_qt_itself_gives_fails() -> None:
    with pytest.raises(AssertionError, match="Qt complains"), qt_without_complaints():
        QObject().startTimer(-1)


def test_a_thread_that_stays_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qt_app, "_ENDING_S", 0.05)
    done = threading.Event()
    with pytest.raises(AssertionError, match="threads stay"), qt_without_complaints():
        threading.Thread(target=done.wait, name="decode a.mov").start()
    done.set()


def test_a_timer_that_goes_on_fails() -> None:
    timer = QTimer(interval=60_000)
    with pytest.raises(AssertionError, match="timers run on"), qt_without_complaints():
        timer.start()
    timer.stop()
    with qt_without_complaints():
        QTimer(interval=60_000)
