"""Shots that the host renders to a file first, because they cannot be used as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import journal as states
from .host import Bake, StartBake
from .journal import Entry, Journal
from .problems import PluginError


class Bakes:
    """What is being rendered, by the entry's key."""

    def __init__(
        self, start: StartBake | None, journal: Journal, note: Callable[[PluginError], None]
    ) -> None:
        self._start = start
        self._journal = journal
        self._note = note
        self._running: dict[str, Bake] = {}
        self.fractions: dict[str, float] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._running

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, entry: Entry) -> None:
        """Start to render an entry's shot. Raises PluginError."""
        try:
            if self._start is None:
                raise PluginError("clip.refused", "This editor cannot render the shot to a file.")
            clip_id, start, stop = entry.bake
            self._running[entry.key] = self._start(clip_id, start, stop, entry.spec["source"])
        except PluginError as error:
            self._journal.move(entry, states.FAILED, error=str(error))
            raise

    def poll(self) -> list[Entry]:
        """Look at each; return the entries whose file is there now. What failed is noted."""
        return [entry for key in list(self._running) for entry in self._look(key)]

    def forget(self, entry: Entry) -> None:
        """End an entry's rendering and delete its file."""
        bake = self._running.pop(entry.key, None)
        if bake is not None:
            bake.stop()
        if entry.bake:
            Path(entry.spec["source"]).unlink(missing_ok=True)

    def stop(self) -> None:
        """End all; the journal has them begun again next time."""
        for bake in self._running.values():
            bake.stop()
        self._running.clear()

    def _look(self, key: str) -> list[Entry]:
        entry = self._journal.find(key)
        assert entry is not None
        try:
            self.fractions[key] = self._running[key].poll()
        except PluginError as error:
            del self._running[key]
            self._journal.move(entry, states.FAILED, error=str(error))
            self._note(error)
            return []
        if self.fractions[key] < 1.0:
            return []
        del self._running[key]
        return [entry]
