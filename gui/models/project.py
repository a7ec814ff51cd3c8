"""The open project and its undo.

A project never changes: each edit makes a new one, so undo is a list of old ones.
"""

import threading
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QObject, Signal

from gui.media.background import Background
from gui.models.project_file import SUFFIX as SUFFIX
from gui.models.project_file import ProjectError as ProjectError
from gui.models.project_file import read_project as read_project
from gui.models.project_file import relink, write_project
from gui.models.shot import Project, Shot


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
