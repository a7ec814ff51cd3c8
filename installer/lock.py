"""One installer at a time: a second one waits for the first, then finds everything done."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from installer.progress import Progress

if os.name == "nt":
    import msvcrt

    def _try_lock(file: IO[str]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _wait_for_lock(file: IO[str]) -> None:
        while True:
            with contextlib.suppress(OSError):  # it gives up after ten seconds
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                return
else:
    import fcntl

    def _try_lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _wait_for_lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)


@contextlib.contextmanager
def only_installer(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold `folder` for this process while the block runs. The lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "installer.lock").open("a+", encoding="utf-8") as file:
        try:
            _try_lock(file)
        except OSError:
            progress.say("Another installer is at work in the same place; waiting for it ...")
            _wait_for_lock(file)
        yield
