"""Keeps finished chunks of a job on disk, so that a job whose process died goes on where it was.

A chunk is trusted only when it is whole (sha256, of what its header says, too) and made from the same things
(the fingerprint); any other is deleted, and made again. A chunk's file: MAGIC, one line of JSON, the array's
bytes in C order.
"""

import hashlib
import math
import os
import re
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

MAGIC = b"dubwright chunk 2\n"
HEADER_LIMIT = 4096  # bytes
KINDS = "biufc"  # NumPy dtype kinds that are plain numbers
PLAIN = re.compile(rf"[<>|][{KINDS}]\d{{1,2}}")


class ChunkHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands before a chunk's numbers."""

    fingerprint: str
    dtype: str  # NumPy's, with byte order: "<f4"
    shape: tuple[int, ...]
    sha256: str


class Checkpoints:
    """The finished chunks of one take.

    `fingerprint` names everything that the chunks were made from: spec, seed, source, voice, versions.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob("*.partial"):
            unfinished.unlink(missing_ok=True)

    def load(self, index: int) -> np.ndarray | None:
        """Return chunk `index`, or None when it is not there; a broken or foreign one is deleted."""
        path = self._path(index)
        try:
            return self._read(path)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, EOFError):  # msgspec's errors are ValueErrors
            path.unlink(missing_ok=True)
            return None

    def save(self, index: int, array: np.ndarray) -> None:
        """Put chunk `index` on disk, where it survives a power cut.

        Raises OSError when the disk cannot; the part that was written is gone then, which leaves room to say
        so in the queue beside it.
        """
        data = np.ascontiguousarray(array)
        if data.dtype.kind not in KINDS:
            raise ValueError(f"cannot keep an array of {data.dtype}; it must hold plain numbers")
        shape = np.shape(array)  # ascontiguousarray makes a scalar an array of one
        header = ChunkHeader(self.fingerprint, data.dtype.str, shape, _digest(data, shape))
        path = self._path(index)
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                file.write(MAGIC + msgspec.json.encode(header) + b"\n")
                file.write(data.data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            partial.unlink(missing_ok=True)
            error.filename = error.filename or os.fspath(self.folder)  # which disk, for whoever reads of it
            raise
        partial.replace(path)
        _sync_folder(self.folder)

    def drop(self, index: int) -> None:
        """Delete chunk `index`, if it is there."""
        self._path(index).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete every chunk."""
        for path in self.folder.glob("*.chunk"):
            path.unlink(missing_ok=True)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:05d}.chunk"

    def _read(self, path: Path) -> np.ndarray:
        """Raises ValueError, TypeError or EOFError for a chunk that is not ours or not whole."""
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError("not a chunk")
            header = msgspec.json.decode(file.readline(HEADER_LIMIT), type=ChunkHeader)
            if header.fingerprint != self.fingerprint:
                raise ValueError("made from other things")
            if not PLAIN.fullmatch(header.dtype):  # NumPy itself parses the rest of what may stand there
                raise ValueError("not plain numbers")
            dtype = np.dtype(header.dtype)
            if min(header.shape, default=0) < 0:
                raise ValueError("not plain numbers")
            rest = os.fstat(file.fileno()).st_size - file.tell()
            if rest != dtype.itemsize * math.prod(header.shape):
                raise EOFError("torn")
            array = np.empty(header.shape, dtype)
            file.readinto(array.reshape(-1).data.cast("B") if array.size else bytearray())
        if _digest(array, header.shape) != header.sha256:
            raise ValueError("changed on disk")
        return array


def _digest(array: np.ndarray, shape: tuple[int, ...]) -> str:
    """Return the hash of an array: its kind of numbers and its shape count, not its bytes alone."""
    hasher = hashlib.sha256(f"{array.dtype.str} {list(shape)}".encode())
    hasher.update(array.data)
    return hasher.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the new name durable too; Windows cannot open a folder, and does not need it."""
    with suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
