"""A screen that nobody sees, with a mouse and a keyboard: Xvfb and xdotool."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Screen:
    """One such screen, by its name, as programs take it in DISPLAY."""

    display: str

    def click(self, x: int, y: int) -> None:
        """Move the mouse there, and press and release its left button."""
        self._do("mousemove", x, y)
        self._do("click", "1")

    def point(self, x: int, y: int) -> None:
        """Move the mouse there."""
        self._do("mousemove", x, y)

    def press(self, keys: str) -> None:
        """Press keys, as `ctrl+z`, where the mouse is."""
        self._do("key", keys)

    def save(self, path: Path) -> Path:
        """Keep what is shown as a picture."""
        subprocess.run(["import", "-window", "root", str(path)], env=self.environment, check=True)
        return path

    @property
    def environment(self) -> dict[str, str]:
        """Return what a program needs to appear here; pictures are drawn without a graphics card."""
        return {**os.environ, "DISPLAY": self.display, "LIBGL_ALWAYS_SOFTWARE": "1"}

    def _do(self, *words: object) -> None:
        subprocess.run(["xdotool", *map(str, words)], env=self.environment, check=True)


@contextlib.contextmanager
def open_screen(size: str = "800x600") -> Iterator[Screen]:
    """Start Xvfb, or skip; end it with the block."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size}x24", "+extension", "GLX"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as answers:
            display = f":{answers.readline().strip()}"
        yield Screen(display)
    finally:
        process.terminate()
        process.wait()
