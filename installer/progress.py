"""What a person sees while the installer works: a line a step, and under it what is going on right now."""

import shutil
import sys
import time
from typing import TextIO


class Progress:
    """Prints titles of steps with their duration; on a terminal also a passing line of detail.

    Everything goes to stderr, so that the output of `exec` is the command's own.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._started_at = 0.0

    def begin(self, title: str) -> None:
        """Start a step."""
        self._started_at = time.monotonic()
        self._print(f"{title} ...")

    def detail(self, line: str) -> None:
        """Show what the step is at, in place of the last detail; without a terminal only downloads."""
        text = " ".join(line.split())
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 3
            self._stream.write(f"\r\x1b[K  {text[:width]}")
            self._stream.flush()
        elif text.startswith("Downloading"):
            self._print(f"  {text}")

    def end(self) -> None:
        """Finish the step."""
        self._print(f"  done in {time.monotonic() - self._started_at:.1f} s")

    def say(self, line: str) -> None:
        """Print a line of its own."""
        self._print(line)

    def _print(self, line: str) -> None:
        self._stream.write(("\r\x1b[K" if self._is_terminal else "") + line + "\n")
        self._stream.flush()
