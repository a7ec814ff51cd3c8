"""What an editor has to offer so that `Session` can work in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .timeline import Placement, Timeline


class Host(Protocol):
    """An editor's timeline."""

    def timeline(self) -> Timeline:
        """Read the timeline that the user sees. Raises PluginError when there is none."""
        ...

    def place(self, placement: Placement) -> None:
        """Put a take on the timeline, tagged. Raises PluginError."""
        ...

    def show_take(self, placement: Placement) -> None:
        """Put another take's file where a take of the same job lies."""
        ...

    def remove(self, tag: str) -> None:
        """Take everything off the timeline that a job put there."""
        ...


class Bake(Protocol):
    """The rendering of a shot's picture to a file, under way."""

    def poll(self) -> float:
        """Return how far it is; 1.0: the file is there. Never blocks. Raises PluginError when it failed."""
        ...

    def stop(self) -> None:
        """End it; no file is left."""
        ...


StartBake = Callable[[str, int, int, str], Bake]
"""Starts to render the range of a clip, by its id, to a file. Raises PluginError."""
