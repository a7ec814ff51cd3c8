"""Keeps the queue's last good copy young, in a thread beside the event loop."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from daemon.queue.backup import backup_path, make_backup

log = logging.getLogger(__name__)

COPY_S = 60.0
"""Between two looks whether the queue has changed since its last copy."""


class Copier:
    """Copies one queue again and again; `on_broken` is called on the loop when a copy is found broken."""

    def __init__(
        self, queue: Path, loop: asyncio.AbstractEventLoop, *, on_broken: Callable[[], None]
    ) -> None:
        self._queue, self._loop, self._on_broken = queue, loop, on_broken
        self._copied: tuple[float, int] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopped = False
        self._copying = threading.Lock()

    def start(self) -> None:
        """Make a copy now and then again and again."""
        self._timer = self._loop.call_later(COPY_S, self.start)
        self._loop.run_in_executor(None, self.copy)

    def stop(self) -> None:
        """Make no more copies but a last one."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self.copy()

    def copy(self) -> None:
        """Copy the queue if it has changed; a copy that cannot be made is made the next time."""
        with self._copying:
            changed = self._changed()
            if changed != self._copied or not backup_path(self._queue).exists():
                self._copy(changed)

    def _copy(self, changed: tuple[float, int]) -> None:
        try:
            make_backup(self._queue)
            self._copied = changed
        except sqlite3.OperationalError as error:  # locked, or the disk is full
            log.warning("The queue could not be copied: %s.", error)
        except sqlite3.DatabaseError as error:
            log.error("The queue is damaged: %s.", error)
            if not self._is_stopped and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._on_broken)
        except OSError as error:
            log.warning("The queue could not be copied: %s.", error)

    def _changed(self) -> tuple[float, int]:
        """Return what is different after a change: times and sizes of the file and its journal."""
        moment, size = 0.0, 0
        for path in (self._queue, self._queue.with_name(f"{self._queue.name}-wal")):
            if path.exists():
                about = path.stat()
                moment, size = max(moment, about.st_mtime), size + about.st_size
        return moment, size
