"""What each task needs: `catalog.toml`, read once."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePosixPath

from daemon.protocol.errors import RequestError
from installer import face_models

FACES = "faces"
MODEL_FIELDS = ("model", "ckpt_dir")
"""Fields of a job that hold a model's folder or the name of its task."""


@dataclass(frozen=True)
class Known:
    """What is publicly known of a file: its size and its sha256."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """What a task needs. `files` are patterns of paths inside the model's folder."""

    task: str
    title: str
    repository: str
    folder: str  # its name in the store
    licence: str
    bytes: int  # about; what a download takes
    files: tuple[str, ...]
    hashes: dict[str, str]  # sha256 of files, where known

    def choose(self, paths: Collection[str]) -> set[str]:
        """Return those of a repository's files that are needed."""
        return {path for pattern in self.files for path in _chosen(paths, pattern)}

    def lacks(self, paths: Collection[str]) -> list[str]:
        """Return the patterns that no file fits."""
        return [pattern for pattern in self.files if not _chosen(paths, pattern)]


@cache
def load_catalog() -> dict[str, Entry]:
    """Return every entry by its task."""
    text = resources.files("daemon.models").joinpath("catalog.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    known = {path: Known(**facts) for path, facts in tables.pop("known").items()}
    return {task: _entry(task, table, known) for task, table in tables.items()}


def find_entry(task: str) -> Entry:
    """Return a task's entry. Raises RequestError `models.unknown`."""
    found = load_catalog().get(task)
    if found is None:
        raise RequestError(
            "models.unknown",
            f"There is no task {task!r} in the catalogue.",
            hint=f"Choose one of {', '.join(load_catalog())}.",
        )
    return found


def is_task(name: str) -> bool:
    """Tell whether a word is a task of the catalogue and not a path."""
    return name in load_catalog()


def _entry(task: str, table: dict, known: dict[str, Known]) -> Entry:
    files = tuple(table.pop("files"))
    hashes = {
        path: facts.sha256
        for path, facts in known.items()
        if any(_chosen([path], pattern) for pattern in files)
    }
    if task == FACES:
        hashes = {PurePosixPath(name).name: digest for name, digest in face_models.MODELS.items()}
    return Entry(task=task, files=files, hashes=hashes, **table)


def _chosen(paths: Collection[str], pattern: str) -> list[str]:
    """Return the files that fit a pattern; of alternatives, those of the first that any file fits."""
    for alternative in pattern.split(" | "):
        found = [path for path in paths if _fits(path, alternative)]
        if found:
            return found
    return []


def _fits(path: str, pattern: str) -> bool:
    """Match folder by folder, so that `*.json` means none in a folder below."""
    return len(PurePosixPath(path).parts) == len(PurePosixPath(pattern).parts) and PurePosixPath(path).match(
        pattern
    )
