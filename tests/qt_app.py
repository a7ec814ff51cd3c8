"""A Qt application without a screen, in which a Qt warning, a left-over thread or timer fails the test.

Import it only after `pytest.importorskip("PySide6.QtWidgets", ...)`.
"""

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QEventLoop, QMessageLogContext, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid

PATIENCE_S = 120
_ENDING_S = 10
_HARMLESS = ("qt.multimedia", "PulseAudioService", "propagateSizeHints", "qt.qpa.fonts", "pipewire")
_STAYING_THREADS = ("reap-daemon",)  # waits for the daemon that it started


@contextlib.contextmanager
def qt_without_complaints() -> Iterator[QApplication]:
    """Give the one application of this process; fail on what Qt complains of and on threads that stay."""
    complaints: list[str] = []

    def hear(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
        said = f"{context.category or ''} {message}"
        if kind != QtMsgType.QtDebugMsg and not any(word in said for word in _HARMLESS):
            complaints.append(message)

    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    before = set(threading.enumerate())
    qInstallMessageHandler(hear)
    try:
        yield application
    finally:
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        qInstallMessageHandler(None)
    left = _threads_left(before)
    assert left == [], f"threads stay: {left}"
    running = _timers_running()
    assert running == [], f"timers run on: {running}"
    assert complaints == [], f"Qt complains: {complaints}"


def _threads_left(before: set[threading.Thread]) -> list[str]:
    """Return the names of our threads that were not there before and do not end.

    A decoder's own C threads that once ran a Python callback are listed by Python for good: not ours to end.
    """
    started = [
        thread
        for thread in set(threading.enumerate()) - before
        if thread.name not in _STAYING_THREADS and not isinstance(thread, threading._DummyThread)
    ]
    for thread in started:
        thread.join(_ENDING_S)
    return [thread.name for thread in started if thread.is_alive()]


def _timers_running() -> list[str]:
    """Return whose timers go on ticking; one that rings once comes to an end by itself.

    Objects are asked by `type`: what a library has deprecated may complain when it is asked for its class.
    """
    gc.collect()
    timers = [found for found in gc.get_objects() if issubclass(type(found), QTimer) and isValid(found)]
    return [repr(timer.parent()) for timer in timers if timer.isActive() and not timer.isSingleShot()]


def wait_until(is_done: Callable[[], object]) -> None:
    """Let the app work until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_done():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 50)
        assert time.monotonic() < deadline, "the app did not get there"
