"""Processes whose clock can be set while they run (tests/fakes/clock)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

CLOCK = Path(__file__).parent / "fakes" / "clock"


class LeapingClock:
    """The clock of the processes that were started under it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.leap(0)

    def leap(self, seconds: float) -> None:
        """Set the clock to so many seconds off the right time."""
        part = self._file.with_suffix(".part")
        part.write_text(f"{seconds:.0f}", encoding="ascii")
        part.replace(self._file)


@contextlib.contextmanager
def leaping_clock(folder: Path) -> Iterator[LeapingClock]:
    """Give every process that is started meanwhile a clock that can be set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUBWRIGHT_CLOCK", str(folder / "clock"))
        patch.setenv("PYTHONPATH", str(CLOCK), prepend=os.pathsep)
        yield LeapingClock(folder / "clock")
