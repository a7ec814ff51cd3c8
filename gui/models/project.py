"""A project: the shots an editor prepares, in one readable file with relative paths, and undo.

A project never changes: each edit makes a new one, so undo is a list of old ones.
"""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from PySide6.QtCore import QObject, Signal

from daemon.protocol.jobs import DurationMode, Job, JobState, RedubSpec
from gui.media.background import Background
from gui.texts import text

PROJECT_VERSION = 1
SUFFIX = ".dubwright"


class ProjectError(Exception):
    """A project file that cannot be opened or written; the text is a sentence for a person."""


class Shot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stretch of a clip and the voice it is to get."""

    shot_id: int
    clip: str  # absolute here, relative in the file
    voice: str = ""
    in_: int = msgspec.field(default=0, name="in")
    out: int = 0
    voice_at: int | None = None  # frame of the clip under the voice's first sample; None: at `in`
    face: str = "auto"
    engine: Literal["auto", "rewrite", "wan"] = "auto"
    takes: int = 1
    seed: int = 0
    handles: int = 0
    duration_mode: DurationMode = "silence"
    deliver: Literal["overlay", "baked"] = "overlay"
    jobs: list[str] = []  # those submitted for it

    @property
    def name(self) -> str:
        """What the shot is called."""
        return Path(self.clip).stem

    def to_spec(self) -> RedubSpec:
        """Return the job that makes takes of the shot."""
        return RedubSpec(
            source=self.clip,
            voice=self.voice,
            in_=self.in_,
            out=self.out,
            voice_at=self.voice_at,
            face=self.face,
            engine=self.engine,
            takes=self.takes,
            seed=self.seed,
            handles=self.handles,
            duration_mode=self.duration_mode,
            deliver=self.deliver,
        )


class Project(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All shots."""

    version: int = PROJECT_VERSION
    shots: list[Shot] = []

    def shot(self, shot_id: int) -> Shot | None:
        """Return a shot by its id."""
        return next((shot for shot in self.shots if shot.shot_id == shot_id), None)

    def missing_files(self) -> list[str]:
        """Return the clips and voices that are not where the project says."""
        files = {path for shot in self.shots for path in (shot.clip, shot.voice) if path}
        return sorted(path for path in files if not Path(path).is_file())


def read_project(path: Path) -> Project:
    """Open a project file. Raises ProjectError."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProjectError(text("project.unreadable", name=path.name, why=error.strerror or error)) from error
    except ValueError as error:
        raise ProjectError(text("project.broken", name=path.name, why=error)) from error
    if isinstance(raw, dict) and isinstance(raw.get("version"), int) and raw["version"] > PROJECT_VERSION:
        raise ProjectError(text("project.newer", name=path.name, version=raw["version"]))
    try:
        project = msgspec.convert(raw, Project)
    except msgspec.ValidationError as error:
        raise ProjectError(text("project.broken", name=path.name, why=error)) from error
    folder = path.resolve().parent
    return msgspec.structs.replace(
        project,
        shots=[_with_paths(shot, lambda name: os.path.normpath(folder / name)) for shot in project.shots],
    )


def write_project(project: Project, path: Path) -> None:
    """Write a project file, whole or not at all. Raises ProjectError."""
    folder = path.resolve().parent
    shots = [_with_paths(shot, lambda name: _relative(name, folder)) for shot in project.shots]
    plain = msgspec.to_builtins(msgspec.structs.replace(project, shots=shots))
    draft = path.with_name(path.name + ".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            json.dump(plain, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise ProjectError(text("project.unwritable", name=path.name, why=error.strerror or error)) from error


def relink(project: Project, old: str, new: str) -> Project:
    """Use another file in place of a missing one, wherever it is used."""
    shots = [_with_paths(shot, lambda name: new if name == old else name) for shot in project.shots]
    return msgspec.structs.replace(project, shots=shots)


def seconds_a_frame(jobs: Iterator[Job] | list[Job], engine: str) -> float | None:
    """Return how long a frame of a take took in the last jobs of an engine, or None when none ended."""
    speeds = []
    for job in jobs:
        spec = job.spec
        is_like = isinstance(spec, RedubSpec) and spec.engine == engine and job.state is JobState.DONE
        if not (is_like and isinstance(spec, RedubSpec) and job.started_at and job.finished_at):
            continue
        if isinstance(spec.in_, int) and isinstance(spec.out, int):
            frames = (spec.out - spec.in_) * spec.takes
            speeds.append((job.finished_at, (job.finished_at - job.started_at) / frames))
    last = sorted(speed for _, speed in sorted(speeds)[-5:])
    return last[len(last) // 2] if last else None


class ProjectModel(QObject):
    """The open project, where it is kept, and what can be undone."""

    changed = Signal()
    failed = Signal(str)

    def __init__(self, path: Path, background: Background | None = None) -> None:
        """background: where files are written, so that a slow disk does not hold up the window; else here."""
        super().__init__()
        self.path = path
        self._background = background
        self._unsaved: Project | None = None
        self._swapping, self._writing = threading.Lock(), threading.Lock()
        self.project = Project()
        self._undo: list[tuple[Any, Project]] = []
        self._redo: list[Project] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to make again."""
        return bool(self._redo)

    def open(self, path: Path) -> None:
        """Open a file. Raises ProjectError."""
        self.flush()
        self.project = read_project(path)
        self.path = path
        self._undo.clear()
        self._redo.clear()
        self.changed.emit()

    def save_as(self, path: Path) -> None:
        """Keep the project in another file from now on. Raises ProjectError."""
        self.flush()
        write_project(self.project, path)
        self.path = path
        self.changed.emit()

    def add_shot(self, clip: Path, *, out: int = 0) -> Shot:
        """Add a clip as a shot, all of it to begin with."""
        number = max((shot.shot_id for shot in self.project.shots), default=0) + 1
        shot = Shot(shot_id=number, clip=str(clip.resolve()), out=out)
        self._edit(None, [*self.project.shots, shot])
        return shot

    def remove_shot(self, shot_id: int) -> None:
        """Take a shot out of the project; its files and takes stay."""
        self._edit(None, [shot for shot in self.project.shots if shot.shot_id != shot_id])

    def change_shot(self, shot_id: int, *, merge: str = "", **fields: Any) -> None:
        """Change fields of a shot. Edits in a row with the same `merge` are one step of undo."""
        shots = [
            msgspec.structs.replace(shot, **fields) if shot.shot_id == shot_id else shot
            for shot in self.project.shots
        ]
        if shots != self.project.shots:
            self._edit((shot_id, merge) if merge else None, shots)

    def relink(self, old: str, new: str) -> None:
        """Use another file in place of a missing one."""
        self._edit(None, relink(self.project, old, new).shots)

    def undo(self) -> None:
        """Take the last edit back."""
        if self._undo:
            self._redo.append(self.project)
            self._become(self._undo.pop()[1])

    def redo(self) -> None:
        """Make the edit again that was taken back last."""
        if self._redo:
            self._undo.append((None, self.project))
            self._become(self._redo.pop())

    def _edit(self, merge: Any, shots: list[Shot]) -> None:
        if merge is None or not self._undo or self._undo[-1][0] != merge:
            self._undo.append((merge, self.project))
        self._redo.clear()
        self._become(msgspec.structs.replace(self.project, shots=shots))

    def flush(self) -> None:
        """Write now what still waits to be written."""
        said = self._write()
        if said:
            self.failed.emit(said)

    def _become(self, project: Project) -> None:
        """Show a project and keep it on disk at once."""
        with self._swapping:
            is_waiting = self._unsaved is not None
            self.project = self._unsaved = project
        if self._background is None:
            self.flush()
        elif not is_waiting:
            self._background.run(self._write, lambda said: self.failed.emit(said) if said else None)
        self.changed.emit()

    def _write(self) -> str:
        """Write the newest project that is not on disk; return why that failed, or nothing."""
        with self._writing:
            with self._swapping:
                project, self._unsaved = self._unsaved, None
            try:
                if project is not None:
                    write_project(project, self.path)
            except ProjectError as error:
                return str(error)
        return ""


def _with_paths(shot: Shot, change: Any) -> Shot:
    return msgspec.structs.replace(
        shot, clip=str(change(shot.clip)), voice=str(change(shot.voice)) if shot.voice else ""
    )


def _relative(path: str, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path  # on another drive
