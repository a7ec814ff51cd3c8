"""Check a model folder file by file, and say which one is broken.

    python -m wan_engine.verify FOLDER

A file is checked against the strongest thing known of it: its listed hash (SHA256SUMS in the folder, or the
name of the blob a Hugging Face cache links to), else its own structure: the sizes a safetensors header
promises, the checksums of a zipped PyTorch file, the grammar of JSON.
"""

import argparse
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wan_engine.errors import CheckpointError, WanError
from wan_engine.loading.stored import open_weights

HASH_LIST = "SHA256SUMS"
_HASH = re.compile(r"[0-9a-f]{64}")
_UNCHECKED = (".incomplete", ".lock", ".metadata")  # what download programs leave beside their files


@dataclass(frozen=True)
class Verdict:
    """What was found out about one file: `problem` is empty when it is sound."""

    file: Path
    how: str
    problem: str = ""


def verify(folder: Path) -> Iterator[Verdict]:
    """Check every file under a folder. Raises CheckpointError for no folder, or an empty one."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder.")
    listed = _listed_hashes(folder)
    for name in sorted(set(listed) - {str(path.relative_to(folder)) for path in _files(folder)}):
        yield Verdict(folder / name, "list", "is missing")
    files = _files(folder)
    if not files:
        raise CheckpointError(f"{folder} is empty.", hint="Download the model to it.")
    for path in files:
        yield check_file(path, listed.get(str(path.relative_to(folder))))


def check_file(path: Path, expected_hash: str | None = None) -> Verdict:
    """Check one file."""
    if path.name.endswith(".incomplete"):
        return Verdict(path, "name", "is a download that has not finished")
    expected_hash = expected_hash or _blob_hash(path)
    if expected_hash is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        return Verdict(
            path, "hash", "" if found == expected_hash else f"has the hash {found}, not {expected_hash}"
        )
    if path.suffix == ".json":
        return _check_json(path)
    if path.suffix in (".safetensors", ".pth", ".pt", ".bin", ".gguf"):
        return _check_weights(path)
    return Verdict(path, "size", "" if path.stat().st_size else "is empty")


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name != HASH_LIST and path.suffix not in _UNCHECKED[1:]
    )


def _listed_hashes(folder: Path) -> dict[str, str]:
    """Read lines of "hash  name", as sha256sum writes them."""
    path = folder / HASH_LIST
    if not path.exists():
        return {}
    lines = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {line[1].lstrip("*"): line[0].lower() for line in lines if len(line) == 2}


def _blob_hash(path: Path) -> str | None:
    """Return the hash a Hugging Face cache names a large file's blob by."""
    name = path.resolve().name if path.is_symlink() else ""
    return name if _HASH.fullmatch(name) else None


def _check_json(path: Path) -> Verdict:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return Verdict(path, "grammar", f"is no JSON ({error})")
    return Verdict(path, "grammar")


def _check_weights(path: Path) -> Verdict:
    try:
        open_weights(path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                broken = archive.testzip()
            return Verdict(path, "checksums", f"is damaged in {broken}" if broken else "")
    except (WanError, zipfile.BadZipFile, OSError) as error:
        return Verdict(path, "header", str(error))
    return Verdict(path, "header")


def main(arguments: list[str] | None = None) -> int:
    """Print a line for every file; return 1 when one is broken."""
    parser = argparse.ArgumentParser(prog="python -m wan_engine.verify", description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    broken = 0
    try:
        for verdict in verify(options.folder):
            broken += bool(verdict.problem)
            state = "BROKEN" if verdict.problem else "ok"
            print(f"{state:6} {verdict.file} [{verdict.how}] {verdict.problem}".rstrip())
    except WanError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
