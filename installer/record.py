"""The record of an installation: every file and folder it made, and what was there before.

It is written before each thing it speaks of, so that an installation killed at any moment can be taken away
again, exactly. Lies in the data folder as `installation.json`; `incomplete` beside it says that a command
began and has not ended.
"""

import base64
import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path

NAME = "installation.json"
INCOMPLETE = "incomplete"


@dataclass
class Written:
    """A file we wrote: the sha256 of what we put there, and what was there before (base64)."""

    path: str
    sha256: str
    before: str | None = None
    link: str | None = None  # where a symbolic link led that was there before
    mode: int | None = None  # of the file that was there before
    earlier: list[str] = field(default_factory=list)  # sha256 of what we had put there before that


@dataclass
class Record:
    """What is installed, by which choices, and all that was made for it."""

    folder: Path
    version: str | None = None  # the one in use
    choices: dict[str, list[str] | str] = field(default_factory=dict)
    files: list[Written] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)  # made by us, outer ones first
    service: str | None = None  # "systemd", "launchd" or "task", once it was set up

    @property
    def incomplete_file(self) -> Path:
        """Return the file that says that a command has not ended."""
        return self.folder / INCOMPLETE

    def begin(self, command: str) -> None:
        """Say that a command has begun; the first thing that is written."""
        self.make_folder(self.folder)
        self.incomplete_file.write_text(command, encoding="utf-8")
        self.save()

    def end(self) -> None:
        """Say that it has ended well."""
        self.save()
        self.incomplete_file.unlink(missing_ok=True)

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, and remember which were not there."""
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        self.folders += [str(path) for path in reversed(missing) if str(path) not in self.folders]
        if missing and self.folder.exists():
            self.save()
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        """Write a file, whole or not at all, and remember what was there."""
        self.make_folder(path.parent)
        self.announce(path, data)
        draft = path.with_name(path.name + ".new")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        os.replace(draft, path)

    def announce(self, path: Path, data: bytes | None) -> None:
        """Remember that a file is about to be written; `data` None: by another program."""
        digest = "" if data is None else hashlib.sha256(data).hexdigest()
        for written in self.files:
            if written.path == str(path):
                if digest != written.sha256:
                    written.earlier.append(written.sha256)  # which stays there if we are killed now
                written.sha256 = digest
                break
        else:
            link = os.readlink(path) if path.is_symlink() else None
            has_data = link is None and path.is_file()
            before = base64.b64encode(path.read_bytes()).decode() if has_data else None
            mode = stat.S_IMODE(path.stat().st_mode) if has_data else None
            self.files.append(Written(str(path), digest, before, link, mode))
        self.save()

    def has_written(self, path: Path) -> bool:
        """Tell whether a file is one of ours."""
        return any(written.path == str(path) for written in self.files)

    def put_back(self, path: Path) -> bool:
        """Undo what was done to one file; False for one that somebody changed since, which stays."""
        written = next((item for item in self.files if item.path == str(path)), None)
        if written is None:
            return True
        path.with_name(path.name + ".new").unlink(missing_ok=True)
        if not _is_ours(path, written):
            return False
        path.unlink(missing_ok=True)
        if written.link is not None:
            path.symlink_to(written.link)
        elif written.before is not None:
            path.write_bytes(base64.b64decode(written.before))
            if written.mode is not None:
                path.chmod(written.mode)
        self.files.remove(written)
        self.save()
        return True

    def remove_folders(self) -> None:
        """Remove the folders we made, inner ones first, as far as they are empty now."""
        for name in sorted(self.folders, key=len, reverse=True):
            try:
                Path(name).rmdir()
            except OSError:
                continue

    def save(self) -> None:
        """Keep the record."""
        document = {key: value for key, value in asdict(self).items() if key != "folder"}
        draft = self.folder / (NAME + ".new")
        draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
        os.replace(draft, self.folder / NAME)


def read_record(folder: Path) -> Record:
    """Return the record in a data folder, or an empty one."""
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
        files = [Written(**item) for item in document.pop("files")]
        return Record(folder, files=files, **document)
    except (OSError, ValueError, TypeError, KeyError):
        return Record(folder)


def _is_ours(path: Path, written: Written) -> bool:
    """Tell whether a file is as we wrote it, is not there, or is still what was there before."""
    if path.is_dir() and not path.is_symlink():
        return False
    if not path.is_file() or (written.link is not None and path.is_symlink()):
        return True
    data = path.read_bytes()
    before = None if written.before is None else base64.b64decode(written.before)
    ours = (written.sha256, *written.earlier)
    return "" in ours or hashlib.sha256(data).hexdigest() in ours or data == before
