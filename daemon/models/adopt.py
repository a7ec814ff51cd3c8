"""Takes a model that already lies elsewhere into the store, by links: nothing is copied, nothing moved.

The engine itself says which files it would read there (`python -m wan_engine.files`): official folders,
Diffusers', ComfyUI's and Hugging Face caches are found in place. Each file becomes a hard link, or a symbolic
one where that cannot be (another disk).
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from daemon.models.catalog import FACES, Entry, find_entry, load_catalog
from daemon.models.store import INCOMPLETE, Store, write_hashes
from daemon.protocol.errors import MachineError, RequestError

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Found:
    """A model in a folder: its task, where its paths start from, and the files the engine reads."""

    task: str
    base: Path
    files: list[str]


def find_models(folder: Path, task: str | None = None) -> list[Found]:
    """Return the models in a folder, or the one of `task`.

    Raises RequestError `models.unknown`, `models.not_found`.
    """
    if task is not None and find_entry(task).task == FACES:
        raise RequestError("models.unknown", "The face models come out of a package, not from a folder.")
    command = [
        sys.executable,
        "-m",
        "wan_engine.files",
        str(folder),
        *([] if task is None else ["--task", task]),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RequestError(
            "models.not_found", (run.stderr.strip() or "The engine gave no answer.").splitlines()[-1]
        )
    models = json.loads(run.stdout)["models"]
    return [
        Found(item["task"], Path(item["base"]), item["files"])
        for item in models
        if item["task"] in load_catalog()
    ]


def adopt(store: Store, found: Found) -> Entry:
    """Link a model's files into the store and return its entry. Raises MachineError `home.unwritable`."""
    entry = find_entry(found.task)
    folder = store.folder(entry)
    if folder.is_dir() and folder.resolve() == found.base.resolve():
        store.note_placed(entry, "import")
        return entry
    store.remove(entry)
    folder.mkdir(parents=True)
    (folder / INCOMPLETE).touch()
    hashes = {}
    for name in found.files:
        source = (found.base / name).resolve()
        _link(source, folder / name)
        if _HASH.fullmatch(source.name):  # a blob of a Hugging Face cache is named by its hash
            hashes[name] = source.name
    write_hashes(folder, hashes)
    store.note_placed(entry, "import")
    return entry


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        try:
            target.symlink_to(source)
        except OSError as error:
            raise MachineError(
                "home.unwritable",
                f"{target} can be no link to {source}: {error.strerror or error}.",
                hint="Use the folder in place: `wan.model` in the settings, or --model FOLDER.",
            ) from error
