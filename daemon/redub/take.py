"""Takes on disk: their names, the sidecar beside each, and the rename that makes one exist.

A take exists when its sidecar does: the media is renamed first, the sidecar last, both from the same folder,
so a reader never sees half of one and a later take never takes an earlier one's place.
"""

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from daemon.media.storage import part_of
from daemon.protocol.errors import MachineError, RequestError
from daemon.protocol.jobs import RedubSpec, Take
from daemon.queue.recovery import BEGUN, UNFINISHED

SIDECAR_VERSION = 1


@dataclass(frozen=True)
class TakeFiles:
    """Where a take and what belongs to it will lie once finished."""

    media: Path  # a file, or a folder of EXR frames
    sidecar: Path
    matte: Path | None

    @property
    def is_finished(self) -> bool:
        """Whether the take exists."""
        return self.sidecar.exists()


def take_folder_name(spec: RedubSpec) -> str:
    """Return the name of the folder for takes of this clip."""
    return file_stem(Path(spec.source))


def file_stem(path: Path) -> str:
    """Return a file's own name, kept to plain characters."""
    return re.sub(r"[^\w.-]+", "_", path.stem)[:80]


def plan_files(
    spec: RedubSpec,
    job_id: str,
    number: int,
    *,
    folder: Path,
    suffix: str,
    matte_suffix: str,
) -> TakeFiles:
    """Return the names of take `number` of a job: the clip's name, the in-point, the job and the take.

    Creates the folder. Raises MachineError `dest.unwritable`.
    """
    place = re.sub(r"[^\w]+", "-", str(spec.in_))
    name = f"{take_folder_name(spec)}_{place}_{job_id[-8:]}_take{number:02}"
    prepare_folder(folder)
    matte = folder / f"{name}_matte{matte_suffix}" if spec.matte else None
    return TakeFiles(folder / f"{name}{suffix}", folder / f"{name}.json", matte)


def find_take(path: Path) -> tuple[TakeFiles, dict[str, Any]]:
    """Return the files and the sidecar's contents of a take, named by its media or its sidecar.

    Raises RequestError `take.not_found`.
    """
    is_folder = path.is_dir()  # of pictures: what looks like its suffix is part of the clip's name
    sidecar = Path(f"{path}.json") if is_folder else path.with_suffix(".json")
    try:
        contents = json.loads(sidecar.read_text(encoding="utf-8"))
        take = msgspec.convert(contents["take"], Take)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            "take.not_found",
            f"{path} is not a take: {sidecar.name} cannot be read beside it.",
            detail=str(error),
        ) from error
    media = path if path.suffix != ".json" else sidecar.with_name(Path(take.path).name)
    return TakeFiles(media, sidecar, None if take.matte is None else Path(take.matte)), contents


def prepare_folder(folder: Path) -> None:
    """Make `folder` and try to write there. Raises MachineError `dest.unwritable`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".dubwright-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise MachineError("dest.unwritable", f"Takes cannot be written to {folder}: {reason}.") from error


def note_unfinished(work: Path, *finals: Path | None) -> None:
    """Write down in a job's work folder what is about to be begun in the user's folder.

    A process killed in the middle leaves it there; whoever deletes the work folder deletes it first
    (daemon/queue/recovery.py).
    """
    known = _read_note(work / UNFINISHED) or []
    begun = [str(part_of(final)) for final in finals if final is not None]
    _write_note(work / UNFINISHED, sorted({*known, *begun}))


def note_begun(work: Path, files: TakeFiles, *more: Path) -> None:
    """Write down likewise which files belong to a take: without its sidecar they go with the work folder."""
    known = _read_note(work / BEGUN) or {}
    names = [str(path) for path in (files.media, files.matte, *more) if path is not None]
    _write_note(work / BEGUN, {**known, str(files.sidecar): names})


def _read_note(note: Path) -> Any:
    return json.loads(note.read_text(encoding="utf-8")) if note.exists() else None


def _write_note(note: Path, contents: Any) -> None:
    part = note.with_suffix(".part")
    part.write_text(json.dumps(contents), encoding="utf-8")
    part.replace(note)


def settle(part: Path, final: Path) -> None:
    """Bring a finished file, or folder, to its place: flushed to disk, then renamed."""
    for path in [part, *part.rglob("*")] if part.is_dir() else [part]:
        if path.is_file():
            with path.open("rb+") as file:  # Windows flushes only what may be written
                os.fsync(file.fileno())
    if final.is_dir():
        shutil.rmtree(final)  # of this very take, whose sidecar was never written
    os.replace(part, final)
    sync_folder(final.parent)


def digest(media: Path) -> str | None:
    """Return the sha256 of a take's file; None for a folder of pictures."""
    if media.is_dir():
        return None
    with media.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_sidecar(files: TakeFiles, sidecar: dict[str, Any]) -> None:
    """Write the sidecar; from here on the take exists."""
    part = files.sidecar.with_suffix(".json.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(
            {"sidecar_version": SIDECAR_VERSION, **sidecar},
            file,
            indent=2,
            ensure_ascii=False,
            default=msgspec.to_builtins,
        )
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, files.sidecar)
    sync_folder(files.sidecar.parent)


def read_take(files: TakeFiles) -> Take:
    """Return the finished take as its sidecar tells it."""
    return msgspec.convert(json.loads(files.sidecar.read_text(encoding="utf-8"))["take"], Take)
