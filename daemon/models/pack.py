"""A model as one file, for a machine without a network: a plain tar, its list of hashes first.

`SHA256SUMS` is the first member, so that each file is checked as it is unpacked; `model.json` says what it
is. Nothing is compressed: weights are noise to a compressor. `tar` and `sha256sum -c` can read it, too.
"""

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from daemon.models.catalog import Entry, find_entry
from daemon.models.download import RESERVE_BYTES, Progress
from daemon.models.store import HASH_LIST, Store, free_bytes, hash_of, is_plain, model_files, read_hashes
from daemon.protocol.errors import MachineError, RequestError

LABEL = "model.json"
SMALL_BYTES = 1 << 24
"""More than a list of hashes or a label can have."""

CHUNK_BYTES = 1 << 20
Report = Callable[[Progress], None]


def pack(store: Store, entry: Entry, out: Path, report: Report) -> None:
    """Write a whole model of the store to `out`; links are followed.

    Raises RequestError `models.not_found` for a model that is not whole, MachineError `disk.full`.
    """
    folder = store.folder(entry)
    if store.describe(entry).state not in ("verified", "unverified"):
        raise RequestError(
            "models.not_found",
            f"The model {entry.task} is not whole in {folder}.",
            hint=f"Run `dubwright models get {entry.task}` first.",
        )
    files = {path.relative_to(folder).as_posix(): path for path in model_files(folder)}
    progress = Progress(total=sum(path.stat().st_size for path in files.values()))
    _check_room(out.parent, progress.total)
    known = read_hashes(folder)
    hashes = {name: known.get(name) or hash_of(path) for name, path in files.items()}
    draft = out.with_name(out.name + ".part")
    try:
        with tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as archive:
            listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
            _add_text(archive, HASH_LIST, listing)
            _add_text(archive, LABEL, json.dumps({"task": entry.task, "bytes": progress.total}))
            for name, path in files.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = path.stat().st_size, 0o644
                with path.open("rb") as file:
                    archive.addfile(member, _Counted(file, name, progress, report))
        os.replace(draft, out)
    except BaseException:  # Ctrl-C, too: half a pack is as large and of no use
        draft.unlink(missing_ok=True)
        raise


def unpack(store: Store, file: Path, report: Report) -> Entry:
    """Put a packed model into the store, each file checked as it comes; return its entry.

    What was in its place goes when the new one is whole. Raises RequestError `models.not_found` for a file
    that is no packed model, MachineError `models.damaged`, `disk.full`.
    """
    if not file.is_file():
        raise RequestError("models.not_found", f"There is no file {file}.")
    try:
        with tarfile.open(file, "r:") as archive:
            hashes = _hashes(_read_text(archive, HASH_LIST))
            label = json.loads(_read_text(archive, LABEL))
            entry, progress = find_entry(label["task"]), Progress(total=int(label["bytes"]))
            folder = store.folder(entry)
            _check_room(folder, progress.total)
            draft = folder.with_name(folder.name + ".unpacking")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            try:
                _extract(archive, hashes, draft, progress, report)
            except BaseException:
                shutil.rmtree(draft)
                raise
    except (tarfile.TarError, KeyError, ValueError, TypeError) as error:
        raise RequestError("models.not_found", f"{file} is no packed model: {error}.") from error
    store.remove(entry)
    draft.replace(folder)
    store.note_placed(entry, "unpack")
    store.note_checked(entry, [])
    return entry


def _extract(
    archive: tarfile.TarFile, hashes: dict[str, str], draft: Path, progress: Progress, report: Report
) -> None:
    left = set(hashes)
    while (member := archive.next()) is not None:
        if member.name not in left or not member.isreg() or not is_plain(member.name):
            raise ValueError(f"it holds {member.name!r}, which its list does not name")
        target = draft / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = archive.extractfile(member)
        assert source is not None, "a regular file has contents"
        digest = hashlib.sha256()
        with target.open("wb") as file:
            counted = _Counted(source, member.name, progress, report)
            while data := counted.read(CHUNK_BYTES):
                digest.update(data)
                file.write(data)
        if digest.hexdigest() != hashes[member.name]:
            raise MachineError(
                "models.damaged",
                f"{member.name} is damaged in the packed file.",
                hint="Copy or pack it again.",
            )
        left.remove(member.name)
    if left:
        raise ValueError(f"it lacks {', '.join(sorted(left))}")
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    (draft / HASH_LIST).write_text(text, encoding="utf-8")


class _Counted:
    """A file that reports what is read of it."""

    def __init__(self, file: IO[bytes], name: str, progress: Progress, report: Report) -> None:
        self._file, self._progress, self._report = file, progress, report
        progress.file = name

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._progress.done += len(data)
        self._progress.came += len(data)
        self._report(self._progress)
        return data


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o644
    archive.addfile(member, io.BytesIO(data))


def _read_text(archive: tarfile.TarFile, name: str) -> str:
    member = archive.next()
    if member is None or member.name != name or not member.isreg() or member.size > SMALL_BYTES:
        raise ValueError(f"it does not begin with {name}")
    source = archive.extractfile(member)
    assert source is not None, "a regular file has contents"
    return source.read().decode()


def _hashes(text: str) -> dict[str, str]:
    pairs = (line.split("  ", 1) for line in text.splitlines())
    return {name: digest for digest, name in pairs}


def _check_room(folder: Path, needed: int) -> None:
    free = free_bytes(folder)
    if needed + RESERVE_BYTES > free:
        raise MachineError(
            "disk.full",
            f"{needed / 1e9:.1f} GB are needed at {folder} and {free / 1e9:.1f} GB are free.",
            hint="Free some space, or choose another disk.",
        )
