"""What one paired machine has sent: files under their sha256, those still coming, and the room they take.

A file comes in chunks that follow one another; when it is whole its hash is checked, and only then has it its
name. What broke off goes on where it stopped, also after a restart. A file that is there is not sent again.
Nothing is shared between machines, so that none can learn from a hash what another one has.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.protocol.errors import RequestError
from daemon.transfer.disk import digest_of, folder_size, write_errors

FREE_BYTES = 2 * 2**30
"""What uploads leave free on the disk."""

RECENT_S = 3600.0
"""Media offered so lately are for a job that is about to come; they make no room for others."""

OPEN_LIMIT = 16  # files that one machine may be sending at a time
NAME_LIMIT = 120  # bytes of UTF-8, of a file's name without its suffix


@dataclass
class Part:
    """A file on its way: what is there, and the hash of it."""

    name: str
    size: int
    have: int
    hasher: Any


class Inbox:
    """One machine's media, for any thread. `is_needed` tells whether a job waits for a file."""

    def __init__(self, folder: Path, *, limit: int, is_needed: Callable[[Path], bool]) -> None:
        self.media, self.parts = folder / "media", folder / "parts"
        self._folder, self._limit, self._is_needed = folder, limit, is_needed
        self._open: dict[str, Part] = {}
        self._lock = threading.Lock()

    def offer(self, sha256: str, size: int, name: str) -> tuple[Path, int]:
        """Begin a file, or go on with it; return where it will lie and how many bytes are there.

        Raises RequestError `transfer.quota`; MachineError `disk.full`, `home.unwritable`.
        """
        final = self.media / sha256 / plain_name(name)
        with self._lock, write_errors(final):
            if self._is_there(final, size):
                self._open.pop(sha256, None)
                return final, size
            part = self._part(sha256, size, final.name)
            self._make_room(sha256, part)
            if part.have == size:
                self._settle(sha256, part)
        return final, part.have

    def add(self, sha256: str, offset: int, data: bytes) -> int:
        """Add the next bytes; return how many are there. Others than the next ones change nothing.

        Raises RequestError `transfer.unknown`, `transfer.damaged`; MachineError as `offer`.
        """
        with self._lock, write_errors(self._path(sha256)):
            return self._add(sha256, offset, data)

    def _add(self, sha256: str, offset: int, data: bytes) -> int:
        part = self._open.get(sha256)
        if part is None:
            raise RequestError("transfer.unknown", "No such file was offered since the daemon started.")
        if offset != part.have:
            return part.have
        if part.have + len(data) > part.size:
            self._drop(sha256)
            raise RequestError("transfer.damaged", f"{part.name} is longer than it was said to be.")
        with self._path(sha256).open("r+b") as file:
            file.seek(part.have)
            file.write(data)
        part.hasher.update(data)
        part.have += len(data)
        if part.have == part.size:
            self._settle(sha256, part)
        return part.have

    def used(self) -> int:
        """Return the bytes that the machine's media and takes have on the disk, and what is announced."""
        coming = list(self._open.values())  # which another thread may change meanwhile
        return folder_size(self._folder) + sum(part.size - part.have for part in coming)

    def check_room(self) -> None:
        """Refuse more while the machine's room is used up. Raises RequestError `transfer.quota`."""
        if self.used() >= self._limit:
            raise self._quota_error(0)

    def clean(self, days: float) -> None:
        """Delete media that no job needs and nobody used for so long, and what never became whole."""
        before = time.time() - days * 86400
        with self._lock:
            self._delete_old(before)
            self._evict()

    def _delete_old(self, before: float) -> None:
        for folder in self._oldest_first():
            if folder.stat().st_mtime < before and not self._any_needed(folder):
                shutil.rmtree(folder, ignore_errors=True)
        for part in self.parts.glob("*") if self.parts.is_dir() else ():
            with contextlib.suppress(OSError):
                if part.stem not in self._open and part.stat().st_mtime < before:
                    part.unlink()

    def _is_there(self, final: Path, size: int) -> bool:
        """Return whether the content is here, under this name or another one; give it this one."""
        folder = final.parent
        known = (
            next((file for file in folder.iterdir() if file.stat().st_size == size), None)
            if folder.is_dir()
            else None
        )
        if known is None:
            return False
        if not final.exists():
            os.link(known, final)
        os.utime(folder)  # it is used again
        return True

    def _part(self, sha256: str, size: int, name: str) -> Part:
        path = self._path(sha256)
        known = self._open.get(sha256)
        if known is not None and known.size == size and path.exists() and path.stat().st_size == known.have:
            known.name = name
            return known
        for oldest in list(self._open)[: max(0, len(self._open) - OPEN_LIMIT + 1)]:
            del self._open[oldest]  # its bytes stay; the next offer reads them again
        self.parts.mkdir(parents=True, exist_ok=True, mode=0o700)
        hasher, have = digest_of(path) if path.exists() else (hashlib.sha256(), 0)
        if have > size:
            hasher, have = hashlib.sha256(), 0
        if have == 0:
            path.write_bytes(b"")
        part = self._open[sha256] = Part(name, size, have, hasher)
        return part

    def _settle(self, sha256: str, part: Part) -> None:
        """Give a whole file its name. Raises RequestError `transfer.damaged`."""
        if part.hasher.hexdigest() != sha256:
            self._drop(sha256)
            raise RequestError("transfer.damaged", f"{part.name} arrived, but is not what was announced.")
        path, final = self._path(sha256), self.media / sha256 / part.name
        with path.open("rb+") as file:  # Windows flushes only what may be written
            os.fsync(file.fileno())
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.replace(final)
        del self._open[sha256]

    def _make_room(self, sha256: str, part: Part) -> None:
        """Make sure that what is announced fits, into the machine's share and onto the disk."""
        self._evict()
        missing = part.size - part.have
        if self.used() > self._limit:
            del self._open[sha256]
            raise self._quota_error(missing)
        if missing and shutil.disk_usage(self._folder).free - missing < FREE_BYTES:
            del self._open[sha256]
            raise OSError(errno.ENOSPC, "No space left on device")

    def _evict(self) -> None:
        """Delete media that no job needs until all fits into the share, the longest unused first."""
        recent = time.time() - RECENT_S
        for folder in self._oldest_first():
            if self.used() <= self._limit or folder.stat().st_mtime > recent:
                return
            if not self._any_needed(folder):
                shutil.rmtree(folder, ignore_errors=True)

    def _quota_error(self, missing: int) -> RequestError:
        more = f"; {missing / 1e6:.1f} MB more do not fit" if missing else ""
        return RequestError(
            "transfer.quota",
            f"{self.used() / 1e6:.1f} MB of the {self._limit / 1e6:.1f} MB that this machine may keep there "
            f"are used, by media of waiting jobs and by takes{more}.",
        )

    def _any_needed(self, folder: Path) -> bool:
        return any(self._is_needed(file) for file in folder.iterdir())

    def _oldest_first(self) -> Iterator[Path]:
        folders = list(self.media.iterdir()) if self.media.is_dir() else []
        yield from sorted(folders, key=lambda folder: folder.stat().st_mtime)

    def _drop(self, sha256: str) -> None:
        self._open.pop(sha256, None)
        self._path(sha256).unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self.parts / f"{sha256}.part"


def plain_name(name: str) -> str:
    """Return a file's name as every system can hold it, in no other folder."""
    plain = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).strip(". ") or "_"
    suffix = Path(plain).suffix[:20]
    stem = plain.removesuffix(suffix).encode("utf-8", "replace")[:NAME_LIMIT].decode("utf-8", "ignore")
    return f"{stem}{suffix}"
