"""What the wan engine keeps on disk for other takes and jobs: the source's latents, the voice's features.

It lies in the cache folder, each thing in a folder named after all that it was made from; the oldest go first
when it grows too large. It is a cache: what cannot be written there is made again.
"""

import hashlib
import logging
import os
import shutil
from pathlib import Path

import torch
from torch import Tensor

from daemon.paths import find_paths
from daemon.worker.checkpoint import Checkpoints

LIMIT_BYTES = 4_000_000_000

log = logging.getLogger(__name__)


class DiskKeeper:
    """A Keeper (wan_engine/kept.py) whose tensors outlive the job."""

    def __init__(self, *made_from: object, limit_bytes: int = LIMIT_BYTES) -> None:
        self._key = digest(*made_from)
        self._folder = shelf() / self._key[:32]
        self._limit_bytes = limit_bytes

    def load(self, name: str) -> Tensor | None:
        """Return what is kept, or None; what is broken is deleted."""
        if not (self._folder / name).is_dir():
            return None
        found = Checkpoints(self._folder / name, self._key).load(0)
        if found is None:
            return None
        os.utime(self._folder)  # used a moment ago
        return torch.from_numpy(found)

    def save(self, name: str, value: Tensor) -> None:
        """Keep a tensor of plain numbers, and make room for it."""
        try:
            Checkpoints(self._folder / name, self._key).save(0, value.numpy())
            os.utime(self._folder)
            forget_oldest(self._folder, self._limit_bytes)
        except OSError as error:
            log.warning("%s was not kept: %s", name, error)
            shutil.rmtree(self._folder, ignore_errors=True)


class WorkKeeper:
    """A Keeper in a job's own work folder: what cannot be written there is an error."""

    def __init__(self, folder: Path, *made_from: object) -> None:
        self._folder, self._key = folder, digest(*made_from)

    def load(self, name: str) -> Tensor | None:
        """Return what is kept, or None; what is broken or of another job is deleted."""
        found = Checkpoints(self._folder / name, self._key).load(0)
        return None if found is None else torch.from_numpy(found)

    def save(self, name: str, value: Tensor) -> None:
        """Keep a tensor of plain numbers. Raises OSError when the disk cannot."""
        Checkpoints(self._folder / name, self._key).save(0, value.numpy())


def shelf() -> Path:
    """Return the folder of all that is kept."""
    return find_paths().cache / "wan"


def forget_oldest(spare: Path, limit_bytes: int) -> None:
    """Delete what was not used for longest until the rest is no larger than the limit; never `spare`."""
    folders = sorted(spare.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)
    sizes = {folder: sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) for folder in folders}
    total = sum(sizes.values())
    for folder in folders:
        if total <= limit_bytes:
            return
        if folder != spare:
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]


def digest(*things: object) -> str:
    """Return a name for things that have a faithful `repr`."""
    return hashlib.sha256(repr(things).encode()).hexdigest()


def identity(path: Path) -> tuple[str, int, int]:
    """Return what tells a file from another one of its name."""
    about = path.stat()
    return str(path), about.st_size, about.st_mtime_ns
