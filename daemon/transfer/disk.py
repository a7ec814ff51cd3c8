"""Reading and writing files that travel: sizes, hashes, and what a disk could not do in our words."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from daemon.protocol.errors import MachineError

_BLOCK = 1024 * 1024
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no quota of its own


def digest_of(path: Path) -> tuple[Any, int]:
    """Return a hasher that has seen a file, and the file's size."""
    hasher, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
            size += len(block)
    return hasher, size


def sha256_of(path: Path) -> str:
    """Return a file's sha256, from memory when it has not changed. Raises OSError."""
    about = path.stat()
    return _sha256(str(path), about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256(path: str, size: int, mtime_ns: int) -> str:
    return digest_of(Path(path))[0].hexdigest()


def folder_size(folder: Path) -> int:
    """Return the bytes in a folder, a file with two names counted once."""
    seen: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                about = os.stat(os.path.join(place, name), follow_symlinks=False)
                seen[about.st_dev, about.st_ino] = about.st_size
    return sum(seen.values())


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn what the disk could not do into MachineError `disk.full` or `home.unwritable`."""
    try:
        yield
    except OSError as error:
        code = "disk.full" if error.errno in FULL else "home.unwritable"
        raise MachineError(code, f"{path} cannot be written: {error.strerror or error}.") from error
