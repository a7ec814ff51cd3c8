"""Small jobs off the window's thread: thumbnails, waveforms, opening a clip. One worker, in order."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Signal

Answer = TypeVar("Answer")

_ENDING_S = 5.0


class Background(QObject):
    """Runs calls on a thread and hands what they return to the thread that made it."""

    _came_back = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._came_back.connect(lambda call: call())
        self._calls: deque[tuple[Callable[[], Any], Callable[[Any], object]]] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def run(self, call: Callable[[], Answer], done: Callable[[Answer], object]) -> None:
        """Carry out `call` over there, then `done` with its answer here. `call` must not raise."""
        with self._changed:
            self._calls.append((call, done))
            self._changed.notify()

    def close(self) -> None:
        """Drop what waits and end; what takes longer than a moment ends with the app."""
        with self._changed:
            self._is_closing = True
            self._calls.clear()
            self._changed.notify()
        self._thread.join(_ENDING_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._calls and not self._is_closing:
                    self._changed.wait()
                if self._is_closing:
                    return
                call, done = self._calls.popleft()
            answer = call()
            if not self._is_closing:
                self._came_back.emit(lambda done=done, answer=answer: done(answer))
