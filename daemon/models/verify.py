"""Checks a model's files: each against the strongest thing known of it.

That is its hash (SHA256SUMS, the catalogue, or the name of the blob in a Hugging Face cache that it was
linked from), else its own structure: what a safetensors header promises, the checksums of a zipped PyTorch
file, the grammar of JSON. `python -m wan_engine.verify` looks at folders outside the store in the same way.
"""

import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.models.catalog import Entry
from daemon.models.store import Store, hash_of, model_files, read_hashes, write_hashes

HEADER_LIMIT = 100_000_000
"""The longest header that safetensors allows, in bytes."""


@dataclass(frozen=True)
class Verdict:
    """What was found out about one file; `problem` is empty when it is sound."""

    path: str
    how: Literal["hash", "structure", "list"]
    problem: str = ""


def verify(store: Store, entry: Entry, report: Callable[[str], None] = lambda _: None) -> Iterator[Verdict]:
    """Check every file of a model and remember the result once all were seen.

    A sound file without a known hash is listed with the one it has, so that later damage shows. `report`
    gets each file's path before it is read.
    """
    folder = store.folder(entry)
    hashes = read_hashes(folder)
    damaged = store.missing(entry)
    for path in damaged:
        yield Verdict(path, "list", "is missing")
    for file in model_files(folder):
        path = file.relative_to(folder).as_posix()
        report(path)
        verdict = check_file(file, path, hashes.get(path) or entry.hashes.get(path))
        if verdict.problem:
            damaged.append(path)
        elif path not in hashes:
            hashes[path] = entry.hashes.get(path) or hash_of(file)
        yield verdict
    if folder.is_dir() and os.access(folder, os.W_OK):
        write_hashes(folder, hashes)
    store.note_checked(entry, damaged)


def check_file(file: Path, path: str, expected: str | None = None) -> Verdict:
    """Check one file; `path` is what it is called in the verdict."""
    if expected is not None:
        found = hash_of(file)
        problem = "" if found == expected else f"has the hash {found}, not {expected}"
        return Verdict(path, "hash", problem)
    try:
        return Verdict(path, "structure", _structure_problem(file))
    except OSError as error:
        return Verdict(path, "structure", f"cannot be read: {error.strerror}")


def _structure_problem(file: Path) -> str:
    if file.stat().st_size == 0:
        return "is empty"
    if file.suffix == ".json":
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            return f"is no JSON ({error})"
    if file.suffix == ".safetensors":
        return _safetensors_problem(file)
    if file.suffix in (".pth", ".pt", ".bin") and zipfile.is_zipfile(file):
        try:
            with zipfile.ZipFile(file) as archive:
                broken = archive.testzip()
        except zipfile.BadZipFile as error:
            return f"is no PyTorch file ({error})"
        return f"is damaged in {broken}" if broken else ""
    return ""


def _safetensors_problem(file: Path) -> str:
    """Compare the file's length with what its header promises."""
    with file.open("rb") as opened:
        start = opened.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else HEADER_LIMIT + 1
        if length > HEADER_LIMIT:
            return "has no safetensors header"
        try:
            header = json.loads(opened.read(length))
            end = max(
                (item["data_offsets"][1] for key, item in header.items() if key != "__metadata__"), default=0
            )
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return "has a broken safetensors header"
    size = file.stat().st_size
    return "" if size == 8 + length + end else f"has {size} bytes, its header promises {8 + length + end}"
