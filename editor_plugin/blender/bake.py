"""Renders what a strip shows to a file, in a Blender of its own: the user's keeps its settings and goes on.

Which source frame a retimed strip shows cannot be computed: at 50 %, 4.5 gives 80 frames 159 of the timeline,
4.2 gives them 161, and 5.0 shows 21 of 100 beside `frame * speed` (measured). So Blender renders it.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

from ..shared.problems import PluginError
from .sequencer import find_editor

CHILD = Path(__file__).with_name("bake_child.py")
LAST_LINES = 20
LAST_WORDS_S = 1.0  # what a Blender that ended said last, and mostly why, is still on its way
NO_WINDOW = 0x08000000
RENDER_IT = "Render it to a file and put that in its place."


class Bake:
    """Implements `shared.host.Bake`. One Blender renders at a time; the others wait for it."""

    running: Bake | None = None

    def __init__(self, command: list[str], path: str, project: str, frames: int) -> None:
        self._command = command
        self._path, self._project, self._frames = path, project, frames
        self._lines: queue.Queue[str] = queue.Queue()
        self._said: list[str] = []
        self._done = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def poll(self) -> float:
        """Return how far it is."""
        if self._process is None:
            if Bake.running is not None:
                return 0.0
            self._process = self._begin()
        status = self._process.poll()
        if status is not None and self._reader is not None:
            self._reader.join(LAST_WORDS_S)
        self._take_lines()
        if status is None:
            return min(self._done / self._frames, 0.99)
        self._end()
        if status != 0 or not os.path.isfile(self._path):
            raise PluginError(
                "bake.failed",
                "Blender could not render the shot.",
                RENDER_IT,
                "\n".join(self._said),
            )
        return 1.0

    def stop(self) -> None:
        """End it; no file is left."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._end()
        _unlink(self._path)

    def _begin(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                creationflags=NO_WINDOW if sys.platform == "win32" else 0,
            )
        except OSError as error:
            self._end()
            raise PluginError(
                "bake.failed", f"A second Blender cannot be started: {error.strerror}.", RENDER_IT
            ) from error
        Bake.running = self
        self._reader = threading.Thread(target=_read_lines, args=(process.stdout, self._lines), daemon=True)
        self._reader.start()
        return process

    def _take_lines(self) -> None:
        while not self._lines.empty():
            line = self._lines.get()
            self._said = [*self._said, line][-LAST_LINES:]
            if line.startswith("BAKED "):
                self._done = int(line.split()[1])

    def _end(self) -> None:
        if Bake.running is self:
            Bake.running = None
        _unlink(self._project)
        _unlink(_draft(self._path))


def start(clip_id: str, first: int, stop: int, path: str) -> Bake:
    """Begin to render frames `first` to `stop` of a strip to `path`, of the project as it is now."""
    scene, _ = find_editor()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    project = f"{path}.blend"
    bpy.ops.wm.save_as_mainfile(filepath=project, copy=True)
    wanted: list[Any] = [project, scene.name, clip_id, first, stop, _draft(path), path]
    command = [*_blender(), "--", *map(str, wanted)]
    return Bake(command, path, project, stop - first)


def _blender() -> list[str]:
    """Return what runs a script in a Blender like this one: the program, or the module's own Python."""
    program = bpy.app.binary_path
    if program:
        return [
            program,
            "--background",
            "--factory-startup",
            "--python-exit-code",
            "1",
            "--python",
            str(CHILD),
        ]
    return [sys.executable, str(CHILD)]


def _read_lines(stream: Any, lines: queue.Queue[str]) -> None:
    with stream:
        for line in stream:
            lines.put(line.decode("utf-8", "replace").rstrip())


def _draft(path: str) -> str:
    root, suffix = os.path.splitext(path)
    return f"{root}.partial{suffix}"


def _unlink(path: str) -> None:
    Path(path).unlink(missing_ok=True)
