"""A project on disk: one readable file with relative paths."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from gui.models.shot import PROJECT_VERSION, Project, Shot
from gui.texts import text

SUFFIX = ".dubwright"


class ProjectError(Exception):
    """A project file that cannot be opened or written; the text is a sentence for a person."""


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
    with contextlib.suppress(KeyError, TypeError, AttributeError):  # no project: `convert` says so
        for shot in raw["shots"]:
            shot.pop("jobs", None)  # which older apps wrote, and nobody read
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
    written = msgspec.structs.replace(project, version=PROJECT_VERSION, shots=shots)
    plain = msgspec.to_builtins(written)
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


def _with_paths(shot: Shot, change: Any) -> Shot:
    return msgspec.structs.replace(
        shot, clip=str(change(shot.clip)), voice=str(change(shot.voice)) if shot.voice else ""
    )


def _relative(path: str, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path  # on another drive
