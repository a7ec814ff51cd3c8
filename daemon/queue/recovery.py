"""Puts things right after a crash: the folders of jobs that need none any more are cleared away."""

import logging
import os
import shutil
from pathlib import Path

from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import JobState
from daemon.queue.store import JobStore

log = logging.getLogger(__name__)

NEEDS_NO_FOLDER = frozenset({JobState.DONE, JobState.CANCELLED})
"""A failed or paused job keeps its finished chunks."""

DOOMED = ".doomed-"
"""A folder of this name is on its way out; its old name is free at once."""


def doom_folder(folder: Path) -> Path | None:
    """Rename a job's folder out of the way, ready to be deleted; None when there is none."""
    doomed = folder.with_name(f"{DOOMED}{folder.name}-{os.urandom(4).hex()}")
    try:
        folder.rename(doomed)
    except FileNotFoundError:
        return None
    except OSError as error:  # Windows: a file of it is open
        log.warning("The folder %s is in use: %s.", folder, error)
        return None
    return doomed


def delete_folder(folder: Path) -> None:
    """Delete a folder with what is in it; what cannot be deleted is left for the next start."""
    shutil.rmtree(folder, ignore_errors=True)


def doomed_folders(store: JobStore, work: Path) -> list[Path]:
    """Return the folders under `work` to delete: half deleted ones, and those of jobs that need none."""
    if not work.is_dir():
        return []
    found = []
    for folder in work.iterdir():
        if folder.name.startswith(DOOMED):
            found.append(folder)
        elif _is_needless(store, folder.name) and (doomed := doom_folder(folder)):
            found.append(doomed)
    return found


def _is_needless(store: JobStore, job_id: str) -> bool:
    try:
        return store.get(job_id).state in NEEDS_NO_FOLDER
    except RequestError:
        return True  # of a queue that is gone
