"""What the daemon does once an hour: forget old jobs, delete what nobody needs, make its file smaller."""

import asyncio
import contextlib
import ctypes
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from daemon.config import HistoryConfig
from daemon.pairing.clients import PairedClients
from daemon.protocol.errors import DubwrightError
from daemon.queue.history import Forgotten
from daemon.queue.store import JobStore
from daemon.transfer.service import FileService, needed_files

log = logging.getLogger(__name__)

FIRST_S = 30.0
"""After the start, which is not to be slowed down."""

EVERY_S = 3600.0


class Housekeeper:
    """Belongs to the event loop's thread; files are deleted in another."""

    def __init__(
        self,
        store: JobStore,
        files: FileService,
        clients: PairedClients,
        loop: asyncio.AbstractEventLoop,
        *,
        history: HistoryConfig,
        drop_folder: Callable[[str], None],
    ) -> None:
        self._store, self._files, self._clients, self._loop = store, files, clients, loop
        self._history, self._drop_folder = history, drop_folder
        self._timer: asyncio.TimerHandle | None = None

    def start(self, first_s: float = FIRST_S) -> None:
        """Begin, some time after the daemon's start."""
        self._timer = self._loop.call_later(first_s, self._tidy)

    def stop(self) -> None:
        """Do no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tidy(self) -> None:
        """Forget a batch of jobs, and come back at once while there are more; then clean."""
        self._timer = self._loop.call_later(EVERY_S, self._tidy)
        try:
            gone = self._store.forget(days=self._history.days, jobs=self._history.jobs)
            for one in gone:
                self._drop_folder(one.job.job_id)
            self._delete_later(gone)
            if gone:
                log.info("Forgot %d jobs that ended long ago.", len(gone))
                self._timer.cancel()
                self._timer = self._loop.call_later(0, self._tidy)
            else:
                clients, needed = self._clients.all(), needed_files(self._store)
                self._loop.run_in_executor(None, self._files.clean, clients, needed)
                give_memory_back()
                self._store.compact()  # last: a full disk may not allow it
        except DubwrightError as error:  # a full disk, say; the next hour is another one
            log.warning("Not tidied: %s", error)

    def _delete_later(self, gone: list[Forgotten]) -> None:
        """Delete the takes of forgotten jobs of paired machines: these have fetched what they wanted."""
        files = [path for one in gone if one.client for path in self._files.own_takes(one.job)]
        if files:
            self._loop.run_in_executor(None, _delete, files)


def give_memory_back() -> None:
    """Return to the system what the C library keeps of freed memory, megabytes after thousands of jobs."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
            ctypes.CDLL(None).malloc_trim(0)


def _delete(files: list[Path]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s is not deleted: %s", file, error)
