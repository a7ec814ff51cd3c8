"""The running plugin inside Blender: one session, a timer that never waits, and what the panel shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

from ..shared.actions import Session
from ..shared.journal import Journal
from ..shared.link import Link
from ..shared.problems import PluginError
from ..shared.record import find_interpreter, journal_file
from ..shared.status import Status
from . import bake
from .sequencer import PROJECT, Sequencer, find_editor

HOST = "blender"
TICK_S = 0.1


class Controller:
    """Everything that outlives one click."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._session: Session | None = None
        self.message = ""

    @property
    def session(self) -> Session:
        """Return the session, made at its first use. Raises PluginError `install.missing`."""
        if self._session is None:
            self._link = Link([find_interpreter(), "-E", "-u", "-m", "daemon.bridge"], HOST)
            self._session = Session(Sequencer(), self._link, Journal(journal_file(HOST)), bake.start)
            self._session.on_change = _redraw
            self.start_timer()
        return self._session

    def do(self, action: Callable[[Session], Any]) -> bool:
        """Carry out what the user asked for; say in the panel why not. Return whether it was done."""
        try:
            action(self.session)
        except PluginError as error:
            self.message = str(error)
            _redraw()
            return False
        self.message = ""
        self.start_timer()
        return True

    def statuses(self) -> list[Status]:
        """Return what the panel lists; called while drawing, where nothing may be asked or written."""
        try:
            scene, _ = find_editor()
        except PluginError:
            return []
        return self._session.statuses(scene.get(PROJECT, "")) if self._session else []

    def tick(self) -> float | None:
        """Take in what came since the last tick; return when to call again, None to stop."""
        if self._session is None or self._link is None:
            return None
        before = {status.key: status.state for status in self.statuses()}
        self._session.pump()
        if self._session.trouble is not None:
            self.message, self._session.trouble = str(self._session.trouble), None
            _redraw()
        now = {status.key: status.state for status in self.statuses()}
        if any(state == "placed" != before.get(key) for key, state in now.items()):
            _push_undo("Place take")
        return None if self._link.is_heard_out and not self._session.is_baking else TICK_S

    def start_timer(self) -> None:
        """Have `tick` called while Blender is idle."""
        if not bpy.app.timers.is_registered(self.tick):
            bpy.app.timers.register(self.tick, first_interval=TICK_S, persistent=True)

    def after_change(self) -> None:
        """Look again after a file was opened, or an undo: what is on the timeline decides."""
        try:
            scene, _ = find_editor()
        except PluginError:
            return
        if PROJECT not in scene:
            return  # nothing of ours was ever in this file
        said: list[str] = []
        if self.do(lambda session: said.extend(session.recover())):
            self.message = " ".join(said)

    def close(self) -> None:
        """End the bridge; jobs go on in the daemon."""
        if bpy.app.timers.is_registered(self.tick):
            bpy.app.timers.unregister(self.tick)
        if self._session is not None:
            self._session.close()
        if self._link is not None:
            self._link.close()
        self._link = self._session = None


def _push_undo(what: str) -> None:
    """Make what the timer placed one step of undo. There is no undo without a window."""
    if not bpy.app.background:
        bpy.ops.ed.undo_push(message=what)


def _redraw() -> None:
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                area.tag_redraw()


controller = Controller()
