"""What the plugin set out to do and how far it came, on disk before the timeline is touched.

One file a host. Each line is a whole entry; the last line of a key counts. One cut short is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

BAKING, SUBMITTING, WAITING, READY, PLACING, PLACED, ACCEPTED, FAILED, REMOVED = (
    "baking",
    "submitting",
    "waiting",
    "ready",
    "placing",
    "placed",
    "accepted",
    "failed",
    "removed",
)
KEPT_LINES = 2000  # beyond which the file is written anew with only the last line of each entry


@dataclass(frozen=True)
class Entry:
    """One re-dub of one range of one timeline."""

    key: str
    project_id: str
    state: str
    spec: dict[str, Any]
    start: int
    stop: int
    above: int
    has_voice: bool = False
    clip_id: str = ""  # where takes go into the clip's own take selector
    job_id: str = ""
    takes: list[dict[str, Any]] = field(default_factory=list)
    shown: str = ""  # id of the take on the timeline
    error: str = ""
    bake: list[Any] = field(default_factory=list)  # clip, start, stop: what the host renders as source first
    turn: int = 0  # how often that was done anew


class Journal:
    """The entries of one host, safe against the host's end at any moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.on_change: Callable[[], None] = lambda: None
        self._entries: dict[str, Entry] = {}
        self._load()

    def entries(self, project_id: str) -> list[Entry]:
        """Return a project's entries, oldest first."""
        return [entry for entry in self._entries.values() if entry.project_id == project_id]

    def find(self, key: str) -> Entry | None:
        """Return the entry of a plan."""
        return self._entries.get(key)

    def of_job(self, job_id: str) -> Entry | None:
        """Return the entry of a job."""
        return self._find(lambda entry: entry.job_id == job_id)

    def write(self, entry: Entry) -> Entry:
        """Keep an entry; it is on disk when this returns."""
        self.write_all([entry])
        return entry

    def write_all(self, entries: Sequence[Entry]) -> None:
        """Keep entries with one wait for the disk."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(entry)) + "\n" for entry in entries)
            file.flush()
            os.fsync(file.fileno())
        self._entries.update((entry.key, entry) for entry in entries)
        self.on_change()

    def move(self, entry: Entry, state: str, **changes: Any) -> Entry:
        """Keep an entry in another state."""
        return self.write(replace(entry, state=state, **changes))

    def _find(self, is_it: Callable[[Entry], bool]) -> Entry | None:
        for entry in self._entries.values():
            if is_it(entry):
                return entry
        return None

    def _load(self) -> None:
        try:
            data = self._path.read_bytes()
        except OSError:
            return
        lines = data.splitlines()
        for line in lines:
            entry = _read(line)
            if entry is not None:
                self._entries[entry.key] = entry
        if len(lines) > KEPT_LINES:
            self._rewrite()
        elif data and not data.endswith(b"\n"):
            with self._path.open("ab") as file:
                file.write(b"\n")  # or the next entry would be lost with the one that was cut short

    def _rewrite(self) -> None:
        draft = self._path.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            for entry in self._entries.values():
                file.write(json.dumps(asdict(entry)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(str(draft), str(self._path))


def _read(line: bytes) -> Entry | None:
    known = {one.name for one in fields(Entry)}
    try:
        raw = json.loads(line.decode("utf-8"))
        return Entry(**{name: value for name, value in raw.items() if name in known})
    except (ValueError, TypeError, AttributeError):
        return None
