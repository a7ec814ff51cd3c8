"""Paths here and there: what lies where on the daemon's machine, and what that means on this one."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any


def separator(folder: str) -> str:
    """Return what stands between folders in paths of the machine that `folder` is of."""
    return "\\" if re.match(r"[A-Za-z]:|\\\\", folder) else "/"


def join(folder: str, *names: str) -> str:
    """Return a path below a folder of any system."""
    mark = separator(folder)
    return mark.join([folder.rstrip("/\\"), *names])


def moved(path: str, from_: str, to: str) -> str | None:
    """Return `path` as it lies under `to` when it lies under `from_` and stays there, else None."""
    root = from_.rstrip("/\\")
    if path == root:
        return to
    if not path.startswith((f"{root}/", f"{root}\\")):
        return None
    rest = path[len(root) + 1 :]
    if ".." in re.split(r"[/\\]", rest):
        return None
    return join(to, rest.replace(separator(from_), separator(to)))


def label(folder: str) -> str:
    """Return the name, among a machine's takes there, for those that belong into `folder` here."""
    return hashlib.sha256(folder.encode()).hexdigest()[:12]


class Places:
    """Translates paths of the daemon's machine, in whatever it says, to those of this one."""

    def __init__(self, root: str, files: Mapping[str, str], folders: Sequence[tuple[str, str]]) -> None:
        """`root` is our own folder there; `folders` are pairs of there and here, and the longer one wins."""
        self._root, self._files = root, files
        self._folders = sorted(folders, key=lambda pair: -len(pair[0]))

    def here(self, path: str) -> str | None:
        """Return where a path of there lies here; None where that is not known."""
        if path in self._files:
            return self._files[path]
        found = (moved(path, there, here) for there, here in self._folders)
        return next((place for place in found if place is not None), None)

    def translate(self, value: Any) -> Any:
        """Return a message's plain values with every path as it is here, also within sentences."""
        if isinstance(value, dict):
            return {name: self.translate(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.translate(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        whole = self.here(text)
        if whole is not None or not any(there in text for there in (self._root, *dict(self._folders))):
            return text if whole is None else whole
        for there, here in (*self._files.items(), *self._folders):
            text = text.replace(there, here)
        return text
