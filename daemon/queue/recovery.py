"""Puts things right after a crash: the folders of jobs that need none any more are cleared away."""

import contextlib
import json
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

UNFINISHED = "unfinished.json"
"""In a work folder: the paths of what the job began to write elsewhere."""

BEGUN = "takes.json"
"""In a work folder: the sidecar of each take that was begun, and the files that belong to the take."""

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
    """Delete a job's folder, and first what it left unfinished in the user's: halves of files, and files
    of takes that never got their sidecar.

    What cannot be deleted is left for the next start.
    """
    for part in [*_unfinished(folder), *_orphans(folder)]:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _unfinished(folder: Path) -> list[Path]:
    names = _read_note(folder / UNFINISHED)
    if not isinstance(names, list):
        return []
    return [Path(name) for name in names if isinstance(name, str) and name.endswith(".part")]


def _orphans(folder: Path) -> list[Path]:
    takes = _read_note(folder / BEGUN)
    if not isinstance(takes, dict):
        return []
    found = []
    for sidecar, names in takes.items():
        stem = sidecar.removesuffix(".json")
        if isinstance(names, list) and stem != sidecar and not Path(sidecar).exists():
            found += [Path(name) for name in names if isinstance(name, str) and name.startswith(stem)]
    return found


def _read_note(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


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
