"""The models folder: which models lie in it, whole or not, and whether their contents were checked.

A model's folder holds its files as its makers laid them out, `SHA256SUMS` (what is known of their contents,
as `sha256sum` writes it) and, while files are still to come, `incomplete`. `store.json` beside the folders
keeps how a model came here, and when it was checked with what result; that counts as long as no file's size
or date has changed. One store serves every version of Dubwright.
"""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from daemon.models.catalog import FACES, Entry, find_entry, is_task, load_catalog
from daemon.protocol.daemon_messages import ModelInfo, ModelState
from daemon.protocol.errors import MachineError

HASH_LIST = "SHA256SUMS"
INCOMPLETE = "incomplete"
PART = ".part"
"""Ending of a file that is still coming; its note ends in `.part.json`."""

FACES_VARIABLE = "DUBWRIGHT_FACE_MODELS"
"""Moves the folder of the face models (daemon/faces/mesh.py reads it, too)."""

_OURS = (HASH_LIST, INCOMPLETE)


class Checked(msgspec.Struct, frozen=True):
    """What the last check of a model found. `stamp` says of which files, by size and date."""

    stamp: str
    at: float  # seconds since the epoch
    damaged: list[str] = []


class Placed(msgspec.Struct, frozen=True):
    """How a model came here, and the files it consists of."""

    origin: str  # download, import or unpack
    files: list[str]


class Notes(msgspec.Struct):
    """`store.json`."""

    checked: dict[str, Checked] = {}
    placed: dict[str, Placed] = {}


@dataclass(frozen=True)
class Store:
    """The models under one folder."""

    root: Path

    def folder(self, entry: Entry) -> Path:
        """Return where a task's model lies, or would."""
        moved = os.environ.get(FACES_VARIABLE) if entry.task == FACES else None
        return Path(moved) if moved else self.root / entry.folder

    def models(self) -> list[ModelInfo]:
        """Return every model of the catalogue, with what of it is here. Reads no contents but small ones."""
        return [self.describe(entry) for entry in load_catalog().values()]

    def describe(self, entry: Entry) -> ModelInfo:
        """Return one model as it is here."""
        folder = self.folder(entry)
        sizes = [path.stat().st_size for path in model_files(folder)] if folder.is_dir() else []
        state, at = self._state(entry, folder)
        placed = self._notes().placed.get(entry.task)
        return ModelInfo(
            task=entry.task,
            folder=str(folder),
            bytes=sum(sizes),
            state=state,
            verified_at=at,
            needed_bytes=entry.bytes,
            repository=entry.repository,
            licence=entry.licence,
            origin=placed.origin if placed else "",
        )

    def find(self, task: str) -> Path:
        """Return the folder of a task's model. Raises RequestError `models.unknown`."""
        return self.folder(find_entry(task))

    def locate(self, model: str) -> Path:
        """Return the folder that a job means: the model of a task of the catalogue, or a folder's path."""
        return self.find(model) if is_task(model) else Path(model)

    def missing(self, entry: Entry) -> list[str]:
        """Return what of a model is not here: listed files, shards an index names, or whole patterns."""
        folder = self.folder(entry)
        found = {path.relative_to(folder).as_posix() for path in model_files(folder)}
        placed = self._notes().placed.get(entry.task)
        named = set(entry.hashes) if entry.task == FACES else set(placed.files) if placed else None
        absent = entry.lacks(found) if named is None else sorted(named - found)
        return absent or sorted(set(_shards(folder, found)) - found)

    def note_placed(self, entry: Entry, origin: str) -> None:
        """Remember how a model came here and that its files of now are all of it; it is whole."""
        folder = self.folder(entry)
        notes = self._notes()
        files = [path.relative_to(folder).as_posix() for path in model_files(folder)]
        notes.placed[entry.task] = Placed(origin, files)
        self._write(notes)
        (folder / INCOMPLETE).unlink(missing_ok=True)

    def note_checked(self, entry: Entry, damaged: list[str]) -> None:
        """Remember what a check of all of a model's files has found."""
        notes = self._notes()
        notes.checked[entry.task] = Checked(_stamp(self.folder(entry)), time.time(), damaged)
        self._write(notes)

    def remove(self, entry: Entry) -> int:
        """Delete a model's folder; return the bytes it held. Files it links to elsewhere stay."""
        folder = self.folder(entry)
        freed = sum(path.stat().st_size for path in model_files(folder)) if folder.is_dir() else 0
        if folder.is_dir():
            shutil.rmtree(folder)
        notes = self._notes()
        notes.checked.pop(entry.task, None)
        notes.placed.pop(entry.task, None)
        self._write(notes)
        return freed

    def _state(self, entry: Entry, folder: Path) -> tuple[ModelState, float | None]:
        if not folder.is_dir() or next(model_files(folder), None) is None:
            return "missing", None
        if (folder / INCOMPLETE).exists() or self.missing(entry):
            return "incomplete", None
        checked = self._notes().checked.get(entry.task)
        if checked is not None and checked.stamp == _stamp(folder):
            return ("damaged", None) if checked.damaged else ("verified", checked.at)
        if entry.task == FACES:  # two small files: as quickly read as asked about
            are_right = all(hash_of(folder / name) == digest for name, digest in entry.hashes.items())
            return ("verified", time.time()) if are_right else ("damaged", None)
        return "unverified", None

    def _notes(self) -> Notes:
        try:
            return msgspec.json.decode((self.root / "store.json").read_bytes(), type=Notes)
        except (OSError, msgspec.DecodeError):
            return Notes()

    def _write(self, notes: Notes) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        write_whole(self.root / "store.json", msgspec.json.format(msgspec.json.encode(notes)))


def free_bytes(folder: Path) -> int:
    """Return how much room the disk has where a folder is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def model_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a model, without what we put beside them and without unfinished ones."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in _OURS and not path.name.endswith((PART, PART + ".json")):
            yield path


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turn what the disk says in the block into MachineError `disk.full`, `home.unwritable`."""
    try:
        yield
    except OSError as error:
        code = "disk.full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "home.unwritable"
        hint = "Free some space, then run the same command again; what is whole is kept."
        raise MachineError(
            code,
            f"{error.filename or path} cannot be written: {error.strerror or error}.",
            hint=hint if code == "disk.full" else None,
        ) from error


def is_plain(path: str) -> bool:
    """Tell whether a path that came from elsewhere stays inside the folder it is put under."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not any(part in ("/", "..") or "\\" in part or ":" in part for part in parts)


def read_hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of files as `SHA256SUMS` lists them; none where there is no list."""
    try:
        lines = (folder / HASH_LIST).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {pair[1].lstrip("*"): pair[0].lower() for pair in pairs if len(pair) == 2}


def write_hashes(folder: Path, hashes: dict[str, str]) -> None:
    """Write `SHA256SUMS`."""
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    write_whole(folder / HASH_LIST, text.encode())


def hash_of(path: Path) -> str:
    """Return a file's sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file so that it is there completely or not at all."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _shards(folder: Path, found: set[str]) -> Iterator[str]:
    """Yield the files that the indices of sharded weights name."""
    for name in found:
        if name.endswith(".safetensors.index.json"):
            try:
                named = json.loads((folder / name).read_text(encoding="utf-8"))["weight_map"].values()
            except (OSError, ValueError, KeyError, AttributeError):
                continue  # a check of the contents will say what is wrong with it
            yield from {(Path(name).parent / str(shard)).as_posix() for shard in named}


def _stamp(folder: Path) -> str:
    facts = []
    for path in model_files(folder):
        status = path.stat()
        facts.append((path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(facts).encode()).hexdigest()
