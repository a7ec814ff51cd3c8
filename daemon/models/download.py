"""Brings a model into the store: only what is missing, only if there is room, and checked file by file."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from daemon.models.catalog import FACES, Entry
from daemon.models.fetch import PAUSE_S, RemoteFile, fetch
from daemon.models.hubs import list_files
from daemon.models.store import INCOMPLETE, PART, Store, free_bytes, read_hashes, write_hashes
from daemon.protocol.errors import MachineError, RequestError

RESERVE_BYTES = 2**30
"""Room that a download leaves on the disk."""


@dataclass
class Progress:
    """How far a download is. `speed` is of the bytes that came in this run."""

    total: int
    done: int = 0
    file: str = ""
    came: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def speed(self) -> float:
        """Return bytes a second."""
        return self.came / max(time.monotonic() - self.started, 1e-3)

    @property
    def left_s(self) -> float | None:
        """Return the seconds still to go; None while nothing has come."""
        return (self.total - self.done) / self.speed if self.came else None


def download(
    store: Store,
    entry: Entry,
    report: Callable[[Progress], None],
    *,
    hub: str | None = None,
    pause_s: float = PAUSE_S,
) -> Path:
    """Bring what is missing of a model; return its folder. A call after an interruption goes on.

    Raises MachineError `models.unreachable`, `models.damaged`, `disk.full`; RequestError `models.unknown` for
    the face models, which come out of a package.
    """
    if entry.task == FACES:
        raise RequestError("models.unknown", "The face models come out of a package, not from a hub.")
    folder = store.folder(entry)
    files = [_pinned(entry, file) for file in list_files(entry, hub)]
    hashes = read_hashes(folder)
    wanted = [file for file in files if not _is_here(file, folder, hashes)]
    progress = Progress(total=sum(file.bytes for file in files))
    progress.done = progress.total - sum(file.bytes for file in wanted)
    _check_room(folder, sum(file.bytes - _part_bytes(folder, file) for file in wanted))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INCOMPLETE).touch()
    for file in wanted:
        report_bytes = _counting(progress, file, report)
        hashes[file.path] = fetch(file, folder / file.path, report_bytes, pause_s=pause_s)
        write_hashes(folder, hashes)
    store.note_placed(entry, "download")
    store.note_checked(entry, [])
    return folder


def _is_here(file: RemoteFile, folder: Path, hashes: dict[str, str]) -> bool:
    """Tell whether a file came whole in an earlier run, which checked and listed it."""
    path = folder / file.path
    known = hashes.get(file.path)
    is_same = known is not None and file.sha256 in (None, known)
    return is_same and path.is_file() and path.stat().st_size == file.bytes


def _part_bytes(folder: Path, file: RemoteFile) -> int:
    part = folder / (file.path + PART)
    return min(part.stat().st_size, file.bytes) if part.is_file() else 0


def _check_room(folder: Path, needed: int) -> None:
    free = free_bytes(folder)
    if needed + RESERVE_BYTES > free and needed:
        raise MachineError(
            "disk.full",
            f"{needed / 1e9:.1f} GB are still to come and {free / 1e9:.1f} GB are free at {folder.parent}.",
            hint="Free some space, or move the store: `folders.models` in the settings.",
        )


def _counting(
    progress: Progress, file: RemoteFile, report: Callable[[Progress], None]
) -> Callable[[int], None]:
    """Return what takes the bytes of one file into the sum."""
    before, last = progress.done, 0
    progress.file = file.path

    def count(here: int) -> None:
        nonlocal last
        progress.came += max(0, here - last) if last else 0
        progress.done, last = before + here, here
        report(progress)

    return count


def _pinned(entry: Entry, file: RemoteFile) -> RemoteFile:
    """Hold a file to its publicly known hash; refuse a hub that lists another one for it."""
    known = entry.hashes.get(file.path)
    if file.sha256 not in (None, known) and known is not None:
        raise MachineError(
            "models.damaged",
            f"The hub lists {file.path} with the hash {file.sha256}; the released file has {known}.",
            hint="The hub, or a mirror in between, serves another file. Do not use it.",
        )
    return dataclasses.replace(file, sha256=known or file.sha256)
